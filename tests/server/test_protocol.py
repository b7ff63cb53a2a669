"""What leaves for an answer, write by write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from blaxel_jobs.server.asgi import Message, Receive, Scope, Send
from blaxel_jobs.server.protocol import fastest_parser, http_protocol

LENGTH = [(b"content-length", b"4")]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        if data:
            self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def wire_of(app: Callable[[Scope, Receive, Send], Awaitable[None]], *requests: bytes) -> Wire:
    """What an app sends that is sent these, one after the other."""
    assert fastest_parser() == "httptools"
    protocol = http_protocol(lambda: "id", "httptools")
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None, server_header=False, date_header=False)
    config.load()
    wire, state = Wire(), ServerState()
    served: Any = protocol(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
    served.connection_made(wire)
    for request in requests:
        served.data_received(request)
        for _ in range(5):  # turns of the loop, in which the app runs as far as it can
            await asyncio.sleep(0)
    while state.tasks:
        await asyncio.wait(list(state.tasks))
    served.connection_lost(None)
    return wire


def telling(*messages: Message, reads: bool = False) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An app that sends these."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        if reads:
            await receive()
        for message in messages:
            await send(message)

    return app


def start(headers: list[tuple[bytes, bytes]], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_an_answer_with_its_length_is_one_write() -> None:
    wire = await wire_of(telling(start(LENGTH), body(b"good")), GET, GET)
    assert wire.written == [HEAD + b"good"] * 2


async def test_only_the_first_of_a_body_in_pieces_has_the_head() -> None:
    piece = b"\r\ncontent-length: "
    app = telling(start([(b"content-length", b"36")]), body(piece, more=True), body(piece, more=True))
    wire = await wire_of(app, GET)
    assert wire.written == [HEAD.replace(b"4", b"36") + piece, piece]
    assert wire.closed, "the app sent less than it said"


async def test_the_head_of_a_stream_waits_for_nothing() -> None:
    app = telling(start([]), body(b"\r\ncontent-length: ", more=True), body(b""))
    assert (await wire_of(app, GET)).written == [STREAM, b"12\r\n\r\ncontent-length: \r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("status", [200, 204])
async def test_an_answer_without_a_body(status: int) -> None:
    headers = LENGTH if status == 200 else []
    method = b"HEAD" if status == 200 else b"GET"
    wire = await wire_of(telling(start(headers, status), body(b"")), GET.replace(b"GET", method))
    assert [written.partition(b" ")[2][:3] for written in wire.written] == [str(status).encode()]


async def test_who_waits_with_its_body_is_told_at_once() -> None:
    request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n"
    wire = await wire_of(telling(start(LENGTH), body(b"good"), reads=True), request, b"x")
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"good"]


async def test_the_head_of_an_answer_that_breaks_off_is_sent() -> None:
    wire = await wire_of(telling(start(LENGTH)), GET)
    assert (wire.written, wire.closed) == ([HEAD], True)
