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
    from ..models.job_execution_metadata import JobExecutionMetadata
    from ..models.job_execution_spec import JobExecutionSpec
    from ..models.job_execution_stats import JobExecutionStats
    from ..models.progress import Progress
    from ..models.recovery import Recovery


T = TypeVar("T", bound="CreateJobExecutionOutput")


@_attrs_define
class CreateJobExecutionOutput:
    """The execution, and what the create did.

    Attributes:
        execution_id (str):
        disposition (str): `created`, `existing` for a key or id that was seen before, or `coalesced` for a pending one
            of the same concurrency
            key.
        metadata (JobExecutionMetadata):
        spec (JobExecutionSpec):
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        done (bool):
        waiting_for (str | Unset): Why it waits: start, time, event, dependencies, concurrency, retry or worker. Left
            out when it does not. A pending execution
            of several tasks waits for a slot if one of them does, or else for a worker if one of them does, or else for
            what comes first.
        wait_until (datetime.datetime | Unset): When that wait ends by itself.
        stats (JobExecutionStats | Unset):
        progress (Progress | Unset): How far something is.
        error (Failure | Unset): Why an execution or a task failed.
        recoveries (list[Recovery] | Unset):
    """

    execution_id: str
    disposition: str
    metadata: JobExecutionMetadata
    spec: JobExecutionSpec
    status: str
    done: bool
    waiting_for: str | Unset = UNSET
    wait_until: datetime.datetime | Unset = UNSET
    stats: JobExecutionStats | Unset = UNSET
    progress: Progress | Unset = UNSET
    error: Failure | Unset = UNSET
    recoveries: list[Recovery] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        execution_id = self.execution_id

        disposition = self.disposition

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
                "executionId": execution_id,
                "disposition": disposition,
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
        from ..models.progress import Progress
        from ..models.recovery import Recovery

        d = dict(src_dict)
        execution_id = d.pop("executionId")

        disposition = d.pop("disposition")

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

        create_job_execution_output = cls(
            execution_id=execution_id,
            disposition=disposition,
            metadata=metadata,
            spec=spec,
            status=status,
            done=done,
            waiting_for=waiting_for,
            wait_until=wait_until,
            stats=stats,
            progress=progress,
            error=error,
            recoveries=recoveries,
        )

        create_job_execution_output.additional_properties = d
        return create_job_execution_output

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
