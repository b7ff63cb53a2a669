from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Self,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.reported_failure import ReportedFailure


T = TypeVar("T", bound="FailedReport")


@_attrs_define
class FailedReport:
    """The handler failed. Ends the lease. Of the kind `error` it is tried again while retries are left.

    Attributes:
        task (int):
        token (int):
        type (Literal['failed']):
        failure (ReportedFailure): Why a handler failed.
        retry_after_ms (int | Unset): When to try again, in milliseconds, where the handler knows better than the retry
            policy.
    """

    task: int
    token: int
    type: Literal["failed"]
    failure: ReportedFailure
    retry_after_ms: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        failure = self.failure.to_dict()

        retry_after_ms = self.retry_after_ms

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "failure": failure,
            }
        )
        if retry_after_ms is not UNSET:
            field_dict["retryAfterMs"] = retry_after_ms

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.reported_failure import ReportedFailure

        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["failed"], d.pop("type"))
        if type != "failed":
            raise ValueError(f"type must match const 'failed', got '{type}'")

        failure = ReportedFailure.from_dict(d.pop("failure"))

        retry_after_ms = d.pop("retryAfterMs", UNSET)

        failed_report = cls(
            task=task,
            token=token,
            type=type,
            failure=failure,
            retry_after_ms=retry_after_ms,
        )

        return failed_report
