"""`Execution`: one run of a job as it was last read, with the verbs that act on it."""

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from . import flow, waiting, watch
from .client.types import Unset
from .errors import ExecutionFailed, NotFinished, NotLoaded
from .flow import Flow, Seam, arun, run
from .paging import Page
from .streams import Stream
from .watch import Update
from .words import JobStatus

if TYPE_CHECKING:
    from .client.models import (
        CreateJobExecutionOutput,
        Failure,
        JobExecution,
        JobExecutionEvent,
        JobExecutionMetadata,
        JobExecutionSpec,
        JobExecutionTask,
        Recovery,
    )


class Execution:
    """One run of a job. Its fields are those of the last answer; its verbs act, and bring the fields up to date.

    What a create or a list gave carries no tasks, input or results, and what a stream gave has status, done, waiting_for and stats
    only: reading more raises NotLoaded until `refresh()`.
    """

    __slots__ = ("__weakref__", "_model", "_seam", "_seen", "_whole")

    def __init__(self, seam: Seam, model: "JobExecution | CreateJobExecutionOutput | Update", *, whole: bool) -> None:
        """`whole` says that the model came from a get or a cancel, and has all that there is."""
        self._seam = seam
        self._seen = model
        self._model = None if isinstance(model, Update) else model
        self._whole = cast("JobExecution", model) if whole else None

    @property
    def id(self) -> str:
        return self._seen.id if isinstance(self._seen, Update) else self._seen.metadata.id

    @property
    def job(self) -> str:
        """The job's name."""
        return self._seen.job or "" if isinstance(self._seen, Update) else self._seen.metadata.job

    @property
    def workspace(self) -> str:
        """The workspace that it belongs to. Raises NotLoaded."""
        return self.metadata.workspace

    @property
    def name(self) -> str | None:
        """Free text. Raises NotLoaded."""
        return self.metadata.name or None

    @property
    def description(self) -> str | None:
        """Free text. Raises NotLoaded."""
        return self.metadata.description or None

    @property
    def status(self) -> str:
        """One of JobStatus; text, so that a word which this release does not know is no error."""
        return self._seen.status

    @property
    def done(self) -> bool:
        """True once it has ended, however it ended."""
        return self._seen.done

    @property
    def waiting_for(self) -> str | None:
        """Why it does not run: start, time, event, dependencies, concurrency, retry or worker."""
        return self._seen.waiting_for or None

    @property
    def priority(self) -> str:
        """One of JobPriority. Raises NotLoaded."""
        return self.spec.priority

    @property
    def tags(self) -> list[str]:
        """Labels. Raises NotLoaded."""
        return self.metadata.tags or []

    @property
    def metadata(self) -> "JobExecutionMetadata":
        """Names and times; `metadata.custom` are the user's own fields. Raises NotLoaded."""
        return self._loaded("metadata").metadata

    @property
    def spec(self) -> "JobExecutionSpec":
        """What it was created with. Raises NotLoaded."""
        return self._loaded("spec").spec

    @property
    def stats(self) -> dict[str, int]:
        """How many of its tasks are in which state: total, success, failure, running, retried, cancelled."""
        seen = self._seen
        if isinstance(seen, Update):
            return dict(seen.stats)
        return {} if isinstance(seen.stats, Unset) else seen.stats.to_dict()

    @property
    def error(self) -> "Failure | None":
        """Why it failed: kind, type, message, trace. Raises NotLoaded."""
        return self._current("error").error or None

    @property
    def recoveries(self) -> "list[Recovery]":
        """Every time that a task was taken back from a lost worker. Raises NotLoaded."""
        return self._current("recoveries").recoveries or []

    @property
    def created_at(self) -> datetime:
        """When it was created. Raises NotLoaded."""
        return self.metadata.created_at

    @property
    def started_at(self) -> datetime | None:
        """When its first task began. Raises NotLoaded."""
        return self._current("started_at").metadata.started_at or None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, however it ended. Raises NotLoaded."""
        return self._current("ended_at").metadata.completed_at or None

    @property
    def tasks(self) -> "list[JobExecutionTask]":
        """The first 100; `list_tasks()` has them all. Raises NotLoaded."""
        return self._read("tasks").tasks or []

    @property
    def input(self) -> Any:
        """What its task was given; of several tasks the list. Raises NotLoaded, also when not all tasks were read."""
        tasks = self.tasks
        if len(tasks) < self.spec.task_count or any(isinstance(task.input, Unset) for task in tasks):
            raise NotLoaded(f"the input of execution {self.id} was not read whole: read its tasks with list_tasks()")
        return tasks[0].input if len(tasks) == 1 else [task.input for task in tasks]

    @property
    def result(self) -> Any:
        """What its task returned, for an execution made from an input; None until it completes. Raises NotLoaded."""
        whole = self._read("result")
        if not isinstance(whole.result, Unset):
            return whole.result
        if self.spec.task_count == 1:
            self._check_nothing_left_out(whole)
        return None

    @property
    def results(self) -> Any:
        """What its tasks returned, in their order, for an execution made from tasks; None until it ends. Raises NotLoaded."""
        whole = self._read("results")
        if not isinstance(whole.results, Unset):
            return whole.results
        self._check_nothing_left_out(whole)
        return None

    def to_dict(self) -> dict[str, Any]:
        """The last answer as JSON-able data with the contract's names, and `id`. Raises NotLoaded."""
        return {"id": self.id, **self._current("all").to_dict()}

    def refresh(self) -> "Execution":
        """Read it again. Raises NotFound, ConnectionFailed."""
        return run(self._seam, self._refresh())

    async def arefresh(self) -> "Execution":
        """As `refresh`."""
        return await arun(self._seam, self._refresh())

    def cancel(self) -> "Execution":
        """End it for good: no task of it starts any more. Raises IllegalTransition when it has completed or failed."""
        return run(self._seam, self._cancel())

    async def acancel(self) -> "Execution":
        """As `cancel`."""
        return await arun(self._seam, self._cancel())

    def wait_done(self, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False) -> "Execution":
        """Wait until it is done, at most `max_wait` seconds; see `Job.wait_for_execution`."""
        return run(self._seam, self._wait(max_wait, interval, raise_on_failure))

    async def await_done(self, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False) -> "Execution":
        """As `wait_done`."""
        return await arun(self._seam, self._wait(max_wait, interval, raise_on_failure))

    def get_result(self, max_wait: float = 360) -> Any:
        """What its task returned, or of several tasks the list; waits for it at most `max_wait` seconds.

        Raises ExecutionFailed when it failed or was cancelled, NotFinished for `max_wait=0`, else WaitTimeoutError.
        """
        return run(self._seam, self._result(max_wait))

    async def aget_result(self, max_wait: float = 360) -> Any:
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

    def watch(self) -> "Stream[Update]":
        """Each change of it from now on, the first sight of it included, for `for` and `async for`; ends when it is done.

        The fields that an update has (status, done, waiting_for, stats) are brought up to date. Raises NotFound.
        """
        return Stream(self._seam, lambda: watch.follow(self._seam, self.job, [self.id], math.inf, self._see, watch.PATIENCE))

    def __repr__(self) -> str:
        error = self._seen.error if not isinstance(self._seen, Update) else None
        more = f" waiting_for={self.waiting_for}" if self.waiting_for else f" error={error.message!r}" if error else ""
        return f"<Execution {self.id} of {self.job}: {self.status}{more}>"

    def _take(self, model: "JobExecution") -> "Execution":
        self._seen = self._model = self._whole = model
        return self

    def _see(self, update: Update) -> Update:
        if update.status != self.status:
            self._whole = None
        self._seen = update
        return update

    def _refresh(self, prefer: str | None = None) -> "Flow[Execution]":
        return self._take((yield from flow.get_execution(self._seam, self.job, self.id, prefer)))

    def _cancel(self) -> "Flow[Execution]":
        return self._take((yield from flow.cancel_execution(self._seam, self.job, self.id)))

    def _wait(self, max_wait: float, interval: float, raise_on_failure: bool) -> "Flow[Execution]":
        yield from waiting.wait_for_execution(self._seam, self.job, self.id, max_wait, interval, self._take)
        return succeeded(self) if raise_on_failure else self

    def _result(self, max_wait: float) -> Flow[Any]:
        waiting.check_wait(max_wait, 0)
        if not self.done or self._whole is None:
            yield from self._refresh(flow.LOOK) if max_wait == 0 else self._wait(max_wait, 3, False)
        whole = self._read("result")
        if not whole.done:
            raise NotFinished(f"execution {self.id} is {self.status}: it has no result yet")
        succeeded(self)
        for value in (whole.result, whole.results):
            if not isinstance(value, Unset):
                return value
        self._check_platform()
        tasks = yield from flow.all_tasks(self._seam, self.job, self.id)
        return tasks[0].result if len(tasks) == 1 else [task.result for task in tasks]

    def _tasks(self, limit: int | None, cursor: str | None) -> "Flow[Page[JobExecutionTask]]":
        answer = yield from flow.list_tasks(self._seam, self.job, self.id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._tasks(limit, following))

    def _events(self, limit: int | None, cursor: str | None) -> "Flow[Page[JobExecutionEvent]]":
        answer = yield from flow.list_events(self._seam, self.job, self.id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._events(limit, following))

    def _loaded(self, field: str) -> "JobExecution | CreateJobExecutionOutput":
        if self._model is None:
            raise NotLoaded(f"{field} of execution {self.id} was not read: call refresh() first")
        return self._model

    def _current(self, field: str) -> "JobExecution | CreateJobExecutionOutput":
        """For what changes with the status: not from before an update that brought another one."""
        model = self._loaded(field)
        if model.status != self._seen.status:
            raise NotLoaded(f"{field} of execution {self.id} was not read since it is {self.status}: call refresh() first")
        return model

    def _read(self, field: str) -> "JobExecution":
        if self._whole is None:
            raise NotLoaded(f"{field} of execution {self.id} was not read: call refresh() first")
        return self._whole

    def _check_nothing_left_out(self, whole: "JobExecution") -> None:
        """An execution that ended has results, unless it had one task and failed: else they did not fit into the answer."""
        had_none = not whole.done or (self.spec.task_count == 1 and self.status != JobStatus.COMPLETED)
        if not had_none and isinstance(whole.result, Unset) and isinstance(whole.results, Unset):
            self._check_platform()
            raise NotLoaded(f"the results of execution {self.id} do not fit into one answer: use get_result() or list_tasks()")

    def _check_platform(self) -> None:
        if self._seam.peer.is_platform:
            raise NotLoaded(f"the Blaxel platform keeps no results: the tasks of execution {self.id} have stored theirs elsewhere")


def succeeded(execution: Execution) -> Execution:
    """The execution itself. Raises ExecutionFailed when it failed or was cancelled."""
    error = execution.error
    if error is None and execution.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        return execution
    because = f": {error.type}: {error.message} ({error.kind})" if error is not None else ""
    raise ExecutionFailed(f"execution {execution.id} {execution.status}{because}", execution=execution)
