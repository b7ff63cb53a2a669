"""Leases in process: the port that a worker in this process runs on, over the engine."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from ..core.records import Failure, Json, Leased, LeaseRef
from ..core.states import Completed, Failed, Released
from ..define import JobDef
from .batch import RECOVER_LIMIT
from .boot import Boot
from .commands import Claim, Extend, Report
from .engine import Engine
from .recovery import recover

log = logging.getLogger("blaxel_jobs.engine")

EMBEDDED: Final = "embedded:"


class LocalLeases:
    """Claims, heartbeats and reports as calls. Serves the workspaces in turn, so that none starves another.

    Of a process that died, the leases are taken back at once by the next one that opens the same store on this machine.
    """

    def __init__(self, engine: Engine, workspaces: Sequence[str], worker_id: str) -> None:
        self.worker = f"{EMBEDDED}{os.getpid()}:{worker_id}"
        self.heartbeat_every = engine.heartbeat
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self._engine = engine
        self._workspaces = list(workspaces)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived: asyncio.Event | None = None
        self._interrupted = False
        self._boot = Boot(engine.store.lock_path)

    def register(self, jobs: Sequence[JobDef[Any]]) -> None:
        """Make jobs known that this worker serves. Raises ConfigError when a name has another definition here already."""
        self._engine.register(jobs)
        for workspace in self._workspaces:
            self._engine.serving(workspace, [job.name for job in jobs])

    def open(self) -> None:
        """Called once, before the first claim: take back what dead processes of this store held."""
        with self._boot.enter() as alone:
            if alone:
                dead = tuple(sorted(worker for worker in self._engine.store.workers() if worker.startswith(EMBEDDED)))
                while dead and recover(self._engine, dead) == RECOVER_LIMIT:
                    pass
        self._engine.listeners.ready.append(self._ready)
        self._engine.listeners.revoked.append(self._revoked)

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        """Up to `limit` tasks; waits up to `wait` seconds for the first. None after `interrupt`, which ends the wait.

        Raises what kept it from claiming anything; what one workspace gave is handed over even when the next one fails.
        """
        if self._arrived is None:
            self._loop, self._arrived = asyncio.get_running_loop(), asyncio.Event()
        self._arrived.clear()
        self._interrupted = False
        leased = await self._claim_now(jobs, limit)
        if not leased and wait > 0:
            await self._engine.clock.wait(self._arrived, wait)
            leased = await self._claim_now(jobs, limit)
        return leased

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that claims, and runs async handlers; None before the first claim."""
        return self._loop

    async def complete(self, lease: LeaseRef, result: Json) -> None:
        """Store what the handler returned. Raises LeaseLost."""
        await self._engine.asubmit(Report(lease, Completed(result)))

    async def fail(self, lease: LeaseRef, failure: Failure) -> None:
        """Store why it failed. Raises LeaseLost."""
        await self._engine.asubmit(Report(lease, Failed(failure)))

    def release(self, lease: LeaseRef) -> None:
        """Give a task back unfinished. Raises LeaseLost."""
        self._engine.submit(Report(lease, Released()))

    def heartbeat(self, leases: Sequence[LeaseRef]) -> set[LeaseRef]:
        """Hold these for another lease; returns those that are lost."""
        lost: set[LeaseRef] = self._engine.submit(Extend(tuple(leases), self._engine.lease))
        return lost

    def interrupt(self) -> None:
        """End a claim that waits, without another look at what is ready. From any thread."""
        self._call_in_loop(self._interrupt)

    def close(self) -> None:
        """Called once, after the last report."""
        self._engine.listeners.ready.remove(self._ready)
        self._engine.listeners.revoked.remove(self._revoked)
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
                leased += await self._engine.asubmit(Claim(workspace, jobs, room, self.worker, self._engine.lease))
            except Exception as error:
                if not leased:
                    raise
                log.warning("claimed %d tasks, and no more: %s", len(leased), error)
                break
        return leased

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
