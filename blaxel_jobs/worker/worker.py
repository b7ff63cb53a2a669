"""The worker: claims tasks into its slots, runs their handlers, keeps their leases alive."""

import asyncio
import concurrent.futures
import inspect
import logging
import threading
from collections.abc import Callable, Collection, Iterable
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ..core.ports import Clock, Rng
from ..define import JobDef
from ..errors import ConfigError
from .context import AnyContext
from .effects import steps_around
from .leases import Leases
from .means import Means
from .places import place_of
from .run import Run
from .runs import Runs
from .simulate import simulated_job
from .threads import Threads

if TYPE_CHECKING:
    from .processes import Processes

log = logging.getLogger("blaxel_jobs.worker")

DEFAULT_SLOTS: Final = 8
DEFAULT_QUEUE: Final = "default"
POLL: Final = 1.0
"""Seconds that a claim waits: what another process makes claimable is seen this late at the most."""
AFTER_ERROR: Final = 1.0
DEFAULT_GRACE: Final = 10.0
CLEANUP: Final = 1.0
"""Seconds that handlers get after they were stopped. One that blocks the loop or swallows its cancellation is not waited for."""

Hook = Callable[[], Any]
"""Sync or async, without arguments."""


class Worker:
    """Runs the handlers of `jobs`, `slots` tasks at once.

    Async handlers run in the worker's event loop, sync ones in threads, or where their definition says. The loop is one of its own
    in a thread (`start`, `stop`), or the caller's (`astart`, `astop`).

    queues: serve only the jobs of these. simulate: tasks of jobs without a handler go to the built-in one, or to the one that is
    given. rng: for the jitter between tries of a step; without one a try waits for the whole bound. threads: where sync handlers
    run, as many at once as there are slots unless given. on_start: called in the loop before the first task is claimed; what it
    raises keeps the worker from starting. on_stop: called in the loop after the last handler, if on_start was.
    """

    def __init__(
        self,
        leases: Leases,
        jobs: Iterable[JobDef[Any, Any]] = (),
        *,
        slots: int = DEFAULT_SLOTS,
        queues: Collection[str] | None = None,
        simulate: bool | JobDef[Any, Any] = False,
        clock: Clock,
        rng: Rng | None = None,
        threads: Threads | None = None,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
    ) -> None:
        if slots < 1:
            raise ConfigError(f"slots is 1 or more, not {slots}")
        if isinstance(queues, str):
            raise ConfigError(f"queues is a list of names: [{queues!r}]")
        if queues is not None and simulate:
            raise ConfigError("the built-in handler takes jobs that nobody defined, and those have no queue: leave out queues")
        self._leases = leases
        self._queues = None if queues is None else frozenset(queues)
        self._jobs: dict[str, JobDef[Any, Any]] = {}
        self._clock = clock
        self._built_in = simulated_job(clock.sleep) if simulate is True else simulate or None
        self._runs = Runs(leases, slots, self._ending)
        self._threads = Threads(slots) if threads is None else threads
        self._processes: Processes | None = None
        self._means = Means(
            leases, clock, rng, self._threads, self._process_pool, getattr(leases, "artifacts", None), copy_context(), self._ending,
            self._runs.slot_freed, self._runs.gone,
        )  # fmt: skip
        self._on_start = on_start
        self._on_stop = on_stop
        self._closed = False
        self._serving: threading.Thread | asyncio.Task[None] | None = None
        self._serving_task: asyncio.Task[None] | None = None
        self._no_more_beats = threading.Event()
        self.add(*jobs)

    def add(self, *jobs: JobDef[Any, Any]) -> None:
        """Serve these too, as far as they are of its queues. Raises ConfigError when a name has another definition here already,
        for a handler that is to run in another process and cannot be imported there, and for what is no definition."""
        for job in jobs:
            if not isinstance(job, JobDef):
                raise ConfigError(f"{job!r} is no job definition: put @define_job('name') above the handler")
        served = [job for job in jobs if self._queues is None or (job.queue or DEFAULT_QUEUE) in self._queues]
        for job in served:
            if job.executor not in (None, "thread"):
                place_of(job)
        self._leases.register(served)
        self._jobs.update((job.name, job) for job in served)
        if self._serving is not None:
            self._leases.interrupt()

    @property
    def running(self) -> int:
        """How many tasks it runs now."""
        return self._runs.running

    @property
    def holding(self) -> int:
        """How many leases it holds."""
        return len(self._runs.held)

    @property
    def contexts(self) -> list[AnyContext]:
        """The tasks whose leases it holds, in the order of their claims."""
        return self._runs.contexts

    def when_idle(self, call: Callable[[], None]) -> None:
        """Have this called, in the worker's loop, whenever it holds no lease any more."""
        self._runs.on_idle = call

    def start(self) -> None:
        """Serve in a thread of its own. Raises what `on_start` raises."""
        self._open(heartbeats=True)
        started = concurrent.futures.Future[None]()
        self._serving = threading.Thread(target=self._serve_here, args=(started,), name="blaxel-jobs-worker", daemon=True)
        self._serving.start()
        if self._on_start is not None:
            try:
                started.result()
            except BaseException:
                self.stop()
                raise

    async def astart(self, *, heartbeats: bool = True) -> None:
        """Serve in this loop. heartbeats: False leaves it to the caller to call `beat` in time. Raises what `on_start` raises."""
        self._open(heartbeats)
        started = concurrent.futures.Future[None]()
        self._serving = asyncio.create_task(self._serve(started), name="blaxel-jobs-worker")
        if self._on_start is not None:
            try:
                await asyncio.wrap_future(started)
            except BaseException:
                await self.astop()
                raise

    def stop(self, grace: float = DEFAULT_GRACE, *, at_next_step: bool = False) -> None:
        """Claim nothing more, give what runs `grace` seconds to end, then stop it and give its tasks back. Twice does no harm.

        at_next_step: have handlers end at their next step, instead of waiting for all that they still do.
        """
        thread, self._serving = self._serving, None
        if thread is None:
            return
        assert isinstance(thread, threading.Thread), "a worker that serves in a loop is stopped by astop"
        self._claim_no_more()
        if at_next_step:
            self._runs.stop(self._runs.held)
        thread.join(grace)
        if thread.is_alive():
            self._runs.abandon()
            thread.join(CLEANUP)
        if self._begin_close():
            self._runs.give_back()
            self._leases.close()

    async def astop(self, grace: float = DEFAULT_GRACE) -> None:
        """`stop`, for a worker that serves in this loop."""
        task, self._serving = self._serving, None
        if task is None:
            return
        assert isinstance(task, asyncio.Task), "a worker that serves in a thread is stopped by stop"
        self._claim_no_more()
        await asyncio.wait([task], timeout=grace)
        if not task.done():
            self._runs.abandon_here()
            await asyncio.wait([task], timeout=CLEANUP)
        await self._aclose()

    def beat(self) -> None:
        """One heartbeat: hold all leases for another time, and let go of what is lost."""
        self._runs.beat()

    def _open(self, heartbeats: bool) -> None:
        self._leases.on_lost = self._runs.lost
        self._leases.on_stop = self._runs.stop
        self._leases.open()
        if heartbeats:
            threading.Thread(target=self._beat, name="blaxel-jobs-heartbeat", daemon=True).start()

    def _claim_no_more(self) -> None:
        self._runs.close()
        self._leases.interrupt()

    def _begin_close(self) -> bool:
        """Whether it was still to be done."""
        if self._closed:
            return False
        self._closed = True
        self._no_more_beats.set()
        self._threads.close()
        if self._processes is not None:
            self._processes.close()
        return True

    async def _aclose(self) -> None:
        """In the worker's loop."""
        if self._begin_close():
            await self._runs.agive_back()
            self._leases.close()

    def _names(self) -> tuple[str, ...] | None:
        return None if self._built_in is not None else tuple(self._jobs)

    def _process_pool(self) -> "Processes":
        if self._processes is None:
            from .processes import Processes

            self._processes = Processes()
        return self._processes

    def _serve_here(self, started: concurrent.futures.Future[None]) -> None:
        """Serve in this thread. A SystemExit or KeyboardInterrupt in some task of a handler's ends that task, not the worker."""
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            serving = loop.create_task(self._serve(started))
            while not serving.done():
                try:
                    loop.run_until_complete(serving)
                except (SystemExit, KeyboardInterrupt) as raised:
                    log.error("a task that a handler started raised %s", type(raised).__name__)  # noqa: TRY400
                except asyncio.CancelledError:
                    break

    async def _serve(self, started: concurrent.futures.Future[None]) -> None:
        self._serving_task = asyncio.current_task()
        self._runs.open()
        steps_around.set(0)  # of a handler that runs a worker, here and in all that is started here
        try:
            await _call(self._on_start)
        except BaseException as error:  # noqa: BLE001  who starts the worker is told
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            while not self._runs.closed:
                if self._runs.free:
                    await self._claim()
                else:
                    self._runs.freed.clear()
                    await self._runs.freed.wait()
            await self._runs.end()
        finally:
            if not self._runs.closed:
                # Taken down from outside, with handlers that run: what they hold goes back at once.
                self._runs.close()
                self._runs.abandon_here()
                await self._aclose()
            try:
                await _call(self._on_stop)
            except Exception:
                log.exception("on_stop failed")

    async def _claim(self) -> None:
        runs = self._runs
        runs.claiming()
        try:
            leased = await self._leases.claim(self._names(), runs.free, POLL)
        except Exception:
            log.exception("claim failed and is tried again")
            runs.freed.clear()
            await self._clock.wait(runs.freed, AFTER_ERROR)
            return
        for item in leased:
            job = self._jobs.get(item.job) or self._built_in
            assert job is not None, f"claimed {item.job}, which has no handler here"
            runs.begin(Run(item, job, self._means))

    def _ending(self) -> bool:
        """Is the loop being taken down around the worker, as `asyncio.run` does with what is left at its end."""
        return self._serving_task is not None and (self._serving_task.done() or self._serving_task.cancelling() > 0)

    def _beat(self) -> None:
        """In a thread of its own, so that a handler which blocks the loop does not lose the leases of all."""
        while not self._no_more_beats.wait(self._leases.heartbeat_every):
            self.beat()


async def _call(hook: Hook | None) -> None:
    if hook is None:
        return
    outcome = hook()
    if inspect.isawaitable(outcome):
        await outcome
