"""The routes that the Blaxel platform's SDKs call, in their dialect, over the same verbs of the engine as all others."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from ..core.reading import read_json
from ..core.views import View
from ..errors import Forbidden
from . import platform
from .asgi import Receive
from .body import BodyLimits, read_body
from .exchange import Exchange
from .operations import Scope
from .routes import Handler, Resource, Routes

_EXECUTIONS: Final = "/jobs/{job}/executions"
_EXECUTION: Final = "/jobs/{job}/executions/{execution_id}"
PREFIXES: Final = ("/v0", "")
"""The TypeScript SDK's BL_API_URL may be given with or without it."""


class Engine(Protocol):
    """What is needed of an engine."""

    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any: ...


class PlatformRoutes:
    """Each method answers one request with what is to be encoded."""

    def __init__(self, engine: Engine, now: Callable[[], float], limits: BodyLimits) -> None:
        """`now`: seconds since 1970, by which cursors grow old."""
        self._engine = engine
        self._now = now
        self._limits = limits

    def routes(self) -> Routes:
        paths: dict[str, dict[str, Handler]] = {}
        for method, path, scope, answer in self._table():
            for prefix in PREFIXES:
                paths.setdefault(prefix + path, {})[method] = _scoped(scope, answer)
        routes = Routes()
        for template, handlers in paths.items():
            routes.add(Resource(template, handlers))
        return routes

    def _table(self) -> tuple[tuple[str, str, Scope, Handler], ...]:
        return (
            ("POST", _EXECUTIONS, "submit", self.create_execution),
            ("GET", _EXECUTIONS, "read", self.list_executions),
            ("GET", _EXECUTION, "read", self.get_execution),
            ("DELETE", _EXECUTION, "submit", self.cancel_execution),
            ("GET", f"{_EXECUTION}/tasks", "read", self.list_tasks),
            ("GET", "/jobs", "read", self.list_jobs),
            ("POST", "/jobs", "worker", self.create_job),
            ("GET", "/jobs/{job}", "read", self.get_job),
            ("PUT", "/jobs/{job}", "worker", self.update_job),
            ("DELETE", "/jobs/{job}", "admin", self.delete_job),
            ("GET", "/jobs/{job}/revisions", "read", self.list_revisions),
        )

    async def create_execution(self, exchange: Exchange, receive: Receive) -> View:
        request = platform.create_request(read_json(await read_body(exchange.headers, receive, self._limits)))
        key = exchange.headers.get(b"idempotency-key")
        given = {} if key is None else {"idempotency_key": key.decode("latin-1")}
        view = await self._call(exchange, "create_job_execution", body=request, **given)
        return platform.created(view, request, exchange.request_id)

    async def get_execution(self, exchange: Exchange, _: Receive) -> View:
        return platform.execution(await self._call(exchange, "get_job_execution"))

    async def cancel_execution(self, exchange: Exchange, _: Receive) -> View:
        return platform.execution(await self._call(exchange, "cancel_job_execution"))

    async def list_executions(self, exchange: Exchange, _: Receive) -> Any:
        asked = platform.listing(_query(exchange), self._now(), default=20, most=1000)
        view = await self._call(
            exchange, "list_sorted_executions", order=asked.order, q=asked.q, limit=asked.limit, offset=asked.offset,
            cursor=asked.cursor,
        )  # fmt: skip
        return _listed(exchange, asked.page(view, platform.execution, self._now()))

    async def list_tasks(self, exchange: Exchange, _: Receive) -> View:
        asked = platform.listing(_query(exchange), self._now(), default=50, most=200, order="createdAt:asc")
        view = await self._call(exchange, "list_sorted_tasks", order=asked.order, q=asked.q, limit=asked.limit, cursor=asked.cursor)
        spec = view["execution"]["spec"]
        return asked.page(view, lambda row: platform.task(row, spec), self._now(), total=spec["taskCount"])

    async def list_jobs(self, exchange: Exchange, _: Receive) -> Any:
        query = _query(exchange)
        asked = platform.listing(query, self._now(), default=50, most=200)
        everything = (await self._call(exchange, "list_job_documents"))["data"]
        page, total = platform.jobs_page(everything, asked, query)
        return _listed(exchange, asked.page(page, platform.job, self._now(), total=total))

    async def create_job(self, exchange: Exchange, receive: Receive) -> View:
        body = await read_body(exchange.headers, receive, self._limits)
        return platform.job(await self._call(exchange, "put_job_document", body=body))

    async def get_job(self, exchange: Exchange, _: Receive) -> View:
        return platform.job(await self._call(exchange, "get_job_document"))

    async def update_job(self, exchange: Exchange, receive: Receive) -> View:
        body = await read_body(exchange.headers, receive, self._limits)
        return platform.job(await self._call(exchange, "put_job_document", body=body))

    async def delete_job(self, exchange: Exchange, _: Receive) -> View:
        return platform.job(await self._call(exchange, "remove_job"))

    async def list_revisions(self, exchange: Exchange, _: Receive) -> list[View]:
        return platform.revisions(await self._call(exchange, "get_job_document"))

    def _call(self, exchange: Exchange, operation: str, **arguments: Any) -> Awaitable[Any]:
        return self._engine.acall(operation, exchange.principal.workspace, {**exchange.values, **arguments})


def _scoped(scope: Scope, answer: Handler) -> Handler:
    async def handle(exchange: Exchange, receive: Receive) -> Any:
        if scope not in exchange.principal.scopes:
            raise Forbidden(f"the API key lacks the scope {scope}")
        return await answer(exchange, receive)

    return handle


def _query(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(exchange.query.decode("latin-1")))


def _listed(exchange: Exchange, page: View) -> Any:
    """A page, or for callers from before there were pages the bare array."""
    return page if exchange.dialect.pages else page["data"]
