"""The store in memory: whatever happens, its indexes find what a look at every record finds, and what raises leaves nothing."""

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import Definition, Event, Execution, Failure, LeaseRef, NewTasks, Policy, Signal, Spec, Step, Task
from blaxel_jobs.core.reports import Completed, Released
from blaxel_jobs.stores.base import ALL, Backlog, Position, Tally, Transaction, Where
from blaxel_jobs.stores.memory import MemoryJobStore
from blaxel_jobs.stores.memory_indexes import Runs
from blaxel_jobs.words import FailureKind, JobStatus, WaitingFor

WORKSPACES = ("w1", "w2")
JOBS = ("a", "b")
KEYS = ("k1", "k2")
IDS = tuple(f"e{number}" for number in range(5))
FAILURE = Failure(FailureKind.ERROR, "E", "m")
PENDING, RUNNING, PAUSED, *_ = JobStatus
WAITS = (
    (None, None),
    (None, None),
    (WaitingFor.START, None),
    (WaitingFor.TIME, 7.0),
    (WaitingFor.CONCURRENCY, None),
)


Call = tuple[str, tuple[Any, ...]]
"""A method of World, and what it is given."""


class Stop(Exception):
    """Ends a transaction without a commit."""


def new(
    name: str,
    *,
    job: str = "a",
    workspace: str = "w1",
    priority: int = 2,
    tasks: int = 1,
    wait: tuple[WaitingFor | None, float | None] = (None, None),
    lazy: bool = True,
    **fields: Any,
) -> tuple[Execution, Sequence[Task]]:
    execution = Execution(
        workspace=workspace, id=name, job=job, priority=priority, total=tasks, created_at=1.0, updated_at=1.0, waiting_for=wait[0],
        wait_until=wait[1], spec=Spec(), **fields,
    )  # fmt: skip
    made = NewTasks(execution, [f'"{name} {index}"' for index in range(tasks)])
    return execution, made if lazy else list(made)


def add(store: MemoryJobStore, *news: tuple[Execution, Sequence[Task]]) -> None:
    with store.begin() as transaction:
        assert transaction.insert(news) == [None] * len(news)


def move(
    transaction: Transaction, pairs: Iterable[tuple[Task, Execution]], event: states.TaskEvent, now: float = 2.0
) -> list[Task]:
    executions: dict[int, Execution] = {}
    tasks: list[Task] = []
    events: list[Event] = []
    for task, loaded in pairs:
        change = states.step(executions.get(loaded.seq, loaded), task, event, now)
        executions[loaded.seq] = change.execution
        tasks.append(change.task)
        events.append(change.event)
    transaction.save(executions.values(), tasks, events)
    return tasks


def claim(store: MemoryJobStore, limit: int = 1, execution: str | None = None, until: float = 10.0) -> list[Task]:
    with store.begin() as transaction:
        return move(transaction, transaction.claimable("w1", None, limit, execution), states.Claimed("x", until))


def whole_of(transaction: Transaction, verb: str, execution: Execution, now: float) -> None:
    """One of the verbs on whole executions, where it is allowed."""
    wanted = (JobStatus.FAILED, JobStatus.CANCELLED) if verb == "retry" else states.OPEN
    if execution.done is not (verb == "retry") or (verb == "retry" and execution.status is not JobStatus.FAILED):
        return
    done = getattr(states, verb)(execution, transaction.tasks_in(execution.seq, wanted), now)
    transaction.save([done.execution], done.tasks, [] if done.event is None else [done.event])


class World:
    """A store, and the leases that were got from it."""

    def __init__(self) -> None:
        self.store = MemoryJobStore()
        self.leases: list[LeaseRef] = []

    def run(self, calls: list[Call], commit: bool) -> None:
        leases = list(self.leases)
        try:
            with self.store.begin() as transaction:
                for name, arguments in calls:
                    getattr(self, name)(transaction, *arguments)
                check(self.store, transaction)
                if not commit:
                    raise Stop
        except Stop:
            self.leases = leases

    def insert(self, transaction: Transaction, execution: Execution, tasks: Sequence[Task]) -> None:
        there = self.store.page(execution.workspace, ALL, Position(), 1000)
        same_key = [each for each in there if each.job == execution.job and each.idempotency_key == execution.idempotency_key]
        same = [each for each in there if each.id == execution.id] or (same_key if execution.idempotency_key else [])
        assert transaction.insert([(execution, tasks)]) == [same[0] if same else None]

    def claim(
        self, transaction: Transaction, workspace: str, jobs: Any, limit: int, name: str | None, until: float, slot: bool
    ) -> None:
        tasks = move(transaction, transaction.claimable(workspace, jobs, limit, name), states.Claimed("host:x", until))
        self.leases += [task.lease for task in tasks]
        for seq in dict.fromkeys(task.execution for task in tasks if slot):
            (execution,) = (found for found in transaction.find(workspace, IDS) if found.seq == seq)
            transaction.save([replace(execution, slot=True)], [], [])

    def look(self, transaction: Transaction, workspace: str, jobs: Any, limit: int, name: str | None) -> None:
        transaction.claimable(workspace, jobs, limit, name)

    def report(self, transaction: Transaction, which: list[int], event: states.TaskEvent) -> None:
        found = transaction.held(None, self.named(which))
        move(transaction, found, event, 3.0)
        steps = [Step(task=task.seq, name=f"s{place}", kind="value", at=3.0, value="1") for place, (task, _) in enumerate(found)]
        transaction.save([], [], [], steps)

    def extend(self, transaction: Transaction, workspace: str | None, which: list[int], until: float) -> None:
        refs = self.named(which)
        running = {task.lease: execution for task, execution in transaction.due(0.0, "host:", 1000)}
        held = {ref: running[ref] for ref in refs if ref in running and workspace in (None, running[ref].workspace)}
        assert [(task.lease, each) for task, each in transaction.held(workspace, refs)] == sorted(held.items(), key=by_task)
        assert transaction.extend(workspace, refs, until) == {ref: execution.paused for ref, execution in held.items()}

    def wake(self, transaction: Transaction, now: float, limit: int) -> None:
        for task, execution in transaction.due(now, None, limit):
            newest = transaction.find(execution.workspace, [execution.id])[0]
            if task.status is RUNNING:
                move(transaction, [(task, newest)], states.Lost("lease_expired", 1), now)
            else:
                after, woken = states.move(newest, task, states.Woken(), now)
                transaction.save([after], [woken], [])

    def park(self, transaction: Transaction, workspace: str, name: str) -> None:
        for execution in transaction.find(workspace, [name]):
            for task in transaction.tasks_in(execution.seq, [PENDING]):
                if task.ready and not execution.slot:
                    newest = transaction.find(workspace, [name])[0]
                    after, parked = states.move(newest, task, states.Parked(), 4.0)
                    transaction.save([after], [parked], [])

    def whole(self, transaction: Transaction, workspace: str, name: str, verb: str) -> None:
        for execution in transaction.find(workspace, [name]):
            whole_of(transaction, verb, execution, 5.0)

    def remove(self, transaction: Transaction, workspace: str, names: list[str]) -> None:
        seqs = [execution.seq for execution in transaction.find(workspace, names)]
        tasks = [task.seq for seq in seqs for task in transaction.tasks_in(seq, tuple(JobStatus))]
        transaction.remove([*seqs, 10**6])
        assert transaction.find(workspace, names) == []
        assert transaction.steps(tasks) == []
        assert [signal for seq in seqs for signal in transaction.signals(seq)] == []
        for seq in seqs:
            assert self.store.tasks(workspace, seq, -1, 10) == []
            assert self.store.events(workspace, seq, 0, 10) == []

    def note(self, transaction: Transaction, workspace: str, name: str, id: str) -> None:
        for execution in transaction.find(workspace, [name]):
            after, event = states.signalled(execution, "go", 6.0)
            signal = Signal(execution=execution.seq, id=id, name="go", payload="1", at=6.0)
            transaction.save([after], [], [event], [], [signal])

    def keep(self, transaction: Transaction, job: str, minute: int, before: int) -> None:
        transaction.define(Definition(workspace="w1", job=job, priority=minute))
        transaction.count([Tally("w1", job, "s", minute, {"created": 1.0})])
        assert all(tally.minute < before for tally in transaction.forget_tallies(before))

    def named(self, which: list[int]) -> list[LeaseRef]:
        """The newest are the likeliest to hold."""
        return [self.leases[-1 - pick] for pick in which if pick < len(self.leases)]

    def contents(self) -> list[object]:
        """All that can be read."""
        store = self.store
        rows: list[object] = [store.definitions(), store.tallies(), store.backlog(), store.next_due()]
        with store.begin() as transaction:
            for workspace in WORKSPACES:
                rows.append(transaction.claimable(workspace, None, 100))
                for execution in store.page(workspace, ALL, Position(), 100):
                    tasks = store.tasks(workspace, execution.seq, -1, 100)
                    steps = transaction.steps([task.seq for task in tasks])
                    listed = store.steps(workspace, execution.seq, 0, 100)
                    assert [step for _, step in listed] == [replace(step, value=None) for step in steps]
                    rows += [execution, tasks, steps, store.events(workspace, execution.seq, 0, 100)]
                    rows += [transaction.signals(execution.seq), transaction.claimable(workspace, None, 100, execution.id)]
            check(store, transaction)
        return rows


def by_task(item: tuple[LeaseRef, object]) -> int:
    return item[0].task


def check(store: MemoryJobStore, transaction: Transaction) -> None:
    """Ask everything that an index answers, and compare it with a look at every record."""
    everything: list[tuple[Task, Execution]] = []
    executions: list[Execution] = []
    for workspace in WORKSPACES:
        newest = store.page(workspace, ALL, Position(), 1000)
        assert [execution.seq for execution in newest] == sorted((each.seq for each in newest), reverse=True)
        executions += reversed(newest)
        mine = [(task, each) for each in reversed(newest) for task in store.tasks(workspace, each.seq, -1, 1000)]
        everything += mine
        check_claimable(transaction, workspace, mine)
        check_pages(store, workspace, newest)
        for job in JOBS:
            for key in (None, *KEYS):
                check_gate(transaction, workspace, job, key, [each for each in reversed(newest) if each.job == job])
    check_due(store, transaction, everything, executions)
    assert store.backlog() == backlog_of(task for task, _ in everything)


def check_claimable(transaction: Transaction, workspace: str, mine: list[tuple[Task, Execution]]) -> None:
    ready = sorted((pair for pair in mine if pair[0].ready), key=lambda pair: (pair[0].priority, pair[0].seq))
    for jobs in (None, ["a"], ["b", "a", "b"], []):
        wanted = [pair for pair in ready if jobs is None or pair[0].job in jobs]
        assert transaction.claimable(workspace, jobs, 1000) == wanted
        assert transaction.claimable(workspace, jobs, 2) == wanted[:2]
        assert transaction.claimable(workspace, jobs, 1000, "e0") == [pair for pair in wanted if pair[1].id == "e0"]
    for _ in range(2):
        assert transaction.claimable(workspace, None, 2, "e1") == [pair for pair in ready if pair[1].id == "e1"][:2]
    assert transaction.claimable(workspace, None, 3) == ready[:3]


def check_pages(store: MemoryJobStore, workspace: str, newest: list[Execution]) -> None:
    for job in (None, "a"):
        for batch in (None, "b1"):
            for statuses in (None, (), (PENDING, JobStatus.FAILED), (JobStatus.COMPLETED, JobStatus.CANCELLED), (RUNNING, PAUSED)):
                found = [
                    each
                    for each in newest
                    if job in (None, each.job) and batch in (None, each.batch) and (statuses is None or each.status in statuses)
                ]
                where = Where(job, statuses, batch)
                assert store.page(workspace, where, Position(), 1000) == found
                assert store.page(workspace, where, Position(offset=1), 2) == found[1:3]
                if found:
                    assert store.page(workspace, where, Position(found[0].seq, 1), 2) == found[2:4]


def check_gate(transaction: Transaction, workspace: str, job: str, key: str | None, of_job: list[Execution]) -> None:
    mine = [each for each in of_job if key in (None, each.concurrency_key)]
    assert transaction.holders(workspace, job, key) == sum(each.slot for each in mine)
    parked = [each for each in mine if each.status is PENDING and each.waiting_for is WaitingFor.CONCURRENCY]
    parked.sort(key=lambda each: (each.priority, each.seq))
    assert transaction.parked(workspace, job, key, 100) == parked
    assert transaction.parked(workspace, job, key, 1) == parked[:1]
    if key is not None:
        still = [each for each in mine if not each.done]
        fresh = [each for each in still if each.status is PENDING and each.started_at is None]
        found = transaction.keyed(workspace, job, key)
        assert found == fresh[:1] if fresh else len(found) == min(1, len(still)) and found[0:1] == [x for x in still if x in found]


def check_due(
    store: MemoryJobStore, transaction: Transaction, everything: list[tuple[Task, Execution]], executions: list[Execution]
) -> None:
    live = [pair for pair in everything if pair[0].status in (PENDING, RUNNING) and pair[0].due_at is not None]
    live.sort(key=lambda pair: (pair[0].due_at, pair[0].seq))
    deadlines = sorted((each for each in executions if each.deadline is not None), key=lambda each: (each.deadline, each.seq))
    for now in (0.0, 7.0, 12.0, 100.0):
        due = [pair for pair in live if pair[0].due_at <= now]
        with_dead = [pair for pair in live if pair[0].due_at <= now or pair[0].status is RUNNING]
        assert transaction.due(now, None, 1000) == due
        assert transaction.due(now, None, 2) == due[:2]
        assert transaction.due(now, "other:", 1000) == due
        assert transaction.due(now, "host:", 1000) == with_dead
        assert transaction.due(now, "host:", 2) == with_dead[:2]
        late = [each for each in deadlines if each.deadline <= now]
        assert transaction.overdue(now, 1000) == late
        assert transaction.overdue(now, 1) == late[:1]
    instants = [at for at in (*(task.due_at for task, _ in live), *(each.deadline for each in deadlines)) if at is not None]
    assert store.next_due() == min(instants, default=None)


def backlog_of(tasks: Iterable[Task]) -> list[Backlog]:
    def group(task: Task) -> tuple[str, str, JobStatus]:
        return task.workspace, task.job, task.status

    standing = sorted((task for task in tasks if not task.done), key=group)
    groups = [(key, list(members)) for key, members in groupby(standing, group)]
    return [Backlog(*key, len(members), min(task.created_at for task in members)) for key, members in groups]


OUTCOMES: tuple[states.TaskEvent, ...] = (
    Completed("1"),
    Completed("2"),
    states.Ended(FAILURE),
    states.Retried(FAILURE, 8.0),
    states.Suspended(9.0),
    states.Suspended(None, "go"),
    Released(),
    states.Lost("worker_dead", 1),
)
VERBS = ("start", "pause", "pause", "resume", "resume", "resume", "resume", "retry", "retry", "cancel", "expire")


class Dice:
    """Draws calls, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._often = {
            self._insert: 6, self._claim: 5, self._look: 1, self._report: 5, self._extend: 1, self._wake: 2, self._park: 1,
            self._whole: 6, self._remove: 1, self._note: 1, self._keep: 1,
        }  # fmt: skip

    def transaction(self) -> tuple[list[Call], bool]:
        kinds = self._random.choices(list(self._often), list(self._often.values()), k=self._random.randint(1, 6))
        return [kind() for kind in kinds], self._random.random() < 0.8

    def _one(self, *of: Any) -> Any:
        return self._random.choice(of)

    def _some(self, of: Sequence[Any], most: int) -> list[Any]:
        return self._random.sample(of, self._random.randint(0, most))

    def _workspace(self) -> str:
        return self._random.choices(WORKSPACES, (6, 1))[0]

    def _instant(self) -> float:
        return float(self._random.randint(2, 20))

    def _insert(self) -> Call:
        execution, tasks = new(
            self._one(*IDS), job=self._one(*JOBS), workspace=self._workspace(), priority=self._random.randint(0, 2),
            tasks=self._random.randint(1, 3), wait=self._one(*WAITS), lazy=self._one(True, False),
            idempotency_key=self._one(None, None, "i1", "i2"), concurrency_key=self._one(None, *KEYS),
            batch=self._one(None, "b1", "b2"), policy=self._one(Policy(), Policy(timeout=6.0)),
        )  # fmt: skip
        return "insert", (execution, tasks)

    def _claim(self) -> Call:
        jobs = self._one(None, None, self._some(JOBS, 2))
        name = self._one(None, None, self._one(*IDS))
        return "claim", (self._workspace(), jobs, self._random.randint(1, 4), name, self._instant(), self._one(True, False))

    def _look(self) -> Call:
        return "look", (self._workspace(), self._one(None, JOBS), self._random.randint(1, 4), self._one(None, *IDS))

    def _report(self) -> Call:
        return "report", (self._some(range(40), 12), self._one(*OUTCOMES))

    def _extend(self) -> Call:
        return "extend", (self._one(None, *WORKSPACES), self._some(range(40), 12), self._instant())

    def _wake(self) -> Call:
        return "wake", (self._instant(), self._random.randint(1, 4))

    def _park(self) -> Call:
        return "park", (self._workspace(), self._one(*IDS))

    def _whole(self) -> Call:
        return "whole", (self._workspace(), self._one(*IDS), self._one(*VERBS))

    def _remove(self) -> Call:
        return "remove", (self._workspace(), self._some(IDS, 2))

    def _note(self) -> Call:
        return "note", (self._workspace(), self._one(*IDS), self._one("s1", "s2"))

    def _keep(self) -> Call:
        return "keep", (self._one(*JOBS), self._random.randint(0, 5), self._random.randint(0, 5))


@pytest.mark.parametrize("seed", range(30))
def test_indexes_find_what_a_look_at_every_record_finds(seed: int) -> None:
    world, dice = World(), Dice(seed)
    before = world.contents()
    for _ in range(60):
        calls, commit = dice.transaction()
        world.run(calls, commit)
        after = world.contents()
        if not commit:
            assert after == before
        before = after


def test_what_waits_is_due_again_after_a_pause() -> None:
    store = MemoryJobStore()
    add(store, new("a", wait=(WaitingFor.TIME, 7.0), tasks=2))
    assert store.next_due() == 7.0
    with store.begin() as transaction:
        whole_of(transaction, "pause", transaction.find("w1", ["a"])[0], 2.0)
        assert transaction.due(100.0, "", 10) == []
    assert store.next_due() is None
    with store.begin() as transaction:
        whole_of(transaction, "resume", transaction.find("w1", ["a"])[0], 3.0)
        assert [task.index for task, _ in transaction.due(7.0, None, 10)] == [0, 1]
    assert store.next_due() == 7.0


def test_leases_that_are_extended_again_and_again_leave_nothing_behind() -> None:
    store = MemoryJobStore()
    add(store, new("a", tasks=20))
    leases = [task.lease for task in claim(store, 20)]

    def extend(times: Iterable[int]) -> None:
        for instant in times:
            with store.begin() as transaction:
                transaction.extend(None, leases, 10.0 + instant)

    extend(range(1000))
    assert grown_by(lambda: extend(range(1000, 3000))) < 100_000
    assert store.next_due() == 3009.0
    with store.begin() as transaction:
        assert [task.index for task, _ in transaction.due(3009.0, None, 100)] == list(range(20))


def test_what_is_removed_is_forgotten() -> None:
    store = MemoryJobStore()
    add(store, new("first", priority=0, concurrency_key="mine"))

    def live(names: Iterable[str]) -> None:
        """Nobody ever asks for the first of the job, so that no claim clears the heap."""
        for name in names:
            made = new(
                name, tasks=3, idempotency_key=name, concurrency_key=name, batch=name, slot=True, deadline=99.0, workspace="w2",
            )  # fmt: skip
            add(store, made)
            with store.begin() as transaction:
                (execution,) = transaction.find("w2", [name])
                tasks = move(transaction, transaction.claimable("w2", None, 1, name), states.Claimed("x", 10.0))
                signal = Signal(execution=execution.seq, id="s", name="go", payload="1", at=2.0)
                step = Step(task=tasks[0].seq, name="s", kind="value", at=2.0, value="1")
                transaction.save([], [], [], [step], [signal])
            with store.begin() as transaction:
                whole_of(transaction, "cancel", transaction.find("w2", [name])[0], 3.0)
                transaction.remove([execution.seq])

    live(f"e{number}" for number in range(2000))
    assert grown_by(lambda: live(f"f{number}" for number in range(4000))) < 400_000
    assert [execution.id for execution in store.page("w1", ALL, Position(), 10)] == ["first"]
    assert store.page("w2", ALL, Position(), 10) == []


def test_an_execution_that_is_claimed_alone_is_not_searched_from_its_start_every_time() -> None:
    store = MemoryJobStore()
    add(store, new("other", priority=0), new("a", tasks=20_000))
    started = time.perf_counter()
    for first in range(0, 20_000, 50):
        assert [task.index for task in claim(store, 50, "a")] == list(range(first, first + 50))
    assert time.perf_counter() - started < 10.0
    assert claim(store, 1, "a") == []
    assert [task.input for task in claim(store, 5)] == ['"other 0"']


def test_a_heap_drops_what_no_longer_counts() -> None:
    standing = dict.fromkeys(range(10_000), 1.0)
    runs = Runs(lambda run: standing.get(run[1]) == run[0])
    runs.push((1.0, 0, 9_000, 1))
    for number in range(9_000, 10_000):
        runs.push((1.0, number, number + 1, 1))
    for number in [*range(8_990), *range(9_001, 10_000)]:
        del standing[number]
    for _ in range(3_000):
        runs.push((2.0, 5, 6, 1))
    assert [run[1] for run in runs.until(3.0, 100)] == [*range(8_990, 9_001)]
    assert runs.until(0.5, 100) == []
    assert runs.first() == (1.0, 8_990, 8_991, 1)


def grown_by(work: Callable[[], None]) -> int:
    """Bytes that are held after the work and were not before."""
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
