"""What a store remembers of running tasks is what the file says, whoever wrote it last."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import Failure, LeaseRef, Spec
from blaxel_jobs.core.states import OPEN, Claimed, Lost, Retried, Woken, pause
from blaxel_jobs.errors import Unavailable
from blaxel_jobs.stores.base import Transaction
from blaxel_jobs.stores.sql import known
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.words import FailureKind
from tests.chaos.processes import Program
from tests.clocks import ManualClock

from .hammer import Hammer
from .samples import WORKSPACE, add, apply, claim, due, move, new, report


@pytest.fixture
def store(sqlite: SQLiteStore) -> SQLiteStore:
    return sqlite


@pytest.fixture
def other(path: Path, store: SQLiteStore) -> Iterator[SQLiteStore]:
    """Another connection to the same file, as another process has one."""
    opened = SQLiteStore(path, busy_timeout=5.0)
    yield opened
    opened.close()


def reads(store: SQLiteStore, look: Callable[[Transaction], object]) -> int:
    """How many statements read tasks for this, in a transaction of its own."""
    statements: list[str] = []
    with store.begin() as transaction:
        assert store._writer is not None
        store._writer.set_trace_callback(statements.append)
        look(transaction)
        store._writer.set_trace_callback(None)
    return sum(" tasks t " in statement for statement in statements)


def looks(store: SQLiteStore, lease: LeaseRef) -> int:
    """How many statements find out who holds a lease: the task with its execution, then the lease alone."""

    def look(transaction: Transaction) -> None:
        ((task, execution),) = transaction.held(None, [lease])
        assert transaction.extend(None, [lease], None) == {lease: execution.paused}
        kept = store.tasks(WORKSPACE, task.execution, -1, 10)
        assert task in kept
        assert store.get(WORKSPACE, [execution.id]) == [execution]

    return reads(store, look)


def a_lease(store: SQLiteStore, name: str = "a", tasks: int = 1) -> LeaseRef:
    add(store, new(name, tasks=tasks))
    return claim(store)[0].lease


def test_what_was_claimed_here_is_not_read_again(store: SQLiteStore) -> None:
    assert looks(store, a_lease(store)) == 0


def test_what_was_claimed_elsewhere_is_read(store: SQLiteStore, other: SQLiteStore) -> None:
    assert looks(store, a_lease(other)) == 2


def test_whatever_another_connection_commits_makes_it_read_again(store: SQLiteStore, other: SQLiteStore) -> None:
    lease = a_lease(store)
    add(other, new("b"))
    assert looks(store, lease) == 2


def test_a_lease_that_another_connection_took_back_is_lost(store: SQLiteStore, other: SQLiteStore) -> None:
    lease = a_lease(store)
    with other.begin() as transaction:
        move(transaction, transaction.held(None, [lease]), Lost("lease_expired", 5))
    with store.begin() as transaction:
        assert transaction.held(None, [lease]) == []
        assert transaction.extend(None, [lease], 99.0) == {}
    (again,) = claim(other, worker="w2")
    with store.begin() as transaction:
        assert transaction.held(None, [lease]) == []
        assert [task.worker for task, _ in transaction.held(None, [again.lease])] == ["w2"]


def test_a_pause_is_seen(store: SQLiteStore, other: SQLiteStore) -> None:
    lease = a_lease(store)
    for paused_by in (store, other):
        if paused_by is other:
            lease = a_lease(store, "b")
        apply(paused_by, pause, "a" if paused_by is store else "b", OPEN)
        with store.begin() as transaction:
            assert transaction.extend(None, [lease], None) == {lease: True}
            assert [execution.paused for _, execution in transaction.held(None, [lease])] == [True]


def test_what_was_undone_is_read(store: SQLiteStore) -> None:
    lease = a_lease(store)

    def undo() -> None:
        with store.begin() as transaction:
            move(transaction, transaction.held(None, [lease]), Lost("lease_expired", 5))
            move(transaction, transaction.claimable(WORKSPACE, None, 1), Claimed("w2", 99.0))
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError):
        undo()
    assert looks(store, lease) == 2


def test_what_a_failed_transaction_wrote_is_read(store: SQLiteStore) -> None:
    lease = a_lease(store)

    def fail() -> None:
        with store.begin() as transaction:
            move(transaction, transaction.held(None, [lease]), Lost("lease_expired", 5))
            with pytest.raises(Unavailable, match="full"):
                transaction.insert([new("b", tasks=1000)])

    assert store._writer is not None
    pages = store._writer.execute("pragma page_count").fetchone()[0]
    store._writer.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full"):
        fail()
    assert looks(store, lease) == 2


class Failing:
    """A connection whose disk fails as it says whether another one has committed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "pragma data_version":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return self._connection.execute(sql, *values)


def test_who_cannot_know_whether_it_is_so_is_unavailable_and_heals(store: SQLiteStore) -> None:
    lease = a_lease(store)
    connection: Any = store._writer
    store._writer = Failing(connection)  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="I/O"):
        store.begin().__enter__()
    assert looks(store, lease) == 2


def test_a_lease_that_was_extended_is_known_with_its_new_end(store: SQLiteStore) -> None:
    lease = a_lease(store)
    with store.begin() as transaction:
        transaction.extend(None, [lease], 77.0)
    assert looks(store, lease) == 0
    assert [task.due_at for task in due(store, 99.0)] == [77.0]


def test_an_execution_is_known_as_its_last_task_left_it(store: SQLiteStore) -> None:
    add(store, new("a", tasks=3))
    one, two = claim(store, 2)
    report(store, [one.lease])
    assert looks(store, two.lease) == 0
    (three,) = claim(store)
    assert looks(store, three.lease) == 0
    report(store, [two.lease, three.lease])
    with store.begin() as transaction:
        assert transaction.held(None, [one.lease, two.lease, three.lease]) == []
        assert len(transaction.let_go(None, [one.lease, two.lease, three.lease])) == 3
    assert not store.known._tasks
    assert not store.known._executions


def test_a_removed_execution_is_known_no_more(store: SQLiteStore) -> None:
    lease = a_lease(store)
    with store.begin() as transaction:
        ((_, execution),) = transaction.held(None, [lease])
        transaction.remove([execution.seq])
        assert transaction.held(None, [lease]) == []


def test_known_and_unknown_ones_come_in_their_order(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "LARGEST", 25)
    add(store, new("a"), new("a name that makes its input long"), new("c"))
    tasks = claim(store, 3)
    assert [len(task.input) > 25 for task in tasks] == [False, True, False]
    with store.begin() as transaction:
        assert [task for task, _ in transaction.held(None, [task.lease for task in reversed(tasks)])] == tasks


def test_no_more_is_kept_than_is_bounded(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 10)
    add(store, new("a", tasks=15))
    tasks = claim(store, 10)
    assert looks(store, tasks[0].lease) == 0
    claim(store, 5)
    assert looks(store, tasks[0].lease) == 2


def test_no_more_executions_are_kept_than_is_bounded(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 10)
    for number in range(15):
        add(store, (new(f"large{number}")[0], [replace(new("x")[1][0], input='"' + "x" * known.LARGEST + '"')]))
    for _ in range(15):
        claim(store)
        assert len(store.known._executions) <= 10


def test_what_is_large_is_not_kept(store: SQLiteStore) -> None:
    large = "x" * known.LARGEST
    failed = Retried(Failure(FailureKind.ERROR, "ValueError", large), 3.0)
    assert looks(store, a_lease(store)) == 0
    add(store, new("b", spec=Spec(single=True, custom={"note": large})), new("c"))
    of_large, task = claim(store, 2)
    assert looks(store, of_large.lease) == 2
    assert looks(store, task.lease) == 0
    report(store, [task.lease], failed)
    with store.begin() as transaction:
        ((waits, execution),) = transaction.due(5.0, None, 1)
        execution, woken = states.move(execution, waits, Woken(), 5.0)
        transaction.save([execution], [woken], [])
    (again,) = claim(store)
    assert again.attempt == 2
    assert looks(store, again.lease) == 2


@pytest.mark.parametrize("seed", range(3))
def test_engines_that_take_turns_on_a_file_know_nothing_that_is_not_so(seed: int, path: Path) -> None:
    rng, clock = Random(seed), ManualClock()
    hammers = [Hammer(path, clock, rng, f"w{number}") for number in range(2)]
    for _ in range(100):
        hammer = rng.choice(hammers)
        for _ in range(rng.choice([1, 1, 8])):
            hammer.hit([lease for other in hammers for lease in other.leases])
        clock.advance(rng.choice([0.0, 0.0, 0.5, 3.0]))
    assert sum(hammer.store.found for hammer in hammers) > 30
    for hammer in hammers:
        hammer.engine.close()


def test_processes_that_hammer_one_file_know_nothing_that_is_not_so(path: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.stores.hammer", str(path))
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Program(tmp_path, *command, str(seed), "100", stdout=subprocess.PIPE)) for seed in range(2)]
        for program in running:
            assert int(program.stdout.read() or 0) > 0, program.log.read_text()
