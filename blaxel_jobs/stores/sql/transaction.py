"""One write transaction on a SQLite file: the verbs as statements."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

from ...core.records import Definition, Event, Execution, LeaseRef, NewTasks, Signal, Step, Task
from ...core.states import created
from ...words import JobStatus, WaitingFor
from ..base import Tally, Transaction
from . import rows
from .columns import EXECUTION_COURSE, EXECUTION_FIXED, TASK, TASK_COURSE, TASK_FIXED, alike, split
from .known import Known, Rests
from .running import Running
from .statements import MAX_JOBS, Statements, as_json, finding

_TASK: Final = len(TASK)
_TASK_REST: Final = slice(len(TASK_FIXED) + len(TASK_COURSE), _TASK)
_EXECUTION_REST: Final = len(EXECUTION_FIXED) + len(EXECUTION_COURSE)

New = tuple[Execution, Sequence[Task]]


class Writer(Protocol):
    """The store, as far as a transaction needs it: its file, and the connection that has its turn to write."""

    path: Path
    known: Known

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
        self._known = writer.known
        self._executions_rest: Rests = {}
        self._tasks_rest: Rests = {}

    def __enter__(self) -> Transaction:
        self._run = Running(self._writer.start(), self._writer.path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        failed = self._run.failed
        self._writer.finish(self._run.connection, commit=kind is None, failed=failed is not None)
        if kind is None and failed is not None:
            raise failed

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return self._executions(*finding(self._sql, workspace, ids))

    def tasks_in(self, execution: int, statuses: Collection[JobStatus]) -> list[Task]:
        found = self._run.rows(self._sql.tasks_in, (execution, as_json([*statuses])))
        for row in found:
            self._tasks_rest[row[0]] = row[_TASK_REST]
        return [rows.task_of(row) for row in found]

    def insert(self, news: Sequence[New]) -> list[Execution | None]:
        (last_execution, last_task), *_ = self._run.rows(self._sql.last_numbers)
        last_execution, last_task = last_execution or 0, last_task or 0
        numbered = list(enumerate(news, last_execution + 1))
        added = self._insert_executions(numbered)
        answers: list[Execution | None] = [None] * len(news)
        if added < len(news):
            seqs = {seq for (seq,) in self._run.rows(self._sql.added, (last_execution,))}
            refused = [execution for seq, (execution, _) in numbered if seq not in seqs]
            having = iter([self._having(new) for new in refused])
            answers = [None if seq in seqs else next(having) for seq, _ in numbered]
            numbered = [(seq, new) for seq, new in numbered if seq in seqs]
        self._insert_events((seq, created(new)) for seq, (new, _) in numbered)
        self._insert_tasks(last_task + 1, numbered)
        return answers

    def remove(self, executions: Collection[int]) -> None:
        which = (as_json(sorted(executions)),)
        self._known.forget()
        for sql in self._sql.remove if executions else ():
            self._run.rows(sql, which)

    def claimable(
        self, workspace: str, jobs: Collection[str] | None, limit: int, execution: str | None = None
    ) -> list[tuple[Task, Execution]]:
        if execution is not None:
            pairs = self._pairs(self._sql.claimable_of, (workspace, execution, limit))
            return [pair for pair in pairs if jobs is None or pair[1].job in jobs]
        if jobs is None:
            jobs = [job for (job,) in self._run.rows(self._sql.ready_jobs, (workspace, workspace))]
        if len(jobs) == 1:
            return self._pairs(self._sql.claimable, (workspace, *jobs, limit))
        first = self._first(workspace, list(dict.fromkeys(jobs)), limit)
        return self._pairs_of(self._sql.ready_tasks, [seq for _, seq in first])

    def held(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        found, unknown = self._known_of(refs)
        if unknown:
            found = sorted([*found, *self._pairs_of(self._sql.leased_tasks, unknown)], key=lambda pair: pair[0].seq)
        return _under(refs, workspace, found)

    def let_go(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        return _under(refs, workspace, self._pairs_of(self._sql.let_go_tasks, sorted({ref.task for ref in refs})))

    def due(self, now: float, dead: str | None, limit: int) -> list[tuple[Task, Execution]]:
        found = {(at, seq) for at, seq in self._run.rows(self._sql.due, (now, limit, now, limit))}
        if dead is not None:
            found |= {(at, seq) for at, seq, worker in self._run.rows(self._sql.leases) if (worker or "").startswith(dead)}
        return self._pairs_of(self._sql.timed_tasks, [seq for _, seq in sorted(found)[:limit]])

    def overdue(self, now: float, limit: int) -> list[Execution]:
        return self._executions(self._sql.overdue, (now, limit))

    def extend(self, workspace: str | None, refs: Collection[LeaseRef], until: float | None) -> dict[LeaseRef, bool]:
        known, unknown = self._known_of(refs)
        found = [(task.seq, task.token, task.workspace, execution.paused) for task, execution in known]
        if unknown:
            found += self._run.rows(self._sql.lease_tokens, (as_json(unknown),))
        paused = {(seq, token): held == 1 for seq, token, of, held in found if workspace in (None, of)}
        holding = {ref: paused[ref.task, ref.token] for ref in refs if (ref.task, ref.token) in paused}
        if holding and until is not None:
            self._run.rows(self._sql.extend, (until, as_json(sorted(ref.task for ref in holding))))
            self._known.extended([ref.task for ref in holding], until)
        return holding

    def steps(self, tasks: Collection[int], name: str | None = None) -> list[Step]:
        if name is not None:
            found = [row for task in sorted(set(tasks)) for row in self._run.rows(self._sql.step_of_task, (task, name))]
        elif len(tasks) == 1:
            found = self._run.rows(self._sql.steps_of_task, (*tasks,))
        else:
            found = self._run.rows(self._sql.steps_of_tasks, (as_json(sorted(set(tasks))),))
        return [rows.step_of(row) for row in found]

    def waits(self, execution: int) -> list[tuple[WaitingFor | None, float | None]]:
        return [(None if why is None else WaitingFor(why), end) for why, end in self._run.rows(self._sql.waits, (execution,))]

    def next_rest(self, task: int, after: float) -> float | None:
        ends: float | None = self._run.rows(self._sql.next_rest, (task, after))[0][0]
        return ends

    def lines(self, execution: int, task: str) -> int:
        count: int = self._run.rows(self._sql.lines, (execution, execution, task, task))[0][0]
        return count

    def signals(self, execution: int, *, name: str | None = None, id: str | None = None) -> list[Signal]:
        if id is not None:
            found = self._run.rows(self._sql.signal, (execution, id))
        elif name is not None:
            found = self._run.rows(self._sql.signals_named, (execution, name))
        else:
            found = self._run.rows(self._sql.signals, (execution,))
        return [rows.signal_of(row) for row in found]

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        sql, values = _of_key(self._sql.holders, self._sql.holders_of_key, workspace, job, key)
        count: int = self._run.rows(sql, values)[0][0]
        return count

    def parked(self, workspace: str, job: str, key: str | None, limit: int, without: Collection[str] = ()) -> list[Execution]:
        if without and key is None:
            return self._executions(self._sql.parked_without, (workspace, job, as_json(sorted(without)), limit))
        if key in without:
            return []
        sql, values = _of_key(self._sql.parked, self._sql.parked_of_key, workspace, job, key)
        return self._executions(sql, (*values, limit))

    def keyed(self, workspace: str, job: str, key: str, limit: int = 1) -> list[Execution]:
        which = (workspace, job, key)
        return self._executions(self._sql.keyed_waiting, (*which, limit)) or self._executions(self._sql.keyed, which)

    def save(
        self,
        executions: Collection[Execution],
        tasks: Collection[Task],
        events: Collection[Event],
        steps: Collection[Step] = (),
        signals: Collection[Signal] = (),
    ) -> None:
        sql = self._sql
        executions, tasks = list(executions), list(tasks)
        if executions:
            changed = [(each.seq, rows.execution_changing(each)) for each in executions]
            course, whole = split(changed, len(EXECUTION_COURSE), self._executions_rest)
            self._run.update(sql.save_course_of_execution, sql.save_course_of_executions, course)
            self._run.update(sql.save_execution, sql.save_executions, whole)
        if tasks:
            course, whole = split([(each.seq, rows.task_changing(each)) for each in tasks], len(TASK_COURSE), self._tasks_rest)
            self._run.update(sql.save_course_of_task, sql.save_course_of_tasks, course)
            self._run.update(sql.save_task, sql.save_tasks, whole)
        if executions or tasks:
            self._known.saved(executions, tasks, (self._executions_rest, self._tasks_rest))
        if events:
            self._insert_events((event.execution, event) for event in events)
        if steps:
            self._run.insert(sql.save_step, [rows.step_row(step) for step in steps])
        if signals:
            self._run.insert(sql.save_signal, [rows.signal_row(signal) for signal in signals])

    def define(self, definition: Definition) -> None:
        self._run.insert(self._sql.define, [rows.definition_row(definition)])

    def count(self, tallies: Iterable[Tally]) -> None:
        self._run.insert(self._sql.count, [rows.tally_row(tally) for tally in tallies])

    def forget_tallies(self, before: int) -> list[Tally]:
        return [rows.tally_of(row) for row in self._run.rows(self._sql.forget_tallies, (before,))]

    def _having(self, new: Execution) -> Execution:
        """Who has its id, or else its key."""
        found = self._run.rows(self._sql.find, (new.workspace, new.id)) or self._run.rows(
            self._sql.having_key, (new.workspace, new.job, new.idempotency_key)
        )
        return rows.execution_of(found[0])

    def _first(self, workspace: str, jobs: list[str], limit: int) -> list[tuple[int, int]]:
        """(priority, seq) of the first ready tasks of these jobs together."""
        found: list[tuple[int, int]] = []
        for start in range(0, len(jobs), MAX_JOBS):
            some = jobs[start : start + MAX_JOBS]
            found += self._run.rows(self._sql.first_of(len(some)), [value for job in some for value in (workspace, job, limit)])
        found.sort()
        return found[:limit]

    def _insert_executions(self, numbered: list[tuple[int, New]]) -> int:
        """Add those whose id and key are free, and return how many these are."""
        new = [row for seq, (execution, _) in numbered if (row := rows.new_execution(execution, seq)) is not None]
        if len(new) == len(numbered):
            return self._run.insert(self._sql.insert_new_execution, new)
        whole = [(*rows.execution_fixed(execution, seq), *rows.execution_changing(execution)) for seq, (execution, _) in numbered]
        return self._run.insert(self._sql.insert_execution, whole)

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
        self._run.insert(self._sql.insert_new_task, own)
        self._run.insert(self._sql.insert_task, whole)

    def _insert_events(self, events: Iterable[tuple[int, Event]]) -> None:
        """Add events to the executions of these numbers."""
        several = alike((execution, rows.event_row(event)) for execution, event in events)
        self._run.insert(self._sql.insert_event, self._run.together(self._sql.insert_events, several))

    def _executions(self, sql: str, values: Sequence[Any]) -> list[Execution]:
        found = self._run.rows(sql, values)
        for row in found:
            self._executions_rest[row[0]] = row[_EXECUTION_REST:]
        return [rows.execution_of(row) for row in found]

    def _pairs(self, sql: str, values: Sequence[Any]) -> list[tuple[Task, Execution]]:
        found = self._run.rows(sql, values)
        for row in found:
            self._tasks_rest[row[0]] = row[_TASK_REST]
            self._executions_rest[row[_TASK]] = row[_TASK + _EXECUTION_REST :]
        return [(rows.task_of(row[:_TASK]), rows.execution_of(row[_TASK:])) for row in found]

    def _known_of(self, refs: Collection[LeaseRef]) -> tuple[list[tuple[Task, Execution]], list[int]]:
        """The tasks of these leases that need not be read, with their executions; and the numbers of the others."""
        pairs: list[tuple[Task, Execution]] = []
        unknown: list[int] = []
        for seq in sorted({ref.task for ref in refs}):
            pair = self._known.find(seq, self._tasks_rest, self._executions_rest)
            if pair is None:
                unknown.append(seq)
            else:
                pairs.append(pair)
        return pairs, unknown

    def _pairs_of(self, sql: str, seqs: list[int]) -> list[tuple[Task, Execution]]:
        """The tasks with these numbers, in this order; what the statement does not want is left out."""
        return self._pairs(sql, (as_json(seqs),)) if seqs else []


def _under(refs: Collection[LeaseRef], workspace: str | None, found: list[tuple[Task, Execution]]) -> list[tuple[Task, Execution]]:
    """Those whose last lease is one of these."""
    tokens = {(ref.task, ref.token) for ref in refs}
    return [pair for pair in found if (pair[0].seq, pair[0].token) in tokens and workspace in (None, pair[0].workspace)]


def _of_key(of_job: str, of_key: str, workspace: str, job: str, key: str | None) -> tuple[str, tuple[str, ...]]:
    return (of_job, (workspace, job)) if key is None else (of_key, (workspace, job, key))
