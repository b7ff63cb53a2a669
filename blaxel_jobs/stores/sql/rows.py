"""Records as rows and rows as records: the one place that knows both.

These functions run for every record of every claim: they name fields in order and look words up in dicts, because an Enum's
constructor costs as much as a row. What most records do not have is NULL, so that nothing is encoded for it; a bool is bound as a
number, since sqlite3 looks for an adapter for whatever is not exactly of a type that it knows.
"""

from typing import Any, Final

import msgspec

from ...core.records import (
    BOUND,
    UNSAID,
    Attempt,
    Definition,
    Event,
    Execution,
    Failure,
    NewTasks,
    Policy,
    Progress,
    Recovery,
    Signal,
    Spec,
    Step,
    Task,
)
from ...words import JobStatus, WaitingFor
from ..base import Tally
from .columns import Row

READY: Final = "ready"
LEASED: Final = "leased"

STATUS: Final = {status.value: status for status in JobStatus}
_WAITING: Final = {None: None} | {reason.value: reason for reason in WaitingFor}
_UNSAID: Final = "{}"
"""The policy of an execution whose job is not defined yet. That of one which only took its definition's defaults is NULL."""
_COURSE_OF_NEW: Final = (1, "pending", 0, 0, None, None)
_REST_OF_NEW: Final = (0, 0, 0, 0, 0, None, None, None, None, None)
_encode: Final = msgspec.json.Encoder().encode
_PLAIN: Final = Spec(single=True)
_PLAIN_SPEC: Final = _encode(_PLAIN).decode()
"""The most frequent of all, and not decoded again and again."""
_failure: Final = msgspec.json.Decoder(Failure).decode
_recoveries: Final = msgspec.json.Decoder(tuple[Recovery, ...]).decode
_spec: Final = msgspec.json.Decoder(Spec).decode
_policy: Final = msgspec.json.Decoder(Policy).decode
_progress: Final = msgspec.json.Decoder(Progress).decode
_history: Final = msgspec.json.Decoder(tuple[Attempt, ...]).decode
_definition: Final = msgspec.json.Decoder(Definition).decode
_numbers: Final = msgspec.json.Decoder(dict[str, float]).decode


def execution_fixed(execution: Execution, seq: int) -> tuple[Any, ...]:
    """EXECUTION_FIXED of a new execution that gets this number."""
    return (
        seq, execution.workspace, execution.id, execution.job, execution.priority, execution.total, execution.idempotency_key,
        execution.batch, execution.concurrency_key, execution.created_at, _encode(execution.spec).decode(),
    )  # fmt: skip


def execution_changing(execution: Execution) -> tuple[Any, ...]:
    """EXECUTION_COURSE and EXECUTION_REST of an execution."""
    waiting_for, policy = execution.waiting_for, execution.policy
    progress, error, recoveries = execution.progress, execution.error, execution.recoveries
    return (
        execution.updated_at, execution.version, execution.status._value_, execution.running, execution.completed,
        execution.started_at, execution.ended_at, None if waiting_for is None else waiting_for._value_, execution.wait_until,
        None if policy is BOUND or policy == BOUND else _UNSAID if policy is UNSAID else _encode(policy).decode(), execution.failed,
        execution.cancelled, execution.retried, 1 if execution.slot else 0, 1 if execution.paused else 0, execution.deadline,
        execution.time_left, None if progress is None else _encode(progress).decode(),
        None if error is None else _encode(error).decode(), _encode(recoveries).decode() if recoveries else None,
    )  # fmt: skip


def new_execution(execution: Execution, seq: int) -> tuple[Any, ...] | None:
    """EXECUTION_OWN of an execution that gets this number; None where it is not as all new ones are."""
    changing = execution_changing(execution)
    if changing[1:7] != _COURSE_OF_NEW or changing[10:] != _REST_OF_NEW:
        return None
    return (*execution_fixed(execution, seq), changing[0], *changing[7:10])


def execution_of(row: Row) -> Execution:
    """The record of a row of EXECUTION."""
    (
        seq, workspace, name, job, priority, total, idempotency_key, batch, key, created_at, spec, updated_at, version, status,
        running, completed, started_at, ended_at, waiting_for, wait_until, policy, failed, cancelled, retried, slot, paused,
        deadline, time_left, progress, error, recoveries,
    ) = row  # fmt: skip
    return Execution(
        seq=seq, workspace=workspace, id=name, job=job, priority=priority, total=total, idempotency_key=idempotency_key,
        batch=batch, concurrency_key=key, created_at=created_at,
        spec=_PLAIN if spec == _PLAIN_SPEC else _spec(spec), version=version, status=STATUS[status],
        waiting_for=_WAITING[waiting_for], wait_until=wait_until, running=running, completed=completed, failed=failed,
        cancelled=cancelled, retried=retried, updated_at=updated_at, started_at=started_at, ended_at=ended_at, slot=slot == 1,
        paused=paused == 1, deadline=deadline, time_left=time_left,
        policy=BOUND if policy is None else UNSAID if policy == _UNSAID else _policy(policy),
        progress=None if progress is None else _progress(progress), error=None if error is None else _failure(error),
        recoveries=() if recoveries is None else _recoveries(recoveries),
    )  # fmt: skip


def task_fixed(task: Task, seq: int, execution: int) -> tuple[Any, ...]:
    """TASK_FIXED of a new task that gets this number, of the execution of that number."""
    return (seq, execution, task.index, task.workspace, task.job, task.id, task.priority, task.created_at, task.input)


def task_changing(task: Task) -> tuple[Any, ...]:
    """TASK_COURSE and TASK_REST of a task."""
    waiting_for, progress, error, history = task.waiting_for, task.progress, task.error, task.history
    return (
        _state(task), task.due_at, task.updated_at, task.status._value_, task.attempt, task.token, task.worker, task.started_at,
        task.ended_at, task.result, None if waiting_for is None else waiting_for._value_, task.awaiting, 1 if task.continues else 0,
        task.errors, task.losses, None if progress is None else _encode(progress).decode(),
        None if error is None else _encode(error).decode(), _encode(history).decode() if history else None,
    )  # fmt: skip


def new_tasks(new: Execution, tasks: NewTasks, first: int, execution: int) -> list[tuple[Any, ...]]:
    """TASK_OWN of the tasks of a new execution, which gets that number, and they the numbers from the first on."""
    waiting_for, due_at, at = new.waiting_for, new.wait_until, new.created_at
    workspace, job, priority = new.workspace, new.job, new.priority
    why, state = None if waiting_for is None else waiting_for._value_, _pending(waiting_for)
    return [
        (seq, execution, index, workspace, job, name, priority, at, given, state, due_at, at, why)
        for seq, (index, name, given) in enumerate(tasks.parts(), first)
    ]


def task_of(row: Row) -> Task:
    """The record of a row of TASK."""
    (
        seq, execution, position, workspace, job, name, priority, created_at, given, _, due_at, updated_at, status, attempt, token,
        worker, started_at, ended_at, result, waiting_for, awaiting, continues, errors, losses, progress, error, history,
    ) = row  # fmt: skip
    return Task(
        seq=seq, execution=execution, index=position, workspace=workspace, job=job, id=name, priority=priority,
        created_at=created_at, input=given, status=STATUS[status], waiting_for=_WAITING[waiting_for], due_at=due_at,
        awaiting=awaiting, attempt=attempt, continues=continues == 1, errors=errors, losses=losses, token=token, worker=worker,
        updated_at=updated_at, started_at=started_at, ended_at=ended_at,
        progress=None if progress is None else _progress(progress), result=result, error=None if error is None else _failure(error),
        history=() if history is None else _history(history),
    )  # fmt: skip


def event_row(event: Event) -> tuple[Any, ...]:
    """EVENT of an event, but for its execution's number."""
    return (
        event.id, event.at, event.type, event.status._value_, event.task, event.worker,
        None if event.error is None else _encode(event.error).decode(), event.data,
    )  # fmt: skip


def event_of(row: Row) -> Event:
    """The record of a row of EVENT."""
    execution, number, at, kind, status, task, worker, error, data = row
    return Event(
        execution=execution, id=number, at=at, type=kind, status=STATUS[status], task=task, worker=worker,
        error=None if error is None else _failure(error), data=data,
    )  # fmt: skip


def step_row(step: Step) -> tuple[Any, ...]:
    """STEP of a step."""
    return (step.task, step.name, step.kind, step.at, step.due_at, step.value)


def step_of(row: Row) -> Step:
    """The record of a row of STEP."""
    task, name, kind, at, due_at, value = row
    return Step(task=task, name=name, kind=kind, at=at, due_at=due_at, value=value)


def signal_row(signal: Signal) -> tuple[Any, ...]:
    """SIGNAL of a signal."""
    return (signal.execution, signal.id, signal.name, signal.at, 1 if signal.taken else 0, signal.payload)


def signal_of(row: Row) -> Signal:
    """The record of a row of SIGNAL."""
    execution, number, name, at, taken, payload = row
    return Signal(execution=execution, id=number, name=name, at=at, taken=taken == 1, payload=payload)


def definition_row(definition: Definition) -> tuple[Any, ...]:
    """DEFINITION of a definition."""
    return (definition.workspace, definition.job, _encode(definition).decode())


def definition_of(row: Row) -> Definition:
    """The record of a row of the last column of DEFINITION."""
    return _definition(row[0])


def tally_row(tally: Tally) -> tuple[Any, ...]:
    """TALLY of a tally."""
    return (tally.minute, tally.workspace, tally.job, tally.server, _encode(tally.numbers).decode())


def tally_of(row: Row) -> Tally:
    """The record of a row of TALLY."""
    minute, workspace, job, server, numbers = row
    return Tally(workspace=workspace, job=job, server=server, minute=minute, numbers=_numbers(numbers))


def _state(task: Task) -> str:
    """What the partial indexes tell tasks apart by."""
    status = task.status
    if status is JobStatus.PENDING:
        return _pending(task.waiting_for)
    return LEASED if status is JobStatus.RUNNING else "paused" if status is JobStatus.PAUSED else "ended"


def _pending(waiting_for: WaitingFor | None) -> str:
    return READY if waiting_for is None or waiting_for is WaitingFor.WORKER else "waiting"
