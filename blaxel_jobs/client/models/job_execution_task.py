from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ...lazy import LazyList
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.failure import Failure
    from ..models.job_execution_task_metadata import JobExecutionTaskMetadata
    from ..models.progress import Progress
    from ..models.task_attempt import TaskAttempt


T = TypeVar("T", bound="JobExecutionTask")


@_attrs_define
class JobExecutionTask:
    """
    Attributes:
        metadata (JobExecutionTaskMetadata):
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        attempts (int): How many times it was tried, the try that runs now included.
        waiting_for (str | Unset): Why it waits: start, time, event, dependencies, concurrency, retry or worker. Left
            out when it does not. A pending execution
            of several tasks waits for a slot if one of them does, or else for a worker if one of them does, or else for
            what comes first.
        wait_until (datetime.datetime | Unset): When that wait ends by itself.
        awaiting (str | Unset): The name of the event that it waits for.
        losses (int | Unset): How many times it was taken back from a worker that was lost.
        history (list[TaskAttempt] | Unset): The tries before the last one, the oldest first; of more than a hundred the
            newest.
        progress (Progress | Unset): How far something is.
        worker (str | Unset): Who runs it now.
        input (Any | Unset): What the handler is given.
        result (Any | Unset): What the handler returned. Only on a completed task.
        error (Failure | Unset): Why an execution or a task failed.
    """

    metadata: JobExecutionTaskMetadata
    status: str
    attempts: int
    waiting_for: str | Unset = UNSET
    wait_until: datetime.datetime | Unset = UNSET
    awaiting: str | Unset = UNSET
    losses: int | Unset = UNSET
    history: list[TaskAttempt] | Unset = UNSET
    progress: Progress | Unset = UNSET
    worker: str | Unset = UNSET
    input: Any | Unset = UNSET
    result: Any | Unset = UNSET
    error: Failure | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        metadata = self.metadata.to_dict()

        status = self.status

        attempts = self.attempts

        waiting_for = self.waiting_for

        wait_until: str | Unset = UNSET
        if not isinstance(self.wait_until, Unset):
            wait_until = self.wait_until.isoformat()

        awaiting = self.awaiting

        losses = self.losses

        history: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.history, Unset):
            history = []
            for history_item_data in self.history:
                history_item = history_item_data.to_dict()
                history.append(history_item)

        progress: dict[str, Any] | Unset = UNSET
        if not isinstance(self.progress, Unset):
            progress = self.progress.to_dict()

        worker = self.worker

        input = self.input

        result = self.result

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "metadata": metadata,
                "status": status,
                "attempts": attempts,
            }
        )
        if waiting_for is not UNSET:
            field_dict["waitingFor"] = waiting_for
        if wait_until is not UNSET:
            field_dict["waitUntil"] = wait_until
        if awaiting is not UNSET:
            field_dict["awaiting"] = awaiting
        if losses is not UNSET:
            field_dict["losses"] = losses
        if history is not UNSET:
            field_dict["history"] = history
        if progress is not UNSET:
            field_dict["progress"] = progress
        if worker is not UNSET:
            field_dict["worker"] = worker
        if input is not UNSET:
            field_dict["input"] = input
        if result is not UNSET:
            field_dict["result"] = result
        if error is not UNSET:
            field_dict["error"] = error

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.failure import Failure
        from ..models.job_execution_task_metadata import JobExecutionTaskMetadata
        from ..models.progress import Progress
        from ..models.task_attempt import TaskAttempt

        d = dict(src_dict)
        metadata = JobExecutionTaskMetadata.from_dict(d.pop("metadata"))

        status = d.pop("status")

        attempts = d.pop("attempts")

        waiting_for = d.pop("waitingFor", UNSET)

        _wait_until = d.pop("waitUntil", UNSET)
        wait_until: datetime.datetime | Unset
        if isinstance(_wait_until, Unset):
            wait_until = UNSET
        else:
            wait_until = datetime.datetime.fromisoformat(_wait_until)

        awaiting = d.pop("awaiting", UNSET)

        losses = d.pop("losses", UNSET)

        _history = d.pop("history", UNSET)
        history: list[TaskAttempt] | Unset = UNSET
        if _history is not UNSET:
            history = LazyList(TaskAttempt.from_dict, _history)

        _progress = d.pop("progress", UNSET)
        progress: Progress | Unset
        if isinstance(_progress, Unset):
            progress = UNSET
        else:
            progress = Progress.from_dict(_progress)

        worker = d.pop("worker", UNSET)

        input = d.pop("input", UNSET)

        result = d.pop("result", UNSET)

        _error = d.pop("error", UNSET)
        error: Failure | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Failure.from_dict(_error)

        job_execution_task = cls(
            metadata=metadata,
            status=status,
            attempts=attempts,
            waiting_for=waiting_for,
            wait_until=wait_until,
            awaiting=awaiting,
            losses=losses,
            history=history,
            progress=progress,
            worker=worker,
            input=input,
            result=result,
            error=error,
        )

        job_execution_task.additional_properties = d
        return job_execution_task

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
