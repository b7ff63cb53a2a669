from __future__ import annotations

from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    Self,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="AwaitedReport")


@_attrs_define
class AwaitedReport:
    """The handler waits for an event. Unless it was sent already the task is suspended: the lease ends, and the task is
    leased
    again when the event comes.

        Attributes:
            task (int):
            token (int):
            type (Literal['awaited']):
            name (str): The event's name, and that of the step that keeps it. No control characters.
            timeout_ms (int | Unset): How long to wait, in milliseconds from the first time. For ever if left out.
            suspends (bool | Unset): False notes the wait and keeps the lease, for a handler that does something beside it:
                the event wakes the task however
                it rests.
    """

    task: int
    token: int
    type: Literal["awaited"]
    name: str
    timeout_ms: int | Unset = UNSET
    suspends: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        name = self.name

        timeout_ms = self.timeout_ms

        suspends = self.suspends

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "name": name,
            }
        )
        if timeout_ms is not UNSET:
            field_dict["timeoutMs"] = timeout_ms
        if suspends is not UNSET:
            field_dict["suspends"] = suspends

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["awaited"], d.pop("type"))
        if type != "awaited":
            raise ValueError(f"type must match const 'awaited', got '{type}'")

        name = d.pop("name")

        timeout_ms = d.pop("timeoutMs", UNSET)

        suspends = d.pop("suspends", UNSET)

        awaited_report = cls(
            task=task,
            token=token,
            type=type,
            name=name,
            timeout_ms=timeout_ms,
            suspends=suspends,
        )

        return awaited_report
