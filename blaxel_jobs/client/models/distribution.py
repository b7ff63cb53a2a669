from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Distribution")


@_attrs_define
class Distribution:
    """Of durations in milliseconds. Without any, only `count`.

    Attributes:
        count (int):
        mean (float | Unset):
        p50 (float | Unset):
        p95 (float | Unset):
        p99 (float | Unset):
    """

    count: int
    mean: float | Unset = UNSET
    p50: float | Unset = UNSET
    p95: float | Unset = UNSET
    p99: float | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        count = self.count

        mean = self.mean

        p50 = self.p50

        p95 = self.p95

        p99 = self.p99

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "count": count,
            }
        )
        if mean is not UNSET:
            field_dict["mean"] = mean
        if p50 is not UNSET:
            field_dict["p50"] = p50
        if p95 is not UNSET:
            field_dict["p95"] = p95
        if p99 is not UNSET:
            field_dict["p99"] = p99

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        count = d.pop("count")

        mean = d.pop("mean", UNSET)

        p50 = d.pop("p50", UNSET)

        p95 = d.pop("p95", UNSET)

        p99 = d.pop("p99", UNSET)

        distribution = cls(
            count=count,
            mean=mean,
            p50=p50,
            p95=p95,
            p99=p99,
        )

        distribution.additional_properties = d
        return distribution

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
