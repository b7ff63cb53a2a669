"""The state machine: one table for tasks, `step(execution, task, event, now)` that walks it, and the verbs on whole executions.

A task moves by the table. An execution's status follows from the counts of its tasks: it is running while one of them runs or some
have ended, and ends with the last of them; while it is paused it is that, until it ends. `docs/states.md` is generated from both
tables.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import IllegalTransition
from ..words import FailureKind, JobStatus, WaitingFor
from .records import MAX_HISTORY, Attempt, Event, Execution, Failure, Json, Progress, Recovery, Spec, Task
from .reports import Completed, LogLine, Released

PENDING, RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED = JobStatus
OPEN: Final = (PENDING, RUNNING, PAUSED)


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


class Change(Struct, frozen=True, gc=False):
    """What a step made: the new records and the event that tells of it."""

    execution: Execution
    task: Task
    event: Event


class Whole(Struct, frozen=True, gc=False):
    """What a verb made of an execution: the new records, and the event that tells of it. No event: nothing has changed."""

    execution: Execution
    tasks: Sequence[Task] = ()
    event: Event | None = None


def step(execution: Execution, task: Task, event: TaskEvent, now: float) -> Change:
    """Apply an event to a task and to its execution. Raises IllegalTransition when the table does not know it."""
    moved = _move(task, event, now, execution.paused)
    after = _follow(execution, task, moved, event, now)
    return Change(after, moved, _tell(after, moved, event))


def move(execution: Execution, task: Task, event: Woken | Parked, now: float) -> tuple[Execution, Task]:
    """Apply an event that changes nothing but what is waited for, and is not told."""
    moved = _move(task, event, now, execution.paused)
    slot, why = WaitingFor.CONCURRENCY, execution.waiting_for
    if why is slot and slot not in (task.waiting_for, moved.waiting_for):
        return execution, moved  # it is the slot that it waits for, whatever else one of its tasks waited for
    if execution.status is PENDING or slot in (why, moved.waiting_for):
        execution = replace(execution, waiting_for=moved.waiting_for, wait_until=moved.due_at)
    return execution, moved


def created(execution: Execution) -> Event:
    """The first event of every execution."""
    return Event(execution=execution.seq, id=1, at=execution.created_at, type="created", status=PENDING)


def first_wait(spec: Spec, now: float) -> tuple[WaitingFor | None, float | None]:
    """What a new execution that may start waits for, and until when."""
    return (WaitingFor.TIME, spec.run_at) if spec.run_at is not None and spec.run_at > now else (None, None)


def start(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Let an execution begin that was created not to. One that has begun is left as it is."""
    if execution.waiting_for is not WaitingFor.START or execution.status is not PENDING:
        _refuse_ended(execution, "started")
        return Whole(execution)
    moved = [_move(task, Woken(), now) for task in tasks if task.waiting_for is WaitingFor.START]
    why, at = first_wait(execution.spec, now)
    if why is not None:
        moved = [replace(task, waiting_for=why, due_at=at) for task in moved]
    return _whole(execution, "started", now, moved, waiting_for=why, wait_until=at)


def pause(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Hold an execution back: nothing of it is claimed any more. What runs is told to stop at its next step."""
    _refuse_ended(execution, "paused")
    if execution.paused:
        return Whole(execution)
    moved = [_move(task, Paused(), now) for task in tasks if task.status is PENDING]
    return _whole(
        execution, "paused", now, moved, status=PAUSED, paused=True, slot=execution.slot and execution.running > 0, deadline=None,
        time_left=None if execution.deadline is None else max(0.0, execution.deadline - now), waiting_for=None, wait_until=None,
    )  # fmt: skip


def resume(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Let a paused execution go on, in its place in the queue. One that is not paused is left as it is."""
    _refuse_ended(execution, "resumed")
    if not execution.paused:
        return Whole(execution)
    moved = [_move(task, Resumed(), now) for task in tasks if task.status is PAUSED]
    status = execution_status(replace(execution, paused=False))
    first = moved[0] if moved and status is PENDING else None
    return _whole(
        execution, "resumed", now, moved, status=status, paused=False, time_left=None,
        deadline=None if execution.time_left is None else now + execution.time_left,
        waiting_for=first and first.waiting_for, wait_until=first and first.due_at,
    )  # fmt: skip


def cancel(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Cancel an execution and every task of it that has not ended. One that is cancelled is left as it is."""
    if execution.status is CANCELLED:
        return Whole(execution)
    _refuse_ended(execution, "cancelled")
    moved = [_move(task, Cancelled(), now) for task in tasks]
    return _whole(
        execution, "cancelled", now, moved, status=CANCELLED, cancelled=execution.cancelled + len(moved), **_over(now)
    )  # fmt: skip


def expire(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Its time is up: every task that has not ended fails."""
    _refuse_ended(execution, "expired")
    seconds = execution.policy.timeout or 0.0
    failure = Failure(FailureKind.TIMEOUT, "TimeoutError", f"the execution had not ended {seconds:g} s after its start")
    moved = [_move(task, Ended(failure), now) for task in tasks]
    error = execution.error or failure
    return _whole(
        execution, "timed_out", now, moved, status=FAILED, failed=execution.failed + len(moved), error=error, **_over(now)
    )  # fmt: skip


def retry(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Run the tasks of a failed execution again that have not completed. They keep their steps, and count their errors anew."""
    if execution.status is not FAILED:
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: only a failed one can be retried")
    moved = [_move(task, Reopened(), now) for task in tasks if task.status in (FAILED, CANCELLED)]
    return _whole(
        execution, "retried", now, moved, status=RUNNING if execution.completed else PENDING, failed=0, cancelled=0, error=None,
        ended_at=None, retried=execution.retried + len(moved),
        deadline=None if execution.policy.timeout is None else now + execution.policy.timeout,
    )  # fmt: skip


def fail_fast(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """One task has failed: the others are not wanted any more."""
    moved = [_move(task, Cancelled(), now) for task in tasks]
    return _whole(
        execution, "failed_fast", now, moved, status=FAILED, cancelled=execution.cancelled + len(moved), **_over(now)
    )  # fmt: skip


def note(
    execution: Execution, task: Task, progress: Progress | None, logs: Sequence[LogLine], now: float
) -> tuple[Execution, Task, list[Event]]:
    """Keep a handler's progress and what it logged."""
    told: list[tuple[str, Any]] = [("log", line) for line in logs]
    if progress is not None:
        told.append(("progress", progress))
        task = replace(task, progress=progress, updated_at=now)
    events = [
        Event(
            execution=execution.seq, id=execution.version + place, at=now, type=kind, status=execution.status, task=task.id,
            data=msgspec.json.encode(data).decode(),
        )
        for place, (kind, data) in enumerate(told, 1)
    ]  # fmt: skip
    after = replace(
        execution, version=execution.version + len(told), updated_at=now,
        progress=progress if progress is not None and execution.total == 1 else execution.progress,
    )  # fmt: skip
    return after, task, events


def signalled(execution: Execution, name: str, now: float) -> tuple[Execution, Event]:
    """Tell that an event was sent to it."""
    after = replace(execution, version=execution.version + 1, updated_at=now)
    data: Json = msgspec.json.encode({"name": name}).decode()
    return after, Event(execution=after.seq, id=after.version, at=now, type="event.sent", status=after.status, data=data)


def execution_status(execution: Execution) -> JobStatus:
    """The status of an execution, by the counts of its tasks."""
    finished = execution.finished
    if finished < execution.total:
        if execution.paused:
            return PAUSED
        return RUNNING if execution.running or finished else PENDING
    if execution.failed:
        return FAILED
    return CANCELLED if execution.cancelled else COMPLETED


def _move(task: Task, event: TaskEvent, now: float, paused: bool = False) -> Task:
    targets = TABLE.get((task.status, type(event)))
    if targets is None:
        raise IllegalTransition(f"task {task.id} is {task.status}: it cannot be {type(event).__name__.lower()}")
    moved = _MOVES[type(event)](task, event, now, paused)
    assert moved.status in targets, f"{task.status} -> {moved.status} on {event!r} is not in the table"
    return moved


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


_GOES_BACK: Final = (Retried, Lost)


def _follow(execution: Execution, before: Task, after: Task, event: TaskEvent, now: float) -> Execution:
    running = execution.running + (after.status is RUNNING) - (before.status is RUNNING)
    completed = execution.completed + (after.status is COMPLETED)
    failed = execution.failed + (after.status is FAILED)
    cancelled = execution.cancelled + (after.status is CANCELLED)
    changes: dict[str, Any] = {"running": running}
    if after.status is FAILED and execution.error is None:
        changes["error"] = after.error
    if type(event) is Lost:
        changes["recoveries"] = (*execution.recoveries, Recovery(now, before.id, before.worker or "", event.reason, before.attempt))
    if type(event) in _GOES_BACK and not after.done:
        changes["retried"] = execution.retried + 1
    if execution.started_at is None and after.status is RUNNING:
        changes["started_at"] = now
        if execution.policy.timeout is not None:
            changes["deadline"] = now + execution.policy.timeout
    if completed + failed + cancelled == execution.total:
        status = FAILED if failed else CANCELLED if cancelled else COMPLETED
        changes.update(_over(now))
    elif execution.paused:
        status = PAUSED
        if not running and execution.slot:
            changes["slot"] = False
    else:
        status = RUNNING if running or completed or failed or cancelled else PENDING
        if status is PENDING:
            changes["waiting_for"], changes["wait_until"] = after.waiting_for, after.due_at
        elif execution.waiting_for is not None:
            changes["waiting_for"] = changes["wait_until"] = None
    return replace(
        execution, version=execution.version + 1, status=status, completed=completed, failed=failed, cancelled=cancelled,
        updated_at=now, **changes,
    )  # fmt: skip


def _over(now: float) -> dict[str, Any]:
    """What every execution has in common that has ended."""
    return {
        "ended_at": now, "running": 0, "slot": False, "paused": False, "deadline": None, "time_left": None, "waiting_for": None,
        "wait_until": None,
    }  # fmt: skip


def _whole(execution: Execution, kind: str, now: float, tasks: Sequence[Task], **changes: Any) -> Whole:
    after = replace(execution, version=execution.version + 1, updated_at=now, **changes)
    error = after.error if kind == "timed_out" else None
    event = Event(execution=after.seq, id=after.version, at=now, type=kind, status=after.status, error=error)
    return Whole(after, tasks, event)


def _refuse_ended(execution: Execution, verb: str) -> None:
    if execution.done:
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: it cannot be {verb}")


_EVENT_TYPES: Final = {
    Claimed: "task.started",
    Completed: "task.completed",
    Ended: "task.failed",
    Retried: "task.retrying",
    Suspended: "task.suspended",
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
