"""Before a request is one: uvicorn's HTTP protocols, with bounds for its head, and problems where they answer plain text."""

import asyncio
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal

import msgspec

from ..errors import MalformedRequest, RequestError, RequestTooSlow
from .dialect import problem

MAX_HEAD: Final = 64 * 1024
"""Bytes of a request line with its headers."""
HEAD_SECONDS: Final = 30.0
"""A connection that has not sent a whole head by then is closed."""


Parser = Literal["httptools", "h11"]

_PROTOCOLS: Final = {"httptools": "HttpToolsProtocol", "h11": "H11Protocol"}


def fastest_parser() -> Parser:
    """httptools where it is installed; h11 comes with uvicorn."""
    return "httptools" if importlib.util.find_spec("httptools") else "h11"


def http_protocol(new_id: Callable[[], str], parser: Parser, head_seconds: float = HEAD_SECONDS) -> type[asyncio.Protocol]:
    """uvicorn's protocol over this parser, bounded. `new_id` names the requests that never became one."""
    base = getattr(importlib.import_module(f"uvicorn.protocols.http.{parser}_impl"), _PROTOCOLS[parser])
    bases = (_Joining, _Bounded, base) if parser == "httptools" else (_Bounded, base)
    return type("Http", bases, {"new_id": staticmethod(new_id), "head_seconds": head_seconds})


def raw_problem(error: RequestError, request_id: str) -> bytes:
    """A whole answer that tells of an error and closes the connection."""
    view = problem(error, request_id)
    body = msgspec.json.encode(view)
    lines = [
        f"HTTP/1.1 {view['status']} {view['title']}", "content-type: application/problem+json", f"content-length: {len(body)}",
        "cache-control: no-store", f"x-request-id: {request_id}", "connection: close", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + body


class _Bounded(asyncio.Protocol):
    """Mixed into a protocol of uvicorn, whose attributes it names: `scope` has a method once the head is there."""

    new_id: ClassVar["staticmethod[[], str]"]
    head_seconds: ClassVar[float]

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    scope: dict[str, Any] | None
    cycle: Any

    _head = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._reset()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        scope = self.scope
        if scope is not None and "method" in scope:
            if self._deadline is not None:
                self._reset()
            return
        self._head += len(data)
        if self._head > MAX_HEAD:
            self._refuse(MalformedRequest(f"the request line and headers have at most {MAX_HEAD} bytes"))
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def send_400_response(self, msg: str) -> None:
        self._refuse(MalformedRequest("this is not HTTP that the server can read"))

    def _too_slow(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self._refuse(RequestTooSlow(f"the request did not arrive within {self.head_seconds:g} s"))

    def _refuse(self, error: RequestError) -> None:
        if not self.transport.is_closing():
            self.transport.write(raw_problem(error, self.new_id()))
            self.transport.close()

    def _reset(self) -> None:
        self._head = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Joining(asyncio.Protocol):
    """Mixed into uvicorn's protocol over httptools: the head of an answer leaves with its body. A write is a tenth of a request."""

    transport: asyncio.Transport
    scope: dict[str, Any]
    cycle: Any

    def on_headers_complete(self) -> None:
        super().on_headers_complete()  # type: ignore[misc]
        if self.scope["method"] != "HEAD":
            self.cycle.transport = _Answer(self.transport)


class _Answer:
    """The transport of one answer: a head that says how long the body is waits for the first of it. Others go at once, as does the
    word that the body of a request is waited for."""

    __slots__ = ("_head", "_transport", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.write: Callable[[bytes], None] = self._write_head

    def _write_head(self, data: bytes) -> None:
        if b"\r\ncontent-length: " in data:
            self._head = data
            self.write = self._write_first
            return
        if not data.startswith(b"HTTP/1.1 1"):
            self.write = self._transport.write
        self._transport.write(data)

    def _write_first(self, data: bytes) -> None:
        self.write = self._transport.write
        self._transport.write(self._head + data)

    def close(self) -> None:
        if self.write == self._write_first:
            self._write_first(b"")
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
