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
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import BOUND, UNSAID, Execution, Failure, LeaseRef, Policy, Progress, Signal, Step, Task
from blaxel_jobs.core.reports import Completed, LogLine, Released
from blaxel_jobs.core.states import Claimed, Ended, Lost, Retried, Suspended, TaskEvent
from blaxel_jobs.errors import IllegalTransition
from blaxel_jobs.stores.base import ALL, JobStore, Position, Tally, Transaction, Where
from blaxel_jobs.stores.memory import MemoryJobStore
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.words import FailureKind, JobStatus, WaitingFor

from .samples import EVER, New, a_definition, a_signal, a_step, a_tally, move, new, tallies

WORKSPACES = ("w1", "w2")
JOBS = ("a", "b", "c")
KEYS = ("k1", "k2")
BATCHES = ("b1", "b2")
IDS = tuple(f"e{number}" for number in range(8))
FAILURE = Failure(FailureKind.ERROR, "E", "m")
OUTCOMES: tuple[TaskEvent, ...] = (
    Completed("1"), Ended(FAILURE), Released(), Lost("worker_dead", 1), Retried(FAILURE, 6.0), Suspended(7.0),
    Suspended(None, "go"), Suspended(8.0, "go"),
)  # fmt: skip
VERBS = {
    "start": (states.start, (JobStatus.PENDING,)), "pause": (states.pause, (JobStatus.PENDING, JobStatus.RUNNING)),
    "resume": (states.resume, (JobStatus.PAUSED,)), "cancel": (states.cancel, states.OPEN), "expire": (states.expire, states.OPEN),
    "retry": (states.retry, (JobStatus.FAILED, JobStatus.CANCELLED)),
}  # fmt: skip
WAITS = (
    (None, None), (None, None), (WaitingFor.TIME, 3.0), (WaitingFor.START, None), (WaitingFor.CONCURRENCY, None),
    (WaitingFor.WORKER, None),
)  # fmt: skip
FIELDS: tuple[dict[str, Any], ...] = (
    {}, {"slot": True}, {"slot": False}, {"deadline": 4.0}, {"deadline": 9.0}, {"deadline": None}, {"progress": Progress(1.0)},
    {"policy": BOUND}, {"slot": True, "deadline": 5.0},
)  # fmt: skip
WHERES = (
    ALL, *(Where(job=job) for job in JOBS), *(Where(batch=batch) for batch in BATCHES),
    *(Where(statuses=(status,)) for status in JobStatus), Where(statuses=states.OPEN), Where("b", states.OPEN),
    Where("a", (JobStatus.FAILED, JobStatus.CANCELLED)), Where(statuses=()), Where(statuses=(JobStatus.RUNNING, JobStatus.FAILED)),
    Where("a", (JobStatus.PENDING, JobStatus.CANCELLED)), Where(statuses=(JobStatus.COMPLETED, JobStatus.RUNNING)),
    Where("a", (JobStatus.PENDING, JobStatus.COMPLETED), "b1"),
)  # fmt: skip

workspaces = st.sampled_from(WORKSPACES)
some_jobs = st.sampled_from(JOBS)
keys = st.none() | st.sampled_from(KEYS)
jobs = st.none() | st.lists(some_jobs, max_size=3)
ids = st.sampled_from(IDS)
limits = st.integers(1, 4)
instants = st.integers(1, 30).map(float)
picks = st.lists(st.integers(0, 9), max_size=4)
places = st.integers(0, 3)


@st.composite
def executions(draw: st.DrawFn) -> New:
    wait, until = draw(st.sampled_from(WAITS))
    return new(
        draw(ids), job=draw(some_jobs), workspace=draw(workspaces), priority=draw(st.integers(0, 3)), tasks=draw(st.integers(1, 3)),
        key=draw(st.none() | st.sampled_from(["k1", "k2", "k3"])), wait=wait, until=until, lazy=draw(st.booleans()),
        batch=draw(st.none() | st.sampled_from(BATCHES)), concurrency_key=draw(keys),
        policy=draw(st.sampled_from([UNSAID, BOUND, Policy(bound=True, timeout=5.0)])),
    )  # fmt: skip


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

    def insert(self, transaction: Transaction, batch: list[New]) -> object:
        return [existing and plain(existing) for existing in transaction.insert(batch)]

    def claim(
        self,
        transaction: Transaction,
        workspace: str,
        jobs: list[str] | None,
        limit: int,
        name: str | None,
        worker: str,
        until: float,
    ) -> object:
        found = transaction.claimable(workspace, jobs, limit, name)
        tasks = move(transaction, found, Claimed(worker, until))
        self.leases += [task.lease for task in tasks]
        return pairs(found), [plain_task(task) for task in tasks]

    def look(self, transaction: Transaction, workspace: str, jobs: list[str] | None, limit: int, name: str | None) -> object:
        return pairs(transaction.claimable(workspace, jobs, limit, name))

    def report(self, transaction: Transaction, workspace: str | None, which: list[int], event: TaskEvent, now: float) -> object:
        found = transaction.held(workspace, self.named(which))
        move(transaction, found, event, now)
        return pairs(found)

    def note(self, transaction: Transaction, which: list[int], now: float) -> object:
        found = transaction.held(None, self.named(which))[:1]
        for task, execution in found:
            after, noted, events = states.note(execution, task, Progress(now), [LogLine("info", "m")], now)
            transaction.save([after], [noted], events)
        return pairs(found), [transaction.lines(execution.seq, task.id) for task, execution in found]

    def journal(self, transaction: Transaction, which: list[int], name: str, kind: Any, at: float) -> object:
        found = transaction.held(None, self.named(which))
        transaction.save([], [], [], [a_step(task, name, kind=kind, at=at, due_at=at + 1) for task, _ in found])
        return [plain_step(step) for step in transaction.steps([task.seq for task, _ in found])]

    def send(self, transaction: Transaction, workspace: str, name: str, id: str, taken: bool, at: float) -> object:
        found = transaction.find(workspace, [name])
        transaction.save([], [], [], (), [a_signal(execution, id, taken=taken, at=at) for execution in found])
        return [plain_signal(signal) for execution in found for signal in transaction.signals(execution.seq)]

    def extend(self, transaction: Transaction, workspace: str | None, which: list[int], until: float) -> object:
        found = transaction.extend(workspace, self.named(which), until)
        return sorted((self.leases.index(ref), paused) for ref, paused in found.items())

    def tick(self, transaction: Transaction, now: float, dead: str | None, limit: int) -> object:
        found = transaction.due(now, dead, limit)
        move(transaction, [pair for pair in found if pair[0].status is JobStatus.RUNNING], Lost("lease_expired", 2), now)
        for task, execution in found:
            if task.status is JobStatus.PENDING:
                self.wait(transaction, execution.workspace, execution.id, states.Woken(), task.index)
        return pairs(found), [plain(execution) for execution in transaction.overdue(now, limit)]

    def wait(self, transaction: Transaction, workspace: str, name: str, event: states.Woken | states.Parked, index: int) -> object:
        for execution in transaction.find(workspace, [name]):
            for task in transaction.tasks_in(execution.seq, (JobStatus.PENDING,)):
                if task.index == index and (task.ready or type(event) is states.Woken):
                    after, moved = states.move(execution, task, event, 5.0)
                    transaction.save([after], [moved], [])
                    return plain(after), plain_task(moved)
        return None

    def steer(self, transaction: Transaction, workspace: str, name: str, verb: str, now: float) -> object:
        change, statuses = VERBS[verb]
        for execution in transaction.find(workspace, [name]):
            tasks = transaction.tasks_in(execution.seq, statuses)
            try:
                whole = change(execution, tasks, now)
            except IllegalTransition as error:
                return str(error)
            transaction.save([whole.execution], whole.tasks, [whole.event] if whole.event else [])
            return [plain_task(task) for task in tasks], plain(whole.execution)
        return None

    def change(self, transaction: Transaction, workspace: str, name: str, fields: dict[str, Any]) -> object:
        found = [execution for execution in transaction.find(workspace, [name]) if not execution.done]
        transaction.save([replace(execution, **fields) for execution in found], [], [])
        return [plain(execution) for execution in found]

    def remove(self, transaction: Transaction, workspace: str, names: list[str]) -> object:
        found = transaction.find(workspace, names)
        transaction.remove([execution.seq for execution in found])
        return [plain(execution) for execution in found]

    def find(self, transaction: Transaction, workspace: str, names: list[str]) -> object:
        return [plain(execution) for execution in transaction.find(workspace, names)]

    def limits(self, transaction: Transaction, workspace: str, job: str, key: str | None, limit: int) -> object:
        keyed = [] if key is None else transaction.keyed(workspace, job, key)
        parked = transaction.parked(workspace, job, key, limit)
        return transaction.holders(workspace, job, key), [plain(execution) for execution in (*parked, *keyed)]

    def define(self, transaction: Transaction, workspace: str, job: str, at: float) -> object:
        return transaction.define(a_definition(job, workspace, updated_at=at))

    def count(self, transaction: Transaction, counted: list[Tally]) -> object:
        return transaction.count(counted)

    def forget(self, transaction: Transaction, before: int) -> object:
        return tallies(transaction.forget_tallies(before))

    def all(self, transaction: Transaction) -> list[Execution]:
        return [execution for workspace in WORKSPACES for execution in transaction.find(workspace, IDS)]

    def named(self, which: list[int]) -> list[LeaseRef]:
        return list(dict.fromkeys(self.leases[pick] for pick in which if pick < len(self.leases)))

    def contents(self) -> list[object]:
        store = self.store
        rows: list[object] = [store.next_due(), sorted(store.backlog(), key=repr), sorted(store.definitions(), key=repr)]
        rows.append(tallies(store.tallies()))
        for workspace in WORKSPACES:
            rows += [[plain(found) for found in store.get(workspace, names)] for names in (IDS[:1], IDS, ())]
            for where in WHERES:
                whole = store.page(workspace, where, Position(), 100)
                rows.append([plain(execution) for execution in whole])
                rows.append([plain(execution) for execution in store.page(workspace, where, Position(offset=1), 2)])
                if len(whole) > 1:
                    rows.append([plain(execution) for execution in store.page(workspace, where, Position(after=whole[1].seq), 2)])
            for execution in store.page(workspace, ALL, Position(), 100):
                for after in (-1, 0):
                    rows.append([plain_task(task) for task in store.tasks(workspace, execution.seq, after, 2)])
                    rows.append([replace(event, execution=0) for event in store.events(workspace, execution.seq, after + 1, 5)])
                    rows.append([(name, plain_step(step)) for name, step in store.steps(workspace, execution.seq, after + 1, 9)])
        with store.begin() as transaction:
            rows.append(pairs(transaction.due(EVER, "", 100)))
            rows.append([plain(execution) for execution in transaction.overdue(EVER, 100)])
            for execution in self.all(transaction):
                rows.append([plain_signal(signal) for signal in transaction.signals(execution.seq)])
                rows.append(pairs(transaction.claimable(execution.workspace, None, 9, execution.id)))
        return rows


def plain(execution: Execution) -> Execution:
    return replace(execution, seq=0)


def plain_task(task: Task) -> Task:
    return replace(task, seq=0, execution=0)


def plain_step(step: Step) -> Step:
    return replace(step, task=0)


def plain_signal(signal: Signal) -> Signal:
    return replace(signal, execution=0)


def pairs(found: list[tuple[Task, Execution]]) -> list[tuple[Task, Execution]]:
    return [(plain_task(task), plain(execution)) for task, execution in found]


def without_repeats(batch: list[New]) -> list[New]:
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
    call("insert", st.lists(executions(), min_size=1, max_size=4).map(without_repeats)),
    call("claim", workspaces, jobs, limits, st.none() | ids, st.sampled_from(["x/1", "y/1"]), instants),
    call("look", workspaces, jobs, limits, st.none() | ids),
    call("report", st.none() | workspaces, picks, st.sampled_from(OUTCOMES), instants),
    call("note", picks, instants),
    call("journal", picks, st.sampled_from(["s1", "s2", "s3"]), st.sampled_from(["value", "wait"]), instants),
    call("send", workspaces, ids, st.sampled_from(["i1", "i2"]), st.booleans(), instants),
    call("extend", st.none() | workspaces, picks, instants),
    call("tick", instants, st.sampled_from([None, None, "x/", ""]), limits),
    call("wait", workspaces, ids, st.sampled_from([states.Woken(), states.Parked()]), places),
    call("steer", workspaces, ids, st.sampled_from(list(VERBS)), instants),
    call("change", workspaces, ids, st.sampled_from(FIELDS)),
    call("remove", workspaces, st.lists(ids, max_size=2)),
    call("find", workspaces, st.lists(ids, max_size=3)),
    call("limits", workspaces, some_jobs, keys, limits),
    call("define", workspaces, some_jobs, instants),
    call("count", st.lists(st.builds(a_tally, st.integers(0, 5), some_jobs, workspaces, n=instants), max_size=2)),
    call("forget", st.integers(0, 6)),
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


@settings(max_examples=100)
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
