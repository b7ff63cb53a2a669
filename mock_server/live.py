"""A mock that listens: the product's HTTP server in the mock's own loop."""

import asyncio
import socket

from blaxel_jobs.server.serve import HttpServer, url_of

from .namespaces import Hub


class Live:
    """A listening server in the current loop."""

    def __init__(self, hub: Hub, bound: socket.socket) -> None:
        self.url = url_of(bound)
        self._bound = bound
        self._ready = asyncio.Event()
        self._server = HttpServer(hub, bound, on_ready=self._ready.set)
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Returns when connections are accepted."""
        self._serving = asyncio.create_task(self._server.serve())
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait((self._serving, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            await self._serving

    async def close(self) -> None:
        """Answer what waits, then close the connections."""
        if self._serving is not None:
            self._server.stop()
            await self._serving
        self._bound.close()
