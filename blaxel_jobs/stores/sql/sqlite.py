"""The store in a SQLite file: one writer, readers beside it, every commit on the disk before it is acknowledged."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from ...core.records import Event, Execution, LeaseRef, Task
from ...core.states import created
from ...errors import StoreError, Unavailable
from ..base import Position, Transaction, within_size
from . import rows
from .connections import Place, check_version, meaning, open_reader, open_writer, patiently
from .migrations import upgrade
from .statements import MAX_JOBS, Statements
from .turns import Turns

PATIENCE: Final = 30.0
_IDLE_READERS: Final = 8
_MAX_INTEGER: Final = 2**63 - 1

_encode: Final = msgspec.json.Encoder().encode


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
        self.lock_path: Path | None = self._beside("workers")
        self._patience = busy_timeout
        self._sql = Statements(table_prefix)
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
        return _Transaction(self)

    def get(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return [rows.execution_of(row) for row in self._read(*_find(self._sql, workspace, ids))]

    def page(self, workspace: str, job: str | None, position: Position, limit: int) -> list[Execution]:
        before = _MAX_INTEGER if position.after is None else _integer(position.after)
        sql, where = (self._sql.page_of_all, (workspace,)) if job is None else (self._sql.page_of_job, (workspace, job))
        return [rows.execution_of(row) for row in self._read(sql, (*where, before, limit, position.offset))]

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        sql = self._sql.tasks if results else self._sql.tasks_without_results
        return self._read(sql, (execution, _integer(after), workspace, limit), lambda found: within_size(map(rows.task_of, found)))

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        found = self._read(self._sql.events, (execution, workspace, _integer(after), limit))
        return [rows.event_of(row) for row in found]

    def next_expiry(self) -> float | None:
        until: float | None = self._read(self._sql.next_expiry)[0][0]
        return until

    def workers(self) -> set[str]:
        return {worker for (worker,) in self._read(self._sql.workers)}

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
            reader = open_reader(self.path)
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

    def _start(self) -> sqlite3.Connection:
        """Wait for this process's and for every other process's turn to write."""
        self._writing.acquire()
        try:
            self._check()
            writer = self._writer
            if writer is None:
                writer = self._writer = open_writer(self.path, self._patience)
            with self._turns.taken():
                patiently(lambda: writer.execute("begin immediate"), self.path, self._patience)
        except BaseException:
            self._drop_writer()
            self._writing.release()
            raise
        return writer

    def _finish(self, writer: sqlite3.Connection, *, commit: bool, failed: bool) -> None:
        """Commit or roll back. After whatever went wrong the next transaction gets a new connection."""
        try:
            if commit and not failed:
                patiently(lambda: writer.execute("commit"), self.path, self._patience)
            elif writer.in_transaction:
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
        if writer is not None:
            writer.close()


class _Transaction:
    """The open write transaction of this process."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._sql = store._sql
        self._failed: Exception | None = None

    def __enter__(self) -> Transaction:
        self._connection = self._store._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._store._finish(self._connection, commit=kind is None, failed=self._failed is not None)
        if kind is None and self._failed is not None:
            raise self._failed

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return [rows.execution_of(row) for row in self._rows(*_find(self._sql, workspace, ids))]

    def open_tasks(self, execution: int) -> list[Task]:
        return [rows.task_of(row) for row in self._rows(self._sql.open_tasks, (execution,))]

    def insert(self, news: Sequence[tuple[Execution, Sequence[Task]]]) -> list[Execution | None]:
        (last_execution, last_task), *_ = self._rows(self._sql.last_numbers)
        last_execution, last_task = last_execution or 0, last_task or 0
        numbered = list(enumerate(news, last_execution + 1))
        added = self._write(
            self._sql.insert_execution,
            [(*rows.execution_fixed(execution, seq), *rows.execution_changing(execution)) for seq, (execution, _) in numbered],
        )
        answers: list[Execution | None] = [None] * len(news)
        if added < len(news):
            seqs = {seq for (seq,) in self._rows(self._sql.added, (last_execution,))}
            refused = [execution for seq, (execution, _) in numbered if seq not in seqs]
            having = iter([self._having(new) for new in refused])
            answers = [None if seq in seqs else next(having) for seq, _ in numbered]
            numbered = [(seq, new) for seq, new in numbered if seq in seqs]
        self._write(self._sql.insert_event, [_created_row(execution, seq) for seq, (execution, _) in numbered])
        new_tasks = [(task, seq) for seq, (_, tasks) in numbered for task in tasks]
        self._write(
            self._sql.insert_task,
            [
                (*rows.task_fixed(task, number, seq), *rows.task_changing(task))
                for number, (task, seq) in enumerate(new_tasks, last_task + 1)
            ],
        )
        return answers

    def claimable(self, workspace: str, jobs: Collection[str] | None, limit: int) -> list[tuple[Task, Execution]]:
        if jobs is None:
            jobs = [job for (job,) in self._rows(self._sql.ready_jobs, (workspace, workspace))]
        if len(jobs) == 1:
            found = self._rows(self._sql.claimable, (workspace, *jobs, limit))
        else:
            first = self._first(workspace, list(dict.fromkeys(jobs)), limit)
            found = self._rows(self._sql.ready_tasks, (_json([seq for _, seq in first]),)) if first else []
        return [rows.pair_of(row) for row in found]

    def held(self, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        tokens = {(ref.task, ref.token) for ref in refs}
        seqs = sorted({ref.task for ref in refs})
        found = [rows.pair_of(row) for row in self._rows(self._sql.leased_tasks, (_json(seqs),))]
        return [pair for pair in found if (pair[0].seq, pair[0].token) in tokens]

    def expired(self, now: float, workers: Collection[str], limit: int) -> list[tuple[Task, Execution]]:
        if workers:
            found = self._rows(self._sql.expired_or_held_by, (now, _texts(sorted(workers)), limit))
        else:
            found = self._rows(self._sql.expired, (now, limit))
        return [rows.pair_of(row) for row in found]

    def extend(self, refs: Collection[LeaseRef], until: float) -> set[LeaseRef]:
        tokens = dict(self._rows(self._sql.lease_tokens, (_json(sorted({ref.task for ref in refs})),)))
        holding = {ref for ref in refs if tokens.get(ref.task) == ref.token}
        if holding:
            self._rows(self._sql.extend, (until, _json(sorted(ref.task for ref in holding))))
        return holding

    def save(self, executions: Iterable[Execution], tasks: Iterable[Task], events: Iterable[Event]) -> None:
        changed = [(*rows.execution_changing(execution), execution.seq) for execution in executions]
        self._write(self._sql.save_execution, changed)
        self._write(self._sql.save_task, [(*rows.task_changing(task), task.seq) for task in tasks])
        self._write(self._sql.insert_event, [rows.event_row(event) for event in events])

    def _having(self, new: Execution) -> Execution:
        """Who has its id, or else its key."""
        found = self._rows(self._sql.find, (new.workspace, new.id)) or self._rows(
            self._sql.having_key, (new.workspace, new.job, new.idempotency_key)
        )
        return rows.execution_of(found[0])

    def _first(self, workspace: str, jobs: list[str], limit: int) -> list[tuple[int, int]]:
        """(priority, seq) of the first ready tasks of these jobs together."""
        found: list[tuple[int, int]] = []
        for start in range(0, len(jobs), MAX_JOBS):
            some = jobs[start : start + MAX_JOBS]
            found += self._rows(self._sql.first_of(len(some)), [value for job in some for value in (workspace, job, limit)])
        found.sort()
        return found[:limit]

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        self._check()
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def _write(self, sql: str, values: list[tuple[Any, ...]]) -> int:
        """Run it for each row of values. Returns how many rows were written."""
        self._check()
        try:
            return self._connection.executemany(sql, values).rowcount if values else 0
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def _check(self) -> None:
        """After an error SQLite may have rolled back by itself; what came then would be committed statement by statement."""
        if self._failed is not None:
            raise Unavailable("this transaction has failed") from self._failed

    def _fail(self, error: sqlite3.Error) -> Exception:
        self._failed = meaning(error, self._store.path)
        return self._failed


def _find(sql: Statements, workspace: str, ids: Collection[str]) -> tuple[str, tuple[Any, ...]]:
    if len(ids) == 1:
        return sql.find, (workspace, *ids)
    return sql.find_many, (_texts(dict.fromkeys(ids)), workspace)


def _json(value: Any) -> str:
    """Text, never bytes: SQLite 3.45 takes those for its own binary form of JSON."""
    return _encode(value).decode()


def _texts(names: Iterable[str]) -> str:
    """A JSON list of names. SQLite's functions end a text of it at U+0000, so such a name would find another; none is stored."""
    return _json([name for name in names if "\0" not in name])


def _integer(value: int) -> int:
    """The nearest that SQLite can hold: a client may send any."""
    return max(-_MAX_INTEGER, min(value, _MAX_INTEGER))


def _created_row(execution: Execution, seq: int) -> tuple[Any, ...]:
    return rows.event_row(created(msgspec.structs.replace(execution, seq=seq)))
