"""The worker: claims tasks into its slots, runs their handlers, keeps their leases alive."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Collection, Iterable
from typing import Any, Final

from ..core.ports import Clock
from ..core.records import Leased, LeaseRef
from ..define import JobDef
from ..errors import ConfigError, LeaseLost
from .context import TaskContext
from .leases import Leases
from .run import Run
from .simulate import simulated_job
from .threads import Threads

log = logging.getLogger("blaxel_jobs.worker")

DEFAULT_SLOTS: Final = 8
POLL: Final = 1.0
"""Seconds that a claim waits: what another process makes claimable is seen this late at the most."""
AFTER_ERROR: Final = 1.0
DEFAULT_GRACE: Final = 10.0
CLEANUP: Final = 1.0
"""Seconds that handlers get after they were stopped. One that blocks the loop or swallows its cancellation is not waited for."""


class Worker:
    """Runs the handlers of `jobs`, `slots` tasks at once.

    Async handlers run in the worker's event loop, sync ones in threads. The loop is one of its own in a thread (`start`, `stop`),
    or the caller's (`astart`, `astop`). simulate: tasks of jobs without a handler go to the built-in one, or to the one that is
    given. threads: where sync handlers run, as many at once as there are slots unless given.
    """

    def __init__(
        self,
        leases: Leases,
        jobs: Iterable[JobDef[Any]] = (),
        *,
        slots: int = DEFAULT_SLOTS,
        simulate: bool | JobDef[Any] = False,
        clock: Clock,
        threads: Threads | None = None,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"slots is 1 or more, not {slots}")
        self._leases = leases
        self._jobs: dict[str, JobDef[Any]] = {}
        self._clock = clock
        self._built_in = simulated_job(clock.sleep) if simulate is True else simulate or None
        self._slots = slots
        self._free = slots
        self._held: dict[LeaseRef, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = Threads(slots) if threads is None else threads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._freed = asyncio.Event()
        self._revoked: set[LeaseRef] = set()
        """Taken from somebody since the last claim began: perhaps from us, before we knew that we had it."""
        self._stopping = False
        self._closed = False
        self._serving: threading.Thread | asyncio.Task[None] | None = None
        self._serving_task: asyncio.Task[None] | None = None
        self._no_more_beats = threading.Event()
        self.add(*jobs)

    def add(self, *jobs: JobDef[Any]) -> None:
        """Serve these too. Raises ConfigError when a name has another definition here already."""
        self._leases.register(jobs)
        self._jobs.update((job.name, job) for job in jobs)
        if self._serving is not None:
            self._leases.interrupt()

    @property
    def running(self) -> int:
        """How many tasks it runs now."""
        return self._slots - self._free

    @property
    def holding(self) -> int:
        """How many leases it holds."""
        return len(self._held)

    @property
    def contexts(self) -> list[TaskContext]:
        """The tasks whose leases it holds, in the order of their claims."""
        return [run.context for run in list(self._held.values())]

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._open(heartbeats=True)
        self._serving = threading.Thread(target=self._serve_here, name="blaxel-jobs-worker", daemon=True)
        self._serving.start()

    async def astart(self, *, heartbeats: bool = True) -> None:
        """Serve in this loop. heartbeats: False leaves it to the caller to call `beat` in time."""
        self._open(heartbeats)
        self._serving = asyncio.create_task(self._serve(), name="blaxel-jobs-worker")

    def stop(self, grace: float = DEFAULT_GRACE) -> None:
        """Claim nothing more, give what runs `grace` seconds to end, then stop it and give its tasks back. Twice does no harm."""
        thread, self._serving = self._serving, None
        if thread is None:
            return
        assert isinstance(thread, threading.Thread), "a worker that serves in a loop is stopped by astop"
        self._claim_no_more()
        thread.join(grace)
        if thread.is_alive():
            self._call_in_loop(self._abandon_all)
            thread.join(CLEANUP)
        self._close()

    async def astop(self, grace: float = DEFAULT_GRACE) -> None:
        """`stop`, for a worker that serves in this loop."""
        task, self._serving = self._serving, None
        if task is None:
            return
        assert isinstance(task, asyncio.Task), "a worker that serves in a thread is stopped by stop"
        self._claim_no_more()
        await asyncio.wait([task], timeout=grace)
        if not task.done():
            self._abandon_all()
            await asyncio.wait([task], timeout=CLEANUP)
        self._close()

    def beat(self) -> None:
        """One heartbeat: hold all leases for another time, and let go of what is lost."""
        held = list(self._held)
        if not held:
            return
        try:
            lost = self._leases.heartbeat(held)
        except Exception:
            log.exception("heartbeat failed and is tried again")
            return
        if lost:
            self._lost(lost)

    def _open(self, heartbeats: bool) -> None:
        self._leases.on_lost = self._lost
        self._leases.open()
        if heartbeats:
            threading.Thread(target=self._beat, name="blaxel-jobs-heartbeat", daemon=True).start()

    def _claim_no_more(self) -> None:
        self._stopping = True
        self._leases.interrupt()
        self._call_in_loop(self._freed.set)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._no_more_beats.set()
        for lease in list(self._held):
            self._release(lease)
        self._threads.close()
        self._leases.close()

    def _names(self) -> tuple[str, ...] | None:
        return None if self._built_in is not None else tuple(self._jobs)

    def _serve_here(self) -> None:
        """Serve in this thread. A SystemExit or KeyboardInterrupt in some task of a handler's ends that task, not the worker."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            serving = loop.create_task(self._serve())
            while not serving.done():
                try:
                    loop.run_until_complete(serving)
                except (SystemExit, KeyboardInterrupt) as raised:
                    log.error("a task that a handler started raised %s", type(raised).__name__)  # noqa: TRY400
                except asyncio.CancelledError:
                    break

    async def _serve(self) -> None:
        self._loop, self._serving_task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            while not self._stopping:
                if self._free:
                    await self._claim()
                else:
                    self._freed.clear()
                    await self._freed.wait()
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            if not self._stopping:
                # Taken down from outside, with handlers that run: what they hold goes back at once.
                self._stopping = True
                self._abandon_all()
                self._close()

    async def _claim(self) -> None:
        self._revoked.clear()
        try:
            leased = await self._leases.claim(self._names(), self._free, POLL)
        except Exception:
            log.exception("claim failed and is tried again")
            self._freed.clear()
            await self._clock.wait(self._freed, AFTER_ERROR)
            return
        for item in leased:
            self._begin(item)

    def _begin(self, leased: Leased) -> None:
        job = self._jobs.get(leased.job) or self._built_in
        assert job is not None, f"claimed {leased.job}, which has no handler here"
        run = Run(leased, job, self._slot_freed, self._ending)
        self._held[leased.lease] = run
        if self._stopping:
            return  # what came too late is given back with the rest
        if leased.lease in self._revoked:
            del self._held[leased.lease]
            return
        self._free -= 1
        task = asyncio.ensure_future(self._finish(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, run: Run) -> None:
        try:
            await run.run(self._leases, self._threads, self._clock)
        except Exception:
            log.exception(
                "report failed, the lease will run out: execution %s task %s", run.leased.execution_id, run.leased.task_id
            )
        finally:
            # What was stopped with the worker is held until it is given back.
            if run.reported or not (self._stopping or self._ending()):
                self._held.pop(run.leased.lease, None)

    def _slot_freed(self) -> None:
        self._free += 1
        self._freed.set()

    def _ending(self) -> bool:
        """Is the loop being taken down around the worker, as `asyncio.run` does with what is left at its end."""
        return self._serving_task is not None and (self._serving_task.done() or self._serving_task.cancelling() > 0)

    def _beat(self) -> None:
        """In a thread of its own, so that a handler which blocks the loop does not lose the leases of all."""
        while not self._no_more_beats.wait(self._leases.heartbeat_every):
            self.beat()

    def _lost(self, leases: Collection[LeaseRef]) -> None:
        """From any thread. It is noted first and then looked for; `_begin` does so the other way round: one of the two sees it."""
        self._revoked.update(leases)
        mine = [lease for lease in leases if lease in self._held]
        if mine:
            self._call_in_loop(self._abandon, mine)

    def _abandon(self, leases: list[LeaseRef]) -> None:
        for lease in leases:
            run = self._held.pop(lease, None)
            if run is not None:
                run.abandon()

    def _abandon_all(self) -> None:
        for run in self._held.values():
            run.abandon()

    def _release(self, lease: LeaseRef) -> None:
        try:
            self._leases.release(lease)
        except LeaseLost:
            pass
        except Exception:
            log.exception("release failed, the lease will run out")

    def _call_in_loop(self, call: Any, *arguments: Any) -> None:
        if self._loop is not None:
            # A loop that is closed has ended what the call was for.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *arguments)
