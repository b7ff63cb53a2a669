"""What a worker tells about a task that it holds, and what it is told in return.

Each report goes with the lease that it is made under; one that is stale changes nothing and is answered with LeaseLost.
"""

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from .records import Failure, Json, Progress

StepKind = Literal["value", "sleep", "event", "timeout"]


class Completed(Struct, frozen=True, gc=False):
    """The handler returned."""

    result: Json


class Failed(Struct, frozen=True, gc=False):
    """The handler raised, or what it returned cannot be kept. Of the kind `error` it is tried again while retries are left."""

    failure: Failure
    retry_after: float | None = None
    """Seconds until the next try, where the handler knows better than the policy."""


class Released(Struct, frozen=True, gc=False):
    """The worker gives the task back unfinished. Uses up nothing."""


class Crashed(Struct, frozen=True, gc=False):
    """The process that ran the handler died without an outcome. Counts as a loss, not as an error."""

    reason: str
    """A word or two, such as `exit code -9`."""


class Stepped(Struct, frozen=True, gc=False):
    """A step returned: its value is stored, and never computed again. The same once more changes nothing."""

    name: str
    value: Json


class Slept(Struct, frozen=True, gc=False):
    """A durable sleep begins. What is left of it is answered; above `in_place` seconds the task is suspended instead."""

    name: str
    seconds: float
    in_place: float


class Awaited(Struct, frozen=True, gc=False):
    """The handler waits for an event. It is answered at once when the event was sent, else the task is suspended."""

    name: str
    """Of the event, and of the step that keeps it."""
    timeout: float | None = None
    """Seconds from the first time that it waited, or None for ever."""
    suspends: bool = True
    """False where the handler does something beside the wait: it is noted, so that the event wakes the task however it rests."""


class LogLine(Struct, frozen=True, gc=False):
    """A line of a handler's log."""

    level: str
    message: str
    fields: dict[str, Any] = {}


class Noted(Struct, frozen=True, gc=False):
    """How far the handler is, and what it logged. Kept as events of the execution."""

    progress: Progress | None = None
    logs: tuple[LogLine, ...] = ()
    before: int = 0
    """Lines that were told under the lease before these."""
    again: bool = False
    """It may have been taken already, as its answer was lost: lines that are kept are not kept twice."""


Report = Completed | Failed | Released | Crashed | Stepped | Slept | Awaited | Noted


class Answer(Struct, frozen=True, omit_defaults=True, gc=False):
    """To a report that was taken."""

    stop: bool = False
    """The execution is paused: the handler is to unwind, and its task to be given back."""
    suspended: bool = False
    """The task waits without a worker now, and the lease is gone: the handler is to unwind, with nothing to report."""
    kind: StepKind | None = None
    """What a Slept or an Awaited came to, when it did."""
    value: Json | None = None
    """The payload of the event."""
    remaining: float = 0.0
    """Seconds that a sleep has left, or a wait that ends by itself."""


def ended_by(report: Report) -> Answer | None:
    """What a report is answered that may have been taken before, when its lease is gone: it is by the report itself. None for one
    that ends no lease, and for a result: one that was taken is answered as such when it is told again.

    A failure's lease may be gone although it is told again: the task is tried again by then."""
    if isinstance(report, Failed | Released | Crashed):
        return Answer()
    return Answer(suspended=True) if isinstance(report, Slept | Awaited) else None


def told_again(report: Report) -> Report:
    """The same once more, after an answer that was lost."""
    return replace(report, again=True) if type(report) is Noted else report


class Holding(Struct, frozen=True, gc=False):
    """The answer to a heartbeat: which leases are lost, and which of the others belong to executions that are to stop."""

    lost: frozenset[Any]
    stop: frozenset[Any]
