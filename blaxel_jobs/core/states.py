"""The state machine: one table, and `step(execution, task, event, now)` that walks it.

A task moves by the table. An execution's status follows from the counts of its tasks: it is running while one of them runs or some
have ended, and ends with the last of them. `docs/states.md` is generated from the table.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..errors import IllegalTransition
from ..words import FailureKind, JobStatus
from .records import Event, Execution, Failure, Json, Recovery, Task

PENDING, RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED = JobStatus


class Claimed(Struct, frozen=True, gc=False):
    """A worker takes the task, until `lease_until` at first."""

    worker: str
    lease_until: float


class Completed(Struct, frozen=True, gc=False):
    """The handler returned."""

    result: Json


class Failed(Struct, frozen=True, gc=False):
    """The handler raised, or what it returned cannot be kept."""

    failure: Failure


class Released(Struct, frozen=True, gc=False):
    """The worker gives the task back unfinished. Uses up nothing."""


class Lost(Struct, frozen=True, gc=False):
    """The worker is gone. Uses up one of `max_recoveries`, never a retry."""

    reason: str
    max_recoveries: int


class Cancelled(Struct, frozen=True, gc=False):
    """The execution was cancelled, and all its open tasks with it."""


TaskEvent = Claimed | Completed | Failed | Released | Lost | Cancelled

TABLE: Final[dict[tuple[JobStatus, type[TaskEvent]], tuple[JobStatus, ...]]] = {
    (PENDING, Claimed): (RUNNING,),
    (PENDING, Cancelled): (CANCELLED,),
    (RUNNING, Completed): (COMPLETED,),
    (RUNNING, Failed): (FAILED,),
    (RUNNING, Released): (PENDING,),
    (RUNNING, Lost): (PENDING, FAILED),
    (RUNNING, Cancelled): (CANCELLED,),
}
"""Where a task may go from a status on an event. What is not here is refused."""


class Change(Struct, frozen=True, gc=False):
    """What a step made: the new records and the event that tells of it."""

    execution: Execution
    task: Task
    event: Event


def step(execution: Execution, task: Task, event: TaskEvent, now: float) -> Change:
    """Apply an event to a task and to its execution. Raises IllegalTransition when the table does not know it."""
    moved = _move(task, event, now)
    after = _follow(execution, task, moved, event, now)
    return Change(after, moved, _tell(after, moved, event))


def cancel(execution: Execution, open_tasks: Iterable[Task], now: float) -> tuple[Execution, list[Task], Event]:
    """Cancel an execution and every task of it that has not ended: one change, one event."""
    if execution.done:
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: it cannot be cancelled")
    tasks = [_move(task, Cancelled(), now) for task in open_tasks]
    after = replace(
        execution,
        version=execution.version + 1,
        status=CANCELLED,
        running=0,
        cancelled=execution.cancelled + len(tasks),
        updated_at=now,
        ended_at=now,
    )
    return after, tasks, Event(execution=after.seq, id=after.version, at=now, type="cancelled", status=CANCELLED)


def created(execution: Execution) -> Event:
    """The first event of every execution."""
    return Event(execution=execution.seq, id=1, at=execution.created_at, type="created", status=PENDING)


def _move(task: Task, event: TaskEvent, now: float) -> Task:
    targets = TABLE.get((task.status, type(event)))
    if targets is None:
        raise IllegalTransition(f"task {task.id} is {task.status}: it cannot be {type(event).__name__.lower()}")
    moved = _decide(task, event, now)
    assert moved.status in targets, f"{task.status} -> {moved.status} on {event!r} is not in the table"
    return moved


def _decide(task: Task, event: TaskEvent, now: float) -> Task:
    match event:
        case Claimed(worker, lease_until):
            return replace(
                task, status=RUNNING, attempt=task.attempt + 1, token=task.token + 1, worker=worker, lease_until=lease_until,
                started_at=now, updated_at=now, waiting_for=None,
            )  # fmt: skip
        case Completed(result):
            return _end(task, COMPLETED, now, result=result)
        case Failed(failure):
            return _end(task, FAILED, now, error=failure)
        case Released():
            return _back(task, now)
        case Lost(_, max_recoveries):
            losses = task.losses + 1
            if losses > max_recoveries:
                message = f"the task was lost with its worker {losses} times; the last was {task.worker}"
                return _end(task, FAILED, now, losses=losses, error=Failure(FailureKind.WORKER_LOST, "WorkerLost", message))
            return _back(task, now, losses=losses)
        case Cancelled():
            return _end(task, CANCELLED, now)


def _end(task: Task, status: JobStatus, now: float, **changes: object) -> Task:
    return replace(task, status=status, ended_at=now, updated_at=now, lease_until=None, waiting_for=None, **changes)


def _back(task: Task, now: float, **changes: object) -> Task:
    return replace(task, status=PENDING, worker=None, lease_until=None, updated_at=now, **changes)


def _follow(execution: Execution, before: Task, after: Task, event: TaskEvent, now: float) -> Execution:
    running = execution.running + (after.status is RUNNING) - (before.status is RUNNING)
    completed = execution.completed + (after.status is COMPLETED)
    failed = execution.failed + (after.status is FAILED)
    cancelled = execution.cancelled + (after.status is CANCELLED)
    error = execution.error or (after.error if after.status is FAILED else None)
    recoveries = execution.recoveries
    if type(event) is Lost:
        recoveries = (*recoveries, Recovery(now, before.id, before.worker or "", event.reason, before.attempt))
    ended = completed + failed + cancelled == execution.total
    return replace(
        execution,
        version=execution.version + 1,
        status=execution_status(execution.total, running, completed, failed, cancelled),
        running=running,
        completed=completed,
        failed=failed,
        cancelled=cancelled,
        retried=execution.retried + (after.status is RUNNING and after.attempt > 1),
        updated_at=now,
        started_at=now if execution.started_at is None and after.status is RUNNING else execution.started_at,
        ended_at=now if ended else None,
        error=error,
        recoveries=recoveries,
    )


def execution_status(total: int, running: int, completed: int, failed: int, cancelled: int) -> JobStatus:
    """The status of an execution with these counts of tasks."""
    finished = completed + failed + cancelled
    if finished < total:
        return RUNNING if running or finished else PENDING
    if cancelled:
        return CANCELLED
    return FAILED if failed else COMPLETED


_EVENT_TYPES: Final = {
    Claimed: "task.started",
    Completed: "task.completed",
    Failed: "task.failed",
    Released: "task.released",
    Lost: "task.recovered",
}


def _tell(execution: Execution, task: Task, event: TaskEvent) -> Event:
    return Event(
        execution=execution.seq,
        id=execution.version,
        at=execution.updated_at,
        type="task.failed" if task.status is FAILED else _EVENT_TYPES[type(event)],
        status=execution.status,
        task=task.id,
        worker=event.worker if type(event) is Claimed else None,
        error=task.error and replace(task.error, trace=None),
    )
