from __future__ import annotations

from collections.abc import Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Self,
    TypeVar,
    cast,
)

from attrs import define as _attrs_define

from ...lazy import LazyList
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.log_line import LogLine
    from ..models.progress import Progress


T = TypeVar("T", bound="NotedReport")


@_attrs_define
class NotedReport:
    """How far the handler is, and what it logged. Kept as events of the execution.

    Attributes:
        task (int):
        token (int):
        type (Literal['noted']):
        progress (Progress | Unset): How far something is.
        logs (list[LogLine] | Unset):
        lines_before (int | Unset): Only where the report is made again since its answer was lost: how many lines were
            told under the lease before these.
            Lines that were kept the first time are not kept twice. Without it all lines are kept.
    """

    task: int
    token: int
    type: Literal["noted"]
    progress: Progress | Unset = UNSET
    logs: list[LogLine] | Unset = UNSET
    lines_before: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        task = self.task

        token = self.token

        type = self.type

        progress: dict[str, Any] | Unset = UNSET
        if not isinstance(self.progress, Unset):
            progress = self.progress.to_dict()

        logs: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.logs, Unset):
            logs = []
            for logs_item_data in self.logs:
                logs_item = logs_item_data.to_dict()
                logs.append(logs_item)

        lines_before = self.lines_before

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "task": task,
                "token": token,
                "type": type,
            }
        )
        if progress is not UNSET:
            field_dict["progress"] = progress
        if logs is not UNSET:
            field_dict["logs"] = logs
        if lines_before is not UNSET:
            field_dict["linesBefore"] = lines_before

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.log_line import LogLine
        from ..models.progress import Progress

        d = dict(src_dict)
        task = d.pop("task")

        token = d.pop("token")

        type = cast(Literal["noted"], d.pop("type"))
        if type != "noted":
            raise ValueError(f"type must match const 'noted', got '{type}'")

        _progress = d.pop("progress", UNSET)
        progress: Progress | Unset
        if isinstance(_progress, Unset):
            progress = UNSET
        else:
            progress = Progress.from_dict(_progress)

        _logs = d.pop("logs", UNSET)
        logs: list[LogLine] | Unset = UNSET
        if _logs is not UNSET:
            logs = LazyList(LogLine.from_dict, _logs)

        lines_before = d.pop("linesBefore", UNSET)

        noted_report = cls(
            task=task,
            token=token,
            type=type,
            progress=progress,
            logs=logs,
            lines_before=lines_before,
        )

        return noted_report
