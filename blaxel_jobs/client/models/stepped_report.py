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

T = TypeVar("T", bound="SteppedReport")


@_attrs_define
class SteppedReport:
    """A step returned. Its value is stored and never computed again; the same report once more changes nothing.

    Attributes:
        task (int):
        token (int):
        type (Literal['stepped']):
        name (str): The step's name, unique within the task. No control characters.
        value (Any): What it returned.
    """

    task: int
    token: int
    type: Literal["stepped"]
    name: str
    value: Any

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        name = self.name

        value = self.value

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
                "name": name,
                "value": value,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["stepped"], d.pop("type"))
        if type != "stepped":
            raise ValueError(f"type must match const 'stepped', got '{type}'")

        name = d.pop("name")

        value = d.pop("value")

        stepped_report = cls(
            task=task,
            token=token,
            type=type,
            name=name,
            value=value,
        )

        return stepped_report
