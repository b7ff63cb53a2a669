from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.backlog import Backlog
    from ..models.distribution import Distribution
    from ..models.job_stats_throughput import JobStatsThroughput


T = TypeVar("T", bound="JobStats")


@_attrs_define
class JobStats:
    """Executions, but for `retried` and `recovered`, `wait` and `run`, which are of tasks.

    Attributes:
        created (int):
        completed (int):
        failed (int):
        cancelled (int):
        retried (int): How many times a task was put back after an error: by its policy, or by `retry`.
        recovered (int): How many times a task was lost with its worker, also where it failed by that.
        failure_rate (float): `failed` of those that completed or failed, 0 to 1.
        throughput (JobStatsThroughput):
        wait (Distribution): Of durations in milliseconds. Without any, only `count`.
        run (Distribution): Of durations in milliseconds. Without any, only `count`.
        backlog (Backlog): Tasks that have not ended.
        queue (str):
    """

    created: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    recovered: int
    failure_rate: float
    throughput: JobStatsThroughput
    wait: Distribution
    run: Distribution
    backlog: Backlog
    queue: str
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        created = self.created

        completed = self.completed

        failed = self.failed

        cancelled = self.cancelled

        retried = self.retried

        recovered = self.recovered

        failure_rate = self.failure_rate

        throughput = self.throughput.to_dict()

        wait = self.wait.to_dict()

        run = self.run.to_dict()

        backlog = self.backlog.to_dict()

        queue = self.queue

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "created": created,
                "completed": completed,
                "failed": failed,
                "cancelled": cancelled,
                "retried": retried,
                "recovered": recovered,
                "failureRate": failure_rate,
                "throughput": throughput,
                "wait": wait,
                "run": run,
                "backlog": backlog,
                "queue": queue,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.backlog import Backlog
        from ..models.distribution import Distribution
        from ..models.job_stats_throughput import JobStatsThroughput

        d = dict(src_dict)
        created = d.pop("created")

        completed = d.pop("completed")

        failed = d.pop("failed")

        cancelled = d.pop("cancelled")

        retried = d.pop("retried")

        recovered = d.pop("recovered")

        failure_rate = d.pop("failureRate")

        throughput = JobStatsThroughput.from_dict(d.pop("throughput"))

        wait = Distribution.from_dict(d.pop("wait"))

        run = Distribution.from_dict(d.pop("run"))

        backlog = Backlog.from_dict(d.pop("backlog"))

        queue = d.pop("queue")

        job_stats = cls(
            created=created,
            completed=completed,
            failed=failed,
            cancelled=cancelled,
            retried=retried,
            recovered=recovered,
            failure_rate=failure_rate,
            throughput=throughput,
            wait=wait,
            run=run,
            backlog=backlog,
            queue=queue,
        )

        job_stats.additional_properties = d
        return job_stats

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
