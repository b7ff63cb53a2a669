"""Operations without I/O: generators that yield what they need, and the two drivers that fetch it.

A flow yields `Op` (call this operation of the contract) and `Sleep`, and returns the answer. It never sees a socket, a thread or a
clock of its own, so sync and async, over HTTP and in process, are one body: a `Seam` performs what is yielded.
"""

import math
import sys
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypedDict, TypeVar

import attrs

from .errors import (
    ConnectionFailed,
    InvalidRequest,
    JobsError,
    RequestError,
    RequestTooSlow,
    ServerError,
    TooManyRequests,
    WaitTimeoutError,
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


class Seam(Protocol):
    """Performs what flows yield: `transport` over HTTP, `manager` in process. Time, randomness and keys come from here too."""

    @property
    def retries(self) -> int:
        """How often a call is made again after it failed for a passing reason."""
        ...

    def monotonic(self) -> float: ...
    def random(self) -> float: ...
    def new_key(self) -> str: ...
    def perform(self, op: Op) -> Any: ...
    async def aperform(self, op: Op) -> Any: ...
    def sleep(self, seconds: float) -> None: ...
    async def asleep(self, seconds: float) -> None: ...


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
_PASSING: Final = (ConnectionFailed, RequestTooSlow, TooManyRequests, ServerError)
"""What may be gone the next time."""


def call(seam: Seam, op: Op) -> Flow[Any]:
    """Perform an operation, again after a failure that may pass. Raises what the last try raised."""
    tries = 0
    while True:
        try:
            return (yield op)
        except _PASSING as error:
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
) -> "Flow[CreateJobExecutionOutput]":
    """Create an execution of `request` and the `options` that are set, which win. However often it is sent, it is created once."""
    arguments: dict[str, Any] = {"job": job, "body": _body(request, options)}
    if not arguments["body"].idempotency_key:
        arguments["idempotency_key"] = seam.new_key()
    return (yield from call(seam, Op("create_job_execution", "CreateJobExecutionOutput", arguments)))  # type: ignore[no-any-return]


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
    chosen = {name: value for name, value in options.items() if value is not None}
    return attrs.evolve(request, **chosen) if chosen else request


def get_execution(seam: Seam, job: str, execution_id: str, prefer: str | None = None) -> "Flow[JobExecution]":
    arguments = _given(job=job, execution_id=_checked_id(execution_id), prefer=prefer)
    return (yield from call(seam, Op("get_job_execution", "JobExecution", arguments)))  # type: ignore[no-any-return]


def get_execution_status(seam: Seam, job: str, execution_id: str) -> Flow[str]:
    arguments = {"job": job, "execution_id": _checked_id(execution_id)}
    answer = yield from call(seam, Op("get_job_execution_status", "JobExecutionStatus", arguments))
    return answer.status  # type: ignore[no-any-return]


def cancel_execution(seam: Seam, job: str, execution_id: str) -> "Flow[JobExecution]":
    arguments = {"job": job, "execution_id": _checked_id(execution_id)}
    return (yield from call(seam, Op("cancel_job_execution", "JobExecution", arguments)))  # type: ignore[no-any-return]


def list_executions(seam: Seam, job: str, limit: int | None, offset: int | None, cursor: str | None) -> "Flow[JobExecutionList]":
    """One page, the newest first."""
    arguments = _given(job=job, limit=limit, offset=offset, cursor=cursor)
    return (yield from call(seam, Op("list_job_executions", "JobExecutionList", arguments)))  # type: ignore[no-any-return]


def list_tasks(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionTaskList]":
    """One page, in the order they were given."""
    arguments = _given(job=job, execution_id=_checked_id(execution_id), limit=limit, cursor=cursor)
    return (yield from call(seam, Op("list_job_execution_tasks", "JobExecutionTaskList", arguments)))  # type: ignore[no-any-return]


def list_events(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionEventList]":
    """One page, the oldest first."""
    arguments = _given(job=job, execution_id=_checked_id(execution_id), limit=limit, cursor=cursor)
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


def _checked_id(execution_id: object) -> str:
    """Raises InvalidRequest for what cannot be an id, before it becomes a path of something else."""
    if not isinstance(execution_id, str) or execution_id in ("", ".", ".."):
        raise InvalidRequest(f"{execution_id!r} is not an execution id", path="executionId")
    return execution_id


# Waiting

LONGEST_POLL: Final = 30
LOOK: Final = "wait=0"
"""The `Prefer` of a look within a wait: where time is the mock's, it is the wait that moves it, and no look."""
FIRST_PAUSE: Final = 0.05
SLACK: Final = 0.02
"""A whole second that is this short of a second still counts as one: the answer comes that much after the deadline."""
GRACE: Final = 0.1
"""Seconds after the deadline in which an answer is still taken; two round trips, where those are longer."""


def wait_for_execution(
    seam: Seam, job: str, execution_id: str, max_wait: float, interval: float, read: "Callable[[JobExecution], T]"
) -> Flow[T]:
    """The execution once it is done, through `read`. Raises WaitTimeoutError with the last one seen after `max_wait` seconds.

    The server holds the answer until then where it can (a long poll). Where it does not, pauses grow from 0.05 s to `interval`.
    What may pass (no connection, 408, 429, 5xx) is survived until the deadline.
    """
    check_wait(max_wait, interval)
    if max_wait == 0:
        model = yield from get_execution(seam, job, execution_id, LOOK)
        if model.done:
            return read(model)
        raise _timeout(execution_id, 0.0, read(model), None)
    now = seam.monotonic()
    wait = _Wait(seam, {"job": job, "execution_id": _checked_id(execution_id)}, now + max_wait, max(interval, 0.01))
    while not (yield from wait.look(now)):
        now = seam.monotonic()
        left = wait.deadline - now
        if left <= 0:
            seen = None if wait.model is None else read(wait.model)
            raise _timeout(execution_id, max_wait - left, seen, wait.error) from wait.error
        if wait.pause > 0:
            yield Sleep(min(wait.pause, left))
            now = seam.monotonic()
    return read(wait.model)  # type: ignore[arg-type]


@attrs.define
class _Wait:
    """What a wait knows between two looks."""

    seam: Seam
    arguments: Mapping[str, Any]
    deadline: float
    interval: float
    model: "JobExecution | None" = None
    error: JobsError | None = None
    """Why the last look failed, if it did."""
    pause: float = 0.0
    """Seconds until the next look."""
    step: float = FIRST_PAUSE
    failures: int = 0
    round_trip: float = 0.0
    """Seconds of the longest answer that was not held."""

    def look(self, now: float) -> Flow[bool]:
        """Ask once. True when the execution is done; else `pause` is set."""
        left = max(self.deadline - now, 0.0)
        hold = int(min(LONGEST_POLL, left + SLACK))
        arguments = {**self.arguments, "prefer": f"wait={hold}"}
        # Until something was seen, a slow first connection is not cut off by a short wait.
        grace = max(GRACE, 2 * self.round_trip) if self.model else max(GRACE, 1.0 - left)
        try:
            model: JobExecution = yield Op("get_job_execution", "JobExecution", arguments, left + grace)
        except _PASSING as error:
            self.error = error
            self.pause = backoff(self.seam, error, self.failures)
            self.failures += 1
            return False
        self.model, self.error, self.failures = model, None, 0
        took = self.seam.monotonic() - now
        if hold >= 1 and took >= hold / 2:
            self.pause, self.step = 0.0, FIRST_PAUSE
        else:
            self.round_trip = max(self.round_trip, took)
            # Many that wait do not all ask at the same moment.
            self.pause = min(self.step, self.interval) * (0.75 + 0.25 * self.seam.random())
            self.step = min(self.step * 1.5, self.interval)
        return model.done


def check_wait(max_wait: float, interval: float) -> None:
    """Raise InvalidRequest unless both are seconds, 0 or more. An infinite `max_wait` waits until the end."""
    for name, seconds, most in (("max_wait", max_wait, math.inf), ("interval", interval, sys.float_info.max)):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= most:
            raise InvalidRequest(f"{name} takes seconds, 0 or more, not {seconds!r}", path=name)


def _timeout(execution_id: str, waited: float, seen: Any, error: JobsError | None) -> WaitTimeoutError:
    last = f"its status was {seen.status!r}" if seen is not None else "its status could not be read"
    because = f" (the last look failed: {error})" if error is not None else ""
    return WaitTimeoutError(
        f"execution {execution_id} had not ended after {waited:.1f} s: {last}{because}. It goes on; wait again or cancel it.",
        execution=seen,
    )
