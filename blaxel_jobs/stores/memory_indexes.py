"""How the store in memory finds things: heaps with lazy deletion, sorted groups, and the index of executions made of them.

What is here holds numbers and no records; all of it is kept right by calls that say what was before and what is now.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heapreplace, merge
from typing import Any, Final, Generic, TypeVar

from ..core.records import Execution
from ..words import TERMINAL, JobStatus, WaitingFor
from .base import Where

PENDING: Final = JobStatus.PENDING
CONCURRENCY: Final = WaitingFor.CONCURRENCY

_SLACK: Final = 1024
"""How many entries a heap has before it is looked through for those that do not count any more."""

Run = tuple[float, int, int, int]
"""(key, first, stop, execution): the tasks from `first` to before `stop` of one execution, all with the same key."""

Value = TypeVar("Value", int, tuple[int, int])
Group = tuple[Any, ...]


class Runs:
    """A heap of runs, the least (key, task) first, with lazy deletion: the first of a run counts only while `counts(run)` says so.
    Nothing is ever searched for and removed."""

    __slots__ = ("_counts", "_heap", "_room")

    def __init__(self, counts: Callable[[Run], bool]) -> None:
        self._counts = counts
        self._heap: list[Run] = []
        self._room = _SLACK

    def push(self, run: Run) -> None:
        heap = self._heap
        heappush(heap, run)
        if len(heap) > self._room:
            self._clean()

    def first(self) -> Run | None:
        """The run whose first task comes first, or None where nothing is left."""
        heap, counts = self._heap, self._counts
        while heap:
            run = heap[0]
            if counts(run):
                return run
            self._drop(run)
        return None

    def take(self) -> None:
        """Take out the task that comes first. It may stand in several entries, which are neighbours then."""
        heap = self._heap
        run = heap[0]
        key, seq = run[0], run[1]
        while run[1] == seq and run[0] == key:
            self._drop(run)
            if not heap:
                return
            run = heap[0]

    def until(self, key: float, limit: int) -> list[Run]:
        """The first tasks whose key is not above this one, each as a run of one. They stay."""
        found: list[Run] = []
        while len(found) < limit and (run := self.first()) is not None and run[0] <= key:
            found.append((run[0], run[1], run[1] + 1, run[3]))
            self.take()
        for run in found:
            self.push(run)
        return found

    def _drop(self, first: Run) -> None:
        """Take the first task off the first run."""
        key, seq, stop, execution = first
        if seq + 1 < stop:
            heapreplace(self._heap, (key, seq + 1, stop, execution))
        else:
            heappop(self._heap)

    def _clean(self) -> None:
        heap, counts = self._heap, self._counts
        kept = dict.fromkeys(run if counts(run) else self._shorten(run) for run in heap)
        kept.pop(None, None)
        heap[:] = [run for run in kept if run is not None]
        heapify(heap)
        self._room = 8 * len(heap) + _SLACK

    def _shorten(self, run: Run) -> Run | None:
        """What is left of a run from the first task on that counts."""
        key, first, stop, execution = run
        rest = ((key, number, stop, execution) for number in range(first + 1, stop))
        return next((each for each in rest if self._counts(each)), None)


class Groups(Generic[Value]):
    """Sorted values by their group. A group without any is forgotten."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        self._lists: dict[Group, list[Value]] = {}

    def add(self, value: Value, *groups: Group) -> None:
        lists = self._lists
        for group in groups:
            values = lists.get(group)
            if values is None:
                lists[group] = [value]
            elif values[-1] < value:
                values.append(value)
            else:
                insort(values, value)

    def drop(self, value: Value, *groups: Group) -> None:
        for group in groups:
            values = self._lists[group]
            place = bisect_left(values, value)
            assert values[place] == value, f"{value} is not in {group}"
            del values[place]
            if not values:
                del self._lists[group]

    def of(self, group: Group) -> list[Value]:
        """The values of a group, not to be changed."""
        return self._lists.get(group, [])


class ExecutionIndex:
    """By what executions are found. Knows them by their `seq`."""

    def __init__(self, is_deadline: Callable[[Run], bool]) -> None:
        self._created: Groups[int] = Groups()
        """By (workspace, job), and by (workspace, None) for all jobs."""
        self._batches: Groups[int] = Groups()
        """By (workspace, batch)."""
        self._ended: Groups[int] = Groups()
        """By (workspace, status)."""
        self._open: dict[str, dict[int, None]] = {}
        """Those that have not ended, by workspace."""
        self._keyed: Groups[int] = Groups()
        """Those that have not ended, by (workspace, job, concurrency key)."""
        self._parked: Groups[tuple[int, int]] = Groups()
        """(priority, seq) of those that wait for a slot, by (workspace, job, concurrency key), and by None for all keys."""
        self._slots: dict[Group, int] = {}
        """How many hold one, by the same."""
        self.deadlines = Runs(is_deadline)

    def add(self, execution: Execution) -> None:
        workspace, seq = execution.workspace, execution.seq
        self._created.add(seq, (workspace, execution.job), (workspace, None))
        if execution.batch is not None:
            self._batches.add(seq, (workspace, execution.batch))
        self._enter(execution)
        if execution.slot:
            self._count_slot(execution, 1)
        if execution.waiting_for is CONCURRENCY:
            self._park(execution)
        if execution.deadline is not None:
            self.deadlines.push((execution.deadline, seq, seq + 1, seq))

    def drop(self, execution: Execution) -> None:
        workspace, seq = execution.workspace, execution.seq
        self._created.drop(seq, (workspace, execution.job), (workspace, None))
        if execution.batch is not None:
            self._batches.drop(seq, (workspace, execution.batch))
        self._leave(execution)
        if execution.slot:
            self._count_slot(execution, -1)
        if execution.waiting_for is CONCURRENCY:
            self._unpark(execution)

    def change(self, before: Execution, after: Execution) -> None:
        if before.status is not after.status and (before.status in TERMINAL or after.status in TERMINAL):
            self._leave(before)
            self._enter(after)
        if before.slot is not after.slot:
            self._count_slot(after, 1 if after.slot else -1)
        if before.waiting_for is CONCURRENCY:
            self._unpark(before)
        if after.waiting_for is CONCURRENCY:
            self._park(after)
        if after.deadline is not None and before.deadline != after.deadline:
            self.deadlines.push((after.deadline, after.seq, after.seq + 1, after.seq))

    def of_job(self, workspace: str, job: str | None) -> list[int]:
        """All executions of a job, or of all, the oldest first."""
        return self._created.of((workspace, job))

    def newest(self, workspace: str, where: Where, after: int | None) -> Iterator[int]:
        """The fewest that have all which can match, the newest first. Whoever asks looks at each."""
        lists = [self._created.of((workspace, where.job))]
        if where.batch is not None:
            lists = min(lists, [self._batches.of((workspace, where.batch))], key=_size)
        if where.statuses is not None:
            statuses = dict.fromkeys(where.statuses)
            ended = [self._ended.of((workspace, status)) for status in statuses if status in TERMINAL]
            with_open = any(status not in TERMINAL for status in statuses)
            if _size(ended) + with_open * len(self._open.get(workspace, ())) < _size(lists):
                lists = [*ended, self.open(workspace)] if with_open else ended
        ends = [len(seqs) if after is None else bisect_left(seqs, after) for seqs in lists]
        downwards = [map(seqs.__getitem__, range(end - 1, -1, -1)) for seqs, end in zip(lists, ends, strict=True)]
        return merge(*downwards, reverse=True) if len(downwards) > 1 else iter(downwards[0] if downwards else ())

    def open(self, workspace: str) -> list[int]:
        """Those of a workspace that have not ended, the oldest first."""
        return sorted(self._open.get(workspace, ()))

    def workspaces(self) -> list[str]:
        """Where something has not ended."""
        return sorted(self._open)

    def keyed(self, workspace: str, job: str, key: str) -> list[int]:
        """Those of a concurrency key that have not ended, the oldest first."""
        return self._keyed.of((workspace, job, key))

    def parked(self, workspace: str, job: str, key: str | None) -> Iterator[int]:
        return (seq for _, seq in self._parked.of((workspace, job, key)))

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        return self._slots.get((workspace, job, key), 0)

    def _enter(self, execution: Execution) -> None:
        workspace, seq = execution.workspace, execution.seq
        if execution.status in TERMINAL:
            self._ended.add(seq, (workspace, execution.status))
            return
        standing = self._open.get(workspace)
        if standing is None:
            standing = self._open[workspace] = {}
        standing[seq] = None
        if execution.concurrency_key is not None:
            self._keyed.add(seq, (workspace, execution.job, execution.concurrency_key))

    def _leave(self, execution: Execution) -> None:
        workspace, seq = execution.workspace, execution.seq
        if execution.status in TERMINAL:
            self._ended.drop(seq, (workspace, execution.status))
            return
        standing = self._open[workspace]
        del standing[seq]
        if not standing:
            del self._open[workspace]
        if execution.concurrency_key is not None:
            self._keyed.drop(seq, (workspace, execution.job, execution.concurrency_key))

    def _park(self, execution: Execution) -> None:
        self._parked.add((execution.priority, execution.seq), *_gates(execution))

    def _unpark(self, execution: Execution) -> None:
        self._parked.drop((execution.priority, execution.seq), *_gates(execution))

    def _count_slot(self, execution: Execution, by: int) -> None:
        for gate in _gates(execution):
            count = self._slots.get(gate, 0) + by
            if count:
                self._slots[gate] = count
            else:
                del self._slots[gate]


def _gates(execution: Execution) -> list[Group]:
    """The groups whose limits it counts against."""
    of_job = (execution.workspace, execution.job, None)
    key = execution.concurrency_key
    return [of_job] if key is None else [of_job, (execution.workspace, execution.job, key)]


def _size(lists: list[list[int]]) -> int:
    return sum(map(len, lists))
