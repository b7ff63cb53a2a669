"""All stores give the same answers to the same calls, whatever the calls (DESIGN.md, invariant 16).

Numbers that a store gives out may have gaps, so records are compared without them; leases are named by the order in which they
were got.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from blaxel_jobs.core.records import Execution, Failure, LeaseRef, Task
from blaxel_jobs.core.states import Claimed, Completed, Failed, Lost, Released, TaskEvent, cancel
from blaxel_jobs.stores.base import JobStore, Position, Transaction
from blaxel_jobs.stores.memory import MemoryJobStore
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.words import FailureKind

from .samples import move, new

WORKSPACES = ("w1", "w2")
JOBS = ("a", "b", "c")
IDS = tuple(f"e{number}" for number in range(8))
OUTCOMES: tuple[TaskEvent, ...] = (Completed("1"), Failed(Failure(FailureKind.ERROR, "E", "m")), Released(), Lost("worker_dead", 1))

workspaces = st.sampled_from(WORKSPACES)
jobs = st.none() | st.lists(st.sampled_from(JOBS), max_size=3)
limits = st.integers(1, 4)
instants = st.integers(1, 30).map(float)
picks = st.lists(st.integers(0, 9), max_size=4)
news = st.builds(
    new,
    st.sampled_from(IDS),
    job=st.sampled_from(JOBS),
    workspace=workspaces,
    priority=st.integers(0, 3),
    tasks=st.integers(1, 3),
    key=st.none() | st.sampled_from(["k1", "k2", "k3"]),
)


class Stop(Exception):
    """Ends a transaction without a commit."""


class World:
    """A store and the leases that were got from it."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.leases: list[LeaseRef] = []

    def run(self, calls: list[tuple[str, tuple[object, ...]]], commit: bool) -> list[object]:
        leases = list(self.leases)
        answers: list[object] = []
        try:
            with self.store.begin() as transaction:
                answers += [getattr(self, name)(transaction, *arguments) for name, arguments in calls]
                if not commit:
                    raise Stop
        except Stop:
            self.leases = leases
        return answers

    def insert(self, transaction: Transaction, batch: list[tuple[Execution, list[Task]]]) -> object:
        return [existing and plain(existing) for existing in transaction.insert(batch)]

    def claim(
        self, transaction: Transaction, workspace: str, jobs: list[str] | None, limit: int, worker: str, until: float
    ) -> object:
        found = transaction.claimable(workspace, jobs, limit)
        tasks = move(transaction, found, Claimed(worker, until))
        self.leases += [task.lease for task in tasks]
        return pairs(found), [plain_task(task) for task in tasks]

    def look(self, transaction: Transaction, workspace: str, jobs: list[str] | None, limit: int) -> object:
        return pairs(transaction.claimable(workspace, jobs, limit))

    def report(self, transaction: Transaction, which: list[int], event: TaskEvent, now: float) -> object:
        found = transaction.held(self.named(which))
        move(transaction, found, event, now)
        return pairs(found)

    def extend(self, transaction: Transaction, which: list[int], until: float) -> object:
        return sorted(self.leases.index(ref) for ref in transaction.extend(self.named(which), until))

    def recover(self, transaction: Transaction, now: float, workers: list[str], limit: int) -> object:
        found = transaction.expired(now, workers, limit)
        move(transaction, found, Lost("lease_expired", 2), now)
        return pairs(found)

    def cancel(self, transaction: Transaction, workspace: str, name: str) -> object:
        found = transaction.find(workspace, [name])
        if not found or found[0].done:
            return None
        before = transaction.open_tasks(found[0].seq)
        execution, tasks, event = cancel(found[0], before, 5.0)
        transaction.save([execution], tasks, [event])
        return [plain_task(task) for task in before]

    def find(self, transaction: Transaction, workspace: str, names: list[str]) -> object:
        return [plain(execution) for execution in transaction.find(workspace, names)]

    def named(self, which: list[int]) -> list[LeaseRef]:
        return list(dict.fromkeys(self.leases[pick] for pick in which if pick < len(self.leases)))

    def contents(self) -> list[object]:
        store = self.store
        rows: list[object] = [store.next_expiry(), sorted(store.workers())]
        for workspace in WORKSPACES:
            rows += [[plain(found) for found in store.get(workspace, names)] for names in (IDS[:1], IDS, ())]
            for job in (None, *JOBS):
                whole = store.page(workspace, job, Position(), 100)
                rows.append([plain(execution) for execution in whole])
                rows.append([plain(execution) for execution in store.page(workspace, job, Position(offset=1), 2)])
                if len(whole) > 1:
                    rows.append([plain(execution) for execution in store.page(workspace, job, Position(after=whole[1].seq), 2)])
            for execution in store.page(workspace, None, Position(), 100):
                for after in (-1, 0):
                    rows.append([plain_task(task) for task in store.tasks(workspace, execution.seq, after, 2)])
                    rows.append([replace(event, execution=0) for event in store.events(workspace, execution.seq, after + 1, 5)])
        return rows


def plain(execution: Execution) -> Execution:
    return replace(execution, seq=0)


def plain_task(task: Task) -> Task:
    return replace(task, seq=0, execution=0)


def pairs(found: list[tuple[Task, Execution]]) -> list[tuple[Task, Execution]]:
    return [(plain_task(task), plain(execution)) for task, execution in found]


def without_repeats(batch: list[tuple[Execution, list[Task]]]) -> list[tuple[Execution, list[Task]]]:
    """The contract of insert: no id and no (job, key) twice in one call."""
    seen: set[tuple[str | None, ...]] = set()
    kept = []
    for execution, tasks in batch:
        marks: set[tuple[str | None, ...]] = {(execution.workspace, execution.id)}
        if execution.idempotency_key is not None:
            marks.add((execution.workspace, execution.job, execution.idempotency_key))
        if not marks & seen:
            seen |= marks
            kept.append((execution, tasks))
    return kept


def call(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[str, tuple[object, ...]]]:
    return st.tuples(st.just(name), st.tuples(*arguments))


calls = st.one_of(
    call("insert", st.lists(news, min_size=1, max_size=4).map(without_repeats)),
    call("claim", workspaces, jobs, limits, st.sampled_from(["x", "y"]), instants),
    call("look", workspaces, jobs, limits),
    call("report", picks, st.sampled_from(OUTCOMES), instants),
    call("extend", picks, instants),
    call("recover", instants, st.lists(st.sampled_from(["x", "y"]), max_size=2), limits),
    call("cancel", workspaces, st.sampled_from(IDS)),
    call("find", workspaces, st.lists(st.sampled_from(IDS), max_size=3)),
)
transactions = st.lists(st.tuples(st.lists(calls, min_size=1, max_size=5), st.integers(0, 4).map(bool)), min_size=1, max_size=12)


@cache
def empty_database() -> bytes:
    """A file with tables and nothing in them: making them anew for each example would take most of the time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.db"
        SQLiteStore(path).close()
        return path.read_bytes()


@pytest.fixture(scope="module")
def open_sqlite() -> Iterator[Callable[[], JobStore]]:
    folder = Path(tempfile.mkdtemp())
    numbers = count()

    def open_next() -> JobStore:
        path = folder / f"{next(numbers)}.db"
        path.write_bytes(empty_database())
        return SQLiteStore(path)

    yield open_next
    shutil.rmtree(folder)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sequence=transactions)
def test_invariant_16_stores_agree(
    open_sqlite: Callable[[], JobStore], sequence: list[tuple[list[tuple[str, tuple[object, ...]]], bool]]
) -> None:
    worlds = [World(MemoryJobStore()), World(open_sqlite())]
    try:
        for calls_, commit in sequence:
            before = [world.contents() for world in worlds]
            one, other = (world.run(calls_, commit) for world in worlds)
            assert one == other
            after = [world.contents() for world in worlds]
            assert after[0] == after[1]
            if not commit:
                assert after == before
    finally:
        for world in worlds:
            world.store.close()
