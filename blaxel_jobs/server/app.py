"""The ASGI app: each request goes through the guard to the handler of its route, and each answer leaves by one place."""

import asyncio
import contextlib
import itertools
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from ..core.ports import Clock
from ..core.requests import parse_prefer
from ..errors import Forbidden, MethodNotAllowed, NotFound, RequestError, ServerError, Unavailable
from ..stores.artifacts import ArtifactStore
from .artifacts import Download, get_artifact, put_artifact
from .asgi import Receive, Scope, Send
from .body import BodyLimits, gone, read_body
from .claims import claim_leases
from .dialect import HeaderList
from .exchange import ClientGone, Exchange, Text
from .guard import Guard, Hosts
from .keys import Keyring
from .metrics import metrics
from .operations import OPERATIONS, Operation, read_arguments
from .platform_routes import PlatformRoutes
from .routes import Handler, Resource, Routes
from .runner_data import RunnerData
from .stream import QUIET, Updates, Views, begin, send_updates
from .tokens import TOKEN_PATHS, Tokens

logger: Final = logging.getLogger("blaxel_jobs.server")

_NO_CONTENT: Final = None


class Engine(Protocol):
    """What the app needs of an engine."""

    @property
    def artifacts(self) -> ArtifactStore: ...
    @property
    def clock(self) -> Clock: ...
    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any: ...
    def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[Views, None]: ...
    def events(self, workspace: str, job: str | None, id: str, after: int, quiet: float) -> AsyncGenerator[Views, None]: ...
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
        self._quiet = quiet
        self._draining = False
        self._prefix = new_id()[-12:]
        self._count = itertools.count(1)
        self._runner_data = runner_data or RunnerData()
        self._routes = self._make_routes()
        self._platform_routes = PlatformRoutes(engine, self._now, self._limits).routes()

    def _now(self) -> float:
        return self._engine.clock.now()

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
            view = await self._handle(exchange, receive)
            if isinstance(view, Updates):
                await self._stream(exchange, view, receive, send)
                return
            if isinstance(view, Download):
                await self._download(exchange, view, receive, send)
                return
            headers, body = exchange.answer(view)
            if view is _NO_CONTENT:
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
        await self._start(status, headers, send)
        await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else body})

    async def _start(self, status: int, headers: HeaderList, send: Send) -> None:
        if self._draining:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def _stream(self, exchange: Exchange, updates: Updates, receive: Receive, send: Send) -> None:
        """What goes wrong from here on ends the answer, without `end`: the caller opens it again and is told then."""
        async with contextlib.aclosing(updates.following):
            await self._start(200, exchange.stream_headers(), send)
            try:
                await send_updates(updates, exchange.dialect.encode, lambda: self._draining, receive, send)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                logger.warning("request %s is cut off: its caller does not read, and the server ends", exchange.request_id)
            except Exception as error:  # noqa: BLE001 - as above
                _log_failure(exchange, error)
                await send({"type": "http.response.body", "body": b""})

    async def _download(self, exchange: Exchange, download: Download, receive: Receive, send: Send) -> None:
        """What goes wrong from here on leaves the answer unended, so that its caller sees that it is cut off."""
        try:
            await self._start(200, download.headers(exchange.answer(None)[0]), send)
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

    async def _handle(self, exchange: Exchange, receive: Receive) -> Any:
        exchange.check_headers()
        if not self._guard.admit(exchange):
            return _NO_CONTENT
        found = self._find_for_platform(exchange) if exchange.dialect.platform else self._routes.find(exchange.path)
        if found is None:
            raise NotFound(f"there is nothing at {exchange.path[:256]}")
        resource, exchange.values = found
        handler = resource.handlers.get(exchange.method)
        if handler is not None:
            return await handler(exchange, receive)
        exchange.added.append((b"allow", resource.allow.encode()))
        if exchange.method == "OPTIONS":
            return _NO_CONTENT
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
        async def handle(exchange: Exchange, receive: Receive) -> Any:
            principal = exchange.principal
            if operation.scope not in principal.scopes:
                raise Forbidden(f"the API key lacks the scope {operation.scope}")
            arguments = read_arguments(operation, exchange)
            if operation.binary:
                return await self._binary(operation, exchange, arguments, receive)
            if operation.body:
                arguments["body"] = await read_body(exchange.headers, receive, self._limits)
            if operation.stream:
                return await self._open_stream(operation, principal.workspace, arguments)
            if "prefer" in arguments:
                return await self._long_poll(operation, exchange, arguments, receive)
            if operation.id == "get_metrics":
                figures = await self._engine.acall(operation.id, principal.workspace, arguments)
                return await asyncio.to_thread(metrics, principal.workspace, figures)
            if operation.id == "get_data_url":
                await self._engine.acall("get_execution", principal.workspace, arguments)
                return {"url": self._runner_data.url(exchange, principal.workspace, arguments["execution_id"])}
            if operation.id == "get_runner_tasks":
                return await self._runner_tasks(**arguments)
            if operation.id == "claim_leases":
                return await claim_leases(self._engine.acall, principal.workspace, arguments, receive)
            return await self._engine.acall(operation.id, principal.workspace, arguments)

        return handle

    async def _open_stream(self, operation: Operation, workspace: str, arguments: dict[str, Any]) -> Updates:
        if operation.body:
            return await begin(self._engine.watch(workspace, arguments["body"], self._quiet))
        last = arguments.get("last_event_id", "")
        after = max(arguments.get("after", 0), int(last) if last.isdecimal() and last.isascii() else 0)
        events = self._engine.events(workspace, arguments.get("job"), arguments["execution_id"], after, self._quiet)
        return await begin(events, numbered=True)

    async def _binary(self, operation: Operation, exchange: Exchange, arguments: Mapping[str, str], receive: Receive) -> Any:
        artifacts, workspace = self._engine.artifacts, exchange.principal.workspace
        if operation.body:
            return await put_artifact(artifacts, workspace, arguments, exchange.headers, receive, self._limits.seconds)
        return await get_artifact(artifacts, workspace, arguments)

    async def _runner_tasks(self, execution_id: str = "", workspace: str = "", secret: str = "") -> Text:
        """Whoever asks, and in whatever dialect: the secret says what may be read."""
        self._runner_data.check(workspace, execution_id, secret)
        tasks = await self._engine.acall("get_runner_tasks", workspace, {"execution_id": execution_id})
        return Text(b"application/json", msgspec.json.encode(tasks))

    async def _long_poll(self, operation: Operation, exchange: Exchange, arguments: dict[str, Any], receive: Receive) -> Any:
        wait = None if self._draining else parse_prefer(arguments["prefer"])
        if wait is None:
            del arguments["prefer"]
        view = await _while_connected(self._engine.acall(operation.id, exchange.principal.workspace, arguments), receive)
        if wait is not None:
            exchange.added.append((b"preference-applied", b"wait=%d" % wait))
        return view

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


async def _while_connected(call: Awaitable[Any], receive: Receive) -> Any:
    """The answer of a call that may take long. When the caller hangs up first it ends the call, and raises ClientGone."""
    answer = asyncio.ensure_future(call)
    hung_up = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientGone
        return answer.result()
    finally:
        answer.cancel()
        hung_up.cancel()


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
