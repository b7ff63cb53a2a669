"""Requests as they are sent, checked: from bytes or plain data to records."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import astuple

from ..errors import InvalidRequest
from ..words import JobPriority, JobStatus, OnConflict, WaitingFor
from .bodies import (
    MAX_TASKS,
    BatchItem,
    BatchRequest,
    CreateRequest,
    DefinitionRequest,
    DeleteRequest,
    EventRequest,
    ExecutionIds,
    Options,
)
from .reading import MAX_KEY, canonical, check_job, convert, or_none, read_body, seconds, text, texts
from .records import UNSAID, Definition, Execution, Json, NewTasks, Policy, RetryPolicy, Spec, Task
from .states import first_wait

_MEDIUM: Final = JobPriority.MEDIUM.rank
_KEY: Final = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_KEY}}}")
_CREATE: Final = msgspec.json.Decoder(CreateRequest)
_BATCH: Final = msgspec.json.Decoder(BatchRequest)
_RERUN: Final = msgspec.json.Decoder(Options)
_DEFINITION: Final = msgspec.json.Decoder(DefinitionRequest)
_IDS: Final = msgspec.json.Decoder(ExecutionIds)
_DELETE: Final = msgspec.json.Decoder(DeleteRequest)
_EVENT: Final = msgspec.json.Decoder(EventRequest)


class Create(Struct, frozen=True, kw_only=True):
    """A checked create: all of the execution but its id and its times."""

    workspace: str
    job: str
    execution_id: str | None = None
    idempotency_key: str | None = None
    priority: JobPriority | None = None
    spec: Spec
    inputs: tuple[Json, ...]
    policy: Policy = UNSAID
    """What it says; the rest is the definition's."""
    delay: float | None = None
    """Seconds from its create until it may start."""
    concurrency_key: str | None = None
    on_conflict: OnConflict = OnConflict.QUEUE
    allow_queue: bool = True

    def records(
        self, execution_id: str, now: float, definition: Definition | None = None, batch: str | None = None
    ) -> "tuple[Execution, NewTasks]":
        """The execution and its tasks, new, with the defaults of its job's definition."""
        spec, policy = self.spec, self.policy
        rank = _MEDIUM if self.priority is None else self.priority.rank
        if definition is not None:
            policy = definition.policy if policy is UNSAID else policy.over(definition.policy)
            if self.priority is None and definition.priority is not None:
                rank = definition.priority
        waiting_for, wait_until = None, None
        if spec is not _PLAIN[spec.single]:
            if self.delay is not None:
                spec = msgspec.structs.replace(spec, run_at=now + self.delay)
            waiting_for, wait_until = first_wait(spec, now) if spec.auto_start else (WaitingFor.START, None)
        execution = Execution(
            workspace=self.workspace, id=execution_id, job=self.job, priority=rank, total=len(self.inputs), created_at=now,
            updated_at=now, idempotency_key=self.idempotency_key, batch=batch, concurrency_key=self.concurrency_key, policy=policy,
            waiting_for=waiting_for, wait_until=wait_until, spec=spec,
        )  # fmt: skip
        return execution, NewTasks(execution, self.inputs)

    def made(self, execution: Execution, tasks: Sequence[Task]) -> bool:
        """Would this create have made this very execution: the same job and spec, and these tasks of it the same inputs, however
        they were written. So it is with an id that the create asks for; but not with its key, where it is the id that named the
        execution."""
        spec = execution.spec
        if self.delay is not None:
            spec = msgspec.structs.replace(spec, run_at=None)
        return (
            self.execution_id in (None, execution.id)
            and (execution.job, execution.total, execution.concurrency_key) == (self.job, len(self.inputs), self.concurrency_key)
            and canonical(msgspec.json.encode(spec)) == canonical(msgspec.json.encode(self.spec))
            and all(canonical(task.input) == canonical(self.inputs[task.index]) for task in tasks)
        )


class NewBatch(Struct, frozen=True, kw_only=True):
    """A checked batch: all of it or nothing."""

    workspace: str
    idempotency_key: str | None
    creates: tuple[Create, ...]


class Sent(Struct, frozen=True):
    """An event that somebody sends to an execution."""

    name: str
    payload: Json
    id: str | None
    """The same event has the same id."""


class Rerun(Struct, frozen=True):
    """What is to be different of a new execution of the same work."""

    options: Options
    idempotency_key: str | None

    def create(self, execution: Execution, inputs: Sequence[Json]) -> Create:
        """The create of it: the old one's options, but for its id, its idempotency key and its times, and these over them."""
        mine, spec = self.options, execution.spec
        said = {name: value for name, value in spec.said.items() if name != "delayMs"}
        if mine.retry_delay_ms is not UNSET or mine.retry_policy is not UNSET:
            said.pop("retryDelayMs", None)
            said.pop("retryPolicy", None)
        old = {
            **said, "name": spec.name, "description": spec.description, "tags": spec.tags or None, "metadata": spec.custom,
            "env": spec.env, "memory": spec.memory, "concurrencyKey": execution.concurrency_key,
        }  # fmt: skip
        new = msgspec.to_builtins(mine, builtin_types=(datetime,))
        merged = convert({name: value for name, value in {**old, **new}.items() if value is not None}, Options)
        return _create(execution.workspace, execution.job, merged, spec.single, tuple(inputs), self.idempotency_key)


def read_create(workspace: str, job: str, body: Any, idempotency_key: str | None = None) -> Create:
    """Check the body of a create: JSON text, or the value that it stands for. Raises InvalidRequest with the path of the field."""
    check_job(job)
    request = read_body(body, CreateRequest, _CREATE)
    single, inputs = _work(request, "")
    _check_key(idempotency_key)
    key = idempotency_key if request.idempotency_key is UNSET else request.idempotency_key
    return _create(workspace, job, request, single, texts(inputs), key)


def read_batch(workspace: str, body: Any, idempotency_key: str | None = None) -> NewBatch:
    """Check the body of a batch. Raises InvalidRequest with the path of the field in its item, such as `items[2].priority`."""
    request = read_body(body, BatchRequest, _BATCH)
    _check_key(idempotency_key)
    creates = []
    total = 0
    for index, item in enumerate(request.items):
        path = f"items[{index}]."
        single, inputs = _work(item, path)
        total += len(inputs)
        if total > MAX_TASKS:
            raise InvalidRequest(f"a batch has at most {MAX_TASKS} tasks; with this item it has {total}", path=path[:-1])
        if item.on_conflict is OnConflict.COALESCE:
            why = f"{_within(path)}an item of a batch is created or not: it does not coalesce"
            raise InvalidRequest(why, path=f"{path}onConflict")
        creates.append(_create(workspace, item.job, item, single, texts(inputs), or_none(item.idempotency_key), path))
    key = or_none(request.idempotency_key) or idempotency_key
    return NewBatch(workspace=workspace, idempotency_key=key, creates=tuple(creates))


def read_rerun(body: Any, idempotency_key: str | None = None) -> Rerun:
    """Check the body of a rerun. Raises InvalidRequest with the path of the field."""
    _check_key(idempotency_key)
    options = read_body(body, Options, _RERUN)
    _check_options(options, "")
    return Rerun(options, or_none(options.idempotency_key) or idempotency_key)


def read_definition(workspace: str, job: str, body: Any) -> Definition:
    """Check the body of a definition. Raises InvalidRequest with the path of the field."""
    check_job(job)
    request = read_body(body, DefinitionRequest, _DEFINITION)
    return Definition(
        workspace=workspace,
        job=job,
        queue="default" if request.queue is UNSET else request.queue,
        policy=Policy(
            bound=True, max_retries=or_none(request.max_retries), retry=_retry(request, ""), timeout=seconds(request.timeout_ms)
        ),
        priority=None if request.priority is UNSET else request.priority.rank,
        concurrency=or_none(request.concurrency),
        concurrency_per_key=1 if request.concurrency_per_key is UNSET else request.concurrency_per_key,
        input_schema=or_none(request.input_schema),
        output_schema=or_none(request.output_schema),
    )


def read_ids(body: Any) -> list[str]:
    """Check the body of a bulk status or a watch, as `read_create` does that of a create."""
    return read_body(body, ExecutionIds, _IDS).ids


def read_delete(body: Any) -> bool:
    """Is the delete forced. Raises InvalidRequest."""
    return read_body(body, DeleteRequest, _DELETE).force


def read_event(body: Any) -> Sent:
    """Check an event that is sent. Raises InvalidRequest with the path of the field."""
    request = read_body(body, EventRequest, _EVENT)
    return Sent(request.name, text(request.payload), or_none(request.id))


def read_statuses(words: str) -> tuple[JobStatus, ...]:
    """The statuses of a list's filter, with commas between them. Raises InvalidRequest."""
    try:
        return tuple(dict.fromkeys(JobStatus(word) for word in words.split(",")))
    except ValueError as error:
        message = f"status is one of {', '.join(JobStatus)}, or several with commas between them: {error}"
        raise InvalidRequest(message, path="status") from None


_PLAIN: Final = (Spec(), Spec(single=True))
"""The spec of an execution of which nothing was said but its work: one for all of them."""
_NOTHING_SAID: Final = astuple(Options())[2:]
"""The options of a create but for the two that name it. They are the last fields of all that have them."""
_SAID: Final = (
    "priority", "delay_ms", "max_retries", "retry_delay_ms", "retry_policy", "timeout_ms", "fail_fast", "on_conflict",
    "allow_queue",
)  # fmt: skip
"""Options that the execution does not keep as they were said: a definition speaks too, or time has passed."""


def _work(request: CreateRequest | BatchItem, path: str) -> tuple[bool, list[Any]]:
    """Is it one input, and the inputs of its tasks."""
    if request.tasks is UNSET:
        if request.input is UNSET:
            raise InvalidRequest(f"{_within(path)}send input (any JSON value) or tasks (a list of objects)", path=f"{path}tasks")
        return True, [request.input]
    if request.input is not UNSET:
        raise InvalidRequest(f"{_within(path)}send input or tasks, not both", path=f"{path}input")
    return False, request.tasks


def _create(
    workspace: str, job: str, request: Options, single: bool, inputs: tuple[Json, ...], key: str | None, path: str = ""
) -> Create:
    execution_id = None if request.execution_id is UNSET else request.execution_id
    if astuple(request)[-len(_NOTHING_SAID) :] == _NOTHING_SAID:
        return Create(
            workspace=workspace, job=job, execution_id=execution_id, idempotency_key=key, spec=_PLAIN[single], inputs=inputs
        )
    _check_options(request, path)
    policy = Policy(
        max_retries=or_none(request.max_retries),
        retry=_retry(request, path),
        timeout=seconds(request.timeout_ms),
        fail_fast=request.fail_fast is True,
    )
    return Create(
        workspace=workspace,
        job=job,
        execution_id=execution_id,
        idempotency_key=key,
        priority=or_none(request.priority),
        spec=_spec(request, single),
        inputs=inputs,
        policy=UNSAID if policy == UNSAID else policy,
        delay=seconds(request.delay_ms),
        concurrency_key=or_none(request.concurrency_key),
        on_conflict=OnConflict.QUEUE if request.on_conflict is UNSET else request.on_conflict,
        allow_queue=request.allow_queue is not False,
    )


def _spec(request: Options, single: bool) -> Spec:
    said = {name: getattr(request, name) for name in _SAID if getattr(request, name) is not UNSET}
    spec = Spec(
        single=single,
        name=or_none(request.name),
        description=or_none(request.description),
        tags=or_none(request.tags) or [],
        custom=or_none(request.metadata),
        env=or_none(request.env),
        memory=or_none(request.memory),
        auto_start=request.auto_start is not False,
        run_at=None if request.run_at is UNSET else request.run_at.timestamp(),
        said={_camel(name): msgspec.to_builtins(value) for name, value in said.items()},
    )
    return _PLAIN[single] if spec == _PLAIN[single] else spec


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _check_options(request: Options, path: str) -> None:
    if request.run_at is not UNSET:
        if request.delay_ms is not UNSET:
            raise InvalidRequest(f"{_within(path)}send runAt or delayMs, not both", path=f"{path}delayMs")
        try:
            datetime.fromtimestamp(request.run_at.timestamp(), UTC)
        except (ValueError, OverflowError):
            why = f"{_within(path)}runAt is not within the years 1 to 9999 in UTC"
            raise InvalidRequest(why, path=f"{path}runAt") from None
    if request.env is not UNSET:
        _check_env(request.env, path)
    _retry(request, path)


def _check_env(env: dict[str, str], path: str) -> None:
    """What no process can be given as its environment would fail where it is to run."""
    for name in env:
        if not name or "=" in name or "\0" in name:
            why = f"{path}env has the name {name!r}: no environment has one that is empty, or has '=' or a NUL character"
            raise InvalidRequest(why, path=f"{path}env")


def _within(path: str) -> str:
    """What a message begins with that is about an item of a batch."""
    return f"{path[:-1]}: " if path else ""


def _retry(request: Options | DefinitionRequest, path: str) -> RetryPolicy | None:
    asked = request.retry_policy
    if request.retry_delay_ms is not UNSET:
        if asked is not UNSET:
            raise InvalidRequest(f"{_within(path)}send retryDelayMs or retryPolicy, not both", path=f"{path}retryDelayMs")
        delay = request.retry_delay_ms / 1000
        return RetryPolicy(initial=delay, factor=1.0, max=delay, jitter="none")
    if asked is UNSET:
        return None
    return RetryPolicy(initial=asked.initial_ms / 1000, factor=asked.factor, max=asked.max_ms / 1000, jitter=asked.jitter)


def _check_key(key: str | None) -> None:
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidRequest(f"an idempotency key has 1 to {MAX_KEY} characters, none a control character", path="Idempotency-Key")


def check_durations(inputs: list[str] | tuple[str, ...], single: bool, within: str = "") -> None:
    """Refuse a `duration` that is not a number of seconds >= 0, for executions that the built-in handler will run. `within` is what
    stands before the path of a field."""
    for index, each in enumerate(inputs):
        value = msgspec.json.decode(each)
        duration = value.get("duration", 0) if isinstance(value, dict) else 0
        if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
            path = within + ("input.duration" if single else f"tasks[{index}].duration")
            raise InvalidRequest(f"{path} is a finite number of seconds, 0 or more, not {duration!r}", path=path)


_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[;,]|$)', re.ASCII | re.IGNORECASE)
MAX_WAIT: Final = 30


def parse_prefer(prefer: str | None) -> int | None:
    """The seconds that a `Prefer: wait=N` header (RFC 7240) is granted:

    Min(N, 30), or None where it asks for no wait that we know.
    """
    found = _WAIT.search(prefer) if prefer else None
    return min(int(found[1]), MAX_WAIT) if found else None
