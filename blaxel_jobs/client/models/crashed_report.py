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

T = TypeVar("T", bound="CrashedReport")


@_attrs_define
class CrashedReport:
    """The process that ran the handler died without an outcome. Ends the lease, as a loss of the worker would.

    Attributes:
        task (int):
        token (int):
        type (Literal['crashed']):
        reason (str):
    """

    task: int
    token: int
    type: Literal["crashed"]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        reason = self.reason

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "reason": reason,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["crashed"], d.pop("type"))
        if type != "crashed":
            raise ValueError(f"type must match const 'crashed', got '{type}'")

        reason = d.pop("reason")

        crashed_report = cls(
            task=task,
            token=token,
            type=type,
            reason=reason,
        )

        return crashed_report
