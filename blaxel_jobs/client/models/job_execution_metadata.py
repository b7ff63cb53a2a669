from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="JobExecutionMetadata")


@_attrs_define
class JobExecutionMetadata:
    """
    Attributes:
        id (str):
        job (str):
        workspace (str):
        created_at (datetime.datetime):
        updated_at (datetime.datetime):
        batch_id (str | Unset): The batch that it was created in.
        name (str | Unset):
        description (str | Unset):
        tags (list[str] | Unset):
        custom (Any | Unset): The `metadata` of the create.
        started_at (datetime.datetime | Unset):
        completed_at (datetime.datetime | Unset): When the execution ended, however it ended.
    """

    id: str
    job: str
    workspace: str
    created_at: datetime.datetime
    updated_at: datetime.datetime
    batch_id: str | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: list[str] | Unset = UNSET
    custom: Any | Unset = UNSET
    started_at: datetime.datetime | Unset = UNSET
    completed_at: datetime.datetime | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        job = self.job

        workspace = self.workspace

        created_at = self.created_at.isoformat()

        updated_at = self.updated_at.isoformat()

        batch_id = self.batch_id

        name = self.name

        description = self.description

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        custom = self.custom

        started_at: str | Unset = UNSET
        if not isinstance(self.started_at, Unset):
            started_at = self.started_at.isoformat()

        completed_at: str | Unset = UNSET
        if not isinstance(self.completed_at, Unset):
            completed_at = self.completed_at.isoformat()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "id": id,
                "job": job,
                "workspace": workspace,
                "createdAt": created_at,
                "updatedAt": updated_at,
            }
        )
        if batch_id is not UNSET:
            field_dict["batchId"] = batch_id
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description
        if tags is not UNSET:
            field_dict["tags"] = tags
        if custom is not UNSET:
            field_dict["custom"] = custom
        if started_at is not UNSET:
            field_dict["startedAt"] = started_at
        if completed_at is not UNSET:
            field_dict["completedAt"] = completed_at

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        d = dict(src_dict)
        id = d.pop("id")

        job = d.pop("job")

        workspace = d.pop("workspace")

        created_at = datetime.datetime.fromisoformat(d.pop("createdAt"))

        updated_at = datetime.datetime.fromisoformat(d.pop("updatedAt"))

        batch_id = d.pop("batchId", UNSET)

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        tags = cast(list[str], d.pop("tags", UNSET))

        custom = d.pop("custom", UNSET)

        _started_at = d.pop("startedAt", UNSET)
        started_at: datetime.datetime | Unset
        if isinstance(_started_at, Unset):
            started_at = UNSET
        else:
            started_at = datetime.datetime.fromisoformat(_started_at)

        _completed_at = d.pop("completedAt", UNSET)
        completed_at: datetime.datetime | Unset
        if isinstance(_completed_at, Unset):
            completed_at = UNSET
        else:
            completed_at = datetime.datetime.fromisoformat(_completed_at)

        job_execution_metadata = cls(
            id=id,
            job=job,
            workspace=workspace,
            created_at=created_at,
            updated_at=updated_at,
            batch_id=batch_id,
            name=name,
            description=description,
            tags=tags,
            custom=custom,
            started_at=started_at,
            completed_at=completed_at,
        )

        job_execution_metadata.additional_properties = d
        return job_execution_metadata

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
