from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Backlog")


@_attrs_define
class Backlog:
    """Tasks that have not ended.

    Attributes:
        pending (int):
        running (int):
        paused (int):
        oldest_pending_ms (int | Unset): How long the oldest pending one has been there. Left out without one.
    """

    pending: int
    running: int
    paused: int
    oldest_pending_ms: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        pending = self.pending

        running = self.running

        paused = self.paused

        oldest_pending_ms = self.oldest_pending_ms

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "pending": pending,
                "running": running,
                "paused": paused,
            }
        )
        if oldest_pending_ms is not UNSET:
            field_dict["oldestPendingMs"] = oldest_pending_ms

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        pending = d.pop("pending")

        running = d.pop("running")

        paused = d.pop("paused")

        oldest_pending_ms = d.pop("oldestPendingMs", UNSET)

        backlog = cls(
            pending=pending,
            running=running,
            paused=paused,
            oldest_pending_ms=oldest_pending_ms,
        )

        backlog.additional_properties = d
        return backlog

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
