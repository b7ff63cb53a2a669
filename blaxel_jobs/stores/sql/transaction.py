"""One write transaction on a SQLite file: the verbs as statements."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

from ...core.records import Definition, Event, Execution, LeaseRef, NewTasks, Signal, Step, Task
from ...core.states import created
from ...errors import Unavailable
from ...words import JobStatus, WaitingFor
from ..base import Tally, Transaction
from . import rows
from .columns import EXECUTION_COURSE, EXECUTION_FIXED, TASK, TASK_COURSE, TASK_FIXED, Row, split
from .connections import meaning
from .statements import MAX_JOBS, Statements, as_json, finding

_TASK: Final = len(TASK)
_TASK_REST: Final = slice(len(TASK_FIXED) + len(TASK_COURSE), _TASK)
_EXECUTION_REST: Final = len(EXECUTION_FIXED) + len(EXECUTION_COURSE)

New = tuple[Execution, Sequence[Task]]


class Writer(Protocol):
    """The store, as far as a transaction needs it: its file, and the connection that has its turn to write."""

    path: Path

    def start(self) -> sqlite3.Connection:
        """Wait for this process's and for every other process's turn to write."""
        ...

    def finish(self, writer: sqlite3.Connection, *, commit: bool, failed: bool) -> None:
        """Commit or roll back. After whatever went wrong the next transaction gets a new connection."""
        ...


class SQLiteTransaction:
    """The open write transaction of this process."""

    def __init__(self, writer: Writer, sql: Statements) -> None:
        self._writer = writer
        self._sql = sql
        self._failed: Exception | None = None
        self._executions_rest: dict[int, Row] = {}
        """What seldom changes of the executions that were read, by their number; and of the tasks."""
        self._tasks_rest: dict[int, Row] = {}

    def __enter__(self) -> Transaction:
        self._connection = self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.finish(self._connection, commit=kind is None, failed=self._failed is not None)
        if kind is None and self._failed is not None:
            raise self._failed

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return self._executions(*finding(self._sql, workspace, ids))

    def tasks_in(self, execution: int, statuses: Collection[JobStatus]) -> list[Task]:
        found = self._rows(self._sql.tasks_in, (execution, as_json([*statuses])))
        for row in found:
            self._tasks_rest[row[0]] = row[_TASK_REST]
        return [rows.task_of(row) for row in found]

    def insert(self, news: Sequence[New]) -> list[Execution | None]:
        (last_execution, last_task), *_ = self._rows(self._sql.last_numbers)
        last_execution, last_task = last_execution or 0, last_task or 0
        numbered = list(enumerate(news, last_execution + 1))
        added = self._insert_executions(numbered)
        answers: list[Execution | None] = [None] * len(news)
        if added < len(news):
            seqs = {seq for (seq,) in self._rows(self._sql.added, (last_execution,))}
            refused = [execution for seq, (execution, _) in numbered if seq not in seqs]
            having = iter([self._having(new) for new in refused])
            answers = [None if seq in seqs else next(having) for seq, _ in numbered]
            numbered = [(seq, new) for seq, new in numbered if seq in seqs]
        self._write(self._sql.insert_event, [(seq, *rows.event_row(created(new))[1:]) for seq, (new, _) in numbered])
        self._insert_tasks(last_task + 1, numbered)
        return answers

    def remove(self, executions: Collection[int]) -> None:
        which = (as_json(sorted(executions)),)
        for sql in self._sql.remove if executions else ():
            self._rows(sql, which)

    def claimable(
        self, workspace: str, jobs: Collection[str] | None, limit: int, execution: str | None = None
    ) -> list[tuple[Task, Execution]]:
        if execution is not None:
            pairs = self._pairs(self._sql.claimable_of, (workspace, execution, limit))
            return [pair for pair in pairs if jobs is None or pair[1].job in jobs]
        if jobs is None:
            jobs = [job for (job,) in self._rows(self._sql.ready_jobs, (workspace, workspace))]
        if len(jobs) == 1:
            return self._pairs(self._sql.claimable, (workspace, *jobs, limit))
        first = self._first(workspace, list(dict.fromkeys(jobs)), limit)
        return self._pairs_of(self._sql.ready_tasks, [seq for _, seq in first])

    def held(self, workspace: str | None, refs: Collection[LeaseRef], *, ended: bool = False) -> list[tuple[Task, Execution]]:
        tokens = {(ref.task, ref.token) for ref in refs}
        found = self._pairs_of(self._sql.let_go_tasks if ended else self._sql.leased_tasks, sorted({ref.task for ref in refs}))
        return [pair for pair in found if (pair[0].seq, pair[0].token) in tokens and workspace in (None, pair[0].workspace)]

    def due(self, now: float, dead: str | None, limit: int) -> list[tuple[Task, Execution]]:
        found = {(at, seq) for at, seq in self._rows(self._sql.due, (now, limit, now, limit))}
        if dead is not None:
            found |= {(at, seq) for at, seq, worker in self._rows(self._sql.leases) if (worker or "").startswith(dead)}
        return self._pairs_of(self._sql.timed_tasks, [seq for _, seq in sorted(found)[:limit]])

    def overdue(self, now: float, limit: int) -> list[Execution]:
        return self._executions(self._sql.overdue, (now, limit))

    def extend(self, workspace: str | None, refs: Collection[LeaseRef], until: float | None) -> dict[LeaseRef, bool]:
        found = self._rows(self._sql.lease_tokens, (as_json(sorted({ref.task for ref in refs})),))
        paused = {(seq, token): held == 1 for seq, token, of, held in found if workspace in (None, of)}
        holding = {ref: paused[ref.task, ref.token] for ref in refs if (ref.task, ref.token) in paused}
        if holding and until is not None:
            self._rows(self._sql.extend, (until, as_json(sorted(ref.task for ref in holding))))
        return holding

    def steps(self, tasks: Collection[int], name: str | None = None) -> list[Step]:
        if name is not None:
            found = [row for task in sorted(set(tasks)) for row in self._rows(self._sql.step_of_task, (task, name))]
        elif len(tasks) == 1:
            found = self._rows(self._sql.steps_of_task, (*tasks,))
        else:
            found = self._rows(self._sql.steps_of_tasks, (as_json(sorted(set(tasks))),))
        return [rows.step_of(row) for row in found]

    def waits(self, execution: int) -> list[tuple[WaitingFor | None, float | None]]:
        return [(None if why is None else WaitingFor(why), end) for why, end in self._rows(self._sql.waits, (execution,))]

    def next_rest(self, task: int, after: float) -> float | None:
        ends: float | None = self._rows(self._sql.next_rest, (task, after))[0][0]
        return ends

    def signals(self, execution: int, *, name: str | None = None, id: str | None = None) -> list[Signal]:
        if id is not None:
            found = self._rows(self._sql.signal, (execution, id))
        elif name is not None:
            found = self._rows(self._sql.signals_named, (execution, name))
        else:
            found = self._rows(self._sql.signals, (execution,))
        return [rows.signal_of(row) for row in found]

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        sql, values = _of_key(self._sql.holders, self._sql.holders_of_key, workspace, job, key)
        count: int = self._rows(sql, values)[0][0]
        return count

    def parked(self, workspace: str, job: str, key: str | None, limit: int) -> list[Execution]:
        sql, values = _of_key(self._sql.parked, self._sql.parked_of_key, workspace, job, key)
        return self._executions(sql, (*values, limit))

    def keyed(self, workspace: str, job: str, key: str, limit: int = 1) -> list[Execution]:
        which = (workspace, job, key)
        return self._executions(self._sql.keyed_waiting, (*which, limit)) or self._executions(self._sql.keyed, which)

    def save(
        self,
        executions: Iterable[Execution],
        tasks: Iterable[Task],
        events: Iterable[Event],
        steps: Iterable[Step] = (),
        signals: Iterable[Signal] = (),
    ) -> None:
        changed = [(each.seq, rows.execution_changing(each)) for each in executions]
        course, whole = split(changed, len(EXECUTION_COURSE), self._executions_rest)
        self._write(self._sql.save_course_of_execution, course)
        self._write(self._sql.save_execution, whole)
        course, whole = split([(each.seq, rows.task_changing(each)) for each in tasks], len(TASK_COURSE), self._tasks_rest)
        self._write(self._sql.save_course_of_task, course)
        self._write(self._sql.save_task, whole)
        self._write(self._sql.insert_event, [rows.event_row(event) for event in events])
        self._write(self._sql.save_step, [rows.step_row(step) for step in steps])
        self._write(self._sql.save_signal, [rows.signal_row(signal) for signal in signals])

    def define(self, definition: Definition) -> None:
        self._write(self._sql.define, [rows.definition_row(definition)])

    def count(self, tallies: Iterable[Tally]) -> None:
        self._write(self._sql.count, [rows.tally_row(tally) for tally in tallies])

    def forget_tallies(self, before: int) -> list[Tally]:
        return [rows.tally_of(row) for row in self._rows(self._sql.forget_tallies, (before,))]

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

    def _insert_executions(self, numbered: list[tuple[int, New]]) -> int:
        """Add those whose id and key are free, and return how many these are."""
        new = [rows.new_execution(execution, seq) for seq, (execution, _) in numbered]
        if None not in new:
            return self._write(self._sql.insert_new_execution, new)
        whole = [(*rows.execution_fixed(execution, seq), *rows.execution_changing(execution)) for seq, (execution, _) in numbered]
        return self._write(self._sql.insert_execution, whole)

    def _insert_tasks(self, first: int, numbered: list[tuple[int, New]]) -> None:
        """Add the tasks of new executions, and give them the numbers from the first on."""
        own: list[Any] = []
        whole: list[Any] = []
        for seq, (execution, tasks) in numbered:
            if type(tasks) is NewTasks:
                own += rows.new_tasks(execution, tasks, first, seq)
            else:
                whole += [(*rows.task_fixed(task, at, seq), *rows.task_changing(task)) for at, task in enumerate(tasks, first)]
            first += len(tasks)
        self._write(self._sql.insert_new_task, own)
        self._write(self._sql.insert_task, whole)

    def _executions(self, sql: str, values: Sequence[Any]) -> list[Execution]:
        found = self._rows(sql, values)
        for row in found:
            self._executions_rest[row[0]] = row[_EXECUTION_REST:]
        return [rows.execution_of(row) for row in found]

    def _pairs(self, sql: str, values: Sequence[Any]) -> list[tuple[Task, Execution]]:
        found = self._rows(sql, values)
        for row in found:
            self._tasks_rest[row[0]] = row[_TASK_REST]
            self._executions_rest[row[_TASK]] = row[_TASK + _EXECUTION_REST :]
        return [(rows.task_of(row[:_TASK]), rows.execution_of(row[_TASK:])) for row in found]

    def _pairs_of(self, sql: str, seqs: list[int]) -> list[tuple[Task, Execution]]:
        """The tasks with these numbers, in this order; what the statement does not want is left out."""
        return self._pairs(sql, (as_json(seqs),)) if seqs else []

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        self._check()
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def _write(self, sql: str, values: Sequence[Any]) -> int:
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
        self._failed = meaning(error, self._writer.path)
        return self._failed


def _of_key(of_job: str, of_key: str, workspace: str, job: str, key: str | None) -> tuple[str, tuple[str, ...]]:
    return (of_job, (workspace, job)) if key is None else (of_key, (workspace, job, key))
