"""The store in memory: dicts of immutable records, changed in place under one lock, undone when a transaction raises.

Order never comes from a hash: the same calls give the same answers.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice, takewhile
from operator import itemgetter
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any

from msgspec.structs import replace

from ..core.records import RESTS, Definition, Event, Execution, LeaseRef, Signal, Step, Task
from ..core.states import created
from ..words import JobStatus, WaitingFor
from .base import Backlog, Order, Position, Tally, Transaction, Where, within_size
from .memory_rows import PAUSED, PENDING, RUNNING, Rows

_Undo = tuple[Callable[..., object], tuple[Any, ...]]
"""What takes a change back: a call. They are made in reverse."""


class MemoryJobStore:
    """Keeps executions for as long as it lives. A read waits for the transaction that another thread has open."""

    shared = False
    local = True

    def __init__(self) -> None:
        self.lock_path: Path | None = None
        self._lock = RLock()
        self._writing = False
        self._rows = Rows()

    def begin(self) -> AbstractContextManager[Transaction]:
        return _Transaction(self)

    def get(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        with self._lock:
            return self._rows.find(workspace, ids)

    def page(self, workspace: str, where: Where, position: Position, limit: int) -> list[Execution]:
        with self._lock:
            executions = self._rows.executions
            if position.order is not Order.NEWEST:
                return self._sorted(workspace, where, position, limit)
            assert not isinstance(position.after, str)
            if where.statuses is None and where.batch is None and where.id_has is None:
                seqs = self._rows.index.of_job(workspace, where.job)
                end = len(seqs) if position.after is None else bisect_left(seqs, position.after)
                end -= position.offset
                return [executions[seq] for seq in reversed(seqs[max(0, end - limit) : max(0, end)])]
            newest = (executions[seq] for seq in self._rows.index.newest(workspace, where, position.after))
            matching = (execution for execution in newest if _matches(execution, where))
            return list(islice(matching, position.offset, position.offset + limit))

    def _sorted(self, workspace: str, where: Where, position: Position, limit: int) -> list[Execution]:
        """A page of another order than that in which they are kept."""
        by_id, down = position.order.by_id, position.order is Order.ID_DOWN
        rows = [self._rows.executions[seq] for seq in self._rows.index.newest(workspace, where, None)]
        keyed = ((execution.id if by_id else execution.seq, execution) for execution in rows if _matches(execution, where))
        after: Any = position.after
        behind = [each for each in keyed if after is None or (each[0] < after if down else each[0] > after)]
        behind.sort(key=itemgetter(0), reverse=down)
        return [execution for _, execution in behind[position.offset : position.offset + limit]]

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        with self._lock:
            if not self._rows.is_in(workspace, execution):
                return []
            start = max(0, after + 1)
            found = (self._rows.task(seq, execution) for seq in self._rows.tasks_of[execution][start : start + limit])
            return within_size(found if results else (replace(task, result=None) for task in found))

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        with self._lock:
            if not self._rows.is_in(workspace, execution):
                return []
            told = self._rows.events.get(execution, [])
            if after > 0:
                return told[after - 1 : after - 1 + limit]
            return [created(self._rows.executions[execution]), *told[: limit - 1]][:limit]

    def steps(self, workspace: str, execution: int, offset: int, limit: int) -> list[tuple[str, Step]]:
        rows = self._rows
        with self._lock:
            if not rows.is_in(workspace, execution):
                return []
            taken = (step for seq in rows.tasks_of[execution] for step in _in_order(rows.steps.get(seq, {})))
            page = islice(taken, offset, offset + limit)
            return [(rows.task(step.task, execution).id, replace(step, value=None)) for step in page]

    def definitions(self) -> list[Definition]:
        with self._lock:
            return [definition for _, definition in sorted(self._rows.definitions.items(), key=_key_of)]

    def tallies(self) -> list[Tally]:
        with self._lock:
            return [tally for _, tally in sorted(self._rows.tallies.items(), key=_key_of)]

    def backlog(self) -> list[Backlog]:
        index, executions = self._rows.index, self._rows.executions
        found: dict[tuple[str, str, JobStatus], tuple[int, float]] = {}
        with self._lock:
            for execution in (executions[seq] for workspace in index.workspaces() for seq in index.open(workspace)):
                waiting = execution.total - execution.finished - execution.running
                for status, more in ((PAUSED if execution.paused else PENDING, waiting), (RUNNING, execution.running)):
                    if more:
                        group = (execution.workspace, execution.job, status)
                        count, oldest = found.get(group, (0, execution.created_at))
                        found[group] = (count + more, min(oldest, execution.created_at))
        return [Backlog(*group, *numbers) for group, numbers in sorted(found.items())]

    def next_due(self) -> float | None:
        with self._lock:
            firsts = [run[0] for run in (self._rows.due.first(), self._rows.index.deadlines.first()) if run is not None]
            return min(firsts, default=None)

    def close(self) -> None:
        """Nothing to let go of."""


class _Transaction:
    """The one open transaction. It keeps how to undo each change."""

    def __init__(self, store: MemoryJobStore) -> None:
        self._store = store
        self._rows = store._rows
        self._undo: list[_Undo] = []
        self._offered: list[Task] = []

    def __enter__(self) -> Transaction:
        self._store._lock.acquire()
        if self._store._writing:
            self._store._lock.release()
            raise RuntimeError("this thread has a transaction open already")
        self._store._writing = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Numbers are not taken back: a heap may still have entries of tasks that are gone, and they must not come to mean others.
        try:
            if kind is not None:
                for take_back, arguments in reversed(self._undo):
                    take_back(*arguments)
            if self._offered:
                self._take_back_offered()
        finally:
            self._undo.clear()  # it has calls of this object: without it, each transaction would wait for the collector
            self._store._writing = False
            self._store._lock.release()

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return self._rows.find(workspace, ids)

    def tasks_in(self, execution: int, statuses: Collection[JobStatus]) -> list[Task]:
        rows = self._rows
        seqs = rows.tasks_of.get(execution, range(0))
        if PENDING in statuses:
            return [task for seq in seqs if (task := rows.task(seq, execution)).status in statuses]
        return [held for seq in seqs if (held := rows.tasks.get(seq)) is not None and held.status in statuses]

    def insert(self, news: Sequence[tuple[Execution, Sequence[Task]]]) -> list[Execution | None]:
        rows = self._rows
        answers: list[Execution | None] = []
        added: list[int] = []
        self._undo.append((self._take_out, (added,)))
        for new, tasks in news:
            taken = self._taken(new)
            answers.append(taken)
            if taken is None:
                added.append(rows.add(new, tasks))
        return answers

    def remove(self, executions: Collection[int]) -> None:
        rows = self._rows
        for seq in sorted(set(executions)):
            if seq in rows.executions:
                self._undo.append((rows.put_back, (rows.take_out(seq),)))

    def claimable(
        self, workspace: str, jobs: Collection[str] | None, limit: int, execution: str | None = None
    ) -> list[tuple[Task, Execution]]:
        if self._offered:
            self._take_back_offered()
        executions = self._rows.executions
        if execution is not None:
            seq = self._rows.by_id.get((workspace, execution))
            if seq is None or (jobs is not None and executions[seq].job not in jobs):
                return []
            return [(task, executions[seq]) for task in self._rows.first_of(seq, limit)]
        offered = self._offered = self._rows.take_first(workspace, jobs, limit)
        return [(task, executions[task.execution]) for task in offered]

    def held(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        executions = self._rows.executions
        return [(task, executions[task.execution]) for _, task in self._under(workspace, refs) if task.status is RUNNING]

    def let_go(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        executions = self._rows.executions
        return [(task, executions[task.execution]) for _, task in self._under(workspace, refs) if task.status is not RUNNING]

    def due(self, now: float, dead: str | None, limit: int) -> list[tuple[Task, Execution]]:
        rows = self._rows
        found = [rows.task(run[1], run[3]) for run in rows.due.until(now, limit)]
        if dead is not None and len(found) < limit:
            running = (rows.tasks[seq] for seq in rows.running)
            lost = [task for task in running if not _is_due(task, now) and (task.worker or "").startswith(dead)]
            lost.sort(key=_due_of)
            found += lost[: limit - len(found)]
        return [(task, rows.executions[task.execution]) for task in found]

    def overdue(self, now: float, limit: int) -> list[Execution]:
        return [self._rows.executions[run[1]] for run in self._rows.index.deadlines.until(now, limit)]

    def extend(self, workspace: str | None, refs: Collection[LeaseRef], until: float | None) -> dict[LeaseRef, bool]:
        executions = self._rows.executions
        held = [(ref, task) for ref, task in self._under(workspace, refs) if task.status is RUNNING]
        if until is not None:
            self.save((), [replace(task, due_at=until) for _, task in held], ())
        return {ref: executions[task.execution].paused for ref, task in held}

    def steps(self, tasks: Collection[int], name: str | None = None) -> list[Step]:
        steps = self._rows.steps
        if name is not None:
            return [steps[task][name] for task in sorted(set(tasks)) if task in steps and name in steps[task]]
        return [step for task in sorted(set(tasks)) if task in steps for step in _in_order(steps[task])]

    def waits(self, execution: int) -> list[tuple[WaitingFor | None, float | None]]:
        found: dict[WaitingFor | None, list[float]] = {}
        for task in self.tasks_in(execution, (PENDING,)):
            found.setdefault(task.waiting_for, []).extend(() if task.due_at is None else (task.due_at,))
        return [(why, min(ends, default=None)) for why, ends in found.items()]

    def next_rest(self, task: int, after: float) -> float | None:
        rests = (step for step in self._rows.steps.get(task, {}).values() if step.kind in RESTS)
        return min((step.due_at for step in rests if step.due_at is not None and step.due_at > after), default=None)

    def lines(self, execution: int, task: str) -> int:
        own = (event.type for event in reversed(self._rows.events.get(execution, [])) if event.task == task)
        return sum(kind == "log" for kind in takewhile(lambda kind: kind != "task.started", own))

    def signals(self, execution: int, *, name: str | None = None, id: str | None = None) -> list[Signal]:
        signals = self._rows.signals.get(execution, {})
        if id is not None:
            return [signals[id]] if id in signals else []
        return [signal for signal in signals.values() if name is None or (signal.name == name and not signal.taken)]

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        return self._rows.index.holders(workspace, job, key)

    def parked(self, workspace: str, job: str, key: str | None, limit: int, without: Collection[str] = ()) -> list[Execution]:
        found = map(self._rows.executions.__getitem__, self._rows.index.parked(workspace, job, key))
        return list(islice((each for each in found if each.concurrency_key not in without), limit))

    def keyed(self, workspace: str, job: str, key: str, limit: int = 1) -> list[Execution]:
        executions = self._rows.executions
        seqs = self._rows.index.keyed(workspace, job, key)
        not_begun = (each for seq in seqs if (each := executions[seq]).status is PENDING and each.started_at is None)
        return list(islice(not_begun, limit)) or [executions[seq] for seq in seqs[:1]]

    def save(
        self,
        executions: Collection[Execution],
        tasks: Collection[Task],
        events: Collection[Event],
        steps: Collection[Step] = (),
        signals: Collection[Signal] = (),
    ) -> None:
        rows = self._rows
        before: list[Execution] = []
        moved: list[tuple[Task, Task | None]] = []
        told: list[list[Event]] = []
        self._undo.append((self._take_back, (before, moved, told)))
        before.extend(map(rows.put_execution, executions))
        for task in tasks:
            was = rows.tasks.get(task.seq)
            rows.put(task, was)
            moved.append((task, was))
        for event in events:
            log = rows.events.get(event.execution)
            if log is None:
                log = rows.events[event.execution] = []
            log.append(event)
            told.append(log)
        for step in steps:
            journal = rows.steps.setdefault(step.task, {})
            if step.name not in journal or journal[step.name].kind == "wait":
                self._set(journal, step.name, step)
        for signal in signals:
            self._set(rows.signals.setdefault(signal.execution, {}), signal.id, signal)

    def define(self, definition: Definition) -> None:
        self._set(self._rows.definitions, (definition.workspace, definition.job), definition)

    def count(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            self._set(self._rows.tallies, (tally.workspace, tally.job, tally.server, tally.minute), tally)

    def forget_tallies(self, before: int) -> list[Tally]:
        tallies = self._rows.tallies
        old = sorted(key for key in tallies if key[3] < before)
        found = [tallies.pop(key) for key in old]
        self._undo.append((tallies.update, (dict(zip(old, found, strict=True)),)))
        return found

    def _take_out(self, added: list[int]) -> None:
        for seq in reversed(added):
            self._rows.take_out(seq)

    def _take_back(self, before: list[Execution], moved: list[tuple[Task, Task | None]], told: list[list[Event]]) -> None:
        """Undo what `save` did with executions, tasks and events."""
        for log in told:
            log.pop()
        for task, was in reversed(moved):
            self._rows.take_back(task, was)
        for execution in reversed(before):
            self._rows.put_execution(execution)

    def _set(self, table: dict[Any, Any], key: object, row: object) -> None:
        """Put a row into a dict; a row that replaces another has its place."""
        if key in table:
            self._undo.append((table.__setitem__, (key, table[key])))
        else:
            self._undo.append((table.pop, (key,)))
        table[key] = row

    def _under(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[LeaseRef, Task]]:
        """Those whose last lease is one of these."""
        tasks = self._rows.tasks
        return [
            (ref, task)
            for ref in sorted(set(refs), key=_task_of)
            if (task := tasks.get(ref.task)) is not None
            and task.token == ref.token
            and (workspace is None or task.workspace == workspace)
        ]

    def _taken(self, new: Execution) -> Execution | None:
        rows = self._rows
        seq = rows.by_id.get((new.workspace, new.id))
        if seq is None and new.idempotency_key is not None:
            seq = rows.by_key.get((new.workspace, new.job, new.idempotency_key))
        return None if seq is None else rows.executions[seq]

    def _take_back_offered(self) -> None:
        """What was offered by `claimable` and not claimed can be offered again."""
        self._rows.offer_again(self._offered)
        self._offered = []


def _matches(execution: Execution, where: Where) -> bool:
    return (
        (where.job is None or execution.job == where.job)
        and (where.batch is None or execution.batch == where.batch)
        and (where.statuses is None or execution.status in where.statuses)
        and (where.id_has is None or where.id_has in execution.id)
    )


def _is_due(task: Task, now: float) -> bool:
    return task.due_at is not None and task.due_at <= now


def _due_of(task: Task) -> tuple[float, int]:
    return (task.due_at or 0.0, task.seq)


def _task_of(ref: LeaseRef) -> int:
    return ref.task


def _key_of(item: tuple[Any, object]) -> Any:
    return item[0]


def _in_order(steps: Mapping[str, Step]) -> list[Step]:
    return sorted(steps.values(), key=lambda step: (step.at, step.name))
