"""What one process keeps open to one server: clients for threads, and clients for each event loop."""

import re
import ssl
import sys
import threading
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from queue import Empty, SimpleQueue
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from ..config import PLATFORM
from ..errors import ConnectionFailed, ContractError, RequestTimeout

KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 s after which common servers close an idle connection, so that none is used while it is being closed."""
CALLS: Final = 0
"""The group of connections that answer at once. The others hold long polls, which therefore never keep a call waiting."""
TOKENS: Final = -1
"""The group of the connection by which tokens are fetched: calls that wait for a token do not keep it waiting."""
POLLS_IN_A_GROUP: Final = 32
"""A client's pool works in the square of its connections, so many long polls are spread over many clients."""

Clients = dict[int, httpx.AsyncClient]


class Connections:
    """At most `most` connections, of which three quarters may hold long polls."""

    def __init__(self, base_url: str, most: int, transport: Any = None) -> None:
        self._base_url = base_url
        self._name = re.sub(r"//[^/]*@", "//", base_url)
        self._transport = transport
        self._lock = threading.Lock()
        self._ssl: ssl.SSLContext | None = None
        polls = most * 3 // 4
        self._calls = most - polls
        self._polls = deque(1 + place // POLLS_IN_A_GROUP for place in reversed(range(polls)))
        # Threads wait here, not in a client's pool: a full pool closes connections under threads that are about to use them.
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._calls):
            self._free.put(None)
        self._clients: dict[int, httpx.Client] = {}
        self._loops: dict[object, Clients] = {}
        self._lifetimes: dict[object, AsyncGenerator[Clients, None]] = {}
        self._close_clients = weakref.finalize(self, _close_all, self._clients)

    def take_poll(self) -> int:
        """A group with room for one more long poll, to be given back; CALLS when there is none."""
        try:
            return self._polls.pop()
        except IndexError:
            return CALLS

    def give_back(self, group: int) -> None:
        if group != CALLS:
            self._polls.append(group)

    def send(self, request: httpx.Request, group: int) -> httpx.Response:
        """Raises ConnectionFailed, RequestTimeout, ContractError."""
        if group != CALLS:
            return self._send(request, group)
        with self._turn(request):
            return self._send(request, group)

    @contextmanager
    def stream_here(self, request: httpx.Request) -> Generator[httpx.Response, None, None]:
        """As `stream`, in this thread, on a connection for calls."""
        with self._turn(request):
            response = self._send(request, CALLS, stream=True)
            try:
                yield response
            except httpx.HTTPError as error:
                raise self._failure(error) from error
            finally:
                response.close()

    @contextmanager
    def _turn(self, request: httpx.Request) -> Generator[None, None, None]:
        """Hold a connection for calls."""
        try:
            self._free.get(timeout=request.extensions["timeout"]["pool"])
        except Empty:
            raise RequestTimeout(f"all {self._calls} connections to {self._name} for calls are in use", sent=False) from None
        try:
            yield
        finally:
            self._free.put(None)

    def _send(self, request: httpx.Request, group: int, *, stream: bool = False) -> httpx.Response:
        try:
            return (self._clients.get(group) or self._open(group)).send(request, stream=stream)
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    async def asend(self, request: httpx.Request, group: int) -> httpx.Response:
        """As `send`."""
        try:
            return await (await self._async_client(group)).send(request)
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    @asynccontextmanager
    async def stream(self, request: httpx.Request, group: int) -> AsyncGenerator[httpx.Response, None]:
        """The answer, whose body is still to be read here. Raises as `send`, also for what goes wrong while it is read."""
        try:
            response = await (await self._async_client(group)).send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise self._failure(error) from error

    def _open(self, group: int) -> httpx.Client:
        with self._lock:
            client = self._clients.get(group)
            if client is None:
                client = self._clients[group] = httpx.Client(transport=self._transport, **self._options(None))
            return client

    async def _async_client(self, group: int) -> httpx.AsyncClient:
        """The client of this event loop. It is closed when the loop shuts its async generators down, as `asyncio.run` does."""
        loop = _running_loop()
        clients = self._loops.get(loop)
        if clients is None:
            self._forget_closed_loops()
            lifetime = self._lifetime(loop)
            clients = await anext(lifetime)
            self._lifetimes[loop] = lifetime
        client = clients.get(group)
        if client is None:
            limit = self._calls if group == CALLS else None
            client = clients[group] = httpx.AsyncClient(transport=self._transport, **self._options(limit))
        return client

    async def _lifetime(self, loop: object) -> AsyncGenerator[Clients, None]:
        clients = self._loops[loop] = {}
        try:
            yield clients
        finally:
            self._loops.pop(loop, None)
            self._lifetimes.pop(loop, None)
            for client in clients.values():
                await client.aclose()

    def _forget_closed_loops(self) -> None:
        """A client holds its loop through its connections, so weak references would never let go of a loop that was only closed."""
        from asyncio import AbstractEventLoop

        for loop in list(self._loops):
            if isinstance(loop, AbstractEventLoop) and loop.is_closed():
                self._loops.pop(loop, None)
                self._lifetimes.pop(loop, None)

    def close(self) -> None:
        """Close the connections of threads. The next call opens new ones."""
        with self._lock:
            _close_all(self._clients)

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        lifetime = self._lifetimes.get(_running_loop())
        if lifetime is not None:
            await lifetime.aclose()

    def _options(self, limit: int | None) -> dict[str, Any]:
        if self._ssl is None:
            # Without TLS the certificates (10 ms) stay unread; a context that has none trusts nobody.
            plain = self._base_url.startswith("http:")
            self._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context()
        return {
            "limits": httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=KEEP_ALIVE),
            "trust_env": not _is_loopback(self._base_url),
            "verify": self._ssl,
        }

    def _failure(self, error: httpx.HTTPError) -> ConnectionFailed | ContractError:
        """The same in our words."""
        sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        if isinstance(error, httpx.TimeoutException):
            return RequestTimeout(f"{self._name} did not answer in time ({type(error).__name__})", sent=sent)
        if isinstance(error, httpx.DecodingError):
            return ContractError(f"the answer of {self._name} cannot be decoded: {error}")
        refused = isinstance(error, httpx.ConnectError)
        if refused and _is_loopback(self._base_url):
            return ConnectionFailed(
                f"no server answers at {self._name}: start one with `blaxel-jobs serve --simulate`, or set BL_API_URL to one that "
                "runs, or BL_API_KEY to use the platform",
                sent=False,
            )
        verb = "could not be reached" if refused else "broke the connection"
        hint = (
            " (the platform, as there is a key and no URL: set BL_API_URL for a server of yours)"
            if self._base_url == PLATFORM
            else ""
        )
        return ConnectionFailed(f"{self._name}{hint} {verb}: {str(error) or type(error).__name__}", sent=sent)


def _close_all(clients: dict[int, httpx.Client]) -> None:
    """Called by `close`, else when nothing refers to the connections any more, else at exit."""
    while clients:
        clients.popitem()[1].close()


def _running_loop() -> object:
    """What stands for the event loop that runs: the loop of asyncio, the token of trio."""
    from asyncio import get_running_loop

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_trio_token()
    return get_running_loop()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None
