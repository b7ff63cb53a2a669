from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.failure import Failure


T = TypeVar("T", bound="JobExecutionEvent")


@_attrs_define
class JobExecutionEvent:
    """
    Attributes:
        id (int): Counts from 1 in each execution, without gaps.
        at (datetime.datetime):
        type (str):
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        task (str | Unset): The task's id, for events of a task.
        worker (str | Unset):
        error (Failure | Unset): Why an execution or a task failed.
        data (Any | Unset): More about it, by its type: of `log` {level, message, fields}, of `progress` {current,
            total, message}, of `event.sent`
            {name}.
    """

    id: int
    at: datetime.datetime
    type: str
    status: str
    task: str | Unset = UNSET
    worker: str | Unset = UNSET
    error: Failure | Unset = UNSET
    data: Any | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        at = self.at.isoformat()

        type = self.type

        status = self.status

        task = self.task

        worker = self.worker

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        data = self.data

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "at": at,
                "type": type,
                "status": status,
            }
        )
        if task is not UNSET:
            field_dict["task"] = task
        if worker is not UNSET:
            field_dict["worker"] = worker
        if error is not UNSET:
            field_dict["error"] = error
        if data is not UNSET:
            field_dict["data"] = data

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.failure import Failure

        d = dict(src_dict)
        id = d.pop("id")

        at = datetime.datetime.fromisoformat(d.pop("at"))

        type = d.pop("type")

        status = d.pop("status")

        task = d.pop("task", UNSET)

        worker = d.pop("worker", UNSET)

        _error = d.pop("error", UNSET)
        error: Failure | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Failure.from_dict(_error)

        data = d.pop("data", UNSET)

        job_execution_event = cls(
            id=id,
            at=at,
            type=type,
            status=status,
            task=task,
            worker=worker,
            error=error,
            data=data,
        )

        job_execution_event.additional_properties = d
        return job_execution_event

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
