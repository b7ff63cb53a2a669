"""The store in memory: dicts of immutable records, changed in place under one lock, undone when a transaction raises.

A new task is not held: it is made from what its execution was created with until something happens to it. Order never comes from a
hash: the same calls give the same answers. What is ready and what is leased stands in heaps with lazy deletion: an entry counts
only while the record says the same, so nothing is ever searched for and removed.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from heapq import heapify, heappop, heappush, heapreplace
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Final

from msgspec.structs import replace

from ..core.records import Event, Execution, LeaseRef, NewTasks, Task
from ..core.states import created
from ..words import JobStatus
from .base import Position, Transaction, within_size

RUNNING: Final = JobStatus.RUNNING

_SLACK: Final = 1024
"""How many entries of ended leases are left in the heap before it is rebuilt, beyond as many as there are leases."""

_Ready = list[tuple[int, int, int, int]]
"""A heap of (priority, seq of a task, seq behind the last one, seq of their execution): tasks that are ready, as runs."""


class MemoryJobStore:
    """Keeps executions for as long as it lives. A read waits for the transaction that another thread has open."""

    shared = False
    local = True

    def __init__(self) -> None:
        self.lock_path: Path | None = None
        self._lock = RLock()
        self._writing = False
        self._last_execution = 0
        self._last_task = 0
        self._executions: dict[int, Execution] = {}
        self._tasks: dict[int, Task] = {}
        """Those to which something happened; of the others `_made` knows all there is."""
        self._made: dict[int, NewTasks] = {}
        self._by_id: dict[tuple[str, str], int] = {}
        self._by_key: dict[tuple[str, str, str], int] = {}
        self._tasks_of: dict[int, range] = {}
        self._events: dict[int, list[Event]] = {}
        """All but the first, which the execution tells by itself."""
        self._created: dict[tuple[str, str | None], list[int]] = {}
        """Executions of (workspace, job), and of (workspace, None) for all jobs, the oldest first."""
        self._ready: dict[str, dict[str, _Ready]] = {}
        self._leased: dict[int, None] = {}
        """Tasks that are running, in the order of their claims."""
        self._expiries: list[tuple[float, int]] = []

    def begin(self) -> AbstractContextManager[Transaction]:
        return _Transaction(self)

    def get(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        with self._lock:
            return self._find(workspace, ids)

    def page(self, workspace: str, job: str | None, position: Position, limit: int) -> list[Execution]:
        with self._lock:
            seqs = self._created.get((workspace, job), [])
            end = len(seqs) if position.after is None else bisect_left(seqs, position.after)
            end -= position.offset
            return [self._executions[seq] for seq in reversed(seqs[max(0, end - limit) : max(0, end)])]

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        with self._lock:
            if not self._is_in(workspace, execution):
                return []
            start = max(0, after + 1)
            found = (self._task(seq, execution) for seq in self._tasks_of[execution][start : start + limit])
            return within_size(found if results else (replace(task, result=None) for task in found))

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        with self._lock:
            if not self._is_in(workspace, execution):
                return []
            told = self._events[execution]
            if after > 0:
                return told[after - 1 : after - 1 + limit]
            return [created(self._executions[execution]), *told[: limit - 1]][:limit]

    def next_expiry(self) -> float | None:
        with self._lock:
            expiries = self._expiries
            while expiries and not self._is_lease(expiries[0]):
                heappop(expiries)
            return expiries[0][0] if expiries else None

    def workers(self) -> set[str]:
        with self._lock:
            return {worker for seq in self._leased if (worker := self._tasks[seq].worker) is not None}

    def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        by_id = self._by_id
        seqs = {seq for name in ids if (seq := by_id.get((workspace, name))) is not None}
        return [self._executions[seq] for seq in sorted(seqs)]

    def _is_in(self, workspace: str, execution: int) -> bool:
        found = self._executions.get(execution)
        return found is not None and found.workspace == workspace

    def _is_lease(self, entry: tuple[float, int]) -> bool:
        return entry[1] in self._leased and self._tasks[entry[1]].lease_until == entry[0]

    def _task(self, seq: int, execution: int) -> Task:
        task = self._tasks.get(seq)
        if task is None:
            task = self._made[execution].make(seq - self._tasks_of[execution].start, seq, execution)
        return task

    def _put(self, task: Task, before: Task | None) -> None:
        """Keep a task, and what it is found by."""
        seq = task.seq
        self._tasks[seq] = task
        if task.status is RUNNING:
            self._leased[seq] = None
            if task.lease_until is not None and (before is None or before.lease_until != task.lease_until):
                self._push_expiry(task.lease_until, seq)
            return
        if before is not None and before.status is RUNNING:
            self._leased.pop(seq, None)
        if task.ready:
            self._push_ready(task, seq + 1)

    def _push_ready(self, first: Task, stop: int) -> None:
        jobs = self._ready.setdefault(first.workspace, {})
        heappush(jobs.setdefault(first.job, []), (first.priority, first.seq, stop, first.execution))

    def _push_expiry(self, until: float, seq: int) -> None:
        expiries = self._expiries
        heappush(expiries, (until, seq))
        if len(expiries) > 2 * len(self._leased) + _SLACK:
            expiries[:] = [entry for entry in expiries if self._is_lease(entry)]
            heapify(expiries)


class _Transaction:
    """The one open transaction. It keeps what was there before each change, to undo it."""

    def __init__(self, store: MemoryJobStore) -> None:
        self._store = store
        self._added: list[Execution] = []
        self._executions_before: list[Execution] = []
        self._tasks_before: list[tuple[Task, Task | None]] = []
        """Each task as it was saved, and as it was held before."""
        self._told: list[int] = []
        self._offered: list[Task] = []

    def __enter__(self) -> Transaction:
        self._store._lock.acquire()
        if self._store._writing:
            self._store._lock.release()
            raise RuntimeError("this thread has a transaction open already")
        self._store._writing = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is not None:
                self._roll_back()
            self._take_back_offered()
        finally:
            self._store._writing = False
            self._store._lock.release()

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        return self._store._find(workspace, ids)

    def open_tasks(self, execution: int) -> list[Task]:
        task_of = self._store._task
        return [task for seq in self._store._tasks_of.get(execution, ()) if not (task := task_of(seq, execution)).done]

    def insert(self, news: Sequence[tuple[Execution, Sequence[Task]]]) -> list[Execution | None]:
        answers: list[Execution | None] = []
        for execution, tasks in news:
            taken = self._taken(execution)
            if taken is None:
                self._add(execution, tasks)
            answers.append(taken)
        return answers

    def claimable(self, workspace: str, jobs: Collection[str] | None, limit: int) -> list[tuple[Task, Execution]]:
        self._take_back_offered()
        ready = self._store._ready.get(workspace, {})
        wanted = list(ready) if jobs is None else [job for job in dict.fromkeys(jobs) if job in ready]
        offered = self._offered = self._first(ready, wanted, limit)
        executions = self._store._executions
        return [(task, executions[task.execution]) for task in offered]

    def held(self, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        store = self._store
        tasks = [store._tasks[ref.task] for ref in sorted(set(refs), key=_task_of) if self._holds(ref)]
        return [(task, store._executions[task.execution]) for task in tasks]

    def expired(self, now: float, workers: Collection[str], limit: int) -> list[tuple[Task, Execution]]:
        store = self._store
        first = store.next_expiry()
        if not workers and (first is None or first > now):
            return []
        found = [
            (task.lease_until or 0.0, seq, task)
            for seq in store._leased
            if ((task := store._tasks[seq]).lease_until is not None and task.lease_until <= now) or task.worker in workers
        ]
        found.sort()
        return [(task, store._executions[task.execution]) for _, _, task in found[:limit]]

    def extend(self, refs: Collection[LeaseRef], until: float) -> set[LeaseRef]:
        holding = {ref for ref in refs if self._holds(ref)}
        for ref in sorted(holding, key=_task_of):
            self._save_task(replace(self._store._tasks[ref.task], lease_until=until))
        return holding

    def save(self, executions: Iterable[Execution], tasks: Iterable[Task], events: Iterable[Event]) -> None:
        store = self._store
        for execution in executions:
            self._executions_before.append(store._executions[execution.seq])
            store._executions[execution.seq] = execution
        for task in tasks:
            self._save_task(task)
        for event in events:
            store._events[event.execution].append(event)
            self._told.append(event.execution)

    def _save_task(self, task: Task) -> None:
        before = self._store._tasks.get(task.seq)
        self._tasks_before.append((task, before))
        self._store._put(task, before)

    def _holds(self, ref: LeaseRef) -> bool:
        task = self._store._tasks.get(ref.task)
        return task is not None and task.token == ref.token and task.status is RUNNING

    def _taken(self, new: Execution) -> Execution | None:
        store = self._store
        seq = store._by_id.get((new.workspace, new.id))
        if seq is None and new.idempotency_key is not None:
            seq = store._by_key.get((new.workspace, new.job, new.idempotency_key))
        return None if seq is None else store._executions[seq]

    def _add(self, new: Execution, tasks: Sequence[Task]) -> None:
        store = self._store
        seq = store._last_execution = store._last_execution + 1
        first = store._last_task + 1
        store._last_task += len(tasks)
        execution = replace(new, seq=seq)
        self._added.append(execution)
        store._executions[seq] = execution
        store._by_id[new.workspace, new.id] = seq
        if new.idempotency_key is not None:
            store._by_key[new.workspace, new.job, new.idempotency_key] = seq
        for job in (new.job, None):
            store._created.setdefault((new.workspace, job), []).append(seq)
        store._events[seq] = []
        store._tasks_of[seq] = range(first, first + len(tasks))
        if isinstance(tasks, NewTasks):
            store._made[seq] = tasks
            ready = store._ready.setdefault(new.workspace, {}).setdefault(new.job, [])
            heappush(ready, (new.priority, first, first + len(tasks), seq))
        else:
            for number, task in enumerate(tasks, first):
                store._put(replace(task, seq=number, execution=seq), None)

    def _first(self, ready: dict[str, _Ready], jobs: list[str], limit: int) -> list[Task]:
        """Take the first tasks of these jobs out of their heaps."""
        heads: list[tuple[int, int, str]] = []
        for job in jobs:
            self._push_head(heads, ready, job)
        taken: list[Task] = []
        while heads and len(taken) < limit:
            priority, seq, job = heappop(heads)
            heap = ready[job]
            taken.append(self._store._task(seq, heap[0][3]))
            # The same task stands twice in its heap after a claim that was undone; then the two are neighbours.
            while heap and heap[0][1] == seq and heap[0][0] == priority:
                _drop_first(heap)
            self._push_head(heads, ready, job)
        return taken

    def _push_head(self, heads: list[tuple[int, int, str]], ready: dict[str, _Ready], job: str) -> None:
        heap = ready[job]
        store = self._store
        while heap:
            priority, seq, _, execution = heap[0]
            task = store._tasks.get(seq)
            if execution in store._tasks_of and (task is None or (task.ready and task.priority == priority)):
                heappush(heads, (priority, seq, job))
                return
            _drop_first(heap)
        del ready[job]

    def _take_back_offered(self) -> None:
        """What was offered by `claimable` and not claimed goes back to its heap."""
        if not self._offered:
            return
        store = self._store
        for offered in self._offered:
            if offered.execution in store._tasks_of and store._task(offered.seq, offered.execution).ready:
                store._push_ready(offered, offered.seq + 1)
        self._offered = []

    def _roll_back(self) -> None:
        # Numbers are not taken back: a heap may still have entries of tasks that are gone, and they must not come to mean others.
        store = self._store
        for seq in reversed(self._told):
            store._events[seq].pop()
        for saved, before in reversed(self._tasks_before):
            if before is not None:
                store._put(before, saved)
            else:
                store._leased.pop(saved.seq, None)
                del store._tasks[saved.seq]
                store._push_ready(store._task(saved.seq, saved.execution), saved.seq + 1)
        for execution in reversed(self._executions_before):
            store._executions[execution.seq] = execution
        for execution in reversed(self._added):
            self._forget(execution)

    def _forget(self, execution: Execution) -> None:
        store = self._store
        seq = execution.seq
        for number in store._tasks_of.pop(seq):
            store._tasks.pop(number, None)
            store._leased.pop(number, None)
        store._made.pop(seq, None)
        del store._events[seq]
        for job in (execution.job, None):
            store._created[execution.workspace, job].pop()
        if execution.idempotency_key is not None:
            del store._by_key[execution.workspace, execution.job, execution.idempotency_key]
        del store._by_id[execution.workspace, execution.id]
        del store._executions[seq]


def _drop_first(heap: _Ready) -> None:
    """Take the first task off the first run."""
    priority, seq, stop, execution = heap[0]
    if seq + 1 < stop:
        heapreplace(heap, (priority, seq + 1, stop, execution))
    else:
        heappop(heap)


def _task_of(ref: LeaseRef) -> int:
    return ref.task
