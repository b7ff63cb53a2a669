"""The tasks under lease, as this process wrote them: their next report need not read them again."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from ...core.records import Execution, Task
from ...words import JobStatus
from .columns import Row

MOST: Final = 2000
"""Tasks that are kept, and executions; with more, all are forgotten, and read when they are reported."""
LARGEST: Final = 16 * 1024
"""Characters of the input and the errors of a task that is kept; and of the spec and the errors of an execution."""
_encode: Final = msgspec.json.Encoder().encode

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
            rest = of_executions[execution.seq]
            if execution.running and self._is_kept(execution, rest):
                self._executions[execution.seq] = execution, rest
            else:
                self._executions.pop(execution.seq, None)
        for task in tasks:
            rest = of_tasks[task.seq]
            if task.status is JobStatus.RUNNING and len(task.input) + _errors(rest) <= LARGEST:
                self._tasks[task.seq] = task, rest
            else:
                self._tasks.pop(task.seq, None)
        if len(self._tasks) > MOST or len(self._executions) > MOST:
            self.forget()

    def extended(self, tasks: Iterable[int], until: float) -> None:
        """The leases of these now last until then."""
        for seq in tasks:
            known = self._tasks.get(seq)
            if known is not None:
                self._tasks[seq] = replace(known[0], due_at=until), known[1]

    def _is_kept(self, execution: Execution, rest: Row) -> bool:
        room = LARGEST - _errors(rest)
        return room >= 0 and (execution.seq in self._executions or len(_encode(execution.spec)) <= room)


def _errors(rest: Row) -> int:
    """Characters of what stands last: the error, and those before it or the recoveries."""
    error, others = rest[-2:]
    return len(error or "") + len(others or "")
