"""The Blaxel platform's dialect: what its answers say, in the shape and the words of our contract.

Pure functions over parsed JSON. What already has our shape comes out as it went in, and what neither knows is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from ..flow import OFFSET_CURSOR

JSON = dict[str, Any]

STATUSES: Final = {
    "queued": "pending", "cancelling": "running", "succeeded": "completed", "timeout": "failed", "canceled": "cancelled",
    "unspecified": "pending", "reconciling": "pending",
}  # fmt: skip
"""Their words in ours. A word that is in neither vocabulary stays as it is, and is not done."""
ENDED: Final = frozenset({"succeeded", "completed", "failed", "cancelled", "canceled", "timeout"})
PAGE: Final = 20
"""Rows on a page of the platform's unless asked otherwise."""


@attrs.frozen
class Request:
    """What an answer is an answer to."""

    arguments: Mapping[str, Any]
    """Those of the operation."""
    workspace: str
    at: str
    """When it was answered (RFC 3339): the time of what has none of its own."""


def translate(operation: str, request: Request, answer: Any) -> Any:
    """The answer of an operation that both know, in our shape. Raises LookupError, TypeError, ValueError, AttributeError for what
    is neither the platform's nor ours."""
    return OPERATIONS[operation](request, answer)


def is_ours(answer: Any) -> bool:
    """Executions in our shape say whether they are done; the platform's do not."""
    rows = answer.get("data", answer) if isinstance(answer, dict) else answer
    row = rows[0] if isinstance(rows, list) and rows else rows
    return isinstance(row, dict) and isinstance(row.get("done"), bool)


def execution(request: Request, answer: JSON) -> JSON:
    """JobExecution."""
    word = answer.get("status") or "pending"
    metadata = _metadata(request, answer["metadata"])
    spec = _present(answer["spec"])
    view = _present(answer)
    tasks, stats = view.get("tasks"), view.get("stats") or {}
    count = stats.get("total") or len(tasks or spec.get("tasks") or ())
    if tasks is not None:
        inputs = spec.get("tasks") or ()
        view["tasks"] = [
            task(one, index, metadata["createdAt"], inputs[index : index + 1] if len(inputs) == len(tasks) else ())
            for index, one in enumerate(tasks)
        ]
    if "error" not in view and (error := _error(word, spec, view.get("tasks") or ())):
        view["error"] = error
    return {
        **view, "metadata": metadata, "spec": {"taskCount": count, "priority": "medium", **spec},
        "status": STATUSES.get(word, word), "done": view.get("done", word in ENDED),
        "stats": {**dict.fromkeys(("success", "failure", "running", "retried", "cancelled"), 0), "total": count, **_present(stats)},
    }  # fmt: skip


def created(request: Request, answer: JSON) -> JSON:
    """CreateJobExecutionOutput, of which the platform sends ids only: the execution is new, and nobody has looked at it."""
    id = answer["executionId"]
    rows = answer.get("tasks") or getattr(request.arguments.get("body"), "tasks", None) or ()
    view = {key: value for key, value in answer.items() if key != "tasks"}
    bare = {"metadata": {"id": id}, "spec": {"taskCount": len(rows)}, "disposition": "created"}
    return execution(request, {**bare, **_present(view)})


def task(answer: JSON, index: int, created_at: str, input: Any = ()) -> JSON:
    """JobExecutionTask; `input` holds what it was given, where that is known."""
    given = _present(answer.get("metadata") or {}, times=True)
    name = given.get("name") or f"task-{index}"
    begun = given.get("createdAt", created_at)
    word = answer.get("status") or "pending"
    view = {
        "attempts": int("startedAt" in given), **_present(answer), "status": STATUSES.get(word, word),
        "metadata": {"id": name, "name": name, "createdAt": begun, "updatedAt": begun, **given},
    }  # fmt: skip
    if input:
        view.setdefault("input", input[0])
    if "error" not in view and view["status"] == "failed" and (error := _condition(answer.get("conditions") or ())):
        view["error"] = error
    return view


def executions(request: Request, answer: Any) -> JSON:
    """JobExecutionList, from a page or, of old versions, from a bare list."""
    page = _page(request, answer)
    return {**page, "data": [execution(request, row) for row in page["data"]]}


def tasks(request: Request, answer: Any) -> JSON:
    """JobExecutionTaskList."""
    page = _page(request, answer)
    return {**page, "data": [task(row, index, request.at) for index, row in enumerate(page["data"])]}


def job(request: Request, answer: JSON) -> JSON:
    """Job."""
    metadata = _present(answer.get("metadata") or {})
    return {**answer, "metadata": {"name": request.arguments["job"], "workspace": request.workspace, **metadata}}


OPERATIONS: Final[Mapping[str, Callable[[Request, Any], Any]]] = {
    "create_job_execution": created,
    "get_job_execution": execution,
    "cancel_job_execution": execution,
    "list_job_executions": executions,
    "list_job_execution_tasks": tasks,
    "get_job": job,
}
"""What the platform has a route for."""


def _metadata(request: Request, answer: JSON) -> JSON:
    given = _present(answer, times=True)
    begun = given.get("createdAt", request.at)
    arguments = request.arguments
    known = {"id": arguments["execution_id"]} if "execution_id" in arguments else {}
    return {**known, "job": arguments["job"], "workspace": request.workspace, "createdAt": begun, "updatedAt": begun, **given}


def _present(answer: JSON, *, times: bool = False) -> JSON:
    """Without what is null, which our contract leaves out; an input and a result may be null. An empty text is no time."""
    return {
        key: value
        for key, value in answer.items()
        if (value is not None or key in ("input", "result")) and not (times and value == "" and key.endswith("At"))
    }


def _page(request: Request, answer: Any) -> JSON:
    if isinstance(answer, list):
        limit, offset = request.arguments.get("limit") or PAGE, request.arguments.get("offset") or 0
        more = len(answer) >= limit
        return {"data": answer, "meta": {"hasMore": more, **({"nextCursor": f"{OFFSET_CURSOR}{offset + limit}"} if more else {})}}
    meta = _present(answer.get("meta") or {})
    if not meta.get("nextCursor"):
        meta.pop("nextCursor", None)
    return {**answer, "data": answer["data"] or [], "meta": {"hasMore": "nextCursor" in meta, **meta}}


def _error(word: str, spec: JSON, tasks: Any) -> JSON | None:
    if word == "timeout":
        limit = f"its timeout of {spec['timeout']} s" if spec.get("timeout") else "its timeout"
        return {"kind": "timeout", "type": "TimeoutError", "message": f"the execution had not ended after {limit}"}
    if word == "failed":
        return next((one["error"] for one in tasks if "error" in one), None)
    return None


def _condition(conditions: Any) -> JSON | None:
    """The last condition that says something, as a failure."""
    for condition in reversed(conditions):
        message = condition.get("message")
        if message:
            reason = condition.get("executionReason") or condition.get("reason") or condition.get("type") or "failed"
            return {"kind": "error", "type": reason, "message": message}
    return None
