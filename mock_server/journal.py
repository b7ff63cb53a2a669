"""The journal: every request that a mock was sent, in the order of arrival, and what became of it."""

import json
import re
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from .asked import Asked, path_pattern

MOST: Final = 20_000
"""Requests that a journal keeps: the newest."""
MOST_BODY: Final = 2 * 1024 * 1024
ASKED: Final = (b"jobs-contract", b"blaxel-version", b"content-type", b"idempotency-key", b"last-event-id", b"prefer")
"""Headers of a request that the contract knows; keys are not among them."""
ANSWERED: Final = (b"content-type", b"jobs-contract", b"mock-fault", b"preference-applied", b"retry-after")

_MADE: Final = re.compile(r"[0-9a-f]{32,40}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An idempotency key as SDKs make them; others are their user's."""


class Request(Struct, kw_only=True, eq=False):
    """One request, and its answer."""

    number: int
    """From 1, in the order of arrival."""
    asked: Asked
    headers: dict[str, str]
    """Those of the contract."""
    now: float
    """Seconds since 1970 in the mock's time, when it came."""
    raw: bytes = b""
    status: int | None = None
    """None as long as it is not answered, and where no answer was sent."""
    answer_headers: dict[str, str] = msgspec.field(default_factory=dict)
    fault: str | None = None
    """What was injected."""
    breach: str | None = None
    """What is against the contract, in strict mode."""

    @property
    def method(self) -> str:
        return self.asked.method

    @property
    def path(self) -> str:
        return self.asked.path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.asked.query, keep_blank_values=True))

    @property
    def operation(self) -> str | None:
        """Its operationId in snake case."""
        return self.asked.operation

    @property
    def job(self) -> str | None:
        return self.asked.job

    @property
    def execution(self) -> str | None:
        """The id in its path."""
        return self.asked.execution

    @property
    def at(self) -> datetime:
        """When it came, in the mock's time."""
        return datetime.fromtimestamp(self.now, UTC)

    @property
    def body(self) -> Any:
        """What it brought, decoded where it is JSON; None for nothing."""
        if not self.raw:
            return None
        try:
            return json.loads(self.raw)
        except ValueError:
            return self.raw

    def __str__(self) -> str:
        query = f"?{self.asked.query}" if self.asked.query else ""
        return f"{self.method} {self.path}{query} -> {self.status or self.fault or 'no answer'}"


class Journal:
    """What a mock was asked."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._requests: deque[Request] = deque(maxlen=MOST)
        self._count = 0
        self._keys: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def requests(self) -> list[Request]:
        return list(self._requests)

    def begin(self, asked: Asked, headers: Mapping[bytes, bytes], now: float) -> Request:
        """A request has come."""
        self._count += 1
        request = Request(number=self._count, asked=asked, headers=_of_contract(headers, ASKED), now=now)
        self._requests.append(request)
        key = request.headers.get("idempotency-key")
        if key is not None and _MADE.fullmatch(key):
            self._keys.setdefault(key, f"key-{len(self._keys) + 1}")
        return request

    def as_json(self, request: Request) -> dict[str, Any]:
        """Equal for the same seed and one sequential client: keys that an SDK made are numbered in the order of arrival."""
        headers = dict(request.headers)
        if "idempotency-key" in headers:
            headers["idempotency-key"] = self._keys.get(headers["idempotency-key"], headers["idempotency-key"])
        body = request.body
        view: dict[str, Any] = {
            "number": request.number,
            "at": request.at.isoformat(timespec="microseconds"),
            "method": request.method,
            "path": request.path,
            "query": request.asked.query,
            "headers": headers,
            "body": body.decode("latin-1") if isinstance(body, bytes) else body,
            "status": request.status,
            "answer": request.answer_headers,
        }
        told = {"operation": request.operation, "job": request.job, "fault": request.fault, "breach": request.breach}
        return view | {name: value for name, value in told.items() if value is not None}

    def lines(self) -> str:
        """One JSON document a line, byte for byte the same for the same seed and one sequential client."""
        return "".join(
            json.dumps(self.as_json(request), ensure_ascii=False, separators=(",", ":")) + "\n" for request in self._requests
        )

    def assert_called(self, method: str, path: str, times: int | None = None, **fields: Any) -> list[Request]:
        """The requests of this method and path; `verify` says what is compared. Raises AssertionError, naming the nearest miss."""
        found, why = verify(self.requests, Wanted(method.upper(), path, **fields), times)
        if why:
            raise AssertionError(why)
        return found


class Wanted(Struct, frozen=True):
    """What a request must have. `path` as in a fault's rule; of `body` and `query` only what is named here must be there."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    status: int | None = None

    def __str__(self) -> str:
        more = [
            f"{name}={getattr(self, name)!r}" for name in ("query", "body", "headers", "status") if getattr(self, name) is not None
        ]
        return " ".join([self.method, self.path, *(["with", ", ".join(more)] if more else [])])

    def misses(self, request: Request) -> list[str]:
        """In what a request differs."""
        found = []
        if self.method != request.method:
            found.append(f"the method is {request.method}")
        if not path_pattern(self.path).fullmatch(request.path):
            found.append(_path_miss(self.path, request.path))
        if self.query is not None and (why := _differs(dict(self.query), request.query, "query")):
            found.append(why)
        if self.body is not None and (why := _differs(self.body, request.body, "body")):
            found.append(why)
        if self.headers is not None:
            wanted = {name.lower(): value for name, value in self.headers.items()}
            if why := _differs(wanted, request.headers, "headers"):
                found.append(why)
        if self.status is not None and self.status != request.status:
            found.append(f"the status is {request.status}")
        return found


def verify(requests: Sequence[Request], wanted: Wanted, times: int | None) -> tuple[list[Request], str | None]:
    """The requests that are as wanted, and what is wrong with their number: `times`, or at least one."""
    missed = [(request, wanted.misses(request)) for request in requests]
    found = [request for request, misses in missed if not misses]
    if len(found) == times or (times is None and found):
        return found, None
    often = "never" if not found else f"{len(found)} time{'s' * (len(found) > 1)}"
    expected = "" if times is None else f", expected {times}"
    lines = [f"{wanted} was sent {often}{expected}"]
    near = [(request, misses) for request, misses in missed if misses]
    if near and (times is None or len(found) < times):
        request, misses = min(near, key=lambda entry: (len(entry[1]), -_likeness(wanted, entry[0]), -entry[0].number))
        lines.append(f"the nearest is request {request.number}, {request}: {'; '.join(misses)}")
    elif not requests:
        lines.append("nothing was sent at all")
    if found and times is not None and len(found) > times:
        lines += [f"request {request.number}: {request}" for request in found[:10]]
    counts = Counter(f"{request.method} {request.path}" for request in requests)
    if near:
        lines.append("all that was sent: " + ", ".join(f"{text} ({count})" for text, count in counts.most_common(10)))
    return found, "\n".join(lines)


def _likeness(wanted: Wanted, request: Request) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, f"{wanted.method} {wanted.path}", f"{request.method} {request.path}").ratio()


def _path_miss(wanted: str, path: str) -> str:
    ours, theirs = ([part for part in text.split("/") if part and part != "v0"] for text in (wanted, path))
    if len(ours) == len(theirs):
        for one, other in zip(ours, theirs, strict=True):
            if not path_pattern(f"/{one}").fullmatch(f"/{other}"):
                return f"its path has {other!r} for {one!r}"
    return f"its path is {path}"


def _differs(wanted: Any, got: Any, where: str) -> str | None:
    """Where a value lacks what is wanted of it, in words; of an object only the named members count."""
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        for name, value in wanted.items():
            if name not in got:
                return f"{where}.{name} is missing"
            if why := _differs(value, got[name], f"{where}.{name}"):
                return why
        return None
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        return next((why for place, (one, other) in pairs if (why := _differs(one, other, f"{where}[{place}]"))), None)
    return None if wanted == got else f"{where} is {str(got)[:200]!r}" if isinstance(got, str) else f"{where} is {got!r:.200}"


def _of_contract(headers: Mapping[bytes, bytes], names: Sequence[bytes]) -> dict[str, str]:
    return {name.decode(): headers[name].decode("latin-1") for name in names if name in headers}


def answer_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Those of the contract, of an answer."""
    return _of_contract({name.lower(): value for name, value in pairs}, ANSWERED)
