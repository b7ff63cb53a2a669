"""What a worker runs: each task under its lease, from its claim until nothing is left to tell of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..core.records import LeaseRef
from ..core.reports import Released
from ..errors import LeaseLost
from .context import AnyContext
from .hold import End
from .leases import Leases
from .logs import ids
from .run import Run

log = logging.getLogger("blaxel_jobs.worker")


class Runs:
    """As many at once as there are slots. They begin and end in the worker's loop; leases are lost, and handlers are stopped, from
    any thread.

    ending: is the loop being taken down around the worker.
    """

    def __init__(self, leases: Leases, slots: int, ending: Callable[[], bool]) -> None:
        self.free = slots
        """Slots."""
        self.freed = asyncio.Event()
        """Set when a slot has become free, and when the worker stops."""
        self.on_idle: Callable[[], None] = lambda: None
        """Called in the loop when no lease is held any more."""
        self.closed = False
        """The worker stops."""
        self._leases = leases
        self._slots = slots
        self._ending = ending
        self._held: dict[LeaseRef, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._revoked: set[LeaseRef] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return self._slots - self.free

    @property
    def held(self) -> list[LeaseRef]:
        """The leases, in the order of their claims."""
        return list(self._held)

    @property
    def contexts(self) -> list[AnyContext]:
        """What their handlers are given."""
        return [run.context for run in list(self._held.values())]

    def open(self) -> None:
        """In the loop, before the first begins."""
        self._loop = asyncio.get_running_loop()

    def claiming(self) -> None:
        """A claim begins: what was taken from somebody before it, and from us, was ours already."""
        self._revoked.clear()

    def begin(self, run: Run) -> None:
        """Run what was claimed. Once the worker stops it is only held, to be given back with the rest."""
        self._held[run.leased.lease] = run
        if self.closed:
            return
        if run.leased.lease in self._revoked:
            del self._held[run.leased.lease]
            return
        self.free -= 1
        assert self._loop is not None, "claimed in it"
        self._tasks.add(self._loop.create_task(self._finish(run)))

    async def end(self) -> None:
        """Wait for all of them."""
        while self._tasks:
            # One that was cancelled before it began has not left by itself.
            self._tasks.difference_update((await asyncio.wait(self._tasks))[0])

    def slot_freed(self) -> None:
        """A handler has left its slot. In the loop."""
        self.free += 1
        self.freed.set()

    def beat(self) -> None:
        """One heartbeat: hold all leases for another time, and let go of what is lost."""
        held = self.held
        if not held:
            return
        try:
            holding = self._leases.heartbeat(held)
        except Exception:
            log.exception("heartbeat failed and is tried again")
            return
        if holding.lost:
            self.lost(holding.lost)
        if holding.stop:
            self.stop(holding.stop)

    def lost(self, leases: Collection[LeaseRef]) -> None:
        """They are another's, or nobody's. That is noted first and then looked for; `begin` does so the other way round: one of the
        two sees it."""
        self._revoked.update(leases)
        mine = [lease for lease in leases if lease in self._held]
        if mine:
            self._call_in_loop(self._abandon, mine)

    def stop(self, leases: Collection[LeaseRef]) -> None:
        """Their handlers are to unwind. What was claimed just now is missed, and in the answer to the next heartbeat."""
        for lease in leases:
            run = self._held.get(lease)
            if run is not None:
                run.stop()

    def gone(self, lease: LeaseRef) -> None:
        """The lease ended with a report. What is stopped with the worker is held until it is given back."""
        run = self._held.get(lease)
        if run is not None and run.hold.end is not End.OVER:
            self._held.pop(lease, None)

    def close(self) -> None:
        """Begin no more; what ends without a report is held until it is given back. From any thread."""
        self.closed = True
        self._call_in_loop(self.freed.set)

    def abandon(self) -> None:
        """Stop all handlers where they can be stopped, and report nothing. From any thread."""
        self._call_in_loop(self.abandon_here)

    def abandon_here(self) -> None:
        """`abandon`, in the loop."""
        for run in list(self._held.values()):
            run.abandon(End.OVER)

    def give_back(self) -> None:
        """Tell that whatever is still held is not run here any more."""
        for lease in self.held:
            with _given_back():
                self._leases.report_here(lease, Released())

    async def agive_back(self) -> None:
        """`give_back`, in the loop."""
        for lease in self.held:
            with _given_back():
                await self._leases.report(lease, Released())

    async def _finish(self, run: Run) -> None:
        task = asyncio.current_task()
        assert task is not None, "this one"
        try:
            await run.run(task)
        except Exception:
            names = (run.leased.execution_id, run.leased.task_id)
            log.exception("report failed, the lease will run out: execution %s task %s", *names, extra=ids(run.leased))
        finally:
            if run.reported or not (self.closed or self._ending()):
                self._held.pop(run.leased.lease, None)
            self._tasks.discard(task)
            if not self._held:
                self.on_idle()

    def _abandon(self, leases: list[LeaseRef]) -> None:
        for lease in leases:
            run = self._held.pop(lease, None)
            if run is not None:
                run.abandon(End.LOST)

    def _call_in_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        if self._loop is not None:
            # A loop that is closed has ended what the call was for.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *arguments)


@contextlib.contextmanager
def _given_back() -> Iterator[None]:
    try:
        yield
    except LeaseLost:
        pass
    except Exception:
        log.exception("release failed, the lease will run out")
