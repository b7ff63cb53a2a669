from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.job_execution_stats import JobExecutionStats
    from ..models.progress import Progress


T = TypeVar("T", bound="ExecutionUpdate")


@_attrs_define
class ExecutionUpdate:
    """
    Attributes:
        id (str):
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        done (bool):
        job (str | Unset):
        waiting_for (str | Unset): Why it waits: start, time, event, dependencies, concurrency, retry or worker. Left
            out when it does not. A pending execution
            of several tasks waits for a slot if one of them does, or else for a worker if one of them does, or else for
            what comes first.
        wait_until (datetime.datetime | Unset): When that wait ends by itself.
        stats (JobExecutionStats | Unset):
        progress (Progress | Unset): How far something is.
    """

    id: str
    status: str
    done: bool
    job: str | Unset = UNSET
    waiting_for: str | Unset = UNSET
    wait_until: datetime.datetime | Unset = UNSET
    stats: JobExecutionStats | Unset = UNSET
    progress: Progress | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        status = self.status

        done = self.done

        job = self.job

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

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "status": status,
                "done": done,
            }
        )
        if job is not UNSET:
            field_dict["job"] = job
        if waiting_for is not UNSET:
            field_dict["waitingFor"] = waiting_for
        if wait_until is not UNSET:
            field_dict["waitUntil"] = wait_until
        if stats is not UNSET:
            field_dict["stats"] = stats
        if progress is not UNSET:
            field_dict["progress"] = progress

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.job_execution_stats import JobExecutionStats
        from ..models.progress import Progress

        d = dict(src_dict)
        id = d.pop("id")

        status = d.pop("status")

        done = d.pop("done")

        job = d.pop("job", UNSET)

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

        execution_update = cls(
            id=id,
            status=status,
            done=done,
            job=job,
            waiting_for=waiting_for,
            wait_until=wait_until,
            stats=stats,
            progress=progress,
        )

        execution_update.additional_properties = d
        return execution_update

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
