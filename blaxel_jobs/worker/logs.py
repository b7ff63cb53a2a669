"""What the worker's log records carry beside their text."""

from typing import Any

from ..core.records import Leased


def ids(leased: Leased) -> dict[str, Any]:
    """The names of a task, as attributes of a record: `log.info(..., extra=ids(leased))`."""
    return {
        "execution_id": leased.execution_id, "job": leased.job, "task_id": leased.task_id, "attempt": leased.attempt,
    }  # fmt: skip
