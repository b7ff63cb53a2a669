from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="SendExecutionEventRequest")


@_attrs_define
class SendExecutionEventRequest:
    """
    Attributes:
        name (str): What handlers wait for. No control characters.
        payload (Any | Unset): Any JSON value, which the wait returns. Null if left out.
        id (str | Unset): Sending an event with the same id again changes nothing. No control characters.
    """

    name: str
    payload: Any | Unset = UNSET
    id: str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        payload = self.payload

        id = self.id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
            }
        )
        if payload is not UNSET:
            field_dict["payload"] = payload
        if id is not UNSET:
            field_dict["id"] = id

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        name = d.pop("name")

        payload = d.pop("payload", UNSET)

        id = d.pop("id", UNSET)

        send_execution_event_request = cls(
            name=name,
            payload=payload,
            id=id,
        )

        return send_execution_event_request
