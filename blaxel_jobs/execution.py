"""`Execution`: one run of a job as it was last read, with the verbs that act on it."""

import math
from typing import TYPE_CHECKING, Any, Unpack

from . import events, flow, verbs, waiting, watch
from .client.types import Unset
from .define import O
from .errors import ExecutionFailed, NotFinished
from .events import LogLine
from .flow import Flow, arun, run
from .options import CreateOptions
from .paging import Page
from .snapshot import Snapshot
from .streams import Stream
from .watch import Update
from .words import JobStatus

if TYPE_CHECKING:
    from .client.models import ExecutionStep, JobExecution, JobExecutionEvent, JobExecutionTask


class Execution(Snapshot[O]):
    """One run of a job. Its fields are those of the last answer; its verbs act, and bring the fields up to date.

    What a create or a list gave carries no tasks, input or results, and what a stream gave has status, done, waiting_for, progress
    and stats only: reading more raises NotLoaded until `refresh()`.
    """

    __slots__ = ()

    def refresh(self) -> "Execution[O]":
        """Read it again. Raises NotFound, ConnectionFailed."""
        return run(self._seam, self._refresh())

    async def arefresh(self) -> "Execution[O]":
        """As `refresh`."""
        return await arun(self._seam, self._refresh())

    def start(self) -> "Execution[O]":
        """Let it begin, when it was created with `auto_start=False`. Raises IllegalTransition when it has ended."""
        return run(self._seam, self._act("start"))

    async def astart(self) -> "Execution[O]":
        """As `start`."""
        return await arun(self._seam, self._act("start"))

    def pause(self) -> "Execution[O]":
        """Hold it back: nothing of it starts, and what runs stops at its next step, with its steps kept.

        Raises IllegalTransition when it has ended.
        """
        return run(self._seam, self._act("pause"))

    async def apause(self) -> "Execution[O]":
        """As `pause`."""
        return await arun(self._seam, self._act("pause"))

    def resume(self) -> "Execution[O]":
        """Let it go on after its last steps, in its old place in the queue. Raises IllegalTransition when it has ended."""
        return run(self._seam, self._act("resume"))

    async def aresume(self) -> "Execution[O]":
        """As `resume`."""
        return await arun(self._seam, self._act("resume"))

    def cancel(self) -> "Execution[O]":
        """End it for good: no task of it starts any more. Raises IllegalTransition when it has completed or failed."""
        return run(self._seam, self._act("cancel"))

    async def acancel(self) -> "Execution[O]":
        """As `cancel`."""
        return await arun(self._seam, self._act("cancel"))

    def retry(self) -> "Execution[O]":
        """Try the tasks again that failed, in place: those that completed stay, and so do stored steps.

        Raises IllegalTransition unless it has failed.
        """
        return run(self._seam, self._act("retry"))

    async def aretry(self) -> "Execution[O]":
        """As `retry`."""
        return await arun(self._seam, self._act("retry"))

    def rerun(self, **options: Unpack[CreateOptions]) -> "Execution[O]":
        """A new execution of the same work, with the same options but for its id, its key, its times and what is given here."""
        return run(self._seam, self._rerun(options))

    async def arerun(self, **options: Unpack[CreateOptions]) -> "Execution[O]":
        """As `rerun`."""
        return await arun(self._seam, self._rerun(options))

    def delete(self, force: bool = False) -> None:
        """Forget it, with its tasks, steps, events and artifacts.

        Raises IllegalTransition when it has not ended, unless forced: then it is cancelled first.
        """
        run(self._seam, verbs.delete_execution(self._seam, self.job, self.id, force))

    async def adelete(self, force: bool = False) -> None:
        """As `delete`."""
        await arun(self._seam, verbs.delete_execution(self._seam, self.job, self.id, force))

    def send_event(self, name: str, payload: Any = None, *, event_id: str | None = None) -> str:
        """Send it an event: the first wait for this name takes it, also one that comes later. The same `event_id` is taken once.

        Returns what became of it: `taken`, `kept` or `existing`. Raises IllegalTransition when it has ended.
        """
        return run(self._seam, verbs.send_event(self._seam, self.job, self.id, name, payload, event_id))

    async def asend_event(self, name: str, payload: Any = None, *, event_id: str | None = None) -> str:
        """As `send_event`."""
        return await arun(self._seam, verbs.send_event(self._seam, self.job, self.id, name, payload, event_id))

    def wait_done(self, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False) -> "Execution[O]":
        """Wait until it is done, at most `max_wait` seconds; see `Job.wait_for_execution`."""
        return run(self._seam, self._wait(max_wait, interval, raise_on_failure))

    async def await_done(self, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False) -> "Execution[O]":
        """As `wait_done`."""
        return await arun(self._seam, self._wait(max_wait, interval, raise_on_failure))

    def get_result(self, max_wait: float = 360) -> O:
        """What its task returned, or of several tasks the list; waits for it at most `max_wait` seconds.

        Raises ExecutionFailed when it failed or was cancelled, NotFinished for `max_wait=0`, else WaitTimeoutError.
        """
        return run(self._seam, self._result(max_wait))

    async def aget_result(self, max_wait: float = 360) -> O:
        """As `get_result`."""
        return await arun(self._seam, self._result(max_wait))

    def list_tasks(self, limit: int | None = None, cursor: str | None = None) -> "Page[JobExecutionTask]":
        """Its tasks with inputs, results and errors, in pages."""
        return run(self._seam, self._tasks(limit, cursor))

    async def alist_tasks(self, limit: int | None = None, cursor: str | None = None) -> "Page[JobExecutionTask]":
        """As `list_tasks`."""
        return await arun(self._seam, self._tasks(limit, cursor))

    def list_events(self, limit: int | None = None, cursor: str | None = None) -> "Page[JobExecutionEvent]":
        """What happened to it, the oldest first, in pages."""
        return run(self._seam, self._events(limit, cursor))

    async def alist_events(self, limit: int | None = None, cursor: str | None = None) -> "Page[JobExecutionEvent]":
        """As `list_events`."""
        return await arun(self._seam, self._events(limit, cursor))

    def list_steps(self, limit: int | None = None, cursor: str | None = None) -> "Page[ExecutionStep]":
        """The steps that it has stored, without their values, in pages."""
        return run(self._seam, self._steps(limit, cursor))

    async def alist_steps(self, limit: int | None = None, cursor: str | None = None) -> "Page[ExecutionStep]":
        """As `list_steps`."""
        return await arun(self._seam, self._steps(limit, cursor))

    def get_data_url(self) -> str:
        """A URL that answers its inputs without a key, for BL_EXECUTION_DATA_URL of a runner in a container. Keep it secret."""
        return run(self._seam, verbs.get_data_url(self._seam, self.job, self.id))

    async def aget_data_url(self) -> str:
        """As `get_data_url`."""
        return await arun(self._seam, verbs.get_data_url(self._seam, self.job, self.id))

    def logs(self) -> list[LogLine]:
        """What its handlers have logged until now, the oldest first."""
        return run(self._seam, events.get_logs(self._seam, self.job, self.id))

    async def alogs(self) -> list[LogLine]:
        """As `logs`."""
        return await arun(self._seam, events.get_logs(self._seam, self.job, self.id))

    def stream_events(self, after: int = 0) -> "Stream[JobExecutionEvent]":
        """Each event of it with an id above `after`, past and to come, for `for` and `async for`; ends when it is done.

        Its fields stay as they are. Raises NotFound.
        """
        return Stream(self._seam, lambda: events.follow_events(self._seam, self.job, self.id, after))

    def watch(self) -> "Stream[Update]":
        """Each change of it from now on, the first sight of it included, for `for` and `async for`; ends when it is done.

        The fields that an update has (status, done, waiting_for, progress, stats) are brought up to date. Raises NotFound.
        """
        return Stream(self._seam, lambda: watch.follow(self._seam, self.job, [self.id], math.inf, self._see, watch.PATIENCE))

    def _take(self, model: "JobExecution") -> "Execution[O]":
        self._seen = self._model = self._whole = model
        return self

    def _see(self, update: Update) -> Update:
        if update.status != self.status:
            self._whole = None
        self._seen = update
        return update

    def _refresh(self, prefer: str | None = None) -> "Flow[Execution[O]]":
        return self._take((yield from verbs.get_execution(self._seam, self.job, self.id, prefer)))

    def _act(self, verb: str) -> "Flow[Execution[O]]":
        return self._take((yield from verbs.act(self._seam, self.job, self.id, verb)))

    def _rerun(self, options: CreateOptions) -> "Flow[Execution[O]]":
        model = yield from verbs.rerun_execution(self._seam, self.job, self.id, options)
        return Execution(self._seam, model, whole=False, read_output=self._read_output)

    def _wait(self, max_wait: float, interval: float, raise_on_failure: bool) -> "Flow[Execution[O]]":
        yield from waiting.wait_for_execution(self._seam, self.job, self.id, max_wait, interval, self._take)
        return succeeded(self) if raise_on_failure else self

    def _result(self, max_wait: float) -> Flow[O]:
        waiting.check_wait(max_wait, 0)
        if not self.done or self._whole is None:
            yield from self._refresh(flow.LOOK) if max_wait == 0 else self._wait(max_wait, 3, False)
        return (yield from self._outcome())

    def _outcome(self) -> Flow[O]:
        whole = self._read("result")
        if not whole.done:
            raise NotFinished(f"execution {self.id} is {self.status}: it has no result yet")
        succeeded(self)
        if not isinstance(whole.result, Unset):
            return self._typed(whole.result)
        results: Any = whole.results
        if isinstance(results, Unset):
            self._check_platform()
            tasks = yield from verbs.all_tasks(self._seam, self.job, self.id)
            if len(tasks) == 1:
                return self._typed(tasks[0].result)
            results = [task.result for task in tasks]
        return results  # type: ignore[no-any-return]

    def _tasks(self, limit: int | None, cursor: str | None) -> "Flow[Page[JobExecutionTask]]":
        answer = yield from verbs.list_tasks(self._seam, self.job, self.id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._tasks(limit, following))

    def _events(self, limit: int | None, cursor: str | None) -> "Flow[Page[JobExecutionEvent]]":
        answer = yield from verbs.list_events(self._seam, self.job, self.id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._events(limit, following))

    def _steps(self, limit: int | None, cursor: str | None) -> "Flow[Page[ExecutionStep]]":
        answer = yield from verbs.list_steps(self._seam, self.job, self.id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._steps(limit, following))


def succeeded(execution: Execution[O]) -> Execution[O]:
    """The execution itself. Raises ExecutionFailed when it failed or was cancelled."""
    error = execution.error
    if error is None and execution.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        return execution
    because = f": {error.type}: {error.message} ({error.kind})" if error is not None else ""
    raise ExecutionFailed(f"execution {execution.id} {execution.status}{because}", execution=execution)
