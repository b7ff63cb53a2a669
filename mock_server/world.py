"""The world of a mock: the product's engine, worker and app on a memory store, with a clock, ids and randomness of their own."""

import asyncio
import math
from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from random import Random
from typing import TYPE_CHECKING, Any, Final

from blaxel_jobs import __version__
from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.core.views import View, execution_view
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Extend
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.server.app import App
from blaxel_jobs.server.guard import Hosts
from blaxel_jobs.server.keys import DEFAULT_WORKSPACE, Key, Keyring
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.stores.base import ALL, Position
from blaxel_jobs.system import FOREVER

from .clock import MockClock
from .faults import Faults
from .handlers import Turns
from .leases import MockLeases
from .pace import Mode, Paced
from .virtual import VirtualClock

if TYPE_CHECKING:
    from blaxel_jobs.define import JobDef
    from blaxel_jobs.worker import Worker
    from blaxel_jobs.worker.context import AnyContext

    from .state import State

SLOTS: Final = 10_000
"""A mock is never short of them: its sync handlers run one at a time, and all else only waits."""
SHORTEST: Final = 0.01
"""Seconds of real time between two heartbeats where time is real."""
SHOWN_TASKS: Final = 100
MOST: Final = 1_000_000


class Ids:
    """UUIDs of version 7 from a clock and a seed: they sort by the time at which they were made."""

    def __init__(self, clock: MockClock, rng: Random) -> None:
        self._clock = clock
        self._rng = rng
        self._last = 0
        self._made = 0

    @property
    def state(self) -> tuple[int, int]:
        """How many were made, and the number of the last one."""
        return self._made, self._last

    def go_on(self, state: tuple[int, int]) -> None:
        """Make those that come after these."""
        while self._made < state[0]:
            self._next()
        self._last = max(self._last, state[1])

    def _next(self) -> int:
        self._made += 1
        return self._rng.getrandbits(62)

    def __call__(self) -> str:
        stamp = int(self._clock.now() * 1000) << 12
        self._last = max(stamp, self._last + 1)
        high, low = self._last >> 12, self._next()
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
        jobs: "Iterable[JobDef[Any]]",
        simulate: bool,
        faults: Faults | None = None,
        keys: Iterable[Key] = (),
        hosts: Hosts | None = None,
        state: "State | None" = None,
    ) -> None:
        """`state` is what it begins with; the clock is to be at its time."""
        keys = list(keys)
        self.workspaces = sorted({key.principal.workspace for key in keys} or {DEFAULT_WORKSPACE})
        self._ids = ids = Ids(clock, Random(f"ids {seed}"))
        self.clock = clock
        self.turns = Turns()
        self._store = MemoryJobStore()
        running = self._fill(state) if state is not None else []
        self._engine = Engine(self._store, clock=clock, new_id=ids, rng=Random(f"engine {seed}"), simulate=simulate)
        if running:
            self._engine.submit(Extend(tuple(running), self._engine.lease))
        self._leases = MockLeases(
            self._engine, clock, self.workspaces, Faults(seed) if faults is None else faults, step=mode == "step",
            serving=None if simulate else (),
        )  # fmt: skip
        self._seed = seed
        self._simulate = simulate
        jobs = list(jobs)
        self._worker = self._make_worker(jobs) if jobs or state is not None else None
        self._hired: asyncio.Task[None] | None = None
        self._around: Context | None = None
        """Of whoever opened it: handlers run in copies of that, whoever asks for the first thing."""
        self._paced = Paced(self._engine, clock, mode, self._hire, self._leases.alive)
        self._app_options: dict[str, Any] = {"version": __version__, "new_id": ids, "keys": Keyring(keys), "hosts": hosts}
        self._pulse: asyncio.Task[None] | None = None
        if isinstance(clock, VirtualClock):
            clock.duties = self

    def app(self, made: Callable[..., App] = App, **options: Any) -> App:
        """The app over this world, or what `made` makes in its place."""
        return made(self._paced, **{**self._app_options, **options})

    async def open(self) -> None:
        self._around = copy_context()
        if self._worker is not None:
            await self._hire()
        if not isinstance(self.clock, VirtualClock):
            self._pulse = asyncio.create_task(self._beat(self.clock.speed))

    async def close(self) -> None:
        """Stop handlers where they stand."""
        if self._pulse is not None:
            self._pulse.cancel()
        self._paced.release_waiters()
        self._leases.stop()
        if self._hired is not None:
            await asyncio.wait((self._hired,))
        if self._worker is not None:
            await self._worker.astop(grace=0)
        self._engine.close()

    async def register(self, jobs: "Iterable[JobDef[Any]]") -> None:
        """Raises ConfigError."""
        await self._hire()
        assert self._worker is not None, "hired"
        self._worker.add(*jobs)

    async def executions(self) -> list[View]:
        """All there are, the newest first, as they are now."""
        await self.clock.turn()
        self._leases.alive()
        found = [one for workspace in self.workspaces for one in self._store.page(workspace, ALL, Position(), MOST)]
        return [
            execution_view(
                one, self._store.tasks(one.workspace, one.seq, -1, one.total), self._engine.waiting_for(one), SHOWN_TASKS
            )
            for one in found
        ]

    async def drain(self, max_wait: float) -> None:
        """Let executions go on until none is left that can, or for so many seconds of its time. Raises MockStuck, ConfigError."""
        clock = self.clock
        if clock.frozen:
            raise ConfigError("time is frozen: unfreeze() or advance() lets executions go on")
        await clock.turn()
        end = clock.monotonic() + max_wait
        if isinstance(clock, VirtualClock):
            await clock.settle(seconds=max_wait)
            return
        while (self.goes_on() or self.holding()) and clock.monotonic() < end:  # noqa: ASYNC110 - nobody tells of the last one
            await asyncio.sleep(SHORTEST)

    async def change(self, max_wait: float) -> bool:
        """Let executions go on until something about one of them is another. False when nothing is, for so many seconds."""
        before, clock = self._versions(), self.clock
        await clock.turn()
        end = clock.monotonic() + max_wait
        if isinstance(clock, VirtualClock):
            await clock.settle(lambda: self._versions() != before, max_wait)
        else:
            while self._versions() == before and clock.monotonic() < end:  # noqa: ASYNC110 - as above
                await asyncio.sleep(SHORTEST)
        return self._versions() != before

    async def state(self) -> "State":
        """All that it holds, at a moment when nothing runs that could be waited for."""
        from .state import State, read_store

        await self.clock.turn()
        elapsed = self.clock.monotonic()
        began = self.clock.now() - elapsed
        return State(elapsed=elapsed, began=began, ids=self._ids.state, **read_store(self._store, self.workspaces))

    async def _hire(self) -> None:
        """Have the worker serve. Without jobs of its own it comes with the first operation: it is much of what there is to load,
        and whoever starts a mock waits for that."""
        if self._hired is None:
            self._hired = asyncio.get_running_loop().create_task(self._start_worker(), context=self._around)
        if not self._hired.done():
            await asyncio.wait((self._hired,))
        self._hired.result()

    async def _start_worker(self) -> None:
        if self._worker is None:
            self._worker = self._make_worker(())
        await self._worker.astart(heartbeats=False)

    def _make_worker(self, jobs: "Iterable[JobDef[Any]]") -> "Worker":
        from blaxel_jobs.worker import Worker
        from blaxel_jobs.worker.simulate import simulated_job

        built_in = simulated_job(self.clock.sleep, self._leases.crash)
        return Worker(
            self._leases, jobs, slots=SLOTS, simulate=self._simulate and built_in, clock=self.clock,
            rng=Random(f"worker {self._seed}"), threads=self.turns,
        )  # fmt: skip

    def job_of(self, execution: str) -> str | None:
        """The job of an execution."""
        found = (self._store.get(workspace, [execution]) for workspace in self.workspaces)
        return next((one[0].job for one in found if one), None)

    def _fill(self, state: "State") -> list[LeaseRef]:
        from .state import write_store

        self._ids.go_on(state.ids)
        return write_store(self._store, state)

    def _versions(self) -> tuple[tuple[str, int], ...]:
        found = (one for workspace in self.workspaces for one in self._store.page(workspace, ALL, Position(), MOST))
        return tuple((one.id, one.version) for one in found)

    def holding(self) -> int:
        return 0 if self._worker is None else self._worker.holding

    def running(self) -> "list[AnyContext]":
        return [] if self._worker is None else self._worker.contexts

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
            if self._worker is not None:
                self._worker.beat()
            delay = min(self._engine.poll(), self._leases.heartbeat_every)
            await asyncio.sleep(max(SHORTEST, delay / speed))
