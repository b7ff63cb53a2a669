from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.retry_policy import RetryPolicy


T = TypeVar("T", bound="RerunExecutionRequest")


@_attrs_define
class RerunExecutionRequest:
    """The options of the new execution that are to be others than those of the old one.

    Attributes:
        execution_id (str | Unset): The execution's id, chosen by the caller. One of the server's own if left out.
        idempotency_key (str | Unset): Two creates of one job with the same key make one execution. No control
            characters.
        name (str | Unset): Free text in one line, without control characters.
        description (str | Unset): Free text in any number of lines. Tabs and line breaks are its only control
            characters.
        tags (list[str] | Unset): Labels to filter by, without control characters.
        metadata (Any | Unset): The user's own fields. They come back as `metadata.custom`.
        priority (str | Unset): Which execution is taken first. Nothing that runs is pre-empted.
        env (Any | Unset): Environment variables for the tasks. Their values never come back. What no environment
            carries is refused: a NUL
            character, and a name that is empty or has `=`.
        memory (int | Unset): Memory for each task in MB, for runners that can limit it.
        auto_start (bool | Unset): False creates it without starting it; it waits for the start verb.
        run_at (datetime.datetime | Unset): When it may start (RFC 3339, with its offset). Not together with `delayMs`.
        delay_ms (int | Unset): How long after its create it may start, in milliseconds.
        max_retries (int | Unset): Tries of a task after the first that failed.
        retry_delay_ms (int | Unset): The time between two tries of a task, always the same, in milliseconds. Not
            together with `retryPolicy`.
        retry_policy (RetryPolicy | Unset): How long a failed task waits for its next try: `initialMs` before the first
            retry, `factor` times more before each next one,
            `maxMs` at most. With full jitter that is the bound of a random wait.
        timeout_ms (int | Unset): Milliseconds from its first start to its end, without the time that it is paused. Then
            it fails, kind timeout.
        fail_fast (bool | Unset): The first task that fails for good ends the others.
        concurrency_key (str | Unset): Executions of one job with the same key run one after the other, or as many at
            once as the job's definition says.
        on_conflict (str | Unset): What to do while the concurrency key is in use: `queue` behind those that have it,
            `coalesce` with one that is pending
            (it is answered, and its input stays), or `reject` (409).
        allow_queue (bool | Unset): False answers 429 instead of queueing when the job, or its key, is at its limit:
            counted are those under way and those
            that were there before and wait for a worker. In a batch the first item that is refused refuses all.
    """

    execution_id: str | Unset = UNSET
    idempotency_key: str | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: list[str] | Unset = UNSET
    metadata: Any | Unset = UNSET
    priority: str | Unset = UNSET
    env: Any | Unset = UNSET
    memory: int | Unset = UNSET
    auto_start: bool | Unset = UNSET
    run_at: datetime.datetime | Unset = UNSET
    delay_ms: int | Unset = UNSET
    max_retries: int | Unset = UNSET
    retry_delay_ms: int | Unset = UNSET
    retry_policy: RetryPolicy | Unset = UNSET
    timeout_ms: int | Unset = UNSET
    fail_fast: bool | Unset = UNSET
    concurrency_key: str | Unset = UNSET
    on_conflict: str | Unset = UNSET
    allow_queue: bool | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        execution_id = self.execution_id

        idempotency_key = self.idempotency_key

        name = self.name

        description = self.description

        tags: list[str] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = self.tags

        metadata = self.metadata

        priority = self.priority

        env = self.env

        memory = self.memory

        auto_start = self.auto_start

        run_at: str | Unset = UNSET
        if not isinstance(self.run_at, Unset):
            run_at = self.run_at.isoformat()

        delay_ms = self.delay_ms

        max_retries = self.max_retries

        retry_delay_ms = self.retry_delay_ms

        retry_policy: dict[str, Any] | Unset = UNSET
        if not isinstance(self.retry_policy, Unset):
            retry_policy = self.retry_policy.to_dict()

        timeout_ms = self.timeout_ms

        fail_fast = self.fail_fast

        concurrency_key = self.concurrency_key

        on_conflict = self.on_conflict

        allow_queue = self.allow_queue

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if execution_id is not UNSET:
            field_dict["executionId"] = execution_id
        if idempotency_key is not UNSET:
            field_dict["idempotencyKey"] = idempotency_key
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description
        if tags is not UNSET:
            field_dict["tags"] = tags
        if metadata is not UNSET:
            field_dict["metadata"] = metadata
        if priority is not UNSET:
            field_dict["priority"] = priority
        if env is not UNSET:
            field_dict["env"] = env
        if memory is not UNSET:
            field_dict["memory"] = memory
        if auto_start is not UNSET:
            field_dict["autoStart"] = auto_start
        if run_at is not UNSET:
            field_dict["runAt"] = run_at
        if delay_ms is not UNSET:
            field_dict["delayMs"] = delay_ms
        if max_retries is not UNSET:
            field_dict["maxRetries"] = max_retries
        if retry_delay_ms is not UNSET:
            field_dict["retryDelayMs"] = retry_delay_ms
        if retry_policy is not UNSET:
            field_dict["retryPolicy"] = retry_policy
        if timeout_ms is not UNSET:
            field_dict["timeoutMs"] = timeout_ms
        if fail_fast is not UNSET:
            field_dict["failFast"] = fail_fast
        if concurrency_key is not UNSET:
            field_dict["concurrencyKey"] = concurrency_key
        if on_conflict is not UNSET:
            field_dict["onConflict"] = on_conflict
        if allow_queue is not UNSET:
            field_dict["allowQueue"] = allow_queue

        return field_dict

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        from ..models.retry_policy import RetryPolicy

        d = dict(src_dict)
        execution_id = d.pop("executionId", UNSET)

        idempotency_key = d.pop("idempotencyKey", UNSET)

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        tags = cast(list[str], d.pop("tags", UNSET))

        metadata = d.pop("metadata", UNSET)

        priority = d.pop("priority", UNSET)

        env = d.pop("env", UNSET)

        memory = d.pop("memory", UNSET)

        auto_start = d.pop("autoStart", UNSET)

        _run_at = d.pop("runAt", UNSET)
        run_at: datetime.datetime | Unset
        if isinstance(_run_at, Unset):
            run_at = UNSET
        else:
            run_at = datetime.datetime.fromisoformat(_run_at)

        delay_ms = d.pop("delayMs", UNSET)

        max_retries = d.pop("maxRetries", UNSET)

        retry_delay_ms = d.pop("retryDelayMs", UNSET)

        _retry_policy = d.pop("retryPolicy", UNSET)
        retry_policy: RetryPolicy | Unset
        if isinstance(_retry_policy, Unset):
            retry_policy = UNSET
        else:
            retry_policy = RetryPolicy.from_dict(_retry_policy)

        timeout_ms = d.pop("timeoutMs", UNSET)

        fail_fast = d.pop("failFast", UNSET)

        concurrency_key = d.pop("concurrencyKey", UNSET)

        on_conflict = d.pop("onConflict", UNSET)

        allow_queue = d.pop("allowQueue", UNSET)

        rerun_execution_request = cls(
            execution_id=execution_id,
            idempotency_key=idempotency_key,
            name=name,
            description=description,
            tags=tags,
            metadata=metadata,
            priority=priority,
            env=env,
            memory=memory,
            auto_start=auto_start,
            run_at=run_at,
            delay_ms=delay_ms,
            max_retries=max_retries,
            retry_delay_ms=retry_delay_ms,
            retry_policy=retry_policy,
            timeout_ms=timeout_ms,
            fail_fast=fail_fast,
            concurrency_key=concurrency_key,
            on_conflict=on_conflict,
            allow_queue=allow_queue,
        )

        return rerun_execution_request
