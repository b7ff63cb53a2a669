"""How each operation is answered: by the engine's verb of its name, unless it is named here."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import msgspec

from ..core.requests import parse_prefer
from ..stores.artifacts import ArtifactStore
from .artifacts import get_artifact, put_artifact
from .asgi import Receive
from .body import gone
from .claims import claim_leases
from .exchange import ClientGone, Exchange, Text
from .metrics import metrics
from .operations import PREFER, Operation
from .runner_data import RunnerData
from .stream import Updates, Views, begin

Arguments = dict[str, Any]
Answer = Callable[[Exchange, Arguments, Receive], Awaitable[Any]]
"""Answers a request with a view. The arguments have its body, unless that is bytes: those are still to be received."""


class Engine(Protocol):
    """What answers need of an engine."""

    @property
    def artifacts(self) -> ArtifactStore: ...
    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any: ...
    def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[Views, None]: ...
    def events(self, workspace: str, job: str | None, id: str, after: int, quiet: float) -> AsyncGenerator[Views, None]: ...


class Answers:
    """The answer of each operation, over an engine."""

    def __init__(
        self, engine: Engine, *, runner_data: RunnerData, quiet: float, seconds: float, draining: Callable[[], bool]
    ) -> None:
        """`quiet` is after how many seconds without an update a stream says that it lives, `seconds` how long an upload may take
        for each of its pieces. While the server is `draining` nobody waits."""
        self._engine = engine
        self._runner_data = runner_data
        self._quiet = quiet
        self._seconds = seconds
        self._draining = draining
        self._named: Final[dict[str, Answer]] = {
            "watch_executions": self._watch,
            "stream_execution_events": self._follow_events,
            "put_artifact": self._put_artifact,
            "get_artifact": self._get_artifact,
            "claim_leases": self._claim_leases,
            "get_metrics": self._show_metrics,
            "get_data_url": self._make_data_url,
            "get_runner_tasks": self._give_runner_tasks,
        }

    def of(self, operation: Operation) -> Answer:
        """The one of this operation."""
        return self._named.get(operation.id) or self._by_engine(operation)

    def _by_engine(self, operation: Operation) -> Answer:
        engine, id = self._engine, operation.id

        def answer(exchange: Exchange, arguments: Arguments, _: Receive) -> Awaitable[Any]:
            return engine.acall(id, exchange.principal.workspace, arguments)

        def long_poll(exchange: Exchange, arguments: Arguments, receive: Receive) -> Awaitable[Any]:
            if "prefer" in arguments:
                return self._long_poll(id, exchange, arguments, receive)
            return engine.acall(id, exchange.principal.workspace, arguments)

        return long_poll if PREFER in operation.headers else answer

    async def _long_poll(self, id: str, exchange: Exchange, arguments: Arguments, receive: Receive) -> Any:
        wait = None if self._draining() else parse_prefer(arguments["prefer"])
        if wait is None:
            del arguments["prefer"]
        view = await _while_connected(self._engine.acall(id, exchange.principal.workspace, arguments), receive)
        if wait is not None:
            exchange.added.append((b"preference-applied", b"wait=%d" % wait))
        return view

    async def _watch(self, exchange: Exchange, arguments: Arguments, _: Receive) -> Updates:
        return await begin(self._engine.watch(exchange.principal.workspace, arguments["body"], self._quiet))

    async def _follow_events(self, exchange: Exchange, arguments: Arguments, _: Receive) -> Updates:
        last = arguments.get("last_event_id", "")
        after = max(arguments.get("after", 0), int(last) if last.isdecimal() and last.isascii() else 0)
        workspace, job, id = exchange.principal.workspace, arguments.get("job"), arguments["execution_id"]
        return await begin(self._engine.events(workspace, job, id, after, self._quiet), numbered=True)

    async def _put_artifact(self, exchange: Exchange, arguments: Arguments, receive: Receive) -> Any:
        workspace = exchange.principal.workspace
        return await put_artifact(self._engine.artifacts, workspace, arguments, exchange.headers, receive, self._seconds)

    async def _get_artifact(self, exchange: Exchange, arguments: Arguments, _: Receive) -> Any:
        return await get_artifact(self._engine.artifacts, exchange.principal.workspace, arguments)

    async def _claim_leases(self, exchange: Exchange, arguments: Arguments, receive: Receive) -> Any:
        return await claim_leases(self._engine.acall, exchange.principal.workspace, arguments, receive)

    async def _show_metrics(self, exchange: Exchange, arguments: Arguments, _: Receive) -> Text:
        workspace = exchange.principal.workspace
        figures = await self._engine.acall("get_metrics", workspace, arguments)
        return await asyncio.to_thread(metrics, workspace, figures)

    async def _make_data_url(self, exchange: Exchange, arguments: Arguments, _: Receive) -> Any:
        workspace = exchange.principal.workspace
        await self._engine.acall("get_execution", workspace, arguments)
        return {"url": self._runner_data.url(exchange, workspace, arguments["execution_id"])}

    async def _give_runner_tasks(self, _exchange: Exchange, arguments: Arguments, _: Receive) -> Text:
        """Whoever asks, and in whatever dialect: the secret says what may be read."""
        workspace, id = arguments.get("workspace", ""), arguments.get("execution_id", "")
        self._runner_data.check(workspace, id, arguments.get("secret", ""))
        tasks = await self._engine.acall("get_runner_tasks", workspace, {"execution_id": id})
        return Text(b"application/json", msgspec.json.encode(tasks))


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
