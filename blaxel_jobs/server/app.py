"""The ASGI app: the contract's routes over an engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from ..core.requests import parse_prefer
from ..errors import Forbidden, MethodNotAllowed, NotFound, Unavailable
from .body import BodyLimits, gone, read_body
from .exchange import ClientGone, Exchange, Exchanges, send_nothing, send_view
from .guard import Guard, Hosts
from .keys import Keyring
from .operations import OPERATIONS, Operation, read_arguments


class Engine(Protocol):
    """What the app needs of an engine."""

    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any: ...
    def ready(self) -> None: ...
    def release_waiters(self) -> None: ...


Handler = Callable[[Scope, Exchange, Receive], Awaitable[Any]]
"""Answers one method of one path with a view."""


class App:
    """The server as an ASGI app. `drain` begins its end; requests are answered all the while."""

    def __init__(
        self,
        engine: Engine,
        *,
        version: str,
        new_id: Callable[[], str],
        keys: Keyring,
        hosts: Hosts,
        origins: Iterable[str],
        limits: BodyLimits,
    ) -> None:
        self._engine = engine
        self._version = version
        self._limits = limits
        self.new_id = new_id
        self._draining = False
        guarded = Guard(Router(self._routes(), redirect_slashes=False, default=_unknown), keys=keys, hosts=hosts, origins=origins)
        self._asgi = Exchanges(guarded, new_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._asgi(scope, receive, send)

    def drain(self) -> None:
        """Be ready no more, answer long polls at once, and end each connection with its next answer."""
        self._draining = self._asgi.draining = True
        self._engine.release_waiters()

    def _routes(self) -> list[Route]:
        resources: dict[str, dict[str, Handler]] = {}
        for operation in OPERATIONS:
            resources.setdefault(operation.path, {})[operation.method] = self._handler(operation)
        resources["/healthz"] = {"GET": self._health}
        resources["/readyz"] = {"GET": self._readiness}
        return [Route(path, _Resource(handlers)) for path, handlers in resources.items()]

    def _handler(self, operation: Operation) -> Handler:
        async def handle(scope: Scope, exchange: Exchange, receive: Receive) -> Any:
            principal = exchange.principal
            if operation.scope not in principal.scopes:
                raise Forbidden(f"the API key lacks the scope {operation.scope}")
            arguments = read_arguments(operation, scope["path_params"], scope["query_string"], exchange.headers)
            if operation.body:
                arguments["body"] = await read_body(exchange.headers, receive, self._limits)
            if "prefer" in arguments:
                return await self._wait(operation, exchange, arguments, receive)
            return await self._engine.acall(operation.id, principal.workspace, arguments)

        return handle

    async def _wait(self, operation: Operation, exchange: Exchange, arguments: dict[str, Any], receive: Receive) -> Any:
        """A long poll, where the header asks for one that is granted."""
        wait = None if self._draining else parse_prefer(arguments["prefer"])
        if wait is None:
            del arguments["prefer"]
        view = await _while_connected(self._engine.acall(operation.id, exchange.principal.workspace, arguments), receive)
        if wait is not None:
            exchange.added.append((b"preference-applied", b"wait=%d" % wait))
        return view

    async def _health(self, *_: object) -> Any:
        return {"status": "ok", "version": self._version}

    async def _readiness(self, *_: object) -> Any:
        if self._draining:
            raise Unavailable("the server is shutting down")
        try:
            await asyncio.to_thread(self._engine.ready)
        except Exception as error:
            raise Unavailable("the store does not answer") from error
        return {"status": "ok", "version": self._version}


class _Resource:
    """A path: ASGI app that hands each request to the handler of its method."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._allow = (b"allow", ", ".join(sorted([*self._handlers, "OPTIONS"])).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["blaxel_jobs"]
        handler = self._handlers.get(scope["method"])
        if handler is not None:
            await send_view(exchange, send, await handler(scope, exchange, receive))
        elif scope["method"] == "OPTIONS":
            await send_nothing(send, [self._allow])
        else:
            exchange.added.append(self._allow)
            raise MethodNotAllowed(f"this path knows {self._allow[1].decode()}, not {scope['method']}")


async def _unknown(scope: Scope, *_: object) -> None:
    raise NotFound(f"there is nothing at {scope['path'][:256]}")


async def _while_connected(call: Awaitable[Any], receive: Receive) -> Any:
    """The answer of a call that may take long. Raises ClientGone, and ends the call, when the caller hangs up first."""
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


def create_app(
    engine: Engine,
    *,
    version: str,
    new_id: Callable[[], str],
    keys: Keyring | None = None,
    hosts: Hosts | None = None,
    origins: Iterable[str] = (),
    limits: BodyLimits | None = None,
) -> App:
    """The app over an engine. Without keys anybody is let in, without hosts the loopback names are answered for.

    `version` is what /healthz shows; `new_id` names requests that bring no X-Request-Id.
    """
    return App(
        engine, version=version, new_id=new_id, keys=keys or Keyring(), hosts=hosts or Hosts(), origins=origins,
        limits=limits or BodyLimits(),
    )  # fmt: skip
