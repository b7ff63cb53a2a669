"""What is known of an execution: its fields, as they were last read."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, cast

from .client.types import Unset
from .define import O
from .errors import NotLoaded
from .flow import Seam
from .watch import Update
from .words import JobStatus

if TYPE_CHECKING:
    from .client.models import (
        CreateJobExecutionOutput,
        Failure,
        JobExecution,
        JobExecutionMetadata,
        JobExecutionSpec,
        JobExecutionTask,
        Progress,
        Recovery,
    )


class Snapshot(Generic[O]):
    """One run of a job, as the last answer showed it.

    What a create or a list gave carries no tasks, input or results, and what a stream gave has status, done, waiting_for, progress
    and stats only: reading more raises NotLoaded until `refresh()`.
    """

    __slots__ = ("__weakref__", "_model", "_read_output", "_seam", "_seen", "_whole")

    def __init__(
        self,
        seam: Seam,
        model: "JobExecution | CreateJobExecutionOutput | Update",
        *,
        whole: bool,
        read_output: Callable[[Any], O] | None = None,
    ) -> None:
        """`whole` says that the model came from a get or a verb, and has all that there is. `read_output` makes a result what the
        job's definition says that it is."""
        self._seam = seam
        self._seen = model
        self._model = None if isinstance(model, Update) else model
        self._whole = cast("JobExecution", model) if whole else None
        self._read_output = read_output

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
    def wait_until(self) -> datetime | None:
        """When that wait ends by itself."""
        return self._seen.wait_until or None

    @property
    def progress(self) -> "Progress | None":
        """How far it is: current, total, message. Of several tasks, how many have ended."""
        return self._seen.progress or None

    @property
    def batch_id(self) -> str | None:
        """The batch that it was created in. Raises NotLoaded."""
        return self.metadata.batch_id or None

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
    def attempts(self) -> int:
        """How many times its tasks were tried, all together. Raises NotLoaded, also when not all tasks were read."""
        tasks = self.tasks
        if len(tasks) < self.spec.task_count:
            raise NotLoaded(f"not all tasks of execution {self.id} were read: count them with list_tasks()")
        return sum(task.attempts for task in tasks)

    @property
    def tasks(self) -> "list[JobExecutionTask]":
        """The first 100, each with its earlier tries in `history`; `list_tasks()` has them all. Raises NotLoaded."""
        return self._read("tasks").tasks or []

    @property
    def input(self) -> Any:
        """What its task was given; of several tasks the list. Raises NotLoaded, also when not all tasks were read."""
        tasks = self.tasks
        if len(tasks) < self.spec.task_count or any(isinstance(task.input, Unset) for task in tasks):
            raise NotLoaded(f"the input of execution {self.id} was not read whole: read its tasks with list_tasks()")
        return tasks[0].input if len(tasks) == 1 else [task.input for task in tasks]

    @property
    def result(self) -> O | Any:
        """What its task returned, for an execution made from an input; None until it completes. Raises NotLoaded."""
        whole = self._read("result")
        if not isinstance(whole.result, Unset):
            return self._typed(whole.result)
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

    def __repr__(self) -> str:
        error = self._seen.error if not isinstance(self._seen, Update) else None
        more = f" waiting_for={self.waiting_for}" if self.waiting_for else f" error={error.message!r}" if error else ""
        return f"<Execution {self.id} of {self.job}: {self.status}{more}>"

    def _typed(self, value: Any) -> O:
        return value if self._read_output is None else self._read_output(value)

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
