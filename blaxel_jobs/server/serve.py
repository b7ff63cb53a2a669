"""The process that serves: its socket, its ready file, its end."""

import asyncio
import errno
import ipaddress
import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

import uvicorn
from msgspec import Struct

from ..errors import ConfigError
from .asgi import Receive, Scope, Send
from .protocol import HEAD_SECONDS, Parser, fastest_parser, http_protocol

logger: Final = logging.getLogger("blaxel_jobs.server")

KEEP_ALIVE: Final = 75
"""Seconds that an idle connection stays open: longer than clients keep theirs, so that none writes into a closing one."""
CLOSE_SECONDS: Final = 5
"""Seconds that the last answers get at the end."""
BACKLOG: Final = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens, so that nobody else can have the port; port 0 takes a free one.

    Raises ConfigError naming the port and the remedy.
    """
    # As bytes, where it can be: for text Python loads all that international names need.
    name = host.encode() if host.isascii() else host
    try:
        family, _, _, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"the host {host!r} is not an address of this machine; --host names another") from None
    # Named as TCP, because asyncio turns off Nagle's algorithm only where it can tell; it costs 40 ms an answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        raise ConfigError(_why_not_bound(host, port, error)) from None
    return bound


def is_loopback(bound: socket.socket) -> bool:
    """Only this machine can reach it."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def is_any_address(bound: socket.socket) -> bool:
    """It is bound to every address of this machine."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_unspecified


def url_of(bound: socket.socket) -> str:
    """Where a client on this machine reaches it."""
    host, port = bound.getsockname()[:2]
    if is_any_address(bound):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class ReadyFile(Struct):
    """A file that says where the server is, for as long as it accepts connections: `{"url": ..., "pid": ...}`."""

    path: Path

    def write(self, url: str) -> None:
        """Written beside it and renamed, so that nobody reads half of it. Raises ConfigError."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
            draft.replace(self.path)
        except OSError as error:
            raise ConfigError(f"the ready file {self.path} cannot be written: {error.strerror}") from None

    def remove(self) -> None:
        """Unless another server has written its own there since."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(self.path.read_text(encoding="utf-8"))["pid"] == os.getpid():
                self.path.unlink()


class Served(Protocol):
    """What a server serves: the app, or what stands in front of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
    def drain(self) -> None: ...
    def new_request_id(self) -> str: ...


class HttpServer:
    """Serves an app on a bound socket until `stop`, or until SIGTERM or SIGINT when it runs in the main thread.

    At the end the app drains, `finish` (blocking) runs while requests are still answered, then the connections are closed.
    """

    def __init__(
        self,
        app: Served,
        bound: socket.socket,
        *,
        on_ready: Callable[[], None] = lambda: None,
        on_kill: Callable[[], None] = lambda: None,
        finish: Callable[[], None] = lambda: None,
        parser: Parser | None = None,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        """`on_ready` is called once it accepts connections, `on_kill` before a second signal ends the process where it stands."""
        self._app = app
        self._bound = bound
        self._on_ready = on_ready
        self._on_kill = on_kill
        self._finish = finish
        self._protocol = http_protocol(app.new_request_id, parser or fastest_parser(), head_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._asked = False

    def run(self) -> None:
        """Serve. Returns when everything is closed; what `on_ready` and `finish` raise is raised here."""
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self.serve())

    async def serve(self) -> None:
        """Serve in this task; as `run`."""
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        config = uvicorn.Config(
            self._app, http=self._protocol, ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=CLOSE_SECONDS,
            backlog=BACKLOG,
        )  # fmt: skip
        server = _Uvicorn(config, self._on_ready)
        with self._signals():
            serving = asyncio.ensure_future(server.serve(sockets=[self._bound]))
            asked = asyncio.ensure_future(self._ending.wait())
            try:
                await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
                if not serving.done():
                    self._app.drain()
                    await asyncio.to_thread(self._finish)
            finally:
                asked.cancel()
                server.should_exit = True
                await serving

    def stop(self) -> None:
        """Begin the end, from any thread. Twice does no harm."""
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(ending.set)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self._asked:
            self._on_kill()
            os._exit(128 + number)
        self._asked = True
        self.stop()


class _Uvicorn(uvicorn.Server):
    """Tells when it accepts connections, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        try:
            self._on_ready()
        except BaseException:
            await self.shutdown(sockets)
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # What a caller has not read by now would be waited for, for ever, when the loop closes.
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _why_not_bound(host: str, port: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; choose another with --port, or --port 0 for a free one"
    if code == errno.EACCES:
        return f"port {port} of {host} may not be opened by this user; choose one above 1023 with --port"
    if code == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; --host names another"
    return f"port {port} of {host} cannot be opened: {error}"
