from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.retry_policy import RetryPolicy


T = TypeVar("T", bound="JobExecutionSpec")


@_attrs_define
class JobExecutionSpec:
    """
    Attributes:
        task_count (int):
        priority (str): Which execution is taken first.
        idempotency_key (str | Unset):
        concurrency_key (str | Unset):
        auto_start (bool | Unset):
        run_at (datetime.datetime | Unset):
        max_retries (int | Unset):
        retry_policy (RetryPolicy | Unset): How long a failed task waits for its next try: `initialMs` before the first
            retry, `factor` times more before each next one,
            `maxMs` at most. With full jitter that is the bound of a random wait.
        timeout (float | Unset): Seconds from its first start to its end, without the time that it is paused.
        fail_fast (bool | Unset):
        memory_override (int | Unset): MB.
        env_override (Any | Unset): The names that were given; every value reads `***`.
    """

    task_count: int
    priority: str
    idempotency_key: str | Unset = UNSET
    concurrency_key: str | Unset = UNSET
    auto_start: bool | Unset = UNSET
    run_at: datetime.datetime | Unset = UNSET
    max_retries: int | Unset = UNSET
    retry_policy: RetryPolicy | Unset = UNSET
    timeout: float | Unset = UNSET
    fail_fast: bool | Unset = UNSET
    memory_override: int | Unset = UNSET
    env_override: Any | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        task_count = self.task_count

        priority = self.priority

        idempotency_key = self.idempotency_key

        concurrency_key = self.concurrency_key

        auto_start = self.auto_start

        run_at: str | Unset = UNSET
        if not isinstance(self.run_at, Unset):
            run_at = self.run_at.isoformat()

        max_retries = self.max_retries

        retry_policy: dict[str, Any] | Unset = UNSET
        if not isinstance(self.retry_policy, Unset):
            retry_policy = self.retry_policy.to_dict()

        timeout = self.timeout

        fail_fast = self.fail_fast

        memory_override = self.memory_override

        env_override = self.env_override

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "taskCount": task_count,
                "priority": priority,
            }
        )
        if idempotency_key is not UNSET:
            field_dict["idempotencyKey"] = idempotency_key
        if concurrency_key is not UNSET:
            field_dict["concurrencyKey"] = concurrency_key
        if auto_start is not UNSET:
            field_dict["autoStart"] = auto_start
        if run_at is not UNSET:
            field_dict["runAt"] = run_at
        if max_retries is not UNSET:
            field_dict["maxRetries"] = max_retries
        if retry_policy is not UNSET:
            field_dict["retryPolicy"] = retry_policy
        if timeout is not UNSET:
            field_dict["timeout"] = timeout
        if fail_fast is not UNSET:
            field_dict["failFast"] = fail_fast
        if memory_override is not UNSET:
            field_dict["memoryOverride"] = memory_override
        if env_override is not UNSET:
            field_dict["envOverride"] = env_override

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.retry_policy import RetryPolicy

        d = dict(src_dict)
        task_count = d.pop("taskCount")

        priority = d.pop("priority")

        idempotency_key = d.pop("idempotencyKey", UNSET)

        concurrency_key = d.pop("concurrencyKey", UNSET)

        auto_start = d.pop("autoStart", UNSET)

        _run_at = d.pop("runAt", UNSET)
        run_at: datetime.datetime | Unset
        if isinstance(_run_at, Unset):
            run_at = UNSET
        else:
            run_at = datetime.datetime.fromisoformat(_run_at)

        max_retries = d.pop("maxRetries", UNSET)

        _retry_policy = d.pop("retryPolicy", UNSET)
        retry_policy: RetryPolicy | Unset
        if isinstance(_retry_policy, Unset):
            retry_policy = UNSET
        else:
            retry_policy = RetryPolicy.from_dict(_retry_policy)

        timeout = d.pop("timeout", UNSET)

        fail_fast = d.pop("failFast", UNSET)

        memory_override = d.pop("memoryOverride", UNSET)

        env_override = d.pop("envOverride", UNSET)

        job_execution_spec = cls(
            task_count=task_count,
            priority=priority,
            idempotency_key=idempotency_key,
            concurrency_key=concurrency_key,
            auto_start=auto_start,
            run_at=run_at,
            max_retries=max_retries,
            retry_policy=retry_policy,
            timeout=timeout,
            fail_fast=fail_fast,
            memory_override=memory_override,
            env_override=env_override,
        )

        job_execution_spec.additional_properties = d
        return job_execution_spec

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
