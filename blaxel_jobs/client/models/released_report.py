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

T = TypeVar("T", bound="ReleasedReport")


@_attrs_define
class ReleasedReport:
    """The task is given back unfinished. Ends the lease, and uses up nothing.

    Attributes:
        task (int):
        token (int):
        type (Literal['released']):
    """

    task: int
    token: int
    type: Literal["released"]

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["released"], d.pop("type"))
        if type != "released":
            raise ValueError(f"type must match const 'released', got '{type}'")

        released_report = cls(
            task=task,
            token=token,
            type=type,
        )

        return released_report
