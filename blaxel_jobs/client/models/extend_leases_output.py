from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.lease_ref import LeaseRef


T = TypeVar("T", bound="ExtendLeasesOutput")


@_attrs_define
class ExtendLeasesOutput:
    """
    Attributes:
        lost (list[LeaseRef]): Those that are the worker's no longer: it stops what it does for them, and reports
            nothing.
        stop (list[LeaseRef]): Those whose execution is paused: they stop at their next step, sleep, wait or progress,
            and are released.
    """

    lost: list[LeaseRef]
    stop: list[LeaseRef]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        lost = []
        for lost_item_data in self.lost:
            lost_item = lost_item_data.to_dict()
            lost.append(lost_item)

        stop = []
        for stop_item_data in self.stop:
            stop_item = stop_item_data.to_dict()
            stop.append(stop_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "lost": lost,
                "stop": stop,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.lease_ref import LeaseRef

        d = dict(src_dict)
        lost = []
        _lost = d.pop("lost")
        for lost_item_data in _lost:
            lost_item = LeaseRef.from_dict(lost_item_data)

            lost.append(lost_item)

        stop = []
        _stop = d.pop("stop")
        for stop_item_data in _stop:
            stop_item = LeaseRef.from_dict(stop_item_data)

            stop.append(stop_item)

        extend_leases_output = cls(
            lost=lost,
            stop=stop,
        )

        extend_leases_output.additional_properties = d
        return extend_leases_output

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
