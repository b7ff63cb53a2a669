from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Problem")


@_attrs_define
class Problem:
    """
    Attributes:
        type (str):
        title (str): The reason phrase of the HTTP status.
        status (int): The HTTP status.
        error (str): The error's word.
        code (int): The HTTP status again
        message (str): What is wrong and how to mend it.
        path (str | Unset): The field that is wrong.
        request_id (str | Unset):
        tasks (None | Unset): At data URLs only: there are none, so a runner that does not look at the status fails.
    """

    type: str
    title: str
    status: int
    error: str
    code: int
    message: str
    path: str | Unset = UNSET
    request_id: str | Unset = UNSET
    tasks: None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        type = self.type

        title = self.title

        status = self.status

        error = self.error

        code = self.code

        message = self.message

        path = self.path

        request_id = self.request_id

        tasks = self.tasks

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "type": type,
                "title": title,
                "status": status,
                "error": error,
                "code": code,
                "message": message,
            }
        )
        if path is not UNSET:
            field_dict["path"] = path
        if request_id is not UNSET:
            field_dict["requestId"] = request_id
        if tasks is not UNSET:
            field_dict["tasks"] = tasks

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        type = d.pop("type")

        title = d.pop("title")

        status = d.pop("status")

        error = d.pop("error")

        code = d.pop("code")

        message = d.pop("message")

        path = d.pop("path", UNSET)

        request_id = d.pop("requestId", UNSET)

        tasks = d.pop("tasks", UNSET)

        problem = cls(
            type=type,
            title=title,
            status=status,
            error=error,
            code=code,
            message=message,
            path=path,
            request_id=request_id,
            tasks=tasks,
        )

        problem.additional_properties = d
        return problem

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
