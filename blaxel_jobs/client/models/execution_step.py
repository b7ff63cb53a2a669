from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="ExecutionStep")


@_attrs_define
class ExecutionStep:
    """
    Attributes:
        task (str): The task's id.
        name (str): Unique within the task.
        kind (str): value, sleep, wait (for an event that has not come), event or timeout (of such a wait).
        at (datetime.datetime): When it was stored.
    """

    task: str
    name: str
    kind: str
    at: datetime.datetime
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        name = self.name

        kind = self.kind

        at = self.at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "task": task,
                "name": name,
                "kind": kind,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        name = d.pop("name")

        kind = d.pop("kind")

        at = datetime.datetime.fromisoformat(d.pop("at"))

        execution_step = cls(
            task=task,
            name=name,
            kind=kind,
            at=at,
        )

        execution_step.additional_properties = d
        return execution_step

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
