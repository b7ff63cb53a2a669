"""The tasks under lease, as this process wrote them: their next report need not read them again."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from ...core.records import Execution, Task
from ...words import JobStatus
from .columns import Row

MOST: Final = 2000
"""Tasks that are kept; with more, all are forgotten, and read when they are reported."""
LARGEST: Final = 16 * 1024
"""Characters of the input of a task that is kept."""

Rests = dict[int, Row]
"""What seldom changes of records, as it stands in the table, by their numbers."""


class Known:
    """Running tasks and the executions that have some. Used under the write lock.

    It holds what this connection wrote last, so it is true as long as no other connection commits, which SQLite tells by a number,
    and no transaction of its own is undone.
    """

    def __init__(self) -> None:
        self._version: int | None = None
        self._tasks: dict[int, tuple[Task, Row]] = {}
        self._executions: dict[int, tuple[Execution, Row]] = {}

    def begin(self, version: int) -> None:
        """A transaction has begun, with this `data_version`."""
        if version != self._version:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """It may be otherwise now."""
        self._tasks.clear()
        self._executions.clear()

    def find(self, task: int, tasks: Rests, executions: Rests) -> tuple[Task, Execution] | None:
        """A task with its execution, when both are known; their rests are noted."""
        known = self._tasks.get(task)
        of = None if known is None else self._executions.get(known[0].execution)
        if known is None or of is None:
            return None
        (found, tasks[task]), (execution, executions[found.execution]) = known, of
        return found, execution

    def saved(self, executions: Iterable[Execution], tasks: Iterable[Task], rests: tuple[Rests, Rests]) -> None:
        """These were written, with these rests."""
        of_executions, of_tasks = rests
        for execution in executions:
            if execution.running:
                self._executions[execution.seq] = execution, of_executions[execution.seq]
            else:
                self._executions.pop(execution.seq, None)
        for task in tasks:
            if task.status is JobStatus.RUNNING and len(task.input) <= LARGEST:
                self._tasks[task.seq] = task, of_tasks[task.seq]
            else:
                self._tasks.pop(task.seq, None)
        if len(self._tasks) > MOST:
            self.forget()

    def extended(self, tasks: Iterable[int], until: float) -> None:
        """The leases of these now last until then."""
        for seq in tasks:
            known = self._tasks.get(seq)
            if known is not None:
                self._tasks[seq] = replace(known[0], due_at=until), known[1]
