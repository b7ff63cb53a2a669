from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="ClaimLeasesRequest")


@_attrs_define
class ClaimLeasesRequest:
    """
    Attributes:
        worker (str): The worker's id, another one for each start. No control characters.
        jobs (list[str]): Those that the worker has handlers for.
        limit (int): Tasks that the worker has room for.
        execution_id (str | Unset): Only tasks of this execution. 409 `lease_held` when another worker runs it.
        wait_ms (int | Unset): How long to wait for the first task, in milliseconds.
    """

    worker: str
    jobs: list[str]
    limit: int
    execution_id: str | Unset = UNSET
    wait_ms: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        worker = self.worker

        jobs = self.jobs

        limit = self.limit

        execution_id = self.execution_id

        wait_ms = self.wait_ms

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "worker": worker,
                "jobs": jobs,
                "limit": limit,
            }
        )
        if execution_id is not UNSET:
            field_dict["executionId"] = execution_id
        if wait_ms is not UNSET:
            field_dict["waitMs"] = wait_ms

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        worker = d.pop("worker")

        jobs = cast(list[str], d.pop("jobs"))

        limit = d.pop("limit")

        execution_id = d.pop("executionId", UNSET)

        wait_ms = d.pop("waitMs", UNSET)

        claim_leases_request = cls(
            worker=worker,
            jobs=jobs,
            limit=limit,
            execution_id=execution_id,
            wait_ms=wait_ms,
        )

        return claim_leases_request
