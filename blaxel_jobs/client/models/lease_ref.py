from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="LeaseRef")


@_attrs_define
class LeaseRef:
    """
    Attributes:
        task (int):
        token (int):
    """

    task: int
    token: int

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        lease_ref = cls(
            task=task,
            token=token,
        )

        return lease_ref
