"""Reading rules of faults from plain data: arguments, requests to the admin API, scenario files. Errors name the wrong field."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, get_args

from blaxel_jobs.errors import InvalidRequest
from blaxel_jobs.nearest import meant
from blaxel_jobs.server.operations import OPERATIONS

from .faults import MOST_SECONDS, OF_WORKERS, Kind, Rule, wire_name

_STATUSES: Final = frozenset(HTTPStatus)
_OPERATIONS: Final = frozenset(operation.id for operation in OPERATIONS)
_NAMES: Final = {wire_name(name): name for name in Rule.__struct_fields__}
_TIMES: Final = ("seconds", "uniform", "lognormal")
_ONLY: Final[dict[str, frozenset[str]]] = {
    "status": frozenset({"status"}), "retry_after": frozenset({"status"}),
    "seconds": frozenset({"latency", "slow"}), "uniform": frozenset({"latency", "slow"}),
    "lognormal": frozenset({"latency", "slow"}),
    "step": OF_WORKERS, "stored": frozenset({"crash"}),
    "method": frozenset(get_args(Kind)) - OF_WORKERS, "path": frozenset(get_args(Kind)) - OF_WORKERS,
    "operation": frozenset(get_args(Kind)) - OF_WORKERS,
}  # fmt: skip
"""Fields that mean something for some kinds only."""


def read_rules(value: object, where: str = "faults") -> list[Rule]:
    """The rules in a list, as a scenario file and the admin API have it. Raises InvalidRequest, whose `path` is the wrong field."""
    if not isinstance(value, list):
        raise InvalidRequest(f"{where} is a list of faults, not {_shown(value)}", path=where)
    return [read_rule(each, f"{where}[{number}]") for number, each in enumerate(value)]


def read_rule(value: object, where: str = "") -> Rule:
    """One rule. Raises InvalidRequest, whose `path` is the wrong field."""
    if not isinstance(value, Mapping):
        raise _wrong(where or "fault", "is an object such as {kind: status, status: 503}", value)
    at = f"{where}." if where else ""
    given: dict[str, Any] = {}
    for wire, each in value.items():
        name = _NAMES.get(wire)
        if name is None:
            raise InvalidRequest(f"{at}{wire} is no field of a fault: {meant(str(wire), _NAMES)}", path=f"{at}{wire}")
        given[name] = _READ[name](each, f"{at}{wire}")
    if "kind" not in given:
        raise InvalidRequest(f"{at}kind is missing: one of {', '.join(get_args(Kind))}", path=f"{at}kind")
    _check_together(given, at)
    return Rule(**given)


def _check_together(given: Mapping[str, Any], at: str) -> None:
    kind = given["kind"]
    for name in given:
        kinds = _ONLY.get(name)
        if kinds is not None and kind not in kinds:
            path = f"{at}{wire_name(name)}"
            raise InvalidRequest(f"{path} means nothing for {kind}: it is for {', '.join(sorted(kinds))}", path=path)
    times = [name for name in _TIMES if name in given]
    if kind in ("latency", "slow") and len(times) != 1:
        raise InvalidRequest(f"{at}seconds: {kind} takes one of seconds, uniform and lognormal", path=f"{at}seconds")
    if "first" in given and "every" in given:
        raise InvalidRequest(f"{at}every cannot go with first: use skip, or two faults", path=f"{at}every")


def _wrong(path: str, takes: str, value: object) -> InvalidRequest:
    return InvalidRequest(f"{path} {takes}, not {_shown(value)}", path=path)


def _shown(value: object) -> str:
    return repr(value)[:80]


def _kind(value: object, path: str) -> str:
    if value not in get_args(Kind):
        raise InvalidRequest(f"{path}: {value!r} is no kind of fault: {meant(str(value), get_args(Kind))}", path=path)
    return str(value)


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(path, "is text", value)
    return value


def _method(value: object, path: str) -> str:
    return _text(value, path).upper()


def _path(value: object, path: str) -> str:
    text = _text(value, path)
    if not text.startswith("/"):
        raise _wrong(path, "begins with a /, such as /jobs/*/executions", value)
    return text


def _operation(value: object, path: str) -> str:
    word = re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", _text(value, path))
    if word not in _OPERATIONS:
        raise InvalidRequest(f"{path}: the contract has no operation {value}: {meant(word, sorted(_OPERATIONS))}", path=path)
    return word


def _whole(least: int, most: int) -> Callable[[object, str], int]:
    def read(value: object, path: str) -> int:
        if type(value) is not int or not least <= value <= most:
            raise _wrong(path, f"is a whole number from {least} to {most}", value)
        return value

    return read


def _status(value: object, path: str) -> int:
    status = _whole(400, 599)(value, path)
    if status not in _STATUSES:
        raise InvalidRequest(f"{path}: HTTP has no status {status}", path=path)
    return status


def _number(least: float, most: float) -> Callable[[object, str], float]:
    def read(value: object, path: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise _wrong(path, f"is a number from {least:g} to {most:g}", value)
        return float(value)

    return read


def _pair(value: object, path: str) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _wrong(path, "is two numbers", value)
    one, two = (_number(0.0, MOST_SECONDS)(each, f"{path}[{place}]") for place, each in enumerate(value))
    return one, two


def _bounds(value: object, path: str) -> tuple[float, float]:
    least, most = _pair(value, path)
    if least > most:
        raise _wrong(path, "is the least and the most, in this order", value)
    return least, most


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, "is true or false", value)
    return value


_READ: Final[dict[str, Callable[[object, str], Any]]] = {
    "kind": _kind, "method": _method, "path": _path, "operation": _operation, "job": _text, "execution": _text,
    "skip": _whole(0, 10**9), "first": _whole(1, 10**9), "every": _whole(1, 10**9), "probability": _number(0.0, 1.0),
    "status": _status, "retry_after": _number(0.0, MOST_SECONDS), "seconds": _number(0.0, MOST_SECONDS),
    "uniform": _bounds, "lognormal": _pair, "step": _whole(0, 10**6), "stored": _flag,
}  # fmt: skip
