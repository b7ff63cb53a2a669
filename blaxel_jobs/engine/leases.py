"""Leases in process: the port that a worker in this process runs on, over the engine."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..artifacts import ArtifactPort, LocalArtifacts
from ..core.records import Leased, LeaseRef
from ..core.reports import Answer, Holding, Report
from .boot import Boot
from .commands import Claim, Extend, Tell
from .engine import Engine
from .recovery import tick

if TYPE_CHECKING:
    from ..define import JobDef

log = logging.getLogger("blaxel_jobs.engine")

EMBEDDED: Final = "embedded:"


class LocalLeases:
    """Claims, heartbeats and reports as calls. Serves the workspaces in turn, so that none starves another.

    Of a process that died, the leases are taken back at once by the next one that opens the same store on this machine.
    """

    def __init__(
        self, engine: Engine, workspaces: Sequence[str], worker_id: str, *, execution: str | None = None, lease: float | None = None
    ) -> None:
        """`execution`: claim tasks of this one only. `lease`: seconds that a lease lasts, the engine's unless given."""
        self.worker = f"{EMBEDDED}{os.getpid()}:{worker_id}"
        self.heartbeat_every = engine.heartbeat
        self.in_place = self._lease = engine.lease if lease is None else lease
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self.on_stop: Callable[[Collection[LeaseRef]], None] = lambda stop: None
        self.on_empty: Callable[[], None] = lambda: None
        """Called in the worker's loop when there was nothing to claim."""
        self.claimed = 0
        """How many tasks it was given."""
        self._execution = execution
        self._jobs: tuple[str, ...] = ()
        self._engine = engine
        self._workspaces = list(workspaces)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None
        self._interrupted = False
        self._boot = Boot(engine.store.lock_path)

    def register(self, jobs: "Sequence[JobDef[Any]]") -> None:
        """Make jobs known that this worker serves. Raises ConfigError when a name has another definition here already."""
        self._engine.register(jobs, self._workspaces)
        self._jobs += tuple(job.name for job in jobs)
        for workspace in self._workspaces:
            self._engine.serving(workspace, [job.name for job in jobs])

    def open(self) -> None:
        """Called once, before the first claim: take back what dead processes of this store held."""
        with self._boot.enter() as alone:
            while alone and tick(self._engine, EMBEDDED).more:
                pass
        listeners = self._engine.listeners
        listeners.ready.append(self._ready)
        listeners.revoked.append(self._revoked)
        listeners.stopped.append(self._stopped)

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        """Up to `limit` tasks; waits up to `wait` seconds for the first. None after `interrupt`, which ends the wait.

        Raises what kept it from claiming anything; what one workspace gave is handed over even when the next one fails.
        """
        if self._arrived is None:
            self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        self._arrived.clear()
        self._interrupted = False
        leased = await self._claim_now(jobs, limit)
        if not leased:
            self.on_empty()
        if not leased and wait > 0:
            await self._engine.clock.wait(self._arrived, wait)
            leased = await self._claim_now(jobs, limit)
        self.claimed += len(leased)
        return leased

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that claims, and runs async handlers; None before the first claim."""
        return self._loop

    def report(self, lease: LeaseRef, report: Report) -> Awaitable[Answer]:
        """Raises LeaseLost."""
        return self._engine.asubmit(Tell(lease, report))

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        """Raises LeaseLost."""
        answer: Answer = self._engine.submit(Tell(lease, report))
        return answer

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding:
        """Hold these for another lease."""
        for workspace in self._workspaces:
            self._engine.serving(workspace, self._jobs)
        holding: Holding = self._engine.submit(Extend(tuple(leases), self._lease))
        return holding

    def artifacts(self, workspace: str) -> ArtifactPort:
        """Where handlers of a workspace put what is too large for a result."""
        return LocalArtifacts(self._engine.artifacts, workspace)

    def look(self) -> None:
        """End a claim that waits: the next one begins with a look at what is ready. In the loop of the claims."""
        if self._arrived is not None:
            self._arrived.set()

    def interrupt(self) -> None:
        """End a claim that waits, without another look at what is ready. From any thread."""
        self._call_in_loop(self._interrupt)

    def close(self) -> None:
        """Called once, after the last report."""
        listeners = self._engine.listeners
        listeners.ready.remove(self._ready)
        listeners.revoked.remove(self._revoked)
        listeners.stopped.remove(self._stopped)
        self._boot.leave()

    async def _claim_now(self, jobs: tuple[str, ...] | None, limit: int) -> list[Leased]:
        leased: list[Leased] = []
        if jobs == ():
            return leased
        for workspace in self._workspaces:
            self._engine.serving(workspace, jobs)
        turns = list(self._workspaces)
        self._workspaces.append(self._workspaces.pop(0))
        for workspace in turns:
            room = limit - len(leased)
            if self._interrupted or not room:
                break
            try:
                leased += await self._claim_in(workspace, jobs, room)
            except Exception as error:
                if not leased:
                    raise
                log.warning("claimed %d tasks, and no more: %s", len(leased), error)
                break
        return leased

    async def _claim_in(self, workspace: str, jobs: tuple[str, ...] | None, limit: int) -> list[Leased]:
        claim = Claim(workspace, jobs, limit, self.worker, self._lease, self._execution)
        leased: list[Leased] | None = None
        while leased is None and not self._interrupted:
            leased = await self._engine.aclaim(claim)
        return leased or []

    def _interrupt(self) -> None:
        assert self._arrived is not None, "called in the loop of a claim"
        self._interrupted = True
        self._arrived.set()

    def _ready(self, ready: set[tuple[str, str]]) -> None:
        arrived = self._arrived
        if arrived is not None and not arrived.is_set():
            self._call_in_loop(arrived.set)

    def _call_in_loop(self, call: Callable[[], None]) -> None:
        # Before the first claim there is none to end; a loop that is closed has none left.
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

    def _revoked(self, leases: Sequence[LeaseRef]) -> None:
        self.on_lost(leases)

    def _stopped(self, leases: Sequence[LeaseRef]) -> None:
        self.on_stop(leases)
