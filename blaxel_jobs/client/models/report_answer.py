from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ReportAnswer")


@_attrs_define
class ReportAnswer:
    """An `error`, or what a report that counts came to.

    Attributes:
        stop (bool | Unset): The execution is paused: the handler is to unwind, and its task to be released.
        suspended (bool | Unset): The task waits without a worker, the lease has ended: the handler is to unwind.
        kind (str | Unset): What a sleep or a wait came to.
        value (Any | Unset): The payload of the event.
        remaining_ms (int | Unset): How much of a sleep is left.
        error (str | Unset): The error's word.
        message (str | Unset): What is wrong and how to mend it.
    """

    stop: bool | Unset = UNSET
    suspended: bool | Unset = UNSET
    kind: str | Unset = UNSET
    value: Any | Unset = UNSET
    remaining_ms: int | Unset = UNSET
    error: str | Unset = UNSET
    message: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        stop = self.stop

        suspended = self.suspended

        kind = self.kind

        value = self.value

        remaining_ms = self.remaining_ms

        error = self.error

        message = self.message

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if stop is not UNSET:
            field_dict["stop"] = stop
        if suspended is not UNSET:
            field_dict["suspended"] = suspended
        if kind is not UNSET:
            field_dict["kind"] = kind
        if value is not UNSET:
            field_dict["value"] = value
        if remaining_ms is not UNSET:
            field_dict["remainingMs"] = remaining_ms
        if error is not UNSET:
            field_dict["error"] = error
        if message is not UNSET:
            field_dict["message"] = message

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        stop = d.pop("stop", UNSET)

        suspended = d.pop("suspended", UNSET)

        kind = d.pop("kind", UNSET)

        value = d.pop("value", UNSET)

        remaining_ms = d.pop("remainingMs", UNSET)

        error = d.pop("error", UNSET)

        message = d.pop("message", UNSET)

        report_answer = cls(
            stop=stop,
            suspended=suspended,
            kind=kind,
            value=value,
            remaining_ms=remaining_ms,
            error=error,
            message=message,
        )

        report_answer.additional_properties = d
        return report_answer

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
