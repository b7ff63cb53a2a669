"""The Blaxel platform's words and shapes: the engine's views as its published SDKs parse them. Pure functions.

An SDK of the platform raises for a status that it does not know, and its waits end with succeeded, failed and cancelled only: so
what is held back is `queued`, and an execution whose time was up is `failed`, with `expiredAt`.
"""

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from ..core.paging import read_name_cursor, write_cursor
from ..core.views import View, instant_view
from ..errors import InvalidRequest
from ..stores.base import Order
from ..words import FailureKind, JobStatus, WaitingFor

STATUSES: Final = {
    JobStatus.PENDING: "pending", JobStatus.RUNNING: "running", JobStatus.PAUSED: "queued", JobStatus.COMPLETED: "succeeded",
    JobStatus.FAILED: "failed", JobStatus.CANCELLED: "cancelled",
}  # fmt: skip
TASK_STATUSES: Final = {**STATUSES, JobStatus.PAUSED: "pending"}
ORDERS: Final = {
    "createdAt:desc": Order.NEWEST, "createdAt:asc": Order.OLDEST, "name:asc": Order.ID, "name:desc": Order.ID_DOWN,
}  # fmt: skip
CURSOR_SECONDS: Final = 24 * 3600.0

_READ_BY_CREATE: Final = ("tasks", "env", "memory", "executionId", "allowQueue", "id", "jobId", "workspaceId")
_METADATA: Final = ("id", "job", "workspace", "createdAt", "startedAt", "updatedAt", "completedAt")
_SPEC: Final = ("parallelism", "taskCount", "memoryOverride", "envOverride")
_TASK_METADATA: Final = ("name", "createdAt", "startedAt", "updatedAt", "completedAt")
_DEPLOYED: Final = "DEPLOYED"


def create_request(body: Any) -> dict[str, Any]:
    """The fields of a create that the platform knows; others say nothing. Without `tasks` there is one that is given nothing."""
    if not isinstance(body, dict):
        raise InvalidRequest("the body is a JSON object with tasks", path="")
    known = {name: body[name] for name in _READ_BY_CREATE if body.get(name) is not None}
    return {"tasks": [{}], **known}


def created(view: View, request: Mapping[str, Any], request_id: str) -> View:
    """CreateJobExecutionOutput. An SDK cannot read an empty one among the tasks, and none of them is left out alone."""
    metadata = view["metadata"]
    answer: View = {
        "executionId": view["executionId"], "id": request.get("id") or request_id, "jobId": metadata["job"],
        "workspaceId": metadata["workspace"],
    }  # fmt: skip
    if all(request["tasks"]):
        answer["tasks"] = request["tasks"]
    return answer


def execution(view: View) -> View:
    """JobExecution, from one with its tasks or from a row of a list."""
    metadata = {name: view["metadata"][name] for name in _METADATA if name in view["metadata"]}
    error = view.get("error")
    if error and error["kind"] is FailureKind.TIMEOUT:
        metadata["expiredAt"] = metadata["completedAt"]
    spec = {name: view["spec"][name] for name in _SPEC if name in view["spec"]}
    if "timeout" in view["spec"]:
        spec["timeout"] = math.ceil(view["spec"]["timeout"])
    answer = {"metadata": metadata, "spec": spec, "status": _status(view), "stats": view["stats"]}
    if "tasks" in view:
        answer["tasks"] = [task(each, view["spec"]) for each in view["tasks"]]
    return answer


def task(view: View, spec: Mapping[str, Any]) -> View:
    """JobExecutionTask; `spec` is that of its execution's view."""
    given = view["metadata"]
    metadata = {name: given[name] for name in _TASK_METADATA if name in given}
    own: View = {"maxRetries": spec.get("maxRetries", 0)}
    if "timeout" in spec:
        own["timeout"] = duration(spec["timeout"])
    return {
        "metadata": {**metadata, "scheduledAt": given["createdAt"]}, "spec": own, "status": TASK_STATUSES[view["status"]],
        "conditions": _conditions(view),
    }  # fmt: skip


def duration(seconds: float) -> str:
    """As Go writes it: 90 is `1m30s`, 1800 is `30m`."""
    whole = math.ceil(seconds)
    parts = [(whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def job(view: View) -> View:
    """Job: its document, and what the server knows of it."""
    document = view["document"]
    metadata = {
        **document.get("metadata", {}), "name": view["name"], "workspace": view["workspace"],
        "createdAt": instant_view(view["createdAt"]), "updatedAt": instant_view(view["updatedAt"]),
    }  # fmt: skip
    runtime = {name: view[name] for name in ("maxRetries", "timeout") if view[name] is not None}
    if "timeout" in runtime:
        runtime["timeout"] = math.ceil(runtime["timeout"])
    spec = {"enabled": True, **({"runtime": runtime} if runtime and not document else {}), **document.get("spec", {})}
    return {**document, "metadata": metadata, "spec": spec, "status": _DEPLOYED}


def revisions(view: View) -> list[View]:
    """RevisionMetadata of the only revision that is kept: the newest."""
    at = instant_view(view["updatedAt"])
    newest = {"id": f"{view['updatedAt']:.6f}".replace(".", ""), "active": True, "canary": False, "previousActive": False}
    return [{**newest, "createdAt": at, "status": _DEPLOYED, "trafficPercent": 100}]


class Listing(Struct, frozen=True):
    """What a list asks for."""

    limit: int
    order: Order
    q: str | None = None
    offset: int = 0
    cursor: str | None = None
    seen: int = 0
    """Rows on the pages before this one."""

    def page(self, view: View, show: Callable[[View], View], now: float, total: int | None = None) -> View:
        """A page in the platform's shape; where nobody knows the total, it is what is known to be there at least."""
        rows, next_cursor = view["data"], view["meta"].get("nextCursor")
        seen = self.seen + (self.offset if self.cursor is None else 0) + len(rows)
        partial = total is None and next_cursor is not None
        meta = {
            "hasMore": next_cursor is not None,
            "nextCursor": "" if next_cursor is None else _dated(next_cursor, now, seen),
            "total": seen + partial if total is None else total,
            "totalIsPartial": partial,
        }
        return {"data": [show(row) for row in rows], "meta": meta}


def listing(query: Mapping[str, str], now: float, default: int, most: int, order: str = "createdAt:desc") -> Listing:
    """What a query asks for. What the platform does not know says nothing. Raises InvalidRequest."""
    word = query.get("sort") or order
    if word not in ORDERS:
        raise InvalidRequest(f"sort is one of {', '.join(ORDERS)}, not {word[:40]!r}", path="sort")
    limit = _integer(query, "limit", default)
    if not 1 <= limit <= most:
        raise InvalidRequest(f"limit is 1 to {most}, not {limit}", path="limit")
    offset = _integer(query, "offset", 0)
    cursor, seen = _undated(query["cursor"], now) if query.get("cursor") else (None, 0)
    return Listing(limit, ORDERS[word], query.get("q") or None, offset, cursor, seen)


def jobs_page(views: Iterable[View], asked: Listing, query: Mapping[str, str]) -> tuple[View, int]:
    """A page of all jobs, as the engine would make one, and how many jobs there are."""
    everything = list(views)
    by_name, down = asked.order.by_id, asked.order in (Order.NEWEST, Order.ID_DOWN)

    def place(view: View) -> tuple[Any, str]:
        return ("" if by_name else view["createdAt"], view["name"])

    chosen = sorted((view for view in everything if _is_asked_for(view, asked.q, query)), key=place, reverse=down)
    made_by = f"jobs {asked.order} {asked.q or ''}"
    if query.get("anchor") == "end" and asked.cursor is None:
        chosen = chosen[-asked.limit :]
    elif asked.cursor is not None:
        after = _place(read_name_cursor(made_by, asked.cursor), by_name)
        chosen = [view for view in chosen if (place(view) < after if down else place(view) > after)]
    else:
        chosen = chosen[asked.offset :]
    meta: View = {}
    if len(chosen) > asked.limit:
        meta["nextCursor"] = write_cursor(made_by, msgspec.json.encode(place(chosen[asked.limit - 1])).decode())
    return {"data": chosen[: asked.limit], "meta": meta}, len(everything)


def _place(text: str, by_name: bool) -> tuple[Any, str]:
    try:
        found: tuple[Any, str] = msgspec.json.decode(text, type=tuple[str, str] if by_name else tuple[float, str])
    except msgspec.DecodeError:
        raise _no_cursor() from None
    return found


def _no_cursor() -> InvalidRequest:
    return InvalidRequest("the cursor is not one that this server gave out", path="cursor")


def _is_asked_for(view: View, q: str | None, query: Mapping[str, str]) -> bool:
    metadata = view["document"].get("metadata", {})
    return (
        (q is None or q in view["name"] or q in str(metadata.get("displayName", "")))
        and query.get("externalId") in (None, "", metadata.get("externalId"))
        and query.get("status") in (None, "", _DEPLOYED)
    )


def _status(view: View) -> str:
    if view["status"] is JobStatus.PENDING and view.get("waitingFor", WaitingFor.WORKER) is not WaitingFor.WORKER:
        return "queued"
    return STATUSES[view["status"]]


def _conditions(view: View) -> Sequence[View]:
    """What became of a task that has ended."""
    if view["status"] is JobStatus.COMPLETED:
        return [{"type": "Completed", "state": "CONDITION_SUCCEEDED"}]
    if "error" not in view or view["status"] is not JobStatus.FAILED:
        return []
    error = view["error"]
    failed = {"type": "Completed", "state": "CONDITION_FAILED", "severity": "ERROR", "reason": error["kind"]}
    return [{**failed, "executionReason": error["type"], "message": error["message"]}]


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise InvalidRequest(f"{name} is a whole number, not {text[:40]!r}", path=name)
    return int(text)


def _dated(cursor: str, now: float, seen: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([cursor, now, seen])).decode().rstrip("=")


def _undated(text: str, now: float) -> tuple[str, int]:
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=tuple[str, float, int])
    except (ValueError, UnicodeError):
        raise _no_cursor() from None
    cursor, made_at, seen = found
    if now - made_at > CURSOR_SECONDS:
        raise InvalidRequest("the cursor is older than 24 hours: start again without it", path="cursor")
    return cursor, seen
