from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.lease import Lease


T = TypeVar("T", bound="ClaimLeasesOutput")


@_attrs_define
class ClaimLeasesOutput:
    """
    Attributes:
        leases (list[Lease]):
        lease_ms (int): How long a lease lasts from its claim and from each heartbeat.
        heartbeat_ms (int): The time between two heartbeats that the server asks for.
    """

    leases: list[Lease]
    lease_ms: int
    heartbeat_ms: int
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        leases = []
        for leases_item_data in self.leases:
            leases_item = leases_item_data.to_dict()
            leases.append(leases_item)

        lease_ms = self.lease_ms

        heartbeat_ms = self.heartbeat_ms

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "leases": leases,
                "leaseMs": lease_ms,
                "heartbeatMs": heartbeat_ms,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.lease import Lease

        d = dict(src_dict)
        leases = []
        _leases = d.pop("leases")
        for leases_item_data in _leases:
            leases_item = Lease.from_dict(leases_item_data)

            leases.append(leases_item)

        lease_ms = d.pop("leaseMs")

        heartbeat_ms = d.pop("heartbeatMs")

        claim_leases_output = cls(
            leases=leases,
            lease_ms=lease_ms,
            heartbeat_ms=heartbeat_ms,
        )

        claim_leases_output.additional_properties = d
        return claim_leases_output

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
