from __future__ import annotations

from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    Self,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

T = TypeVar("T", bound="CompletedReport")


@_attrs_define
class CompletedReport:
    """The handler returned. Ends the lease.

    Attributes:
        task (int):
        token (int):
        type (Literal['completed']):
        result (Any): What it returned.
    """

    task: int
    token: int
    type: Literal["completed"]
    result: Any

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        result = self.result

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "result": result,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["completed"], d.pop("type"))
        if type != "completed":
            raise ValueError(f"type must match const 'completed', got '{type}'")

        result = d.pop("result")

        completed_report = cls(
            task=task,
            token=token,
            type=type,
            result=result,
        )

        return completed_report
