"""Records as the contract shows them: plain mappings with the wire's names, ready to be encoded.

A field that has no value is left out. Free-form JSON goes in as the text that it is (`msgspec.Raw`), so that it is never parsed
again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from msgspec import Raw

from ..errors import RequestError
from ..words import JobPriority, JobStatus, WaitingFor
from .records import (
    UNSAID,
    Attempt,
    Definition,
    Event,
    Execution,
    Failure,
    Leased,
    Policy,
    Progress,
    Recovery,
    RetryPolicy,
    Step,
    Task,
)
from .reports import Answer, Holding
from .tallies import Distribution, Numbers

View = dict[str, Any]

instant_view = _time = partial(datetime.fromtimestamp, tz=UTC)
"""Seconds since 1970 as the time that they are."""

PRIORITIES: Final = tuple(JobPriority)
_NULL: Final = Raw(b"null")


def status_view(execution: Execution, waiting_for: WaitingFor | None) -> View:
    """Schema JobExecutionStatus."""
    view: View = {"status": execution.status, "done": execution.done}
    _wait(view, execution, waiting_for)
    return view


def update_view(execution: Execution, waiting_for: WaitingFor | None) -> View:
    """Schema JobExecutionUpdate."""
    view = {"id": execution.id, "job": execution.job, **status_view(execution, waiting_for), "stats": _stats(execution)}
    if execution.progress is not None:
        view["progress"] = _progress(execution.progress)
    return view


def unknown_view(id: str) -> View:
    """Schema JobExecutionUpdate, for an id that there is not."""
    return {"id": id, "status": "unknown", "done": True}


def summary_view(execution: Execution, waiting_for: WaitingFor | None, trace: bool = False) -> View:
    """Schema JobExecution without tasks and results, as lists carry it."""
    view: View = {"metadata": _metadata(execution), "spec": _spec(execution), "status": execution.status, "done": execution.done}
    _wait(view, execution, waiting_for)
    view["stats"] = _stats(execution)
    if execution.progress is not None:
        view["progress"] = _progress(execution.progress)
    elif execution.total > 1:
        view["progress"] = {"current": execution.finished, "total": execution.total}
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
    """Schema JobExecutionTask. A task without a reason of its own waits for a worker, where that is what its execution does."""
    metadata: View = {"id": task.id, "name": task.id, "createdAt": _time(task.created_at), "updatedAt": _time(task.updated_at)}
    if task.started_at is not None:
        metadata["startedAt"] = _time(task.started_at)
    if task.ended_at is not None:
        metadata["completedAt"] = _time(task.ended_at)
    view: View = {"metadata": metadata, "status": task.status, "attempts": task.attempt, "input": _raw(task.input)}
    reason = task.waiting_for or (waiting_for if waiting_for is WaitingFor.WORKER and task.status is JobStatus.PENDING else None)
    if reason:
        view["waitingFor"] = reason
    if task.worker and task.status is JobStatus.RUNNING:
        view["worker"] = task.worker
    if task.status is JobStatus.COMPLETED:
        view["result"] = _raw(task.result)
    if task.due_at is not None and task.status is not JobStatus.RUNNING:
        view["waitUntil"] = _time(task.due_at)
    if task.awaiting is not None:
        view["awaiting"] = task.awaiting
    if task.losses:
        view["losses"] = task.losses
    if task.progress is not None:
        view["progress"] = _progress(task.progress)
    if task.error:
        view["error"] = _failure(task.error, trace=True)
    if task.history:
        view["history"] = [_attempt(attempt) for attempt in task.history]
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
    if event.data is not None:
        view["data"] = _raw(event.data)
    return view


def step_view(task: str, step: Step) -> View:
    """Schema ExecutionStep."""
    return {"task": task, "name": step.name, "kind": step.kind, "at": _time(step.at)}


def job_view(workspace: str, job: str, served: bool, definition: Definition | None) -> View:
    """Schema Job."""
    view: View = {"metadata": {"name": job, "workspace": workspace}, "served": served}
    if definition is not None:
        view["definition"] = _definition(definition)
    return view


def batch_view(id: str, executions: Sequence[Execution]) -> View:
    """Schema Batch, of its executions in the order of its items."""
    stats = dict.fromkeys(JobStatus, 0)
    for execution in executions:
        stats[execution.status] += 1
    return {
        "metadata": {"id": id, "createdAt": _time(min(execution.created_at for execution in executions))},
        "stats": {"total": len(executions), **stats},
        "done": all(execution.done for execution in executions),
        "executionIds": [execution.id for execution in executions],
    }


def job_stats_view(
    numbers: Numbers, per_second: float, backlog: Mapping[JobStatus, int], oldest_pending: float | None, queue: str
) -> View:
    """Schema JobStats. `per_second`: executions that ended, over the last minute. `backlog`: tasks by their status; the oldest
    pending one has been there for so many seconds."""
    completed, failed = int(numbers.get("completed", 0)), int(numbers.get("failed", 0))
    waiting: View = {str(status): backlog.get(status, 0) for status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PAUSED)}
    if oldest_pending is not None:
        waiting["oldestPendingMs"] = max(0, _ms(oldest_pending))
    return {
        **{name: int(numbers.get(name, 0)) for name in ("created", "completed", "failed", "cancelled", "retried", "recovered")},
        "failureRate": failed / (completed + failed) if failed else 0.0,
        "throughput": {"perSecond": per_second},
        "wait": _distribution(Distribution.of(numbers, "wait")),
        "run": _distribution(Distribution.of(numbers, "run")),
        "backlog": waiting,
        "queue": queue,
    }


def claim_view(leased: Sequence[Leased], lease: float, heartbeat: float) -> View:
    """Schema ClaimLeasesOutput."""
    return {"leases": [_lease(each) for each in leased], "leaseMs": _ms(lease), "heartbeatMs": _ms(heartbeat)}


def holding_view(holding: Holding) -> View:
    """Schema ExtendLeasesOutput."""
    return {
        "lost": [{"task": lease.task, "token": lease.token} for lease in holding.lost],
        "stop": [{"task": lease.task, "token": lease.token} for lease in holding.stop],
    }


def answer_view(answer: Answer | RequestError) -> View:
    """Schema ReportAnswer."""
    if isinstance(answer, RequestError):
        return {"error": answer.word, "message": answer.message}
    view: View = {}
    if answer.stop:
        view["stop"] = True
    if answer.suspended:
        view["suspended"] = True
    if answer.kind is not None:
        view["kind"] = answer.kind
    if answer.value is not None:
        view["value"] = _raw(answer.value)
    if answer.remaining:
        view["remainingMs"] = _ms(answer.remaining)
    return view


def page_view(data: list[View], next_cursor: str | None) -> View:
    """A page of any list. Schemas JobExecutionList, JobExecutionTaskList, JobExecutionEventList."""
    meta: View = {"hasMore": next_cursor is not None}
    if next_cursor is not None:
        meta["nextCursor"] = next_cursor
    return {"data": data, "meta": meta}


def _metadata(execution: Execution) -> View:
    spec = execution.spec
    created_at, updated_at = execution.created_at, execution.updated_at
    created = _time(created_at)
    view: View = {
        "id": execution.id, "job": execution.job, "workspace": execution.workspace, "createdAt": created,
        "updatedAt": created if updated_at == created_at else _time(updated_at),
    }  # fmt: skip
    if spec.name is not None:
        view["name"] = spec.name
    if spec.description is not None:
        view["description"] = spec.description
    if spec.tags:
        view["tags"] = spec.tags
    if spec.custom is not None:
        view["custom"] = spec.custom
    if execution.batch is not None:
        view["batchId"] = execution.batch
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
    if execution.policy is not UNSAID:
        _policy(view, execution.policy)
    if execution.concurrency_key is not None:
        view["concurrencyKey"] = execution.concurrency_key
    if not spec.auto_start:
        view["autoStart"] = False
    if spec.run_at is not None:
        view["runAt"] = _time(spec.run_at)
    if spec.memory is not None:
        view["memoryOverride"] = spec.memory
    if spec.env is not None:
        view["envOverride"] = dict.fromkeys(spec.env, "***")
    return view


def _policy(view: View, policy: Policy) -> None:
    if policy.max_retries is not None:
        view["maxRetries"] = policy.max_retries
    if policy.retry is not None:
        view["retryPolicy"] = _retry(policy.retry)
    if policy.timeout is not None:
        view["timeout"] = int(policy.timeout) if policy.timeout.is_integer() else policy.timeout
    if policy.fail_fast:
        view["failFast"] = True


def _retry(retry: RetryPolicy) -> View:
    return {"initialMs": _ms(retry.initial), "factor": retry.factor, "maxMs": _ms(retry.max), "jitter": retry.jitter}


def _definition(definition: Definition) -> View:
    view: View = {"queue": definition.queue, "concurrencyPerKey": definition.concurrency_per_key}
    policy = definition.policy
    if policy.max_retries is not None:
        view["maxRetries"] = policy.max_retries
    if policy.retry is not None:
        view["retryPolicy"] = _retry(policy.retry)
    if policy.timeout is not None:
        view["timeoutMs"] = _ms(policy.timeout)
    if definition.priority is not None:
        view["priority"] = PRIORITIES[definition.priority]
    if definition.concurrency is not None:
        view["concurrency"] = definition.concurrency
    if definition.input_schema is not None:
        view["inputSchema"] = definition.input_schema
    if definition.output_schema is not None:
        view["outputSchema"] = definition.output_schema
    return view


def _lease(leased: Leased) -> View:
    view: View = {
        "task": leased.lease.task, "token": leased.lease.token, "job": leased.job, "executionId": leased.execution_id,
        "taskId": leased.task_id, "index": leased.index, "attempt": leased.attempt, "input": _raw(leased.input),
        "metadata": leased.metadata, "env": leased.env, "steps": [],
    }  # fmt: skip
    if leased.timeout is not None:
        view["timeoutMs"] = _ms(leased.timeout)
    for step in leased.steps:
        stored: View = {"name": step.name, "kind": step.kind}
        if step.value is not None:
            stored["value"] = _raw(step.value)
        if step.remaining:
            stored["remainingMs"] = _ms(step.remaining)
        view["steps"].append(stored)
    return view


def _distribution(distribution: Distribution) -> View:
    view: View = {"count": distribution.count}
    if distribution.count:
        view["mean"] = distribution.sum / distribution.count * 1000
        view |= {f"p{share}": distribution.percentile(share / 100) * 1000 for share in (50, 95, 99)}
    return view


def _attempt(attempt: Attempt) -> View:
    view: View = {
        "attempt": attempt.number, "startedAt": _time(attempt.started_at), "endedAt": _time(attempt.ended_at),
        "outcome": attempt.outcome,
    }  # fmt: skip
    if attempt.worker is not None:
        view["worker"] = attempt.worker
    if attempt.error is not None:
        view["error"] = _failure(attempt.error, trace=False)
    return view


def _progress(progress: Progress) -> View:
    view: View = {"current": progress.current}
    if progress.total is not None:
        view["total"] = progress.total
    if progress.message is not None:
        view["message"] = progress.message
    return view


def _wait(view: View, execution: Execution, waiting_for: WaitingFor | None) -> None:
    if waiting_for:
        view["waitingFor"] = waiting_for
        if execution.wait_until is not None:
            view["waitUntil"] = _time(execution.wait_until)


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)


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


def runner_view(inputs: Iterable[str]) -> View:
    """Schema RunnerTasks."""
    return {"tasks": [_raw(each) for each in inputs]}


def _raw(text: str | None) -> Raw:
    return _NULL if text is None else Raw(text.encode())
