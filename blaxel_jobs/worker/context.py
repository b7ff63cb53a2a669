"""What a handler is told about the task that it runs."""

from contextvars import ContextVar
from typing import Any, Final

import attrs


@attrs.define
class TaskContext:
    """The task, as its handler sees it: the first parameter of a handler that takes one."""

    execution_id: str
    task_id: str
    job: str
    attempt: int
    """1 at the first try."""
    payload: Any
    """The task's input."""
    index: int
    """The task's place in its execution, from 0."""
    metadata: dict[str, Any]
    """The user's own fields of the execution."""
    env: dict[str, str]
    cancelled: bool = False
    """True once the task was cancelled, or its lease lost. Nothing that the handler still returns is kept."""


current: Final[ContextVar[TaskContext]] = ContextVar("current")
"""The task whose handler runs here: set in the handler's task or thread, and in every task that it starts."""
