from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="LogLine")


@_attrs_define
class LogLine:
    """
    Attributes:
        level (str):
        message (str):
        fields (Any | Unset): More about it.
    """

    level: str
    message: str
    fields: Any | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        level = self.level

        message = self.message

        fields = self.fields

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "level": level,
                "message": message,
            }
        )
        if fields is not UNSET:
            field_dict["fields"] = fields

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        level = d.pop("level")

        message = d.pop("message")

        fields = d.pop("fields", UNSET)

        log_line = cls(
            level=level,
            message=message,
            fields=fields,
        )

        return log_line
