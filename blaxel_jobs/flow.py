"""Operations without I/O: generators that yield what they need, and the two drivers that fetch it.

A flow yields `Op` (call this operation of the contract) and `Sleep`, and returns the answer. It never sees a socket, a thread or a
clock of its own, so sync and async, over HTTP and in process, are one body: a `Seam` performs what is yielded.
"""

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar

import attrs

from .client.types import UNSET, Unset
from .errors import (
    Conflict,
    ConnectionFailed,
    ContractError,
    InvalidRequest,
    JobsError,
    NotFound,
    RequestError,
    RequestTooSlow,
    ServerError,
    TooManyRequests,
)

if TYPE_CHECKING:
    from .client.models import (
        CreateJobExecutionOutput,
        CreateJobExecutionRequest,
        JobExecution,
        JobExecutionEventList,
        JobExecutionList,
        JobExecutionTask,
        JobExecutionTaskList,
    )

T = TypeVar("T")


@attrs.frozen
class Op:
    """One call of an operation of openapi.yaml.

    `id` is the generated module's name, such as `get_job_execution`; `arguments` are the keyword arguments of its generated
    function (what is not given is left out; `body` is the generated model); `model` names the model that the answer is read into.
    `timeout` is the most seconds that the call may take, where the caller has less time than a request usually has.
    """

    id: str
    model: str
    arguments: Mapping[str, Any]
    timeout: float | None = None


@attrs.frozen
class Sleep:
    """Wait this many seconds."""

    seconds: float


Flow = Generator[Op | Sleep, Any, T]


@attrs.define
class Peer:
    """What the other side's answers have told of it. Flows read it; the seam that sees the answers writes it."""

    contract: bool | None = None
    """True: it answers in our contract. False: it is the platform. None as long as no answer told; then ours is assumed."""
    doubtful: bool = False
    """Its address is the platform's."""
    missing: set[str] = attrs.field(factory=set)
    """Operations for which it has no route."""

    @property
    def is_platform(self) -> bool:
        return self.contract is False


class Seam(Protocol):
    """Performs what flows yield: `transport` over HTTP, `manager` in process. Time, randomness and keys come from here too."""

    @property
    def retries(self) -> int:
        """How often a call is made again after it failed for a passing reason."""
        ...

    @property
    def peer(self) -> Peer:
        """What is known of the other side."""
        ...

    def monotonic(self) -> float: ...
    def random(self) -> float: ...
    def new_key(self) -> str: ...
    def perform(self, op: Op) -> Any: ...
    async def aperform(self, op: Op) -> Any: ...
    def sleep(self, seconds: float) -> None: ...
    async def asleep(self, seconds: float) -> None: ...
    def astream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        """The models that come, in the batches in which they come; an empty one is a sign of life. Ends when the server ends it."""
        ...


def run(seam: Seam, flow: Flow[T]) -> T:
    """Drive a flow in this thread."""
    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            try:
                wanted = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            answer, error = None, None
            try:
                if isinstance(wanted, Op):
                    answer = seam.perform(wanted)
                else:
                    seam.sleep(wanted.seconds)
            except Exception as raised:  # noqa: BLE001 - whatever it is, the flow decides
                error = raised
    finally:
        error = None  # its traceback holds this frame


async def arun(seam: Seam, flow: Flow[T]) -> T:
    """Drive a flow in this task."""
    answer: Any = None
    error: Exception | None = None
    try:
        while True:
            try:
                wanted = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            answer, error = None, None
            try:
                if isinstance(wanted, Op):
                    answer = await seam.aperform(wanted)
                else:
                    await seam.asleep(wanted.seconds)
            except Exception as raised:  # noqa: BLE001 - whatever it is, the flow decides
                error = raised
    finally:
        error = None  # its traceback holds this frame


# Calls

BACKOFF_FIRST: Final = 0.5
BACKOFF_LAST: Final = 8.0
RETRY_AFTER_MOST: Final = 60.0
LOOK: Final = "wait=0"
"""The `Prefer` of a look within a wait: where time is the mock's, it is the wait that moves it, and no look."""
PASSING: Final = (ConnectionFailed, RequestTooSlow, TooManyRequests, ServerError)
"""What may be gone the next time."""


def call(seam: Seam, op: Op) -> Flow[Any]:
    """Perform an operation, again after a failure that may pass. Raises what the last try raised."""
    tries = 0
    while True:
        try:
            return (yield op)
        except PASSING as error:
            if tries >= seam.retries:
                raise
            delay = backoff(seam, error, tries)
        tries += 1
        yield Sleep(delay)


def backoff(seam: Seam, error: JobsError, tries: int) -> float:
    """Seconds until the next try: what the server asks for, up to a minute, else exponential with full jitter."""
    asked = error.retry_after if isinstance(error, RequestError) else None
    if asked is not None:
        return min(asked, RETRY_AFTER_MOST)
    return seam.random() * min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(tries, 16))


class CreateOptions(TypedDict, total=False):
    """What may be said of a new execution. None is the same as leaving it out."""

    execution_id: str | None
    idempotency_key: str | None
    priority: str | None
    name: str | None
    description: str | None
    tags: list[str] | None
    metadata: Mapping[str, Any] | None
    env: Mapping[str, str] | None
    memory: int | None
    """MB for each task."""
    allow_queue: bool | None
    """False: raise TooManyRequests instead of queueing when the job is at its limit."""


def create_execution(
    seam: Seam, job: str, request: "CreateJobExecutionRequest | Mapping[str, Any]", options: Mapping[str, Any]
) -> "Flow[CreateJobExecutionOutput | JobExecution]":
    """Create an execution of `request` and the `options` that are set, which win. However often it is sent, it is created once.

    The platform knows no idempotency keys. There it is sent again only when it was not sent, or has an id of the caller's.
    """
    body = _body(request, options)
    key = {} if body.idempotency_key else {"idempotency_key": seam.new_key()}
    if seam.peer.contract is None and seam.peer.doubtful and not isinstance(body.input, Unset):
        yield from _settle(seam, job)
    tries = 0
    while True:
        arguments = {"job": job, "body": _for_platform(body) if seam.peer.is_platform else body, **key}
        try:
            return (yield Op("create_job_execution", "CreateJobExecutionOutput", arguments))  # type: ignore[no-any-return]
        except PASSING as error:
            if tries >= seam.retries:
                raise
            lost = error
        except Conflict:
            # The platform has no keys: that the id is taken means that the try whose answer was lost has made it.
            if tries and seam.peer.is_platform and body.execution_id:
                return (yield from get_execution(seam, job, body.execution_id))
            raise
        unsent = isinstance(lost, ConnectionFailed) and not lost.sent
        tries = yield from _before_next_try(seam, job, lost, tries, harmless=unsent or bool(body.execution_id))


def _before_next_try(seam: Seam, job: str, lost: JobsError, tries: int, *, harmless: bool) -> Flow[int]:
    """Pause; the number of tries until now. Raises `lost` when a next one could create a second execution."""
    while True:
        yield Sleep(backoff(seam, lost, tries))
        tries += 1
        if harmless:
            return tries
        yield from _settle(seam, job)
        if seam.peer.contract:
            return tries
        if seam.peer.is_platform or tries >= seam.retries:
            raise lost


def _settle(seam: Seam, job: str) -> Flow[None]:
    """Ask for something harmless that both have, unless it is known whether the other side is the platform."""
    if seam.peer.contract is None:
        with suppress(ConnectionFailed, ContractError, RequestError):
            yield Op("get_job", "Job", {"job": job})


def _for_platform(body: "CreateJobExecutionRequest") -> "CreateJobExecutionRequest":
    """The same for the platform, which knows tasks only. Raises InvalidRequest for an input that is no object."""
    if isinstance(body.input, Unset):
        return body
    if not isinstance(body.input, dict):
        raise InvalidRequest("the Blaxel platform takes objects only, one for each task", path="input")
    return attrs.evolve(body, input=UNSET, tasks=[body.input])


def _body(request: "CreateJobExecutionRequest | Mapping[str, Any]", options: Mapping[str, Any]) -> "CreateJobExecutionRequest":
    from .client.models.create_job_execution_request import CreateJobExecutionRequest

    if isinstance(request, Mapping):
        given, request = request, CreateJobExecutionRequest.from_dict(request)
        unknown = sorted(str(name) for name in given.keys() - request.to_dict().keys())
        if unknown:
            raise InvalidRequest(f"the contract knows no field {unknown[0]}", path=unknown[0])
    elif not isinstance(request, CreateJobExecutionRequest):
        raise InvalidRequest(f"a request is a CreateJobExecutionRequest or a mapping, not {type(request).__name__}")
    extra = options.keys() - CreateOptions.__annotations__.keys()
    if extra:
        raise TypeError(f"there is no option {min(extra)!r}; there are {', '.join(CreateOptions.__annotations__)}")
    chosen = {name: _plain(value) for name, value in options.items() if value is not None}
    if isinstance(request.priority, StrEnum):
        chosen.setdefault("priority", request.priority.value)
    return attrs.evolve(request, **chosen) if chosen else request


def _plain(option: Any) -> Any:
    """Any mapping as the dict that it stands for, a word of an enumeration as text."""
    return dict(option) if isinstance(option, Mapping) else option.value if isinstance(option, StrEnum) else option


def get_execution(seam: Seam, job: str, execution_id: str, prefer: str | None = None) -> "Flow[JobExecution]":
    arguments = _given(job=job, execution_id=checked_id(execution_id), prefer=prefer)
    return (yield from call(seam, Op("get_job_execution", "JobExecution", arguments)))  # type: ignore[no-any-return]


_STATUS: Final = "get_job_execution_status"


def get_execution_status(seam: Seam, job: str, execution_id: str) -> Flow[str]:
    arguments = {"job": job, "execution_id": checked_id(execution_id)}
    if seam.peer.contract or _STATUS not in seam.peer.missing:
        try:
            return (yield from call(seam, Op(_STATUS, "JobExecutionStatus", arguments))).status  # type: ignore[no-any-return]
        except NotFound:
            if seam.peer.contract:
                raise
            # No such execution, or no such route: the platform has none.
            seam.peer.missing.add(_STATUS)
    return (yield from get_execution(seam, job, execution_id)).status


def cancel_execution(seam: Seam, job: str, execution_id: str) -> "Flow[JobExecution]":
    arguments = {"job": job, "execution_id": checked_id(execution_id)}
    return (yield from call(seam, Op("cancel_job_execution", "JobExecution", arguments)))  # type: ignore[no-any-return]


OFFSET_CURSOR: Final = "offset="
"""How a cursor begins that we made: old versions of the platform's API have none in their lists, just offsets."""


def list_executions(seam: Seam, job: str, limit: int | None, offset: int | None, cursor: str | None) -> "Flow[JobExecutionList]":
    """One page, the newest first."""
    if cursor is not None and cursor.startswith(OFFSET_CURSOR) and seam.peer.is_platform:
        offset, cursor = int(cursor.removeprefix(OFFSET_CURSOR)), None
    arguments = _given(job=job, limit=limit, offset=offset, cursor=cursor)
    return (yield from call(seam, Op("list_job_executions", "JobExecutionList", arguments)))  # type: ignore[no-any-return]


def list_tasks(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionTaskList]":
    """One page, in the order they were given."""
    arguments = _given(job=job, execution_id=checked_id(execution_id), limit=limit, cursor=cursor)
    return (yield from call(seam, Op("list_job_execution_tasks", "JobExecutionTaskList", arguments)))  # type: ignore[no-any-return]


def list_events(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionEventList]":
    """One page, the oldest first."""
    arguments = _given(job=job, execution_id=checked_id(execution_id), limit=limit, cursor=cursor)
    return (yield from call(seam, Op("list_job_execution_events", "JobExecutionEventList", arguments)))  # type: ignore[no-any-return]


def all_tasks(seam: Seam, job: str, execution_id: str) -> "Flow[list[JobExecutionTask]]":
    """Every task, page by page."""
    tasks: list[JobExecutionTask] = []
    cursor: str | None = None
    while True:
        page = yield from list_tasks(seam, job, execution_id, None, cursor)
        tasks += page.data
        cursor = page.meta.next_cursor or None
        if not page.meta.has_more or cursor is None:
            return tasks


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def checked_id(execution_id: object) -> str:
    """Raises InvalidRequest for what cannot be an id, before it becomes a path of something else."""
    if not isinstance(execution_id, str) or execution_id in ("", ".", ".."):
        hint = ": await it first" if hasattr(execution_id, "__await__") else ": give its id" if hasattr(execution_id, "id") else ""
        raise InvalidRequest(f"{execution_id!r} is not an execution id{hint}", path="executionId")
    return execution_id
