"""Clients move a mock's time: this stands between the app and the engine, and is the engine as the app sees it."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final, Literal, get_args

from blaxel_jobs.core.requests import parse_prefer
from blaxel_jobs.core.views import View
from blaxel_jobs.engine import Engine
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.stores.base import Position, Where

from .clock import MockClock
from .virtual import VirtualClock

Mode = Literal["settle", "step"]

_EXECUTION: Final = frozenset({"get_job_execution", "get_job_execution_status", "get_execution"})
_LISTS: Final = frozenset({"list_job_executions", "list_sorted_executions", "list_executions"})
_DETAILS: Final = frozenset(
    {
        "list_job_execution_tasks",
        "list_sorted_tasks",
        "list_job_execution_events",
        "list_execution_steps",
        "get_batch",
        "get_stats",
        "get_metrics",
    }
)
_SHOWN: Final = 100
MOST_MS: Final = 30_000
"""Milliseconds that a claim may wait."""


def check_mode(mode: str) -> Mode:
    """The mode itself. Raises ConfigError."""
    if mode in get_args(Mode):
        return mode  # type: ignore[return-value]
    raise ConfigError(f"a mode is 'settle' (a look sees the end) or 'step' (a look sees one change), not {mode!r}")


class Paced:
    """An engine whose clients move its time.

    A wait (`Prefer: wait=N`) moves it by N seconds at most, `wait=0` not at all. Any other look moves it first: with `settle`
    until no execution is left that can go on; with `step` until what is looked at is not as it was seen before.
    """

    def __init__(
        self, engine: Engine, clock: MockClock, mode: Mode, hire: Callable[[], Awaitable[None]], alive: Callable[[], None]
    ) -> None:
        """`hire` and `alive` are called before every operation: the one while others may run, the other when none does."""
        self.ready = engine.ready
        self.artifacts = engine.artifacts
        self.clock = engine.clock
        self._engine = engine
        self._clock = clock
        self._mode = mode
        self._hire = hire
        self._alive = alive
        self._seen: dict[tuple[str, str | None, str | None], object] = {}
        self._released = False

    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> View:
        """As Engine.acall. Raises MockStuck."""
        await self._begin()
        wait = parse_prefer(arguments.get("prefer"))
        if wait:
            async with self._clock.patience():
                with self._clock.leave(wait):
                    return await self._engine.acall(operation, workspace, arguments)
        if operation == "claim_leases" and isinstance(self._clock, VirtualClock):
            return await self._claim(workspace, arguments)
        if wait == 0 or self._released:
            return await self._engine.acall(operation, workspace, arguments)
        if self._mode == "settle" and operation in _EXECUTION | _LISTS | _DETAILS:
            await self._clock.settle()
        elif self._mode == "step" and operation in _EXECUTION | _LISTS:
            return await self._step(operation, workspace, arguments)
        return await self._engine.acall(operation, workspace, arguments)

    async def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[Any, None]:
        """As Engine.watch, but without its signs of life: nothing happens while time stands still."""
        await self._begin()
        with self._clock.watch():
            async with aclosing(self._engine.watch(workspace, body, math.inf)) as updates:
                async for update in updates:
                    yield update

    async def events(self, workspace: str, job: str | None, id: str, after: int, quiet: float) -> AsyncGenerator[list[View], None]:
        """As Engine.events; time moves as for a watch."""
        await self._begin()
        with self._clock.watch():
            async with aclosing(self._engine.events(workspace, job, id, after, math.inf)) as told:
                async for views in told:
                    yield views

    def release_waiters(self) -> None:
        self._released = True
        self._clock.release()
        self._engine.release_waiters()

    async def _begin(self) -> None:
        await self._hire()
        await self._clock.turn()
        self._alive()

    async def _claim(self, workspace: str, arguments: Mapping[str, Any]) -> View:
        """A worker elsewhere waits in real time: if an idle one moved ours, nobody else could."""
        body = self._body(arguments)
        wait = body.get("waitMs")
        if not isinstance(wait, int | float) or not 0 < wait <= MOST_MS:
            return await self._engine.acall("claim_leases", workspace, arguments)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait / 1000):
                return await self._engine.acall("claim_leases", workspace, arguments)
        return await self._engine.acall(
            "claim_leases", workspace, {**arguments, "body": json.dumps({**body, "waitMs": 0}).encode()}
        )

    @staticmethod
    def _body(arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            body = json.loads(arguments["body"])
        except ValueError:
            body = None
        return body if isinstance(body, dict) else {}

    async def _step(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> View:
        job, id = arguments.get("job"), arguments.get("execution_id")

        def state() -> tuple[object, ...]:
            """What a look sees of those that have not ended."""
            found = self._engine.store.get(workspace, [id]) if id else self._page(workspace, job)
            return tuple((execution.id, execution.version) for execution in found if not execution.done)

        before = state()
        if before and self._seen.get((workspace, job, id)) == before:
            await self._clock.settle(lambda: state() != before)
        self._seen[workspace, job, id] = state()
        return await self._engine.acall(operation, workspace, arguments)

    def _page(self, workspace: str, job: str | None) -> list[Any]:
        return list(self._engine.store.page(workspace, Where(job=job), Position(), _SHOWN))
