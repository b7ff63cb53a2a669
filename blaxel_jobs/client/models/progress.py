from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Progress")


@_attrs_define
class Progress:
    """How far something is.

    Attributes:
        current (float):
        total (float | Unset):
        message (str | Unset):
    """

    current: float
    total: float | Unset = UNSET
    message: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        current = self.current

        total = self.total

        message = self.message

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "current": current,
            }
        )
        if total is not UNSET:
            field_dict["total"] = total
        if message is not UNSET:
            field_dict["message"] = message

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        current = d.pop("current")

        total = d.pop("total", UNSET)

        message = d.pop("message", UNSET)

        progress = cls(
            current=current,
            total=total,
            message=message,
        )

        return progress
