"""One task, from its lease to its report: the handler is called where its definition says, and ends, or is made to."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from ..core.records import Json, Leased
from ..core.reports import Completed, Crashed, Failed, Released, Report
from ..define import JobDef
from ..errors import LeaseLost
from .context import AnyContext, AsyncTaskContext, TaskContext
from .current import current
from .failures import CrashedError, as_error, failed
from .hold import End, Hold, Suspended
from .invoke import ainvoke, invoke
from .logs import ids
from .means import Means
from .places import place_of

log = logging.getLogger("blaxel_jobs.worker")


class Run:
    """One task that a worker runs: its handler is called, ends or is stopped, and the outcome is reported."""

    __slots__ = ("_ended", "_handling", "_job", "_means", "context", "hold", "leased", "reported")

    def __init__(self, leased: Leased, job: JobDef[Any, Any], means: Means) -> None:
        """In the worker's loop."""
        self.leased = leased
        self.hold = Hold(leased, means)
        self.reported = False
        """Nothing is left to tell: the outcome was taken, or the lease is another's, or soon nobody's."""
        self.context: AnyContext
        if job.is_async:
            self.context = AsyncTaskContext(leased, self.hold, means.clock, means.rng, means.async_artifacts)
        else:
            self.context = TaskContext(leased, self.hold, means.clock, means.rng, means.artifacts)
        self._job = job
        self._means = means
        self._ended: asyncio.Event | None = None
        self._handling: asyncio.Future[Any] | None = None
        """What a cancellation reaches the handler by, while it runs."""

    async def run(self, task: asyncio.Task[None]) -> None:
        """Run the handler and report. task: the one that runs this."""
        leased, hold, means = self.leased, self.hold, self._means
        if hold.gone:  # before it began
            means.free()
            return
        if leased.timeout is not None:
            self._ended = asyncio.Event()
            hold.start(partial(self._end_after, self._ended, leased.timeout))
        current.set(self.context)
        try:
            outcome = await self._outcome(task)
        finally:
            hold.close()
            if self._ended is not None:
                self._ended.set()
        await self._report(outcome)

    def abandon(self, end: End) -> None:
        """The lease is gone or given back: stop the handler where it can be stopped, and report nothing. In the worker's loop."""
        self.hold.finish(end)
        if self._handling is not None:
            self._handling.cancel()

    def stop(self) -> None:
        """The handler is to unwind at its next verb, and the task to be given back. From any thread."""
        self.hold.finish(End.STOPPED)

    async def _end_after(self, ended: asyncio.Event, seconds: float) -> None:
        """The time of an execution that is paused stands still."""
        await self._means.clock.wait(ended, seconds)
        if not ended.is_set() and self.hold.end is None:
            self._log(logging.WARNING, "time is up")
            self.reported = True
            self.abandon(End.OVER)

    def _log(self, level: int, what: str) -> None:
        leased = self.leased
        names = (leased.job, leased.execution_id, leased.task_id, leased.attempt)
        log.log(level, "%s: job %s execution %s task %s attempt %d", what, *names, extra=ids(leased))

    async def _report(self, outcome: Report | None) -> None:
        hold = self.hold
        if hold.end in (End.LOST, End.SUSPENDED):
            self.reported = True
        if hold.gone:
            return
        if hold.told and not isinstance(outcome, Crashed):
            outcome = Released()
        if outcome is None:
            return
        try:
            await hold.deliver(outcome)
            self.reported = True
        except LeaseLost:
            self.reported = True
            if not isinstance(outcome, Released):  # that was only to give it back
                self._log(logging.WARNING, "lease lost, result refused")
        except Suspended:
            pass  # the lease was given back meanwhile

    async def _outcome(self, task: asyncio.Task[None]) -> Report | None:
        """What to report; None for a handler that was stopped from outside, or has to be given up."""
        outcome: Report
        try:
            if self._job.is_async:
                self._handling = task
                outcome = Completed(await self._in_loop())
            elif self._job.executor in (None, "thread"):
                outcome = Completed(await self._in_thread())
            else:
                self._handling = elsewhere = asyncio.ensure_future(self._elsewhere(self._job.executor))
                outcome = await elsewhere
        except asyncio.CancelledError:
            if self.hold.gone or self._means.ending():
                return None
            outcome = failed(asyncio.CancelledError("the handler was cancelled by itself"))
        except CrashedError as error:
            self._log(logging.ERROR, f"process lost ({error})")
            outcome = Crashed(str(error))
        except Exception as error:  # noqa: BLE001  whatever a handler raises is its outcome
            outcome = failed(error)
        finally:
            self._handling = None
        if type(outcome) is Failed and not self.hold.told:
            self._log(logging.INFO, f"handler failed ({outcome.failure.type})")
        if task.cancelling() and not (self.hold.gone or self._means.ending()):
            # It has cancelled itself, the task that it ran in; not its report.
            while task.uncancel():
                pass
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        return outcome

    async def _in_loop(self) -> Json:
        try:
            return await ainvoke(self._job, self.context, self.leased.input)
        except BaseException as raised:
            if isinstance(raised, Exception | asyncio.CancelledError | GeneratorExit):
                raise
            raise as_error(raised) from raised  # a SystemExit would end the loop, and with it the whole worker
        finally:
            self._means.free()

    async def _in_thread(self) -> Json:
        self._handling = future = asyncio.get_running_loop().create_future()
        self.hold.around = around = copy_context()
        handler = partial(around.run, invoke, self._job, self.context, self.leased.input)
        self._means.threads.submit(_call_for(future, handler, self._means.free))
        result: Json = await future
        return result

    async def _elsewhere(self, executor: Any) -> Report:
        place = place_of(self._job)
        self.hold.around = copy_context()
        if executor == "process":
            ports = self._means.ports
            port = None if ports is None else ports(self.leased.workspace)
            return await self._means.processes().run(place, self.hold, port, self._means.free)
        from .pools import run_in_pool

        return await run_in_pool(executor, place, self.hold, self._means.free)


def _call_for(future: asyncio.Future[Any], handler: Callable[[], Any], free: Callable[[], None]) -> Callable[[], None]:
    """The call that a thread makes; its outcome, and the slot, go back to the loop."""
    loop = future.get_loop()

    def call() -> None:
        value, error = None, None
        try:
            if not future.cancelled():
                value = handler()
        except BaseException as raised:  # noqa: BLE001  also SystemExit: a handler does not end a thread of the worker
            error = as_error(raised)
        try:
            loop.call_soon_threadsafe(_ended, future, value, error, free)
        except RuntimeError:
            log.warning("a handler ended after its worker did")

    return call


def _ended(future: asyncio.Future[Any], value: Any, error: Exception | None, free: Callable[[], None]) -> None:
    free()
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
