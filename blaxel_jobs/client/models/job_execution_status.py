from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="JobExecutionStatus")


@_attrs_define
class JobExecutionStatus:
    """
    Attributes:
        status (str): pending, running, paused, completed, failed or cancelled. Text, not an enumeration: a word that a
            client does not know
            must not stop it.
        done (bool):
        waiting_for (str | Unset): Why it waits: start, time, event, dependencies, concurrency, retry or worker. Left
            out when it does not. A pending execution
            of several tasks waits for a slot if one of them does, or else for a worker if one of them does, or else for
            what comes first.
        wait_until (datetime.datetime | Unset): When that wait ends by itself.
    """

    status: str
    done: bool
    waiting_for: str | Unset = UNSET
    wait_until: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        status = self.status

        done = self.done

        waiting_for = self.waiting_for

        wait_until: str | Unset = UNSET
        if not isinstance(self.wait_until, Unset):
            wait_until = self.wait_until.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "status": status,
                "done": done,
            }
        )
        if waiting_for is not UNSET:
            field_dict["waitingFor"] = waiting_for
        if wait_until is not UNSET:
            field_dict["waitUntil"] = wait_until

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        status = d.pop("status")

        done = d.pop("done")

        waiting_for = d.pop("waitingFor", UNSET)

        _wait_until = d.pop("waitUntil", UNSET)
        wait_until: datetime.datetime | Unset
        if isinstance(_wait_until, Unset):
            wait_until = UNSET
        else:
            wait_until = datetime.datetime.fromisoformat(_wait_until)

        job_execution_status = cls(
            status=status,
            done=done,
            waiting_for=waiting_for,
            wait_until=wait_until,
        )

        job_execution_status.additional_properties = d
        return job_execution_status

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
