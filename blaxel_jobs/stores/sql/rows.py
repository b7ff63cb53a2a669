"""Records as rows and rows as records: the one place that knows both.

Columns that never change stand before those that do, so that an update carries only the second part. These functions run for every
record of every claim: they name fields in order and look words up in dicts, because an Enum's constructor costs as much as a row.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...core.records import Event, Execution, Failure, Recovery, Spec, Task
from ...words import JobStatus, WaitingFor

Row = Sequence[Any]

EXECUTION_FIXED: Final = (
    "seq", "workspace", "id", "job", "priority", "total", "idempotency_key", "created_at", "spec",
)  # fmt: skip
EXECUTION_CHANGING: Final = (
    "version", "status", "running", "completed", "failed", "cancelled", "retried", "updated_at", "started_at", "ended_at", "error",
    "recoveries",
)  # fmt: skip
TASK_FIXED: Final = ("seq", "execution", "position", "workspace", "job", "queue", "id", "priority", "created_at", "input")
TASK_CHANGING: Final = (
    "state", "status", "waiting_for", "attempt", "losses", "token", "worker", "lease_until", "updated_at", "started_at", "ended_at",
    "result", "error",
)  # fmt: skip
EVENT: Final = ("execution", "id", "at", "type", "status", "task", "worker", "error")

EXECUTION: Final = EXECUTION_FIXED + EXECUTION_CHANGING
TASK: Final = TASK_FIXED + TASK_CHANGING

READY: Final = "ready"
LEASED: Final = "leased"

_STATUS: Final = {status.value: status for status in JobStatus}
_WAITING: Final = {None: None} | {reason.value: reason for reason in WaitingFor}
_encode: Final = msgspec.json.Encoder().encode
_failure: Final = msgspec.json.Decoder(Failure).decode
_recoveries: Final = msgspec.json.Decoder(tuple[Recovery, ...]).decode
_spec: Final = msgspec.json.Decoder(Spec).decode


def execution_fixed(execution: Execution, seq: int) -> tuple[Any, ...]:
    """EXECUTION_FIXED of a new execution that gets this number."""
    return (
        seq, execution.workspace, execution.id, execution.job, execution.priority, execution.total, execution.idempotency_key,
        execution.created_at, _encode(execution.spec).decode(),
    )  # fmt: skip


def execution_changing(execution: Execution) -> tuple[Any, ...]:
    """EXECUTION_CHANGING of an execution."""
    return (
        execution.version, execution.status._value_, execution.running, execution.completed, execution.failed, execution.cancelled,
        execution.retried, execution.updated_at, execution.started_at, execution.ended_at,
        None if execution.error is None else _encode(execution.error).decode(),
        _encode(execution.recoveries).decode() if execution.recoveries else None,
    )  # fmt: skip


def execution_of(row: Row) -> Execution:
    """The record of a row of EXECUTION."""
    (
        seq, workspace, name, job, priority, total, idempotency_key, created_at, spec, version, status, running,
        completed, failed, cancelled, retried, updated_at, started_at, ended_at, error, recoveries,
    ) = row  # fmt: skip
    return Execution(
        seq=seq, workspace=workspace, id=name, job=job, priority=priority, total=total, idempotency_key=idempotency_key,
        created_at=created_at, spec=_spec(spec), version=version, status=_STATUS[status], running=running,
        completed=completed, failed=failed, cancelled=cancelled, retried=retried, updated_at=updated_at, started_at=started_at,
        ended_at=ended_at, error=None if error is None else _failure(error),
        recoveries=() if recoveries is None else _recoveries(recoveries),
    )  # fmt: skip


def task_fixed(task: Task, seq: int, execution: int) -> tuple[Any, ...]:
    """TASK_FIXED of a new task that gets this number, of the execution of that number."""
    return (
        seq, execution, task.index, task.workspace, task.job, task.queue, task.id, task.priority, task.created_at, task.input,
    )  # fmt: skip


def task_changing(task: Task) -> tuple[Any, ...]:
    """TASK_CHANGING of a task."""
    status, waiting_for = task.status, task.waiting_for
    return (
        _state(task), status._value_, None if waiting_for is None else waiting_for._value_, task.attempt,
        task.losses, task.token, task.worker, task.lease_until, task.updated_at, task.started_at, task.ended_at, task.result,
        None if task.error is None else _encode(task.error).decode(),
    )  # fmt: skip


def task_of(row: Row) -> Task:
    """The record of a row of TASK."""
    (
        seq, execution, position, workspace, job, queue, name, priority, created_at, given, _, status, waiting_for, attempt, losses,
        token, worker, lease_until, updated_at, started_at, ended_at, result, error,
    ) = row  # fmt: skip
    return Task(
        seq=seq, execution=execution, index=position, workspace=workspace, job=job, queue=queue, id=name, priority=priority,
        created_at=created_at, input=given, status=_STATUS[status], waiting_for=_WAITING[waiting_for], attempt=attempt,
        losses=losses, token=token, worker=worker, lease_until=lease_until, updated_at=updated_at, started_at=started_at,
        ended_at=ended_at, result=result, error=None if error is None else _failure(error),
    )  # fmt: skip


_TASK_COLUMNS: Final = len(TASK)


def pair_of(row: Row) -> tuple[Task, Execution]:
    """The records of a row of TASK and, behind it, EXECUTION."""
    return task_of(row[:_TASK_COLUMNS]), execution_of(row[_TASK_COLUMNS:])


def event_row(event: Event) -> tuple[Any, ...]:
    """EVENT of an event."""
    return (
        event.execution, event.id, event.at, event.type, event.status._value_, event.task, event.worker,
        None if event.error is None else _encode(event.error).decode(),
    )  # fmt: skip


def event_of(row: Row) -> Event:
    """The record of a row of EVENT."""
    execution, number, at, kind, status, task, worker, error = row
    return Event(
        execution=execution, id=number, at=at, type=kind, status=_STATUS[status], task=task, worker=worker,
        error=None if error is None else _failure(error),
    )  # fmt: skip


def _state(task: Task) -> str:
    """What the partial indexes tell tasks apart by."""
    status = task.status
    if status is JobStatus.PENDING:
        return READY if task.ready else "waiting"
    return LEASED if status is JobStatus.RUNNING else "paused" if status is JobStatus.PAUSED else "ended"
