"""Leases on a mock's clock: they last as long as their worker lives, which ends where a task's input says `exit`."""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from blaxel_jobs.artifacts import ArtifactPort
from blaxel_jobs.core.records import Leased, LeaseRef
from blaxel_jobs.core.reports import Answer, Completed, Failed, Holding, Noted, Released, Report, Stepped
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.engine.commands import Extend
from blaxel_jobs.engine.recovery import tick
from blaxel_jobs.errors import LeaseLost
from blaxel_jobs.system import FOREVER

from .clock import MockClock
from .faults import Faults
from .virtual import VirtualClock

if TYPE_CHECKING:
    from blaxel_jobs.define import JobDef
    from blaxel_jobs.worker.context import AnyContext


class MockLeases:
    """The worker's port over the mock's engine.

    step: a claim, and a report that changes a status, is a step of its own: it waits until a client gives leave. Where time is
    virtual, a lease is held for good, so that time need not stop for heartbeats; and a claim has no end but a task, since nothing
    comes from elsewhere. Every durable sleep gives its task up, so that a handler's is the same as any other's time.
    """

    def __init__(
        self,
        engine: Engine,
        clock: MockClock,
        workspaces: Sequence[str],
        faults: Faults,
        *,
        step: bool,
        serving: tuple[str, ...] | None = (),
    ) -> None:
        """`serving`: the jobs that its worker serves, None for all, as far as that is known before it claims."""
        self._engine = engine
        self._clock = clock
        self._workspaces = list(workspaces)
        self._faults = faults
        self._step = step
        self._virtual = isinstance(clock, VirtualClock)
        self._inner = LocalLeases(engine, workspaces, "mock", lease=FOREVER if self._virtual else None)
        self._inner.worker = self.worker = "mock"
        self.heartbeat_every = engine.heartbeat
        self.in_place = 0.0
        self._offered = asyncio.Event()
        self._stopped = asyncio.Event()
        self._serving = serving
        self._claimed: dict[tuple[str, str], LeaseRef] = {}
        self._held: dict[LeaseRef, _Held] = {}
        self._unheard: set[LeaseRef] = set()
        """Leases that are lost, of which their worker is to learn when it reports."""
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self.on_stop: Callable[[Collection[LeaseRef]], None] = lambda stop: None
        self._inner.on_lost = self._taken
        self._inner.on_stop = self._stop_told
        self.taken = False
        """A lease was taken from its handler."""

    def register(self, jobs: "Sequence[JobDef[Any]]") -> None:
        self._inner.register(jobs)

    def open(self) -> None:
        self._inner.open()
        self._engine.listeners.ready.append(self._ready)

    def close(self) -> None:
        self._inner.close()

    def alive(self) -> None:
        """The worker lives and serves, however long nothing was to be done."""
        for workspace in self._workspaces:
            self._engine.serving(workspace, self._serving)

    def stop(self) -> None:
        """Steps are waited for no more: the end is near."""
        self._stopped.set()

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        self._serving = jobs
        if self._step:
            await self._offered.wait()
            self._offered.clear()
            await self._next_step()
            leased = [] if self._stopped.is_set() else await self._inner.claim(jobs, limit, 0)
            if len(leased) == limit:
                self._offered.set()
        else:
            leased = await self._inner.claim(jobs, limit, math.inf if self._virtual else wait)
        self._claimed.update(((item.execution_id, item.task_id), item.lease) for item in leased)
        return [item for item in leased if self._begins(item)]

    async def report(self, lease: LeaseRef, report: Report) -> Answer:
        if not isinstance(report, Stepped | Noted):
            await self._next_step()
        held = self._before(lease, report)
        answer = await self._inner.report(lease, report)
        self._crash_at(held, stored=True)
        return answer

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        held = self._before(lease, report)
        answer = self._inner.report_here(lease, report)
        self._crash_at(held, stored=True)
        return answer

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding:
        return self._inner.heartbeat(leases)

    def artifacts(self, workspace: str) -> ArtifactPort:
        return self._inner.artifacts(workspace)

    def interrupt(self) -> None:
        self._offered.set()
        self._inner.interrupt()

    def crash(self, context: "AnyContext", code: int) -> None:
        """The worker of this task dies, with nothing around it: its lease runs out, as after a last heartbeat."""
        lease = self._claimed[context.execution_id, context.task_id]
        if lease in self._engine.submit(Extend((lease,), self._engine.lease)).lost:
            raise LeaseLost
        self._taken([lease])

    def _begins(self, leased: Leased) -> bool:
        """Does the worker live until the task's handler is called. It may have lost the lease by then."""
        if self._faults.of_task("crash", leased, 0):
            self._end_worker(leased.lease)
            return False
        self._held[leased.lease] = _Held(leased, sum(step.kind == "value" for step in leased.steps))
        if self._faults.of_task("lost_lease", leased, 0):
            self._give_away(leased.lease)
        return True

    def _before(self, lease: LeaseRef, report: Report) -> "_Held | None":
        """What happens to a worker before its report arrives. The answer is the task, when it reports a step."""
        if isinstance(report, Completed | Failed | Released):
            self._held.pop(lease, None)
        held = self._held.get(lease) if isinstance(report, Stepped) else None
        if held is not None:
            held.steps += 1
            if self._faults.of_task("lost_lease", held.leased, held.steps):
                self._give_away(lease)
            self._crash_at(held, stored=False)
        return held

    def _crash_at(self, held: "_Held | None", *, stored: bool) -> None:
        if held is not None and self._faults.of_task("crash", held.leased, held.steps, stored=stored):
            self._end_worker(held.leased.lease)
            raise LeaseLost

    def _end_worker(self, lease: LeaseRef) -> None:
        """The worker beats no more: its lease runs out."""
        self._engine.submit(Extend((lease,), self._engine.lease))
        self._taken([lease])

    def _give_away(self, lease: LeaseRef) -> None:
        """The lease is over, and its worker has not heard of it."""
        self.taken = True
        self._unheard.add(lease)
        self._engine.submit(Extend((lease,), 0.0))
        tick(self._engine)

    async def _next_step(self) -> None:
        if self._step:
            step = asyncio.ensure_future(self._clock.sleep(0))
            stopped = asyncio.ensure_future(self._stopped.wait())
            try:
                await asyncio.wait((step, stopped), return_when=asyncio.FIRST_COMPLETED)
            finally:
                step.cancel()
                stopped.cancel()

    def _stop_told(self, leases: Collection[LeaseRef]) -> None:
        self.on_stop(leases)

    def _taken(self, leases: Collection[LeaseRef]) -> None:
        self.taken = True
        self.on_lost([lease for lease in leases if lease not in self._unheard])

    def _ready(self, ready: object) -> None:
        self._offered.set()


class _Held(Struct):
    """A task that the worker runs."""

    leased: Leased
    steps: int
    """How many it has taken, also before it was claimed."""
