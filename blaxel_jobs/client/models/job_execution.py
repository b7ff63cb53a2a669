from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...lazy import LazyList
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.failure import Failure
    from ..models.job_execution_metadata import JobExecutionMetadata
    from ..models.job_execution_spec import JobExecutionSpec
    from ..models.job_execution_stats import JobExecutionStats
    from ..models.job_execution_task import JobExecutionTask
    from ..models.progress import Progress
    from ..models.recovery import Recovery


T = TypeVar("T", bound="JobExecution")


@_attrs_define
class JobExecution:
    """
    Attributes:
        metadata (JobExecutionMetadata):
        spec (JobExecutionSpec):
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        done (bool): True once the execution has ended. Clients wait on this.
        waiting_for (str | Unset): Why it waits: start, time, event, dependencies, concurrency, retry or worker. Left
            out when it does not. A pending execution
            of several tasks waits for a slot if one of them does, or else for a worker if one of them does, or else for
            what comes first.
        wait_until (datetime.datetime | Unset): When that wait ends by itself.
        stats (JobExecutionStats | Unset):
        progress (Progress | Unset): How far something is.
        tasks (list[JobExecutionTask] | Unset): The first 100, or as many as have 8 MB of inputs and results. Not in
            lists.
        result (Any | Unset): The value of the task of an `input` execution that completed. Not in lists.
        results (list[Any] | Unset): The values of a `tasks` execution that has ended, in the order of its tasks; null
            for a task that did not complete.
            Not in lists, and left out above 1,000 tasks or 8 MB of inputs and results: read the tasks route.
        error (Failure | Unset): Why an execution or a task failed.
        recoveries (list[Recovery] | Unset): Every time that a task was taken back from a worker that was lost.
    """

    metadata: JobExecutionMetadata
    spec: JobExecutionSpec
    status: str
    done: bool
    waiting_for: str | Unset = UNSET
    wait_until: datetime.datetime | Unset = UNSET
    stats: JobExecutionStats | Unset = UNSET
    progress: Progress | Unset = UNSET
    tasks: list[JobExecutionTask] | Unset = UNSET
    result: Any | Unset = UNSET
    results: list[Any] | Unset = UNSET
    error: Failure | Unset = UNSET
    recoveries: list[Recovery] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        metadata = self.metadata.to_dict()

        spec = self.spec.to_dict()

        status = self.status

        done = self.done

        waiting_for = self.waiting_for

        wait_until: str | Unset = UNSET
        if not isinstance(self.wait_until, Unset):
            wait_until = self.wait_until.isoformat()

        stats: dict[str, Any] | Unset = UNSET
        if not isinstance(self.stats, Unset):
            stats = self.stats.to_dict()

        progress: dict[str, Any] | Unset = UNSET
        if not isinstance(self.progress, Unset):
            progress = self.progress.to_dict()

        tasks: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.tasks, Unset):
            tasks = []
            for tasks_item_data in self.tasks:
                tasks_item = tasks_item_data.to_dict()
                tasks.append(tasks_item)

        result = self.result

        results: list[Any] | Unset = UNSET
        if not isinstance(self.results, Unset):
            results = self.results

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        recoveries: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.recoveries, Unset):
            recoveries = []
            for recoveries_item_data in self.recoveries:
                recoveries_item = recoveries_item_data.to_dict()
                recoveries.append(recoveries_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "metadata": metadata,
                "spec": spec,
                "status": status,
                "done": done,
            }
        )
        if waiting_for is not UNSET:
            field_dict["waitingFor"] = waiting_for
        if wait_until is not UNSET:
            field_dict["waitUntil"] = wait_until
        if stats is not UNSET:
            field_dict["stats"] = stats
        if progress is not UNSET:
            field_dict["progress"] = progress
        if tasks is not UNSET:
            field_dict["tasks"] = tasks
        if result is not UNSET:
            field_dict["result"] = result
        if results is not UNSET:
            field_dict["results"] = results
        if error is not UNSET:
            field_dict["error"] = error
        if recoveries is not UNSET:
            field_dict["recoveries"] = recoveries

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.failure import Failure
        from ..models.job_execution_metadata import JobExecutionMetadata
        from ..models.job_execution_spec import JobExecutionSpec
        from ..models.job_execution_stats import JobExecutionStats
        from ..models.job_execution_task import JobExecutionTask
        from ..models.progress import Progress
        from ..models.recovery import Recovery

        d = dict(src_dict)
        metadata = JobExecutionMetadata.from_dict(d.pop("metadata"))

        spec = JobExecutionSpec.from_dict(d.pop("spec"))

        status = d.pop("status")

        done = d.pop("done")

        waiting_for = d.pop("waitingFor", UNSET)

        _wait_until = d.pop("waitUntil", UNSET)
        wait_until: datetime.datetime | Unset
        if isinstance(_wait_until, Unset):
            wait_until = UNSET
        else:
            wait_until = datetime.datetime.fromisoformat(_wait_until)

        _stats = d.pop("stats", UNSET)
        stats: JobExecutionStats | Unset
        if isinstance(_stats, Unset):
            stats = UNSET
        else:
            stats = JobExecutionStats.from_dict(_stats)

        _progress = d.pop("progress", UNSET)
        progress: Progress | Unset
        if isinstance(_progress, Unset):
            progress = UNSET
        else:
            progress = Progress.from_dict(_progress)

        _tasks = d.pop("tasks", UNSET)
        tasks: list[JobExecutionTask] | Unset = UNSET
        if _tasks is not UNSET:
            tasks = LazyList(JobExecutionTask.from_dict, _tasks)

        result = d.pop("result", UNSET)

        results = cast(list[Any], d.pop("results", UNSET))

        _error = d.pop("error", UNSET)
        error: Failure | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Failure.from_dict(_error)

        _recoveries = d.pop("recoveries", UNSET)
        recoveries: list[Recovery] | Unset = UNSET
        if _recoveries is not UNSET:
            recoveries = LazyList(Recovery.from_dict, _recoveries)

        job_execution = cls(
            metadata=metadata,
            spec=spec,
            status=status,
            done=done,
            waiting_for=waiting_for,
            wait_until=wait_until,
            stats=stats,
            progress=progress,
            tasks=tasks,
            result=result,
            results=results,
            error=error,
            recoveries=recoveries,
        )

        job_execution.additional_properties = d
        return job_execution

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
