"""The bridge from clients in this process to an app in another thread: ASGI calls instead of a socket.

It is for threads, asyncio and trio alike.
"""

import asyncio
import math
from typing import Any, Final

import attrs
import httpx

from blaxel_jobs.errors import ConnectionFailed, RequestTimeout
from blaxel_jobs.server.asgi import Message, Receive, Scope

from .calls import Calls
from .line import EXTENSION, Break
from .namespaces import HEADER, Hub

GROUP: Final = 1
"""A group that always has room for one more long poll."""


@attrs.frozen
class Answer:
    """What came of a request: an answer as it was sent, whole or not."""

    status: int | None
    """None where none was sent."""
    headers: list[tuple[bytes, bytes]]
    body: bytes
    broken: Break | None
    """How it was cut off, if it was."""


class Door:
    """Where requests of this process go in."""

    def __init__(self, hub: Hub, calls: Calls, namespace: str) -> None:
        self._hub = hub
        self._calls = calls
        self._namespace = namespace.encode()

    def call(self, request: Any, body: bytes) -> Answer:
        """Have a request answered; one of httpx, or of what has its form."""
        return self._calls.call(self._exchange(request, body).answer)

    async def acall(self, request: Any, body: bytes) -> Answer:
        """As `call`."""
        return await self._calls.acall(self._exchange(request, body).answer)

    def _exchange(self, request: Any, body: bytes) -> "_Exchange":
        return _Exchange(self._hub, self._namespace, request, body)


class Bridge:
    """The SDK's wire to a mock."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def take_poll(self) -> int:
        return GROUP

    def give_back(self, group: int) -> None:
        """Nothing was taken."""

    def send(self, request: httpx.Request, group: int) -> httpx.Response:
        """Raises ConnectionFailed, RequestTimeout."""
        return _response(request, self._door.call(request, request.read()))

    async def asend(self, request: httpx.Request, group: int) -> httpx.Response:
        """As `send`."""
        return _response(request, await self._door.acall(request, await request.aread()))

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


class _Exchange:
    """One ASGI call, and the line to its caller."""

    def __init__(self, hub: Hub, namespace: bytes, request: Any, body: bytes) -> None:
        read = request.extensions.get("timeout", {}).get("read")
        self.patience = math.inf if read is None else float(read)
        self._hub = hub
        self._namespace = namespace
        self._request = request
        self._message: Message | None = {"type": "http.request", "body": body}
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._broken: Break | None = None

    async def cut(self, how: Break, receive: Receive) -> None:
        self._broken = how

    async def answer(self) -> Answer:
        await self._hub(self._scope(), self._receive, self._send)
        start = self._start
        status, headers = (start["status"], start["headers"]) if start else (None, [])
        return Answer(status, headers, b"".join(self._chunks), self._broken)

    def _scope(self) -> Scope:
        url = self._request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        headers = [(name.lower(), value) for name, value in self._request.headers.raw]
        if not any(name == HEADER for name, _ in headers):
            headers.append((HEADER, self._namespace))
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": url.scheme, "method": self._request.method,
            "path": url.path, "raw_path": raw_path, "query_string": query, "root_path": "", "client": None, "server": None,
            "headers": headers, "extensions": {EXTENSION: self},
        }  # fmt: skip

    async def _receive(self) -> Message:
        message, self._message = self._message, None
        if message is None:
            # Whoever hangs up cancels the call.
            await asyncio.get_running_loop().create_future()
        assert message is not None
        return message

    async def _send(self, message: Message) -> None:
        if self._broken:
            return
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._chunks.append(message.get("body", b""))


def _response(request: httpx.Request, answer: Answer) -> httpx.Response:
    if answer.broken == "timeout":
        raise RequestTimeout("the mock did not answer in time")
    if answer.broken or answer.status is None:
        raise ConnectionFailed("the mock broke the connection" + (" in the middle of its answer" if answer.status else ""))
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body, request=request)
