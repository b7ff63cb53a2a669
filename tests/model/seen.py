"""What can be seen of an execution and of a task, on either side."""

import math

from blaxel_jobs.core.records import Execution, Task
from blaxel_jobs.words import JobStatus, WaitingFor
from tests.model.reference import ENDED, Row, status


class Wrong(AssertionError):
    """The engine did something that it must not."""


def expect(fact: bool, what: str) -> None:
    if not fact:
        raise Wrong(what)


def same(what: str, seen: Row, wanted: Row) -> None:
    others = {name: (seen[name], wanted[name]) for name in seen if seen[name] != wanted[name]}
    expect(not others, f"{what} is, and should be: {others}")


def of_execution(execution: Execution) -> Row:
    return {
        "status": execution.status.value,
        "done": execution.done,
        "ended": execution.ended_at is not None,
        "counts": (execution.running, execution.completed, execution.failed, execution.cancelled),
        "retried": execution.retried,
        "slot": execution.slot,
        "paused": execution.paused,
        "deadline": execution.deadline,
        "time_left": execution.time_left,
        "error": execution.error and execution.error.kind.value,
        "losses": [recovery.worker for recovery in execution.recoveries],
        "priority": execution.priority,
        "batch": execution.batch,
    }


def of_execution_model(model: Row) -> Row:
    tasks = [task["status"] for task in model["tasks"]]
    done = status(model) in ENDED
    return {
        "status": status(model),
        "done": done,
        "ended": done,
        "counts": tuple(tasks.count(each) for each in ("running", "completed", "failed", "cancelled")),
        "retried": model["retried"],
        "slot": model["slot"],
        "paused": model["paused"],
        "deadline": _instant(model["deadline"]),
        "time_left": _instant(model["left"]),
        "error": model["error"],
        "losses": model["lost"],
        "priority": model["rank"],
        "batch": model["batch"],
    }


def of_task(task: Task, steps: list[tuple[str, str]]) -> Row:
    return {
        "status": task.status.value,
        "why": None if task.waiting_for is None or task.waiting_for is WaitingFor.CONCURRENCY else task.waiting_for.value,
        "due": task.due_at,
        "awaiting": task.awaiting,
        "attempt": task.attempt,
        "errors": task.errors,
        "losses": task.losses,
        "token": task.token,
        "result": task.result,
        "error": task.error and task.error.kind.value,
        "steps": steps,
    }


def of_task_model(model: Row, execution: Row) -> Row:
    paused = model["status"] == "pending" and execution["paused"]
    wanted = {name: model[name] for name in ("why", "awaiting", "attempt", "errors", "losses", "token", "result", "error")}
    steps = sorted((name, step["kind"]) for name, step in model["steps"].items())
    return {**wanted, "due": _instant(model["due"]), "status": "paused" if paused else model["status"], "steps": steps}


def _instant(at: float) -> float | None:
    return None if at == math.inf else at


def check_wait(execution: Execution, tasks: list[Task]) -> None:
    """A pending execution waits for a slot if one of its tasks does, or else for a worker, or else for what comes first; one that
    does not wait says nothing."""
    said = (execution.waiting_for, execution.wait_until)
    waits = {(task.waiting_for, task.due_at) for task in tasks if task.status is JobStatus.PENDING}
    reasons, soonest = {why for why, _ in waits}, min((due for _, due in waits if due is not None), default=None)
    if WaitingFor.CONCURRENCY in reasons:
        waits = {(WaitingFor.CONCURRENCY, None)}
    elif execution.status is not JobStatus.PENDING or None in reasons:
        waits = {(None, None)}
    else:
        waits = {(why, due) for why, due in waits if due == soonest}
    expect(said in waits, f"execution {execution.id} says that it waits for {said}, and its tasks wait for {waits}")
