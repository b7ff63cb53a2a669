"""The bridge from the SDK to an app in another thread: ASGI calls instead of a socket, for threads, asyncio and trio alike."""

import asyncio
from typing import Final

import httpx

from blaxel_jobs.server.app import App
from blaxel_jobs.server.asgi import Message, Scope

from .calls import Calls

GROUP: Final = 1
"""A group that always has room for one more long poll."""


class Bridge:
    """The SDK's wire to an app."""

    def __init__(self, app: App, calls: Calls) -> None:
        self._app = app
        self._calls = calls

    def take_poll(self) -> int:
        return GROUP

    def give_back(self, group: int) -> None:
        """Nothing was taken."""

    def send(self, request: httpx.Request, group: int) -> httpx.Response:
        exchange = _Exchange(self._app, request, request.read())
        return exchange.response(self._calls.call(exchange.answer))

    async def asend(self, request: httpx.Request, group: int) -> httpx.Response:
        exchange = _Exchange(self._app, request, await request.aread())
        return exchange.response(await self._calls.acall(exchange.answer))

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


class _Exchange:
    """One ASGI call."""

    def __init__(self, app: App, request: httpx.Request, body: bytes) -> None:
        self._app = app
        self._request = request
        self._message: Message | None = {"type": "http.request", "body": body}
        self._sent: list[Message] = []

    async def answer(self) -> list[Message]:
        await self._app(self._scope(), self._receive, self._send)
        return self._sent

    def response(self, sent: list[Message]) -> httpx.Response:
        start, *chunks = sent
        body = b"".join([chunk.get("body", b"") for chunk in chunks])
        return httpx.Response(start["status"], headers=start["headers"], content=body, request=self._request)

    def _scope(self) -> Scope:
        url = self._request.url
        raw_path, _, query = url.raw_path.partition(b"?")
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": url.scheme, "method": self._request.method,
            "path": url.path, "raw_path": raw_path, "query_string": query, "root_path": "", "client": None, "server": None,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
        }  # fmt: skip

    async def _receive(self) -> Message:
        message, self._message = self._message, None
        if message is None:
            # Whoever hangs up cancels the call.
            await asyncio.get_running_loop().create_future()
        assert message is not None
        return message

    async def _send(self, message: Message) -> None:
        self._sent.append(message)
