from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.job_definition import JobDefinition
    from ..models.job_metadata import JobMetadata


T = TypeVar("T", bound="Job")


@_attrs_define
class Job:
    """
    Attributes:
        metadata (JobMetadata):
        served (bool | Unset): A worker that has a handler for it asks for its tasks now.
        definition (JobDefinition | Unset): What a worker knows of a job: the defaults of its executions, and its
            limits. The schemas are those of its inputs and
            results (JSON Schema), for people and tools; the server does not validate against them.
    """

    metadata: JobMetadata
    served: bool | Unset = UNSET
    definition: JobDefinition | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        metadata = self.metadata.to_dict()

        served = self.served

        definition: dict[str, Any] | Unset = UNSET
        if not isinstance(self.definition, Unset):
            definition = self.definition.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "metadata": metadata,
            }
        )
        if served is not UNSET:
            field_dict["served"] = served
        if definition is not UNSET:
            field_dict["definition"] = definition

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.job_definition import JobDefinition
        from ..models.job_metadata import JobMetadata

        d = dict(src_dict)
        metadata = JobMetadata.from_dict(d.pop("metadata"))

        served = d.pop("served", UNSET)

        _definition = d.pop("definition", UNSET)
        definition: JobDefinition | Unset
        if isinstance(_definition, Unset):
            definition = UNSET
        else:
            definition = JobDefinition.from_dict(_definition)

        job = cls(
            metadata=metadata,
            served=served,
            definition=definition,
        )

        job.additional_properties = d
        return job

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
