from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

T = TypeVar("T", bound="JobExecutionStats")


@_attrs_define
class JobExecutionStats:
    """
    Attributes:
        total (int):
        success (int):
        failure (int):
        running (int):
        retried (int): How many times a task was put back after an error; losses are in `recoveries`.
        cancelled (int):
    """

    total: int
    success: int
    failure: int
    running: int
    retried: int
    cancelled: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        total = self.total

        success = self.success

        failure = self.failure

        running = self.running

        retried = self.retried

        cancelled = self.cancelled

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "total": total,
                "success": success,
                "failure": failure,
                "running": running,
                "retried": retried,
                "cancelled": cancelled,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        total = d.pop("total")

        success = d.pop("success")

        failure = d.pop("failure")

        running = d.pop("running")

        retried = d.pop("retried")

        cancelled = d.pop("cancelled")

        job_execution_stats = cls(
            total=total,
            success=success,
            failure=failure,
            running=running,
            retried=retried,
            cancelled=cancelled,
        )

        job_execution_stats.additional_properties = d
        return job_execution_stats

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
