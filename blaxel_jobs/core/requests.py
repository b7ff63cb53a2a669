"""Requests as they are sent, checked: from bytes or plain data to records.

The structs repeat openapi.yaml by hand, because generated ones lose what free-form values were; a test holds the two together.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..define import JOB_NAME
from ..errors import InvalidRequest, MalformedRequest
from ..words import JobPriority
from .records import Execution, NewTasks, Spec, Task

MAX_DEPTH: Final = 64
MAX_TASKS: Final = 10_000
MAX_KEY: Final = 255
MAX_IDS: Final = 10_000

LINE: Final = r"^[^\x00-\x1f\x7f]*\Z"
"""Text without control characters: they cut names off in databases, and lines in logs."""
LINES: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z"
_KEY: Final = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_KEY}}}")

Id = Annotated[str, Meta(pattern=rf"^{JOB_NAME.pattern}\Z")]


class CreateRequest(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """The body of a create. Schema CreateJobExecutionRequest."""

    input: Any = UNSET
    tasks: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_TASKS)] | UnsetType = UNSET
    execution_id: Id | UnsetType = UNSET
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=MAX_KEY, pattern=LINE)] | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=512, pattern=LINE)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=4096, pattern=LINES)] | UnsetType = UNSET
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128, pattern=LINE)]], Meta(max_length=64)] | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    priority: JobPriority | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    memory: Annotated[int, Meta(ge=1, le=16_777_216)] | UnsetType = UNSET
    allow_queue: bool | UnsetType = UNSET
    id: str | UnsetType = UNSET
    job_id: str | UnsetType = UNSET
    workspace_id: str | UnsetType = UNSET


class ExecutionIds(Struct, forbid_unknown_fields=True):
    """The body of a bulk status and of a watch. Schema ExecutionIds."""

    ids: Annotated[list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(min_length=1, max_length=MAX_IDS)]


_CREATE: Final = msgspec.json.Decoder(CreateRequest)
_ENCODER: Final = msgspec.json.Encoder()
_IDS: Final = msgspec.json.Decoder(ExecutionIds)
S = TypeVar("S", bound=Struct)


class Create(Struct, frozen=True, kw_only=True):
    """A checked create: all of the execution but its id and its times."""

    workspace: str
    job: str
    execution_id: str | None
    idempotency_key: str | None
    priority: JobPriority
    spec: Spec
    inputs: tuple[str, ...]

    def records(self, execution_id: str, queue: str, now: float) -> "tuple[Execution, NewTasks]":
        """The execution and its tasks, new."""
        execution = Execution(
            workspace=self.workspace, id=execution_id, job=self.job, priority=self.priority.rank, total=len(self.inputs),
            created_at=now, updated_at=now, idempotency_key=self.idempotency_key, spec=self.spec,
        )  # fmt: skip
        return execution, NewTasks(execution, queue, self.inputs)

    def made(self, execution: Execution, tasks: Sequence[Task]) -> bool:
        """Would this create have made this very execution: the same job, priority and spec, and these tasks of it the same inputs,
        however they were written. So it is with an id that the create asks for; but not with its key, where it is the id that named
        the execution."""
        return (
            self.execution_id in (None, execution.id)
            and (execution.job, execution.priority, execution.total) == (self.job, self.priority.rank, len(self.inputs))
            and _canonical(msgspec.json.encode(execution.spec)) == _canonical(msgspec.json.encode(self.spec))
            and all(_canonical(task.input) == _canonical(self.inputs[task.index]) for task in tasks)
        )


def read_json(body: bytes) -> Any:
    """The JSON value in a body. Raises MalformedRequest, and InvalidRequest for what is nested too deeply."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        path = _find_infinite(body)
        if path is None:
            raise MalformedRequest(f"the body is not JSON: {error}") from None
        raise MalformedRequest(f"{path} is not a finite number, and JSON has no other", path=path) from None
    if _may_be_deep(body) and _depth(value) > MAX_DEPTH:
        raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
    return value


def _read(body: Any, kind: type[S], decoder: "msgspec.json.Decoder[S]") -> S:
    """A body as its struct: JSON text, or the value that it stands for. What is wrong with a text, a second reading finds out."""
    if isinstance(body, bytes):
        try:
            if not _may_be_deep(body):
                return decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        body = read_json(body)
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object", path="")
    memory = body.get("memory")
    if isinstance(memory, float) and memory.is_integer():
        body = {**body, "memory": int(memory)}  # to JSON Schema 512.0 is an integer
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _canonical(text: bytes | str) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(text), order="sorted")


def read_create(workspace: str, job: str, body: Any, idempotency_key: str | None = None) -> Create:
    """Check the body of a create: JSON text, or the value that it stands for. Raises InvalidRequest with the path of the field."""
    check_job(job)
    request = _read(body, CreateRequest, _CREATE)
    single = request.input is not UNSET
    if single and request.tasks is not UNSET:
        raise InvalidRequest("send input or tasks, not both", path="input")
    if not single and request.tasks is UNSET:
        raise InvalidRequest("send input (any JSON value) or tasks (a list of objects)", path="tasks")
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise InvalidRequest(f"an idempotency key has 1 to {MAX_KEY} characters, none a control character", path="Idempotency-Key")
    inputs: list[Any] = [request.input] if single else request.tasks  # type: ignore[assignment]
    return Create(
        workspace=workspace,
        job=job,
        execution_id=_or_none(request.execution_id),
        idempotency_key=_or_none(request.idempotency_key) or idempotency_key,
        priority=_or_none(request.priority) or JobPriority.MEDIUM,
        spec=_spec(request, single),
        inputs=_texts(inputs),
    )


def _texts(values: list[Any]) -> tuple[str, ...]:
    """Each value as JSON text, encoded in one go: JSON writes a line feed within text as an escape, so each line is a value."""
    return tuple(_ENCODER.encode_lines(values).decode().split("\n")[:-1])


def read_ids(body: Any) -> list[str]:
    """Check the body of a bulk status or a watch, as `read_create` does that of a create."""
    return _read(body, ExecutionIds, _IDS).ids


_PLAIN: Final = (Spec(), Spec(single=True))
"""The spec of an execution of which nothing was said but its work: one for all of them."""


def _spec(request: CreateRequest, single: bool) -> Spec:
    if (
        request.name is UNSET and request.description is UNSET and request.tags is UNSET and request.metadata is UNSET
        and request.env is UNSET and request.memory is UNSET
    ):  # fmt: skip
        return _PLAIN[single]
    return Spec(
        single=single,
        name=_or_none(request.name),
        description=_or_none(request.description),
        tags=_or_none(request.tags) or [],
        custom=_or_none(request.metadata),
        env=_or_none(request.env),
        memory=_or_none(request.memory),
    )


def check_job(job: str) -> str:
    """The name itself. Raises InvalidRequest when it is no job name."""
    if not JOB_NAME.fullmatch(job):
        raise InvalidRequest(f"{job!r} is not a job name: it takes letters, digits, '.', '_' and '-', at most 128", path="job")
    return job


def check_durations(inputs: list[str] | tuple[str, ...], single: bool) -> None:
    """Refuse a `duration` that is not a number of seconds >= 0, for executions that the built-in handler will run."""
    for index, text in enumerate(inputs):
        value = msgspec.json.decode(text)
        duration = value.get("duration", 0) if isinstance(value, dict) else 0
        if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
            path = "input.duration" if single else f"tasks[{index}].duration"
            raise InvalidRequest(f"{path} is a finite number of seconds, 0 or more, not {duration!r}", path=path)


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]*)`")


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    """msgspec says `Expected ... - at `$.tasks[0]``: the path is a field of ours."""
    text = str(error)
    found = _AT.search(text)
    path = found["path"] if found else ""
    unknown = _UNKNOWN.search(text)
    if unknown:
        path = f"{path}.{unknown['name']}" if path else unknown["name"]
        return InvalidRequest(f"the contract knows no field {path}", path=path)
    if path == "priority":
        return InvalidRequest(f"priority is {', '.join(JobPriority)}; {_AT.sub('', text)}", path=path)
    return InvalidRequest(f"{path or 'the body'}: {_AT.sub('', text)}", path=path)


def _may_be_deep(body: bytes) -> bool:
    """A body with few brackets cannot be deep: only the others are walked."""
    return body.count(b"[") + body.count(b"{") > MAX_DEPTH


def _find_infinite(body: bytes) -> str | None:
    """Where a body, as some encoders write it, has NaN, Infinity or a number like 1e999: as a path such as `tasks[0].duration`."""
    try:
        values = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return None
    while values:
        path, value = values.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return path
        if isinstance(value, dict):
            values += [(f"{path}.{name}" if path else name, child) for name, child in value.items()]
        elif isinstance(value, list):
            values += [(f"{path}[{index}]", child) for index, child in enumerate(value)]
    return None


def _depth(value: Any) -> int:
    deepest = 0
    open_values = [(value, 1)]
    while open_values:
        value, depth = open_values.pop()
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        if depth > deepest:
            deepest = depth
        if deepest > MAX_DEPTH:
            break
        open_values += [(child, depth + 1) for child in children if isinstance(child, dict | list)]
    return deepest


_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:[;,]|$)', re.ASCII | re.IGNORECASE)
MAX_WAIT: Final = 30


def parse_prefer(prefer: str | None) -> int | None:
    """The seconds that a `Prefer: wait=N` header (RFC 7240) is granted:

    Min(N, 30), or None where it asks for no wait that we know.
    """
    found = _WAIT.search(prefer) if prefer else None
    return min(int(found[1]), MAX_WAIT) if found else None
