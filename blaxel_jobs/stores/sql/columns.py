"""The columns of each table, and which of them an insert and an update carry.

They stand in the order in which they change: never, with each step of the course, seldom. An insert leaves out what is the same in
everything new, and an update what was loaded as it is: a column costs a seventh of a microsecond to bind, and its indexes more.
"""

from collections.abc import Iterable
from typing import Any, Final

Row = tuple[Any, ...]
Value = str | int | None

EXECUTION_FIXED: Final = (
    "seq", "workspace", "id", "job", "priority", "total", "idempotency_key", "batch", "concurrency_key", "created_at", "spec",
)  # fmt: skip
EXECUTION_COURSE: Final = ("updated_at", "version", "status", "running", "completed", "started_at", "ended_at")
EXECUTION_REST: Final = (
    "waiting_for", "wait_until", "policy", "failed", "cancelled", "retried", "slot", "paused", "deadline", "time_left", "progress",
    "error", "recoveries",
)  # fmt: skip
TASK_FIXED: Final = ("seq", "execution", "position", "workspace", "job", "id", "priority", "created_at", "input")
TASK_COURSE: Final = (
    "state", "due_at", "updated_at", "status", "attempt", "token", "worker", "started_at", "ended_at", "result",
)  # fmt: skip
TASK_REST: Final = ("waiting_for", "awaiting", "continues", "errors", "losses", "progress", "error", "history")
EVENT: Final = ("execution", "id", "at", "type", "status", "task", "worker", "error", "data")
STEP: Final = ("task", "name", "kind", "at", "due_at", "value")
SIGNAL: Final = ("execution", "id", "name", "at", "taken", "payload")
TALLY: Final = ("minute", "workspace", "job", "server", "numbers")
DEFINITION: Final = ("workspace", "job", "definition")

EXECUTION: Final = EXECUTION_FIXED + EXECUTION_COURSE + EXECUTION_REST
TASK: Final = TASK_FIXED + TASK_COURSE + TASK_REST

EXECUTION_OWN: Final = (*EXECUTION_FIXED, "updated_at", "waiting_for", "wait_until", "policy")
"""In what new executions differ."""
EXECUTION_ALIKE: Final[dict[str, Value]] = {
    "version": 1, "status": "pending", "running": 0, "completed": 0, "started_at": None, "ended_at": None, "failed": 0,
    "cancelled": 0, "retried": 0, "slot": 0, "paused": 0, "deadline": None, "time_left": None, "progress": None, "error": None,
    "recoveries": None,
}  # fmt: skip
"""What is the same in all of them."""
TASK_OWN: Final = (*TASK_FIXED, "state", "due_at", "updated_at", "waiting_for")
TASK_ALIKE: Final[dict[str, Value]] = {
    "status": "pending", "attempt": 0, "token": 0, "worker": None, "started_at": None, "ended_at": None, "result": None,
    "awaiting": None, "continues": 0, "errors": 0, "losses": 0, "progress": None, "error": None, "history": None,
}  # fmt: skip


Alike = dict[Row, list[int]]
"""Numbers of records, by the values that they have in common."""


def alike(changed: Iterable[tuple[int, Row]]) -> Alike:
    """Those that get the same values together: one statement for them all costs half as much as one for each."""
    found: Alike = {}
    for seq, row in changed:
        found.setdefault(row, []).append(seq)
    return found


def split(changed: Iterable[tuple[int, Row]], course: int, rests: dict[int, Row]) -> tuple[Alike, Alike]:
    """Numbers with the columns that may change, as what updates set: those of the course alone (so many columns), and all. `rests`
    says how the columns behind the course stand in the table, as far as that is known."""
    short: Alike = {}
    whole: Alike = {}
    for seq, row in changed:
        rest = row[course:]
        if rests.get(seq) == rest:
            short.setdefault(row[:course], []).append(seq)
        else:
            whole.setdefault(row, []).append(seq)
            rests[seq] = rest
    return short, whole
