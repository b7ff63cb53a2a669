from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.retry_policy import RetryPolicy


T = TypeVar("T", bound="JobDefinition")


@_attrs_define
class JobDefinition:
    """What a worker knows of a job: the defaults of its executions, and its limits. The schemas are those of its inputs
    and
    results (JSON Schema), for people and tools; the server does not validate against them.

        Attributes:
            queue (str | Unset): The label by which workers choose what to serve. No control characters.
            max_retries (int | Unset): Tries of a task after the first that failed.
            retry_delay_ms (int | Unset): The time between two tries of a task, always the same, in milliseconds. Not
                together with `retryPolicy`.
            retry_policy (RetryPolicy | Unset): How long a failed task waits for its next try: `initialMs` before the first
                retry, `factor` times more before each next one,
                `maxMs` at most. With full jitter that is the bound of a random wait.
            timeout_ms (int | Unset): Milliseconds from the first start of an execution to its end, without the time that it
                is paused.
            priority (str | Unset): Which execution is taken first. Nothing that runs is pre-empted.
            concurrency (int | Unset): How many executions of the job run at once. As many as there is room for if left out.
            concurrency_per_key (int | Unset): How many executions with one concurrency key run at once.
            input_schema (Any | Unset):
            output_schema (Any | Unset):
    """

    queue: str | Unset = UNSET
    max_retries: int | Unset = UNSET
    retry_delay_ms: int | Unset = UNSET
    retry_policy: RetryPolicy | Unset = UNSET
    timeout_ms: int | Unset = UNSET
    priority: str | Unset = UNSET
    concurrency: int | Unset = UNSET
    concurrency_per_key: int | Unset = UNSET
    input_schema: Any | Unset = UNSET
    output_schema: Any | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        queue = self.queue

        max_retries = self.max_retries

        retry_delay_ms = self.retry_delay_ms

        retry_policy: dict[str, Any] | Unset = UNSET
        if not isinstance(self.retry_policy, Unset):
            retry_policy = self.retry_policy.to_dict()

        timeout_ms = self.timeout_ms

        priority = self.priority

        concurrency = self.concurrency

        concurrency_per_key = self.concurrency_per_key

        input_schema = self.input_schema

        output_schema = self.output_schema

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if queue is not UNSET:
            field_dict["queue"] = queue
        if max_retries is not UNSET:
            field_dict["maxRetries"] = max_retries
        if retry_delay_ms is not UNSET:
            field_dict["retryDelayMs"] = retry_delay_ms
        if retry_policy is not UNSET:
            field_dict["retryPolicy"] = retry_policy
        if timeout_ms is not UNSET:
            field_dict["timeoutMs"] = timeout_ms
        if priority is not UNSET:
            field_dict["priority"] = priority
        if concurrency is not UNSET:
            field_dict["concurrency"] = concurrency
        if concurrency_per_key is not UNSET:
            field_dict["concurrencyPerKey"] = concurrency_per_key
        if input_schema is not UNSET:
            field_dict["inputSchema"] = input_schema
        if output_schema is not UNSET:
            field_dict["outputSchema"] = output_schema

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.retry_policy import RetryPolicy

        d = dict(src_dict)
        queue = d.pop("queue", UNSET)

        max_retries = d.pop("maxRetries", UNSET)

        retry_delay_ms = d.pop("retryDelayMs", UNSET)

        _retry_policy = d.pop("retryPolicy", UNSET)
        retry_policy: RetryPolicy | Unset
        if isinstance(_retry_policy, Unset):
            retry_policy = UNSET
        else:
            retry_policy = RetryPolicy.from_dict(_retry_policy)

        timeout_ms = d.pop("timeoutMs", UNSET)

        priority = d.pop("priority", UNSET)

        concurrency = d.pop("concurrency", UNSET)

        concurrency_per_key = d.pop("concurrencyPerKey", UNSET)

        input_schema = d.pop("inputSchema", UNSET)

        output_schema = d.pop("outputSchema", UNSET)

        job_definition = cls(
            queue=queue,
            max_retries=max_retries,
            retry_delay_ms=retry_delay_ms,
            retry_policy=retry_policy,
            timeout_ms=timeout_ms,
            priority=priority,
            concurrency=concurrency,
            concurrency_per_key=concurrency_per_key,
            input_schema=input_schema,
            output_schema=output_schema,
        )

        return job_definition
