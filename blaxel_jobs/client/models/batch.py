from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.batch_metadata import BatchMetadata
    from ..models.batch_stats import BatchStats


T = TypeVar("T", bound="Batch")


@_attrs_define
class Batch:
    """
    Attributes:
        metadata (BatchMetadata):
        stats (BatchStats): How many of its executions are in which status.
        done (bool): True once all of its executions have ended.
        execution_ids (list[str]): In the order of the items.
    """

    metadata: BatchMetadata
    stats: BatchStats
    done: bool
    execution_ids: list[str]
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        metadata = self.metadata.to_dict()

        stats = self.stats.to_dict()

        done = self.done

        execution_ids = self.execution_ids

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "metadata": metadata,
                "stats": stats,
                "done": done,
                "executionIds": execution_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.batch_metadata import BatchMetadata
        from ..models.batch_stats import BatchStats

        d = dict(src_dict)
        metadata = BatchMetadata.from_dict(d.pop("metadata"))

        stats = BatchStats.from_dict(d.pop("stats"))

        done = d.pop("done")

        execution_ids = cast(list[str], d.pop("executionIds"))

        batch = cls(
            metadata=metadata,
            stats=stats,
            done=done,
            execution_ids=execution_ids,
        )

        batch.additional_properties = d
        return batch

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
