"""What may be said of a new execution, in Python's units, and the request that comes of it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Required, TypedDict

import attrs

from .client.types import UNSET, Unset
from .errors import InvalidRequest
from .nearest import meant
from .policy import RetryPolicy, milliseconds, wire_policy

if TYPE_CHECKING:
    from .client.models import BatchItem, CreateJobExecutionRequest, RerunExecutionRequest

    Request = CreateJobExecutionRequest | RerunExecutionRequest | BatchItem


class CreateOptions(TypedDict, total=False):
    """What may be said of a new execution. None is the same as leaving it out. Durations are seconds."""

    execution_id: str | None
    idempotency_key: str | None
    concurrency_key: str | None
    """Executions of the job with the same key run one after the other, or as many at once as its definition says."""
    on_conflict: str | None
    """While the concurrency key is in use: `queue` behind, `coalesce` with a pending one, or `reject` (KeyInUse)."""
    priority: str | None
    name: str | None
    description: str | None
    tags: list[str] | None
    metadata: Mapping[str, Any] | None
    run_at: datetime | str | None
    """When it may start: a datetime or ISO text, in UTC unless it says otherwise."""
    delay: float | None
    """Seconds until it may start."""
    auto_start: bool | None
    """False: it waits for `start()`."""
    max_retries: int | None
    """Tries of a task after the first that failed."""
    retry_delay: float | None
    """Seconds between two tries, always the same."""
    retry_policy: RetryPolicy | Mapping[str, Any] | None
    timeout: float | None
    """Seconds from its first start to its end, without the time that it is paused."""
    fail_fast: bool | None
    """The first task that fails for good ends the others."""
    env: Mapping[str, str] | None
    memory: int | None
    """MB for each task."""
    allow_queue: bool | None
    """False: raise TooManyRequests instead of queueing when the job is at its limit."""


class NewExecution(CreateOptions, total=False):
    """One execution of a batch: its job, its `payload` (or `tasks`, one for each mapping), and its options."""

    job: Required[str]
    payload: Any
    tasks: list[Mapping[str, Any]]


_NEW_ON_OURS: Final = (
    "auto_start", "run_at", "delay_ms", "max_retries", "retry_delay_ms", "retry_policy", "timeout_ms", "fail_fast",
    "concurrency_key", "on_conflict",
)  # fmt: skip
"""Fields that change what an execution does, and that the platform does not have."""
_IGNORED: Final = ("id", "job_id", "workspace_id")
"""Fields that the contract takes from the platform's SDKs, and nobody need write."""
_NAMES: Final = {"delay_ms": "delay", "retry_delay_ms": "retry_delay", "timeout_ms": "timeout"}
_MILLISECONDS: Final = {python: wire for wire, python in _NAMES.items()}


def create_body(
    request: "CreateJobExecutionRequest | Mapping[str, Any]", options: Mapping[str, Any]
) -> "CreateJobExecutionRequest":
    """A request, given as the model or as a mapping with the contract's names, with the options that are set, which win.

    Raises InvalidRequest naming the field, TypeError for an option that there is not.
    """
    from .client.models.create_job_execution_request import CreateJobExecutionRequest

    if isinstance(request, Mapping):
        given = request
        try:
            request = CreateJobExecutionRequest.from_dict(request)
        except (TypeError, ValueError, AttributeError) as error:
            field = next((name for name in ("runAt", "retryPolicy") if name in given), None)
            raise InvalidRequest(f"{field or 'the request'} cannot be read: {error}", path=field) from None
        unknown = sorted(str(name) for name in given.keys() - request.to_dict().keys())
        if unknown:
            known = [_camel(field.name) for field in attrs.fields(CreateJobExecutionRequest) if field.name not in _IGNORED]
            raise InvalidRequest(f"the contract knows no field {unknown[0]}: {meant(unknown[0], known)}", path=unknown[0])
    elif not isinstance(request, CreateJobExecutionRequest):
        raise InvalidRequest(f"a request is a CreateJobExecutionRequest or a mapping, not {type(request).__name__}")
    mended: dict[str, Any] = {}
    if isinstance(request.priority, StrEnum):
        mended["priority"] = request.priority.value
    if not isinstance(request.run_at, Unset):
        mended["run_at"] = _instant(request.run_at)
    if isinstance(request.retry_policy, Mapping):
        mended["retry_policy"] = _policy(request.retry_policy)
    chosen = {**mended, **chosen_options(options)}
    return attrs.evolve(request, **chosen) if chosen else request


def rerun_body(options: Mapping[str, Any]) -> "RerunExecutionRequest":
    """What is to be different of a new execution. Raises as `create_body`."""
    from .client.models.rerun_execution_request import RerunExecutionRequest

    return RerunExecutionRequest(**chosen_options(options))


def batch_item(item: Mapping[str, Any], index: int) -> "BatchItem":
    """An item of a batch. Raises as `create_body`, with the item in the path."""
    from .client.models.batch_item import BatchItem

    if not isinstance(item, Mapping):
        raise InvalidRequest(
            f"items[{index}] is a mapping such as {{'job': 'a', 'payload': 1}}, not {item!r}", path=f"items[{index}]"
        )
    options = dict(item)
    job, payload, tasks = options.pop("job", None), options.pop("payload", UNSET), options.pop("tasks", UNSET)
    if not isinstance(job, str):
        raise InvalidRequest(f"items[{index}] names no job", path=f"items[{index}].job")
    if payload is UNSET and tasks is UNSET:
        payload = None
    if not isinstance(tasks, Unset):
        if not isinstance(tasks, Iterable) or isinstance(tasks, str | Mapping):
            raise InvalidRequest(f"items[{index}].tasks is a list of mappings, not {tasks!r}", path=f"items[{index}].tasks")
        tasks = [dict(task) if isinstance(task, Mapping) else task for task in tasks]
    try:
        return BatchItem(job=job, input=payload, tasks=tasks, **chosen_options(options))
    except InvalidRequest as error:
        named = "." if error.path and error.message.startswith(error.path) else ": "
        path = f"items[{index}]" + (f".{error.path}" if error.path else "")
        raise InvalidRequest(f"items[{index}]{named}{error.message}", path=path) from None
    except TypeError as error:
        raise TypeError(f"items[{index}]: {error}") from None


def chosen_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are set, as the fields of a generated model. Raises InvalidRequest, TypeError for one that there is not."""
    known = CreateOptions.__annotations__
    extra = options.keys() - known.keys()
    if extra:
        raise TypeError(f"there is no option {min(extra)!r}: {meant(min(extra), known)}")
    chosen: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in _MILLISECONDS:
            chosen[_MILLISECONDS[name]] = milliseconds(name, value)
        elif name == "run_at":
            chosen[name] = _instant(value)
        elif name == "retry_policy":
            chosen[name] = _policy(wire_policy(value))
        else:
            chosen[name] = _plain(value)
    return chosen


def for_platform(body: "CreateJobExecutionRequest") -> "CreateJobExecutionRequest":
    """The same for the Blaxel platform, which knows tasks only. Raises InvalidRequest for what it cannot do."""
    for name in _NEW_ON_OURS:
        if not isinstance(getattr(body, name), Unset):
            option = _NAMES.get(name, name)
            raise InvalidRequest(f"the Blaxel platform knows no {option}: that takes a server of blaxel-jobs", path=option)
    if isinstance(body.input, Unset):
        return body
    if not isinstance(body.input, dict):
        raise InvalidRequest("the Blaxel platform takes objects only, one for each task", path="input")
    return attrs.evolve(body, input=UNSET, tasks=[body.input])


def is_ours(body: "CreateJobExecutionRequest") -> bool:
    """Does it say what the platform reads otherwise, or not at all."""
    return not isinstance(body.input, Unset) or any(not isinstance(getattr(body, name), Unset) for name in _NEW_ON_OURS)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(option: Any) -> Any:
    """Any mapping as the dict that it stands for, a word of an enumeration as text."""
    return dict(option) if isinstance(option, Mapping) else option.value if isinstance(option, StrEnum) else option


def _instant(value: Any) -> datetime:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidRequest(
            f"run_at is a datetime or ISO text such as 2026-01-31T08:00:00Z, not {value!r}", path="run_at"
        ) from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _policy(wire: Mapping[str, Any]) -> Any:
    from .client.models.retry_policy import RetryPolicy as Model

    return Model.from_dict(wire)
