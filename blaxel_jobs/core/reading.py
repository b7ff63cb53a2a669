"""Reading JSON: from a body's bytes, or the value that they stand for, to a struct; every refusal names the field."""

import json
import math
import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Struct

from ..errors import InvalidRequest, MalformedRequest, TooLarge
from ..job_names import JOB_NAME

MAX_BODY: Final = 2 * 1024 * 1024
"""Bytes."""
MAX_DEPTH: Final = 64
MAX_KEY: Final = 255
MAX_MS: Final = 3_155_760_000_000
"""A hundred years."""

LINE: Final = r"^[^\x00-\x1f\x7f]*\Z"
"""Text without control characters: they cut names off in databases, and lines in logs."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
LINES: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z"

_ENCODER: Final = msgspec.json.Encoder()
S = TypeVar("S", bound=Struct)


def check_size(value: Any) -> None:
    """Raise TooLarge, or InvalidRequest for what is nested too deeply, for a body of plain data that HTTP would not carry."""
    body = _ENCODER.encode(value)
    if len(body) > MAX_BODY:
        raise TooLarge(f"the request has more than {MAX_BODY} bytes")
    if _may_be_deep(body) and _depth(value) > MAX_DEPTH:
        raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels")


def read_json(body: bytes) -> Any:
    """The JSON value in a body. Raises MalformedRequest, and InvalidRequest for what is nested too deeply."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refused(body, error) from None
    if _may_be_deep(body) and _depth(value) > MAX_DEPTH:
        raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
    return value


def read_body(body: Any, kind: type[S], decoder: "msgspec.json.Decoder[S]") -> S:
    """A body as its struct: JSON text, or the value that it stands for. What is wrong with a text, a second reading finds out.

    Raises InvalidRequest, MalformedRequest.
    """
    if isinstance(body, bytes):
        try:
            if not _may_be_deep(body):
                return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        body = read_json(body)
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object", path="")
    return convert(body, kind)


_MOST_MENDED: Final = 100


def convert(value: Any, kind: type[S]) -> S:
    """A JSON value as a struct. Raises InvalidRequest."""
    for _ in range(_MOST_MENDED):
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            from .refusals import path_of, refusal  # most processes refuse nothing

            steps = _float_for_integer(error, path_of(error))
            mended = value if steps is None else _with_integer(value, steps)
            if mended is value:
                raise refusal(error, kind) from None
            value = mended
    raise InvalidRequest("whole numbers are to be written without a decimal point")


def canonical(text: bytes | str) -> bytes:
    """JSON text in the one form that all texts of the same value have."""
    return msgspec.json.encode(msgspec.json.decode(text), order="sorted")


def texts(values: list[Any]) -> tuple[str, ...]:
    """Each value as JSON text, encoded in one go: JSON writes a line feed within text as an escape, so each line is a value."""
    if len(values) == 1:
        return (_ENCODER.encode(values[0]).decode(),)
    lines = _ENCODER.encode_lines(values).decode().split("\n")
    lines.pop()  # it ends with a line feed
    return tuple(lines)


def text(value: Any) -> str:
    """A value as JSON text."""
    return _ENCODER.encode(value).decode()


def or_none(value: Any) -> Any:
    return None if value is UNSET else value


def seconds(milliseconds: Any) -> float | None:
    """None for what is not set."""
    return None if milliseconds is UNSET else milliseconds / 1000


def check_job(job: str) -> str:
    """The name itself. Raises InvalidRequest when it is no job name."""
    if not JOB_NAME.fullmatch(job):
        raise InvalidRequest(f"{job!r} is not a job name: it takes letters, digits, '.', '_' and '-', at most 128", path="job")
    return job


def _float_for_integer(error: msgspec.ValidationError, path: str) -> list[str] | None:
    """Where a number with a decimal point stands in the place of an integer."""
    if not str(error).startswith("Expected `int`, got `float`"):
        return None
    return re.findall(r"[^.\[\]]+", path)


def _with_integer(value: Any, steps: list[str]) -> Any:
    """The same with the integer that stands there; the very same when it is none. To JSON Schema 512.0 is an integer."""
    if not steps:
        return int(value) if isinstance(value, float) and value.is_integer() else value
    key: Any = int(steps[0]) if isinstance(value, list) else steps[0]
    try:
        before = value[key]
    except (LookupError, TypeError):
        return value
    after = _with_integer(before, steps[1:])
    if after is before:
        return value
    if isinstance(value, list):
        return [*value[:key], after, *value[key + 1 :]]
    return {**value, key: after}


def _may_be_deep(body: bytes) -> bool:
    """A body with few brackets cannot be deep: only the others are walked."""
    return len(body) > MAX_DEPTH and body.count(b"[") + body.count(b"{") > MAX_DEPTH


def _refused(body: bytes, error: Exception) -> MalformedRequest | InvalidRequest:
    """Why a body is refused that cannot be decoded. Some encoders write NaN, Infinity, a number like 1e999, and half of what UTF-16
    writes as a pair: then the path says where, such as `tasks[0].duration`."""
    try:
        values = [("", json.loads(body))]
    except (ValueError, RecursionError):
        values = []
    while values:
        path, value = values.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return MalformedRequest(f"{path} is not a finite number, and JSON has no other", path=path)
        if _has_lone_surrogate(value):
            return InvalidRequest(f"{path or 'the body'} has a lone surrogate: it is not Unicode text", path=path)
        if isinstance(value, dict):
            values += [(f"{path}.{name}" if path else name, child) for name, child in value.items()]
        elif isinstance(value, list):
            values += [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    return MalformedRequest(f"the body is not JSON: {error}")


def _has_lone_surrogate(value: Any) -> bool:
    """It, or one of its names."""
    return any(isinstance(text, str) and _SURROGATE.search(text) for text in (value if isinstance(value, dict) else (value,)))


def _depth(value: Any) -> int:
    deepest = 0
    open_values = [(value, 1)]
    while open_values:
        value, depth = open_values.pop()
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if depth > deepest:
            deepest = depth
        if deepest > MAX_DEPTH:
            break
        open_values += [(child, depth + 1) for child in children if isinstance(child, dict | list)]
    return deepest
