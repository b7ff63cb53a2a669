"""A SQLite store that distrusts its memory: whatever is known of running tasks is read beside it, and has to be the same to the
type of each value."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from types import TracebackType

import msgspec
from msgspec.structs import asdict

from blaxel_jobs.core.records import Execution, LeaseRef, Task
from blaxel_jobs.stores.base import Transaction
from blaxel_jobs.stores.sql.known import Rests
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.stores.sql.transaction import SQLiteTransaction


class CheckedStore(SQLiteStore):
    """Raises AssertionError when it would use, or keep for the next transaction, what the table does not say."""

    found = 0
    """Tasks that need not have been read."""
    compared = 0
    """Times that something known was the same as what was read."""

    def begin(self) -> AbstractContextManager[Transaction]:
        return _Checked(self, self._sql)


class _Checked(SQLiteTransaction):
    _writer: CheckedStore

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._run.failed is None:
                self._check()
        except BaseException as wrong:
            super().__exit__(type(wrong), wrong, wrong.__traceback__)
            raise
        super().__exit__(kind, error, trace)

    def _known_of(self, refs: Collection[LeaseRef]) -> tuple[list[tuple[Task, Execution]], list[int]]:
        self._check()
        pairs, unknown = super()._known_of(refs)
        for task, execution in pairs:
            self._compare(task, execution, self._tasks_rest, self._executions_rest)
        self._writer.found += len(pairs)
        return pairs, unknown

    def _check(self) -> None:
        """All that is known, not only what is asked for."""
        known = self._writer.known
        of_tasks: Rests = {}
        of_executions: Rests = {}
        for seq in list(known._tasks):
            pair = known.find(seq, of_tasks, of_executions)
            if pair is not None:
                self._compare(*pair, of_tasks, of_executions)

    def _compare(self, task: Task, execution: Execution, of_tasks: Rests, of_executions: Rests) -> None:
        told, rests = (_parts(task, execution), (of_tasks[task.seq], of_executions[execution.seq]))
        fresh = SQLiteTransaction(self._writer, self._sql)
        fresh._run = self._run
        read = fresh._pairs_of(self._sql.leased_tasks, [task.seq])
        assert [_parts(*pair) for pair in read] == [told]
        assert repr((fresh._tasks_rest[task.seq], fresh._executions_rest[execution.seq])) == repr(rests)
        self._writer.compared += 1


def _parts(task: Task, execution: Execution) -> dict[str, str]:
    """With its type: 1 is not True. A float may be given as an int."""
    records = (msgspec.convert(msgspec.to_builtins(record), type(record)) for record in (task, execution))
    return {f"{type(record).__name__}.{name}": repr(value) for record in records for name, value in asdict(record).items()}
