"""The bodies of requests, field by field.

The structs repeat openapi.yaml by hand, because generated ones lose what free-form values were; a test holds the two together.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ..job_names import JOB_NAME
from ..words import JobPriority, OnConflict
from .reading import LINE, LINES, MAX_KEY, MAX_MS

MAX_TASKS: Final = 10_000
MAX_IDS: Final = 10_000
MAX_RETRIES: Final = 10_000

Id = Annotated[str, Meta(pattern=rf"^{JOB_NAME.pattern}\Z")]
Key = Annotated[str, Meta(min_length=1, max_length=MAX_KEY, pattern=LINE)]
ExecutionId = Annotated[str, Meta(min_length=1, max_length=128)]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_MS)]
TimeoutMs = Annotated[int, Meta(ge=1, le=MAX_MS)]
MaxRetries = Annotated[int, Meta(ge=0, le=MAX_RETRIES)]
Limit = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Inputs = Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_TASKS)]


class RetryPolicyRequest(Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Schema RetryPolicy."""

    initial_ms: Milliseconds = 1000
    factor: Annotated[float, Meta(ge=1, le=1000)] = 2
    max_ms: Milliseconds = 300_000
    jitter: Literal["full", "none"] = "full"


class Options(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What may be said of an execution besides its work. Schema RerunExecutionRequest."""

    execution_id: Id | UnsetType = UNSET
    idempotency_key: Key | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=512, pattern=LINE)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=4096, pattern=LINES)] | UnsetType = UNSET
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128, pattern=LINE)]], Meta(max_length=64)] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    priority: JobPriority | UnsetType = UNSET
    env: dict[str, Annotated[str, Meta(pattern=r"^[^\x00]*\Z")]] | UnsetType = UNSET
    memory: Annotated[int, Meta(ge=1, le=16_777_216)] | UnsetType = UNSET
    auto_start: bool | UnsetType = UNSET
    run_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    delay_ms: Milliseconds | UnsetType = UNSET
    max_retries: MaxRetries | UnsetType = UNSET
    retry_delay_ms: Milliseconds | UnsetType = UNSET
    retry_policy: RetryPolicyRequest | UnsetType = UNSET
    timeout_ms: TimeoutMs | UnsetType = UNSET
    fail_fast: bool | UnsetType = UNSET
    concurrency_key: Key | UnsetType = UNSET
    on_conflict: OnConflict | UnsetType = UNSET
    allow_queue: bool | UnsetType = UNSET


class CreateRequest(Options):
    """The body of a create. Schema CreateJobExecutionRequest."""

    input: Any = UNSET
    tasks: Inputs | UnsetType = UNSET
    id: str | UnsetType = UNSET
    job_id: str | UnsetType = UNSET
    workspace_id: str | UnsetType = UNSET


class BatchItem(Options):
    """One execution of a batch. Schema BatchItem."""

    job: Id
    input: Any = UNSET
    tasks: Inputs | UnsetType = UNSET


class BatchRequest(Struct, rename="camel", forbid_unknown_fields=True):
    """Schema CreateBatchRequest."""

    items: Annotated[list[BatchItem], Meta(min_length=1, max_length=MAX_TASKS)]
    idempotency_key: Key | UnsetType = UNSET


class DefinitionRequest(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Schema JobDefinition."""

    queue: Key | UnsetType = UNSET
    max_retries: MaxRetries | UnsetType = UNSET
    retry_delay_ms: Milliseconds | UnsetType = UNSET
    retry_policy: RetryPolicyRequest | UnsetType = UNSET
    timeout_ms: TimeoutMs | UnsetType = UNSET
    priority: JobPriority | UnsetType = UNSET
    concurrency: Limit | UnsetType = UNSET
    concurrency_per_key: Limit | UnsetType = UNSET
    input_schema: dict[str, Any] | UnsetType = UNSET
    output_schema: dict[str, Any] | UnsetType = UNSET


class ExecutionIds(Struct, forbid_unknown_fields=True):
    """The body of a bulk status and of a watch. Schema ExecutionIds."""

    ids: Annotated[list[ExecutionId], Meta(min_length=1, max_length=MAX_IDS)]


class DeleteRequest(Struct, forbid_unknown_fields=True):
    """Schema DeleteExecutionRequest."""

    force: bool = False


class EventRequest(Struct, forbid_unknown_fields=True):
    """Schema SendExecutionEventRequest."""

    name: Key
    payload: Any = None
    id: Key | UnsetType = UNSET
