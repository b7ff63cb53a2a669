"""The table of tasks: where a task may go from a status on an event, and what it becomes."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from ..errors import IllegalTransition
from ..words import FailureKind, JobStatus, WaitingFor
from .records import MAX_HISTORY, Attempt, Failure, Task
from .reports import Completed, Failed, Released, Report

PENDING, RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED = JobStatus


class Claimed(Struct, frozen=True, gc=False):
    """A worker takes the task, until `lease_until` at first."""

    worker: str
    lease_until: float


class Ended(Struct, frozen=True, gc=False):
    """It failed for good: its handler raised and no retry is left, or its time is up."""

    failure: Failure


class Retried(Struct, frozen=True, gc=False):
    """The handler raised, and is tried again at `at`."""

    failure: Failure
    at: float


class Suspended(Struct, frozen=True, gc=False):
    """It waits without a worker: for `at`, or for the event `awaiting`, but until `at` at most."""

    at: float | None
    awaiting: str | None = None


class Lost(Struct, frozen=True, gc=False):
    """The worker is gone. Uses up one of `max_recoveries`, never a retry."""

    reason: str
    max_recoveries: int


class Woken(Struct, frozen=True, gc=False):
    """What it waited for has come."""


class Parked(Struct, frozen=True, gc=False):
    """Its execution gets no slot."""


class Paused(Struct, frozen=True, gc=False):
    """Its execution was paused."""


class Resumed(Struct, frozen=True, gc=False):
    """Its execution goes on."""


class Reopened(Struct, frozen=True, gc=False):
    """Its execution failed, and is retried."""


class Cancelled(Struct, frozen=True, gc=False):
    """The execution was cancelled, and all its open tasks with it."""


TaskEvent = (
    Claimed | Completed | Ended | Retried | Suspended | Released | Lost | Woken | Parked | Paused | Resumed | Reopened | Cancelled
)

TABLE: Final[dict[tuple[JobStatus, type[TaskEvent]], tuple[JobStatus, ...]]] = {
    (PENDING, Claimed): (RUNNING,),
    (PENDING, Woken): (PENDING,),
    (PENDING, Parked): (PENDING,),
    (PENDING, Paused): (PAUSED,),
    (PENDING, Ended): (FAILED,),
    (PENDING, Cancelled): (CANCELLED,),
    (RUNNING, Completed): (COMPLETED,),
    (RUNNING, Ended): (FAILED,),
    (RUNNING, Retried): (PENDING, PAUSED),
    (RUNNING, Suspended): (PENDING, PAUSED),
    (RUNNING, Released): (PENDING, PAUSED),
    (RUNNING, Lost): (PENDING, PAUSED, FAILED),
    (RUNNING, Cancelled): (CANCELLED,),
    (PAUSED, Woken): (PAUSED,),
    (PAUSED, Resumed): (PENDING,),
    (PAUSED, Ended): (FAILED,),
    (PAUSED, Cancelled): (CANCELLED,),
    (FAILED, Reopened): (PENDING,),
    (CANCELLED, Reopened): (PENDING,),
}
"""Where a task may go from a status on an event. What is not here is refused."""


def move_task(task: Task, event: TaskEvent, now: float, paused: bool = False) -> Task:
    """The task after the event. `paused`: its execution is. Raises IllegalTransition when the table does not know it."""
    targets = TABLE.get((task.status, type(event)))
    if targets is None:
        raise IllegalTransition(f"task {task.id} is {task.status}: it cannot be {type(event).__name__.lower()}")
    moved = _MOVES[type(event)](task, event, now, paused)
    assert moved.status in targets, f"{task.status} -> {moved.status} on {event!r} is not in the table"
    return moved


def was_told(task: Task, report: Report) -> bool:
    """Is this what a task that runs no more was told under its last lease? Its worker tells it once more, when it had no answer."""
    if type(report) is Completed:
        return task.status is COMPLETED and task.result == report.result
    return type(report) is Failed and task.error == report.failure


def _claimed(task: Task, event: Claimed, now: float, *_: object) -> Task:
    if task.continues:
        return replace(
            task, status=RUNNING, token=task.token + 1, worker=event.worker, due_at=event.lease_until, updated_at=now,
            waiting_for=None, awaiting=None, continues=False,
        )  # fmt: skip
    return replace(
        task, status=RUNNING, attempt=task.attempt + 1, token=task.token + 1, worker=event.worker, due_at=event.lease_until,
        started_at=now, updated_at=now, waiting_for=None, error=None,
    )  # fmt: skip


def _completed(task: Task, event: Completed, now: float, *_: object) -> Task:
    return _end(task, COMPLETED, now, result=event.result)


def _failed(task: Task, event: Ended, now: float, *_: object) -> Task:
    errors = task.errors + (event.failure.kind is FailureKind.ERROR)
    return _end(task, FAILED, now, error=event.failure, errors=errors)


def _retried(task: Task, event: Retried, now: float, paused: bool) -> Task:
    history = _remember(task, "error", event.failure, now)
    return _back(
        task, now, paused, waiting_for=WaitingFor.RETRY, due_at=event.at, errors=task.errors + 1, error=event.failure,
        history=history,
    )  # fmt: skip


def _suspended(task: Task, event: Suspended, now: float, paused: bool) -> Task:
    why = WaitingFor.TIME if event.awaiting is None else WaitingFor.EVENT
    return _back(task, now, paused, waiting_for=why, due_at=event.at, awaiting=event.awaiting, continues=True)


def _released(task: Task, _: Released, now: float, paused: bool) -> Task:
    return _back(task, now, paused, continues=True)


def _lost(task: Task, event: Lost, now: float, paused: bool) -> Task:
    losses = task.losses + 1
    if losses > event.max_recoveries:
        message = f"the task was lost with its worker {losses} times; the last was {task.worker}"
        return _end(task, FAILED, now, losses=losses, error=Failure(FailureKind.WORKER_LOST, "WorkerLost", message))
    return _back(task, now, paused, losses=losses, history=_remember(task, "lost", None, now))


def _woken(task: Task, _event: Woken, now: float, *_: object) -> Task:
    return replace(task, waiting_for=None, due_at=None, awaiting=None, updated_at=now)


def _parked(task: Task, _event: Parked, now: float, *_: object) -> Task:
    return replace(task, waiting_for=WaitingFor.CONCURRENCY, updated_at=now)


def _paused(task: Task, _event: Paused, now: float, *_: object) -> Task:
    return replace(task, status=PAUSED, updated_at=now)


def _resumed(task: Task, _event: Resumed, now: float, *_: object) -> Task:
    parked = task.waiting_for is WaitingFor.CONCURRENCY  # whether there is a slot by now, the next claim finds out
    return replace(task, status=PENDING, updated_at=now, waiting_for=None if parked else task.waiting_for)


def _reopened(task: Task, _event: Reopened, now: float, *_: object) -> Task:
    known = not task.attempt or (task.history and task.history[-1].number == task.attempt)
    history = task.history if known or task.status is CANCELLED else _remember(task, "error", task.error, now)
    return replace(
        task, status=PENDING, waiting_for=None, due_at=None, awaiting=None, continues=False, errors=0, losses=0, ended_at=None,
        worker=None, updated_at=now, history=history,
    )  # fmt: skip


def _cancelled(task: Task, _event: Cancelled, now: float, *_: object) -> Task:
    return _end(task, CANCELLED, now)


_MOVES: Final[dict[type[TaskEvent], Callable[[Task, Any, float, bool], Task]]] = {
    Claimed: _claimed,
    Completed: _completed,
    Ended: _failed,
    Retried: _retried,
    Suspended: _suspended,
    Released: _released,
    Lost: _lost,
    Woken: _woken,
    Parked: _parked,
    Paused: _paused,
    Resumed: _resumed,
    Reopened: _reopened,
    Cancelled: _cancelled,
}


def _end(task: Task, status: JobStatus, now: float, **changes: object) -> Task:
    return replace(task, status=status, ended_at=now, updated_at=now, due_at=None, waiting_for=None, awaiting=None, **changes)


def _back(task: Task, now: float, paused: bool, **changes: object) -> Task:
    changes.setdefault("due_at", None)
    return replace(task, status=PAUSED if paused else PENDING, worker=None, updated_at=now, **changes)


def _remember(task: Task, outcome: Any, error: Failure | None, now: float) -> tuple[Attempt, ...]:
    ended = task.ended_at if task.ended_at is not None else now
    brief = error and replace(error, trace=None)
    attempt = Attempt(task.attempt, task.worker, task.started_at or ended, ended, outcome, brief)
    return (*task.history, attempt)[-MAX_HISTORY:]
