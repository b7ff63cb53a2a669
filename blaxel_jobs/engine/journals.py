"""The steps of tasks that are about to be claimed, which are handed out with them."""

from collections.abc import Sequence
from typing import Final

from ..core.records import Step, Task
from ..stores.base import Transaction

_FIRST: Final = 2
_MORE: Final = 4


class Journals:
    """What these tasks have stored, read as it is asked for, in their order: of a few tasks first, and of more at once as long as
    they have little."""

    def __init__(self, transaction: Transaction, tasks: Sequence[Task]) -> None:
        self._transaction = transaction
        self._tasks = [task.seq for task in tasks if task.attempt]
        self._next = 0
        self._many = _FIRST
        self._read: dict[int, list[Step]] = {}

    def of(self, task: Task, room: int) -> Sequence[Step]:
        """The steps of one, where so many bytes are still wanted."""
        if not task.attempt:
            return ()
        if task.seq not in self._read:
            self._more(task.seq, room)
        return self._read[task.seq]

    def _more(self, first: int, room: int) -> None:
        start = self._tasks.index(first, self._next)
        some = self._tasks[start : start + self._many]
        self._next = start + len(some)
        self._read = {seq: [] for seq in some}
        for step in self._transaction.steps(some):
            self._read[step.task].append(step)
        sizes = [sum(step.size for step in steps) for steps in self._read.values()]
        self._many = max(1, min(self._many * _MORE, (room - sum(sizes)) // max(1, *sizes)))
