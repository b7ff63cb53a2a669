"""The world of a mock: the product's engine, worker and app on a memory store, with a clock, ids and randomness of their own."""

import asyncio
import math
from collections.abc import Iterable
from random import Random
from typing import Any, Final

from blaxel_jobs import __version__
from blaxel_jobs.core.views import View, execution_view
from blaxel_jobs.define import JobDef
from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import App
from blaxel_jobs.server.guard import Hosts
from blaxel_jobs.server.keys import DEFAULT_WORKSPACE, Key, Keyring
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.stores.base import ALL, Position
from blaxel_jobs.system import FOREVER
from blaxel_jobs.worker import Worker
from blaxel_jobs.worker.context import AnyContext
from blaxel_jobs.worker.simulate import simulated_job

from .clock import MockClock
from .handlers import Turns
from .leases import MockLeases
from .pace import Mode, Paced
from .timed import TimedApp
from .virtual import VirtualClock

SLOTS: Final = 10_000
"""A mock is never short of them: its sync handlers run one at a time, and all else only waits."""
SHORTEST: Final = 0.01
"""Seconds of real time between two heartbeats where time is real."""
SHOWN_TASKS: Final = 100


class Ids:
    """UUIDs of version 7 from a clock and a seed: they sort by the time at which they were made."""

    def __init__(self, clock: MockClock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._last = 0

    def __call__(self) -> str:
        stamp = int(self._clock.now() * 1000) << 12
        self._last = max(stamp, self._last + 1)
        high, low = self._last >> 12, self._rng.getrandbits(62)
        number = high << 80 | 7 << 76 | (self._last & 0xFFF) << 64 | 2 << 62 | low
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class World:
    """Made and used in one event loop, which calls the clock's `idle`."""

    def __init__(
        self,
        clock: MockClock,
        *,
        seed: int,
        mode: Mode,
        jobs: Iterable[JobDef[Any]],
        simulate: bool,
        keys: Iterable[Key] = (),
        hosts: Hosts | None = None,
    ) -> None:
        keys = list(keys)
        workspaces = sorted({key.principal.workspace for key in keys} or {DEFAULT_WORKSPACE})
        ids = Ids(clock, Random(f"ids {seed}"))
        self.clock = clock
        self.turns = Turns()
        self._store = MemoryJobStore()
        self._engine = Engine(self._store, clock=clock, new_id=ids, rng=Random(f"engine {seed}"), simulate=simulate)
        self._leases = MockLeases(self._engine, clock, workspaces, step=mode == "step")
        built_in = simulated_job(clock.sleep, self._leases.crash)
        self._worker = Worker(
            self._leases, jobs, slots=SLOTS, simulate=simulate and built_in, clock=clock, rng=Random(f"worker {seed}"),
            threads=self.turns,
        )  # fmt: skip
        self._paced = Paced(self._engine, clock, mode, self._leases.alive)
        self._app_options: dict[str, Any] = {"version": __version__, "new_id": ids, "keys": Keyring(keys), "hosts": hosts}
        self._pulse: asyncio.Task[None] | None = None
        if isinstance(clock, VirtualClock):
            clock.duties = self

    def app(self) -> App:
        """The app, for callers that keep the clock's time."""
        return App(self._paced, **self._app_options)

    def timed_app(self) -> App:
        """The app, for callers that have to be told of the clock's time."""
        return TimedApp(self._paced, clock=self.clock, **self._app_options)

    async def open(self) -> None:
        await self._worker.astart(heartbeats=False)
        if not isinstance(self.clock, VirtualClock):
            self._pulse = asyncio.create_task(self._beat(self.clock.speed))

    async def close(self) -> None:
        """Stop handlers where they stand."""
        if self._pulse is not None:
            self._pulse.cancel()
        self._paced.release_waiters()
        self._leases.stop()
        await self._worker.astop(grace=0)
        self._engine.close()

    async def register(self, jobs: Iterable[JobDef[Any]]) -> None:
        """Raises ConfigError."""
        self._worker.add(*jobs)

    async def executions(self) -> list[View]:
        """All there are, the newest first, as they are now."""
        await self.clock.turn()
        self._leases.alive()
        found = self._store.page(DEFAULT_WORKSPACE, ALL, Position(), 1_000_000)
        return [
            execution_view(
                one, self._store.tasks(DEFAULT_WORKSPACE, one.seq, -1, one.total), self._engine.waiting_for(one), SHOWN_TASKS
            )
            for one in found
        ]

    def holding(self) -> int:
        return self._worker.holding

    def running(self) -> list[AnyContext]:
        return self._worker.contexts

    def due(self) -> float:
        delay = self._engine.poll()
        return delay if delay < FOREVER / 2 else math.inf

    def strays(self) -> bool:
        return self._leases.taken

    def goes_on(self) -> bool:
        due = self._store.next_due()
        return due is not None and due - self.clock.now() < FOREVER / 2

    async def _beat(self, speed: float) -> None:
        while True:
            self._worker.beat()
            delay = min(self._engine.poll(), self._leases.heartbeat_every)
            await asyncio.sleep(max(SHORTEST, delay / speed))
