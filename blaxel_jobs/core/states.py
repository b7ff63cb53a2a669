"""The state machine: `step(execution, task, event, now)`, which walks the table of tasks, and the verbs on whole executions.

A task moves by its table (`task_table`). An execution's status follows from the counts of its tasks: it is running while one of
them runs or some have ended, and ends with the last of them; while it is paused it is that, until it ends. `docs/states.md` is
generated from both tables.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..errors import IllegalTransition
from ..words import FailureKind, JobStatus, WaitingFor
from .records import Event, Execution, Failure, Json, Progress, Recovery, Spec, Task
from .reports import Completed, LogLine, Released
from .task_table import (
    TABLE,
    Cancelled,
    Claimed,
    Ended,
    Lost,
    Parked,
    Paused,
    Reopened,
    Resumed,
    Retried,
    Suspended,
    TaskEvent,
    Woken,
    move_task,
)

__all__ = [
    "OPEN",
    "TABLE",
    "Cancelled",
    "Change",
    "Claimed",
    "Ended",
    "Lost",
    "Parked",
    "Paused",
    "Reopened",
    "Resumed",
    "Retried",
    "Suspended",
    "TaskEvent",
    "Whole",
    "Woken",
    "cancel",
    "created",
    "execution_status",
    "expire",
    "fail_fast",
    "first_wait",
    "foremost",
    "move",
    "note",
    "pause",
    "resume",
    "retry",
    "signalled",
    "start",
    "step",
]

PENDING, RUNNING, PAUSED, COMPLETED, FAILED, CANCELLED = JobStatus
OPEN: Final = (PENDING, RUNNING, PAUSED)


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
    moved = move_task(task, event, now, execution.paused)
    after = _follow(execution, task, moved, event, now)
    return Change(after, moved, _tell(after, moved, event))


def move(execution: Execution, task: Task, event: Woken | Parked, now: float) -> tuple[Execution, Task]:
    """Apply an event that changes nothing but what is waited for, and is not told."""
    moved = move_task(task, event, now, execution.paused)
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


def foremost(waits: Iterable[tuple[WaitingFor | None, float | None]]) -> tuple[WaitingFor | None, float | None]:
    """What a pending execution waits for, by the waits of its tasks: for a slot if one of them does, since that holds up all; for a
    worker if one of them does; or else for what comes first."""
    ends = dict(waits)
    for why in (WaitingFor.CONCURRENCY, None, WaitingFor.WORKER):
        if why in ends:
            return None if why is WaitingFor.WORKER else why, None
    return min(ends.items(), key=lambda wait: math.inf if wait[1] is None else wait[1], default=(None, None))


def start(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Let an execution begin that was created not to. One that has begun is left as it is."""
    if execution.waiting_for is not WaitingFor.START or execution.status is not PENDING:
        _refuse_ended(execution, "started")
        return Whole(execution)
    moved = [move_task(task, Woken(), now) for task in tasks if task.waiting_for is WaitingFor.START]
    why, at = first_wait(execution.spec, now)
    if why is not None:
        moved = [replace(task, waiting_for=why, due_at=at) for task in moved]
    return _whole(execution, "started", now, moved, waiting_for=why, wait_until=at)


def pause(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Hold an execution back: nothing of it is claimed any more. What runs is told to stop at its next step."""
    _refuse_ended(execution, "paused")
    if execution.paused:
        return Whole(execution)
    moved = [move_task(task, Paused(), now) for task in tasks if task.status is PENDING]
    return _whole(
        execution, "paused", now, moved, status=PAUSED, paused=True, slot=execution.slot and execution.running > 0, deadline=None,
        time_left=None if execution.deadline is None else max(0.0, execution.deadline - now), waiting_for=None, wait_until=None,
    )  # fmt: skip


def resume(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Let a paused execution go on, in its place in the queue. One that is not paused is left as it is."""
    _refuse_ended(execution, "resumed")
    if not execution.paused:
        return Whole(execution)
    moved = [move_task(task, Resumed(), now) for task in tasks if task.status is PAUSED]
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
    moved = [move_task(task, Cancelled(), now) for task in tasks]
    return _whole(
        execution, "cancelled", now, moved, status=CANCELLED, cancelled=execution.cancelled + len(moved), **_over(now)
    )  # fmt: skip


def expire(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Its time is up: every task that has not ended fails."""
    _refuse_ended(execution, "expired")
    seconds = execution.policy.timeout or 0.0
    failure = Failure(FailureKind.TIMEOUT, "TimeoutError", f"the execution had not ended {seconds:g} s after its start")
    moved = [move_task(task, Ended(failure), now) for task in tasks]
    error = execution.error or failure
    return _whole(
        execution, "timed_out", now, moved, status=FAILED, failed=execution.failed + len(moved), error=error, **_over(now)
    )  # fmt: skip


def retry(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """Run the tasks of a failed execution again that have not completed. They keep their steps, and count their errors anew."""
    if execution.status is not FAILED:
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: only a failed one can be retried")
    moved = [move_task(task, Reopened(), now) for task in tasks if task.status in (FAILED, CANCELLED)]
    return _whole(
        execution, "retried", now, moved, status=RUNNING if execution.completed else PENDING, failed=0, cancelled=0, error=None,
        ended_at=None, retried=execution.retried + len(moved), data={"tasks": len(moved)},
        deadline=None if execution.policy.timeout is None else now + execution.policy.timeout,
    )  # fmt: skip


def fail_fast(execution: Execution, tasks: Iterable[Task], now: float) -> Whole:
    """One task has failed: the others are not wanted any more."""
    moved = [move_task(task, Cancelled(), now) for task in tasks]
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
    if type(event) is Retried:
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


def _whole(
    execution: Execution, kind: str, now: float, tasks: Sequence[Task], data: dict[str, Any] | None = None, **changes: Any
) -> Whole:
    after = replace(execution, version=execution.version + 1, updated_at=now, **changes)
    error = after.error if kind == "timed_out" else None
    event = Event(
        execution=after.seq, id=after.version, at=now, type=kind, status=after.status, error=error,
        data=None if data is None else msgspec.json.encode(data).decode(),
    )  # fmt: skip
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
