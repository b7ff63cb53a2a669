from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.failure import Failure


T = TypeVar("T", bound="TaskAttempt")


@_attrs_define
class TaskAttempt:
    """One try of a task that was not its last.

    Attributes:
        attempt (int): Counts from 1.
        started_at (datetime.datetime):
        ended_at (datetime.datetime):
        outcome (str):
        worker (str | Unset):
        error (Failure | Unset): Why an execution or a task failed.
    """

    attempt: int
    started_at: datetime.datetime
    ended_at: datetime.datetime
    outcome: str
    worker: str | Unset = UNSET
    error: Failure | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        attempt = self.attempt

        started_at = self.started_at.isoformat()

        ended_at = self.ended_at.isoformat()

        outcome = self.outcome

        worker = self.worker

        error: dict[str, Any] | Unset = UNSET
        if not isinstance(self.error, Unset):
            error = self.error.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "attempt": attempt,
                "startedAt": started_at,
                "endedAt": ended_at,
                "outcome": outcome,
            }
        )
        if worker is not UNSET:
            field_dict["worker"] = worker
        if error is not UNSET:
            field_dict["error"] = error

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.failure import Failure

        d = dict(src_dict)
        attempt = d.pop("attempt")

        started_at = datetime.datetime.fromisoformat(d.pop("startedAt"))

        ended_at = datetime.datetime.fromisoformat(d.pop("endedAt"))

        outcome = d.pop("outcome")

        worker = d.pop("worker", UNSET)

        _error = d.pop("error", UNSET)
        error: Failure | Unset
        if isinstance(_error, Unset):
            error = UNSET
        else:
            error = Failure.from_dict(_error)

        task_attempt = cls(
            attempt=attempt,
            started_at=started_at,
            ended_at=ended_at,
            outcome=outcome,
            worker=worker,
            error=error,
        )

        task_attempt.additional_properties = d
        return task_attempt

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
