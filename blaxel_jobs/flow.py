"""Operations without I/O: generators that yield what they need, and the two drivers that fetch it.

A flow yields `Op` (call this operation of the contract) and `Sleep`, and returns the answer. It never sees a socket, a thread or a
clock of its own, so sync and async, over HTTP and in process, are one body: a `Seam` performs what is yielded.
"""

from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any, Final, Protocol, TypeVar

import attrs

from .errors import (
    ConnectionFailed,
    InvalidRequest,
    JobsError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    RequestTooSlow,
    ServerError,
    TooManyRequests,
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


OFFSET_CURSOR: Final = "offset="
"""How a cursor begins that we made: old versions of the platform's API have none in their lists, just offsets."""


def call(seam: Seam, op: Op, done: type[RequestError] | None = None) -> Flow[Any]:
    """Perform an operation, again after a failure that may pass. Raises what the last try raised.

    `done` is how a second try is refused when the first, whose answer was lost, has done it all: the answer is None then.
    """
    tries = 0
    while True:
        try:
            return (yield op)
        except PASSING as error:
            if tries >= seam.retries:
                raise
            delay = backoff(seam, error, tries)
        except RequestError as error:
            if not tries or done is None or not isinstance(error, done):
                raise
            return None
        tries += 1
        yield Sleep(delay)


def ours(seam: Seam, what: str, op: Op, done: type[RequestError] | None = None) -> Flow[Any]:
    """As `call`, for what the Blaxel platform cannot do. Raises MethodNotAllowed there, saying `what`."""
    if not seam.peer.is_platform:
        try:
            return (yield from call(seam, op, done))
        except (NotFound, MethodNotAllowed):
            if not seam.peer.is_platform:
                raise
    raise MethodNotAllowed(f"the Blaxel platform cannot {what}: that takes a server of blaxel-jobs")


def backoff(seam: Seam, error: JobsError, tries: int) -> float:
    """Seconds until the next try: what the server asks for, up to a minute, else exponential with full jitter."""
    asked = error.retry_after if isinstance(error, RequestError) else None
    if asked is not None:
        return min(asked, RETRY_AFTER_MOST)
    return seam.random() * min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(tries, 16))


def given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def checked_id(id: object, path: str = "executionId", what: str = "an execution id") -> str:
    """Raises InvalidRequest for what cannot be an id, before it becomes a path of something else."""
    if not isinstance(id, str) or id in ("", ".", ".."):
        hint = ": await it first" if hasattr(id, "__await__") else ": give its id" if hasattr(id, "id") else ""
        raise InvalidRequest(f"{id!r} is not {what}{hint}", path=path)
    if not id.isascii():
        from .plain import check_text

        check_text(id, path)
    return id


def across_jobs() -> InvalidRequest:
    """What is said where the other side is the platform and no job was named."""
    return InvalidRequest("the platform has no routes that go across jobs: ask for those of one, with job(name)", path="job")
