"""Records as the contract shows them: plain mappings with the wire's names, ready to be encoded.

A field that has no value is left out. Free-form JSON goes in as the text that it is (`msgspec.Raw`), so that it is never parsed
again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Raw

from ..words import JobPriority, JobStatus, WaitingFor
from .records import Event, Execution, Failure, Recovery, Task

View = dict[str, Any]

PRIORITIES: Final = tuple(JobPriority)
_NULL: Final = Raw(b"null")


def status_view(execution: Execution, waiting_for: WaitingFor | None) -> View:
    """Schema JobExecutionStatus."""
    view: View = {"status": execution.status, "done": execution.done}
    if waiting_for:
        view["waitingFor"] = waiting_for
    return view


def update_view(execution: Execution, waiting_for: WaitingFor | None) -> View:
    """Schema JobExecutionUpdate."""
    return {"id": execution.id, "job": execution.job, **status_view(execution, waiting_for), "stats": _stats(execution)}


def unknown_view(id: str) -> View:
    """Schema JobExecutionUpdate, for an id that there is not."""
    return {"id": id, "status": "unknown", "done": True}


def summary_view(execution: Execution, waiting_for: WaitingFor | None, trace: bool = False) -> View:
    """Schema JobExecution without tasks and results, as lists carry it."""
    view: View = {"metadata": _metadata(execution), "spec": _spec(execution), "status": execution.status, "done": execution.done}
    if waiting_for:
        view["waitingFor"] = waiting_for
    view["stats"] = _stats(execution)
    if execution.error:
        view["error"] = _failure(execution.error, trace)
    view["recoveries"] = [_recovery(recovery) for recovery in execution.recoveries] if execution.recoveries else []
    return view


def created_view(execution: Execution, disposition: str, waiting_for: WaitingFor | None) -> View:
    """Schema CreateJobExecutionOutput."""
    view = summary_view(execution, waiting_for)
    view["executionId"], view["disposition"] = execution.id, disposition
    return view


def execution_view(execution: Execution, tasks: Sequence[Task], waiting_for: WaitingFor | None, shown: int) -> View:
    """Schema JobExecution. `tasks` are the first tasks, of which `shown` are shown; results are given when they are all there."""
    view = summary_view(execution, waiting_for, trace=True)
    view["tasks"] = [task_view(task, waiting_for) for task in tasks[:shown]]
    if execution.spec.single:
        if tasks and tasks[0].status is JobStatus.COMPLETED:
            view["result"] = _raw(tasks[0].result)
    elif execution.done and len(tasks) == execution.total:
        view["results"] = [_raw(task.result) for task in tasks]
    return view


def task_view(task: Task, waiting_for: WaitingFor | None = None) -> View:
    """Schema JobExecutionTask. A task that waits for no reason of its own waits for that of its execution."""
    metadata: View = {"id": task.id, "name": task.id, "createdAt": _time(task.created_at), "updatedAt": _time(task.updated_at)}
    if task.started_at is not None:
        metadata["startedAt"] = _time(task.started_at)
    if task.ended_at is not None:
        metadata["completedAt"] = _time(task.ended_at)
    view: View = {"metadata": metadata, "status": task.status, "attempts": task.attempt, "input": _raw(task.input)}
    reason = task.waiting_for or (waiting_for if task.status is JobStatus.PENDING else None)
    if reason:
        view["waitingFor"] = reason
    if task.worker and task.status is JobStatus.RUNNING:
        view["worker"] = task.worker
    if task.status is JobStatus.COMPLETED:
        view["result"] = _raw(task.result)
    if task.error:
        view["error"] = _failure(task.error, trace=True)
    return view


def event_view(event: Event) -> View:
    """Schema JobExecutionEvent."""
    view: View = {"id": event.id, "at": _time(event.at), "type": event.type, "status": event.status}
    if event.task is not None:
        view["task"] = event.task
    if event.worker is not None:
        view["worker"] = event.worker
    if event.error is not None:
        view["error"] = _failure(event.error, trace=False)
    return view


def page_view(data: list[View], next_cursor: str | None) -> View:
    """A page of any list. Schemas JobExecutionList, JobExecutionTaskList, JobExecutionEventList."""
    meta: View = {"hasMore": next_cursor is not None}
    if next_cursor is not None:
        meta["nextCursor"] = next_cursor
    return {"data": data, "meta": meta}


def _metadata(execution: Execution) -> View:
    spec = execution.spec
    view: View = {
        "id": execution.id, "job": execution.job, "workspace": execution.workspace,
        "createdAt": _time(execution.created_at), "updatedAt": _time(execution.updated_at),
    }  # fmt: skip
    if spec.name is not None:
        view["name"] = spec.name
    if spec.description is not None:
        view["description"] = spec.description
    if spec.tags:
        view["tags"] = spec.tags
    if spec.custom is not None:
        view["custom"] = spec.custom
    if execution.started_at is not None:
        view["startedAt"] = _time(execution.started_at)
    if execution.ended_at is not None:
        view["completedAt"] = _time(execution.ended_at)
    return view


def _spec(execution: Execution) -> View:
    spec = execution.spec
    view: View = {"taskCount": execution.total, "priority": PRIORITIES[execution.priority]}
    if execution.idempotency_key is not None:
        view["idempotencyKey"] = execution.idempotency_key
    if spec.memory is not None:
        view["memoryOverride"] = spec.memory
    if spec.env is not None:
        view["envOverride"] = dict.fromkeys(spec.env, "***")
    return view


def _stats(execution: Execution) -> View:
    return {
        "total": execution.total, "success": execution.completed, "failure": execution.failed, "running": execution.running,
        "retried": execution.retried, "cancelled": execution.cancelled,
    }  # fmt: skip


def _failure(failure: Failure, trace: bool) -> View:
    view: View = {"kind": failure.kind, "type": failure.type, "message": failure.message}
    if trace and failure.trace is not None:
        view["trace"] = failure.trace
    return view


def _recovery(recovery: Recovery) -> View:
    return {
        "at": _time(recovery.at), "task": recovery.task, "worker": recovery.worker, "reason": recovery.reason,
        "attempt": recovery.attempt,
    }  # fmt: skip


def _time(instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC)


def _raw(text: str | None) -> Raw:
    return _NULL if text is None else Raw(text.encode())
