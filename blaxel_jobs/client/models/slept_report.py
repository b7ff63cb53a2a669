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

T = TypeVar("T", bound="SleptReport")


@_attrs_define
class SleptReport:
    """A durable sleep begins, or goes on. Above `inPlaceMs` what is left of it suspends the task: the lease ends, and the
    task is
    leased again when it is due.

        Attributes:
            task (int):
            token (int):
            type (Literal['slept']):
            name (str): The step's name, unique within the task. No control characters.
            duration_ms (int): The whole sleep, in milliseconds.
            in_place_ms (int): How much of it the worker sleeps itself, in milliseconds.
    """

    task: int
    token: int
    type: Literal["slept"]
    name: str
    duration_ms: int
    in_place_ms: int

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        name = self.name

        duration_ms = self.duration_ms

        in_place_ms = self.in_place_ms

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "name": name,
                "durationMs": duration_ms,
                "inPlaceMs": in_place_ms,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["slept"], d.pop("type"))
        if type != "slept":
            raise ValueError(f"type must match const 'slept', got '{type}'")

        name = d.pop("name")

        duration_ms = d.pop("durationMs")

        in_place_ms = d.pop("inPlaceMs")

        slept_report = cls(
            task=task,
            token=token,
            type=type,
            name=name,
            duration_ms=duration_ms,
            in_place_ms=in_place_ms,
        )

        return slept_report
