"""The ASGI app: each request goes through the guard to the handler of its route, and each answer leaves by one place."""

import asyncio
import contextlib
import itertools
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from ..core.ports import Clock
from ..errors import Forbidden, MethodNotAllowed, NotFound, RequestError, ServerError, Unavailable
from . import answers
from .answers import Answers
from .artifacts import Download
from .asgi import Message, Receive, Scope, Send
from .body import BodyLimits, read_body
from .dialect import HeaderList
from .exchange import ClientGone, Exchange
from .guard import Guard, Hosts
from .keys import Keyring
from .operations import OPERATIONS, Operation, read_arguments
from .platform_routes import PlatformRoutes
from .routes import Handler, Resource, Routes
from .runner_data import RunnerData
from .stream import QUIET, Updates, send_updates
from .tokens import TOKEN_PATHS, Tokens

logger: Final = logging.getLogger("blaxel_jobs.server")

_IN_PIECES: Final = (Updates, Download)
"""Answers that are sent bit by bit."""


class Engine(answers.Engine, Protocol):
    """What the app needs of an engine."""

    @property
    def clock(self) -> Clock: ...
    def ready(self) -> None: ...
    def release_waiters(self) -> None: ...


class App:
    """The server as an ASGI app. `drain` begins its end; requests are answered all the while.

    It stands on plain ASGI: a status costs little more than the HTTP parser, so every layer in between would be seen (benchmarks).
    """

    def __init__(
        self,
        engine: Engine,
        *,
        version: str,
        new_id: Callable[[], str],
        keys: Keyring | None = None,
        hosts: Hosts | None = None,
        origins: Iterable[str] = (),
        limits: BodyLimits | None = None,
        quiet: float = QUIET,
        runner_data: RunnerData | None = None,
    ) -> None:
        """Without keys anybody is let in; without hosts the loopback names are answered for.

        `version` is what /healthz shows. `new_id` is called once: what it makes begins the ids of requests that bring none.
        `quiet` is after how many seconds without an update a stream says that it lives.
        """
        self._engine = engine
        self._health = {"status": "ok", "version": version}
        keys = keys or Keyring()
        self._tokens = Tokens(keys, self._now)
        self._guard = Guard(keys=keys, tokens=self._tokens, hosts=hosts or Hosts(), origins=origins)
        self._limits = limits or BodyLimits()
        self._draining = False
        self._prefix = new_id()[-12:]
        self._count = itertools.count(1)
        self._answers = Answers(
            engine, runner_data=runner_data or RunnerData(), quiet=quiet, seconds=self._limits.seconds, draining=self._is_draining
        )
        self._routes = self._make_routes()
        self._platform_routes = PlatformRoutes(engine, self._now, self._limits).routes()

    def _now(self) -> float:
        return self._engine.clock.now()

    def _is_draining(self) -> bool:
        return self._draining

    def new_request_id(self) -> str:
        """Names a request in the log and in its answer."""
        return f"{self._prefix}-{next(self._count)}"

    def drain(self) -> None:
        """Be ready no more, answer long polls at once, and end each connection with its next answer."""
        self._draining = True
        self._engine.release_waiters()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await _refuse_protocol(scope, receive, send)
            return
        exchange = Exchange(scope, self.new_request_id)
        status = 200
        try:
            view = await self._handler_of(exchange)(exchange, receive)
            if isinstance(view, _IN_PIECES):
                await self._send_in_pieces(exchange, view, receive, send)
                return
            headers, body = exchange.answer(view)
            if view is None:
                status = 204
        except ClientGone:
            return
        except RequestError as error:
            status = exchange.dialect.status(error)
            headers, body = exchange.problem(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            _log_failure(exchange, error)
            message = f"the server failed; its log names this request {exchange.request_id}"
            status = ServerError.status_code
            headers, body = exchange.problem(ServerError(message))
        await send(self._start(status, headers))
        await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else body})

    def _start(self, status: int, headers: HeaderList) -> Message:
        if self._draining:
            headers.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": status, "headers": headers}

    async def _send_in_pieces(self, exchange: Exchange, view: Updates | Download, receive: Receive, send: Send) -> None:
        if isinstance(view, Updates):
            await self._stream(exchange, view, receive, send)
        else:
            await self._download(exchange, view, receive, send)

    async def _stream(self, exchange: Exchange, updates: Updates, receive: Receive, send: Send) -> None:
        """What goes wrong from here on ends the answer, without `end`: the caller opens it again and is told then."""
        async with contextlib.aclosing(updates.following):
            await send(self._start(200, exchange.stream_headers()))
            try:
                await send_updates(updates, exchange.dialect.encode, self._is_draining, receive, send)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                logger.warning("request %s is cut off: its caller does not read, and the server ends", exchange.request_id)
            except Exception as error:  # noqa: BLE001 - as above
                if not isinstance(error, NotFound):  # deleted meanwhile
                    _log_failure(exchange, error)
                await send({"type": "http.response.body", "body": b""})

    async def _download(self, exchange: Exchange, download: Download, receive: Receive, send: Send) -> None:
        """What goes wrong from here on leaves the answer unended, so that its caller sees that it is cut off."""
        try:
            await send(self._start(200, download.headers(exchange.answer(None)[0])))
            await download.send(exchange.method, self._limits.seconds, receive, send)
        except asyncio.CancelledError:
            if not self._draining:
                raise
        except TimeoutError:
            logger.warning("request %s is cut off: its caller does not read", exchange.request_id)
        except Exception as error:  # noqa: BLE001 - as above
            _log_failure(exchange, error)
        finally:
            download.close()

    def _handler_of(self, exchange: Exchange) -> Handler:
        """Who answers a request that is let in. Raises what refuses it."""
        exchange.check_headers()
        if not self._guard.admit(exchange):
            return _no_content
        found = self._find_for_platform(exchange) if exchange.dialect.platform else self._routes.find(exchange.path)
        if found is None:
            where = "" if exchange.path.startswith("/v0/") else "; the API is under /v0"
            raise NotFound(f"there is nothing at {exchange.path[:256]}{where}")
        resource, exchange.values = found
        handler = resource.handlers.get(exchange.method)
        if handler is not None:
            return handler
        exchange.added.append((b"allow", resource.allow.encode()))
        if exchange.method == "OPTIONS":
            return _no_content
        raise MethodNotAllowed(f"this path knows {resource.allow}, not {exchange.method}")

    def _find_for_platform(self, exchange: Exchange) -> tuple[Resource, dict[str, str]] | None:
        """The platform's own routes come first for its callers; they may use all others too. Raises InvalidApiVersion."""
        exchange.dialect.check()
        return self._platform_routes.find(exchange.path) or self._routes.find(exchange.path)

    def _make_routes(self) -> Routes:
        paths: dict[str, dict[str, Handler]] = {}
        for operation in OPERATIONS:
            paths.setdefault(operation.path, {})[operation.method] = self._handler(operation)
        paths["/healthz"] = {"GET": self._healthz}
        paths["/readyz"] = {"GET": self._readyz}
        paths |= {path: {"POST": self._grant_token} for path in TOKEN_PATHS}
        routes = Routes()
        for template, handlers in paths.items():
            routes.add(Resource(template, handlers))
        return routes

    def _handler(self, operation: Operation) -> Handler:
        answer = self._answers.of(operation)

        def arguments_of(exchange: Exchange) -> dict[str, Any]:
            if operation.scope not in exchange.principal.scopes:
                raise Forbidden(f"the API key lacks the scope {operation.scope}")
            return read_arguments(operation, exchange)

        def handle(exchange: Exchange, receive: Receive) -> Awaitable[Any]:
            return answer(exchange, arguments_of(exchange), receive)

        async def handle_text(exchange: Exchange, receive: Receive) -> Any:
            arguments = arguments_of(exchange)
            arguments["body"] = await read_body(exchange.headers, receive, self._limits)
            return await answer(exchange, arguments, receive)

        return handle_text if operation.body and not operation.binary else handle

    async def _grant_token(self, exchange: Exchange, receive: Receive) -> Any:
        body = await read_body(exchange.headers, receive, self._limits)
        return self._tokens.grant(exchange.headers.get(b"authorization"), body)

    async def _healthz(self, *_: object) -> Any:
        return self._health

    async def _readyz(self, *_: object) -> Any:
        if self._draining:
            raise Unavailable("the server is shutting down")
        try:
            await asyncio.to_thread(self._engine.ready)
        except Exception as error:
            raise Unavailable("the store does not answer") from error
        return self._health


create_app = App
"""The app over an engine."""


async def _no_content(*_: object) -> None:
    """The headers are the answer."""


async def _refuse_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        raise NotFound(f"there is no {scope['type']} here")
    await receive()
    await send({"type": "websocket.close", "code": 1003})


def _log_failure(exchange: Exchange, error: BaseException) -> None:
    logger.error("request %s failed: %s", exchange.request_id, _stack(error))  # its text may quote the caller


def _stack(error: BaseException) -> str:
    """Where an error came from, without its text: that may quote what the caller sent."""
    parts = []
    link: BaseException | None = error
    while link is not None:
        parts.append(f"{type(link).__qualname__}\n{''.join(traceback.format_tb(link.__traceback__))}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "caused by ".join(parts)
