from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="StoredStep")


@_attrs_define
class StoredStep:
    """
    Attributes:
        name (str):
        kind (str):
        value (Any | Unset): What the step returned, or the payload of the event.
        remaining_ms (int | Unset): How much of a sleep is left.
    """

    name: str
    kind: str
    value: Any | Unset = UNSET
    remaining_ms: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        kind = self.kind

        value = self.value

        remaining_ms = self.remaining_ms

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "name": name,
                "kind": kind,
            }
        )
        if value is not UNSET:
            field_dict["value"] = value
        if remaining_ms is not UNSET:
            field_dict["remainingMs"] = remaining_ms

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        name = d.pop("name")

        kind = d.pop("kind")

        value = d.pop("value", UNSET)

        remaining_ms = d.pop("remainingMs", UNSET)

        stored_step = cls(
            name=name,
            kind=kind,
            value=value,
            remaining_ms=remaining_ms,
        )

        stored_step.additional_properties = d
        return stored_step

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
