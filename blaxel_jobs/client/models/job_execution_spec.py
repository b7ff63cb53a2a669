from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="JobExecutionSpec")


@_attrs_define
class JobExecutionSpec:
    """
    Attributes:
        task_count (int):
        priority (str): Which execution is taken first.
        idempotency_key (str | Unset):
        memory_override (int | Unset): MB.
        env_override (Any | Unset): The names that were given; every value reads `***`.
    """

    task_count: int
    priority: str
    idempotency_key: str | Unset = UNSET
    memory_override: int | Unset = UNSET
    env_override: Any | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        task_count = self.task_count

        priority = self.priority

        idempotency_key = self.idempotency_key

        memory_override = self.memory_override

        env_override = self.env_override

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "taskCount": task_count,
                "priority": priority,
            }
        )
        if idempotency_key is not UNSET:
            field_dict["idempotencyKey"] = idempotency_key
        if memory_override is not UNSET:
            field_dict["memoryOverride"] = memory_override
        if env_override is not UNSET:
            field_dict["envOverride"] = env_override

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task_count = d.pop("taskCount")

        priority = d.pop("priority")

        idempotency_key = d.pop("idempotencyKey", UNSET)

        memory_override = d.pop("memoryOverride", UNSET)

        env_override = d.pop("envOverride", UNSET)

        job_execution_spec = cls(
            task_count=task_count,
            priority=priority,
            idempotency_key=idempotency_key,
            memory_override=memory_override,
            env_override=env_override,
        )

        job_execution_spec.additional_properties = d
        return job_execution_spec

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
