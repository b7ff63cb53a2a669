"""The store in a SQLite file: one writer, readers beside it, every commit on the disk before it is acknowledged."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from ...core.records import Definition, Event, Execution, Step, Task
from ...core.states import OPEN
from ...errors import StoreError, Unavailable
from ...words import JobStatus
from ..base import Backlog, Position, Tally, Transaction, Where, within_size
from . import rows
from .connections import Place, check_version, open_reader, open_writer, patiently
from .known import Known
from .migrations import upgrade
from .pages import integer, page_of
from .statements import Statements, finding
from .transaction import SQLiteTransaction
from .turns import Turns

PATIENCE: Final = 30.0
_IDLE_READERS: Final = 8

_OPEN: Final = frozenset(OPEN)
_UNSUCCESSFUL: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})


class SQLiteStore:
    """Keeps executions in the file at `path`, which is made if it is not there. `busy_timeout` is how many seconds another process
    may hold the file before StoreBusy.

    Raises StoreError when the file cannot be used, StoreTooNew when a newer release made it, ConfigError for a bad `table_prefix`.
    While the disk is full or fails, every verb raises Unavailable and nothing is acknowledged; each later call tries again.
    """

    shared = True
    local = True

    def __init__(self, path: str | Path, table_prefix: str = "", *, busy_timeout: float = PATIENCE) -> None:
        check_version()
        self.path = Path(path).absolute()
        self.table_prefix = table_prefix
        self.lock_path: Path | None = self._beside("workers")
        self._patience = busy_timeout
        self._sql = Statements(table_prefix)
        self.known = Known()
        self._writing = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._closed = False
        if not self.path.parent.is_dir():
            raise StoreError(f"cannot open {self.path}: there is no directory {self.path.parent}")
        try:
            upgrade(self.path, table_prefix, busy_timeout)
            self._place = Place(self.path)
            self._turns = Turns(self._beside("turn"))
            self._writer: sqlite3.Connection | None = open_writer(self.path, busy_timeout)
        except (Unavailable, OSError) as error:
            raise StoreError(f"cannot open the store: {error}") from error

    def begin(self) -> AbstractContextManager[Transaction]:
        return SQLiteTransaction(self, self._sql)

    def get(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return [rows.execution_of(row) for row in self._read(*finding(self._sql, workspace, ids))]

    def page(self, workspace: str, where: Where, position: Position, limit: int) -> list[Execution]:
        sql, values = page_of(self._sql, workspace, where, position, limit)
        return [rows.execution_of(row) for row in self._read(sql, values)]

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        sql = self._sql.tasks if results else self._sql.tasks_without_results
        return self._read(sql, (execution, integer(after), workspace, limit), lambda found: within_size(map(rows.task_of, found)))

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        found = self._read(self._sql.events, (execution, workspace, integer(after), limit))
        return [rows.event_of(row) for row in found]

    def steps(self, workspace: str, execution: int, offset: int, limit: int) -> list[tuple[str, Step]]:
        found = self._read(self._sql.steps_of_execution, (execution, workspace, limit, offset))
        return [(row[0], rows.step_of(row[1:])) for row in found]

    def definitions(self) -> list[Definition]:
        return [rows.definition_of(row) for row in self._read(self._sql.definitions)]

    def tallies(self) -> list[Tally]:
        return [rows.tally_of(row) for row in self._read(self._sql.tallies)]

    def backlog(self) -> list[Backlog]:
        found: dict[tuple[str, str, str], tuple[int, float]] = {}
        for workspace, job, status, count, oldest in self._read(self._sql.backlog):
            before, oldest_before = found.get((workspace, job, status), (0, oldest))
            found[workspace, job, status] = (before + count, min(oldest, oldest_before))
        return [
            Backlog(workspace, job, rows.STATUS[status], *numbers) for (workspace, job, status), numbers in sorted(found.items())
        ]

    def next_due(self) -> float | None:
        at: float | None = self._read(self._sql.next_due)[0][0]
        return at

    def close(self) -> None:
        with self._writing:
            self._closed = True
            self._drop_writer()
            self._turns.close()
            self._close_readers()

    def _beside(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{name}")

    def _read(self, sql: str, values: Sequence[Any] = (), take: Callable[[Iterable[Any]], list[Any]] = list) -> list[Any]:
        """The rows that are taken, as last committed. A connection serves one thread at a time; one that failed is not used
        again."""

        def read() -> list[Any]:
            with contextlib.closing(reader.execute(sql, values)) as found:
                return take(found)

        self._check()
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = open_reader(self.path, self._patience)
        try:
            found = patiently(read, self.path, self._patience)
        except BaseException:
            reader.close()
            raise
        if len(self._readers) < _IDLE_READERS:
            self._readers.append(reader)
        else:
            reader.close()
        if self._closed:
            self._close_readers()
        return found

    def _close_readers(self) -> None:
        while self._readers:
            with contextlib.suppress(IndexError):  # another thread took the last one
                self._readers.pop().close()

    def _check(self) -> None:
        """Before anything is opened: SQLite would make a file that is not there."""
        if self._closed:
            raise Unavailable("the store is closed")
        self._place.check()

    def start(self) -> sqlite3.Connection:
        """Wait for this process's and for every other process's turn to write."""
        self._writing.acquire()
        try:
            self._check()
            writer = self._writer
            if writer is None:
                writer = self._writer = open_writer(self.path, self._patience)
            self._turns.take()
            try:
                patiently(lambda: writer.execute("begin immediate"), self.path, self._patience)
            finally:
                self._turns.give()
            self.known.begin(patiently(lambda: writer.execute("pragma data_version").fetchone()[0], self.path, self._patience))
        except BaseException:
            self._drop_writer()
            self._writing.release()
            raise
        return writer

    def finish(self, writer: sqlite3.Connection, *, commit: bool, failed: bool) -> None:
        """Commit or roll back. After whatever went wrong the next transaction gets a new connection."""
        try:
            if commit and not failed:
                patiently(lambda: writer.execute("commit"), self.path, self._patience)
            else:
                self.known.forget()
                if writer.in_transaction:
                    writer.execute("rollback")
            if failed:
                self._drop_writer()
        except BaseException:
            self._drop_writer()
            raise
        finally:
            self._writing.release()

    def _drop_writer(self) -> None:
        """Closing it rolls back what it has open."""
        writer, self._writer = self._writer, None
        self.known.forget()
        if writer is not None:
            writer.close()
