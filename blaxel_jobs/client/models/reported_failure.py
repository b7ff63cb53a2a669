from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ReportedFailure")


@_attrs_define
class ReportedFailure:
    """Why a handler failed.

    Attributes:
        kind (str):
        type (str): The exception's class.
        message (str):
        trace (str | Unset): The handler's traceback.
    """

    kind: str
    type: str
    message: str
    trace: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        kind = self.kind

        type = self.type

        message = self.message

        trace = self.trace

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "kind": kind,
                "type": type,
                "message": message,
            }
        )
        if trace is not UNSET:
            field_dict["trace"] = trace

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        kind = d.pop("kind")

        type = d.pop("type")

        message = d.pop("message")

        trace = d.pop("trace", UNSET)

        reported_failure = cls(
            kind=kind,
            type=type,
            message=message,
            trace=trace,
        )

        return reported_failure
