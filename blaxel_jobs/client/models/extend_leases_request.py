from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.lease_ref import LeaseRef


T = TypeVar("T", bound="ExtendLeasesRequest")


@_attrs_define
class ExtendLeasesRequest:
    """
    Attributes:
        worker (str): The worker's id. No control characters.
        leases (list[LeaseRef]):
        jobs (list[str] | Unset): Those that the worker serves, also while it has no room for more tasks.
    """

    worker: str
    leases: list[LeaseRef]
    jobs: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        worker = self.worker

        leases = []
        for leases_item_data in self.leases:
            leases_item = leases_item_data.to_dict()
            leases.append(leases_item)

        jobs: list[str] | Unset = UNSET
        if not isinstance(self.jobs, Unset):
            jobs = self.jobs

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "worker": worker,
                "leases": leases,
            }
        )
        if jobs is not UNSET:
            field_dict["jobs"] = jobs

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.lease_ref import LeaseRef

        d = dict(src_dict)
        worker = d.pop("worker")

        leases = []
        _leases = d.pop("leases")
        for leases_item_data in _leases:
            leases_item = LeaseRef.from_dict(leases_item_data)

            leases.append(leases_item)

        jobs = cast(list[str], d.pop("jobs", UNSET))

        extend_leases_request = cls(
            worker=worker,
            leases=leases,
            jobs=jobs,
        )

        return extend_leases_request
