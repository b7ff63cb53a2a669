"""What every store must do, verb by verb."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import (
    BOUND,
    UNSAID,
    Attempt,
    Execution,
    Failure,
    LeaseRef,
    Policy,
    Progress,
    Recovery,
    RetryPolicy,
    Spec,
)
from blaxel_jobs.core.reports import Completed
from blaxel_jobs.core.states import OPEN, Claimed, Ended, Lost, Suspended, created
from blaxel_jobs.stores.base import ALL, MAX_BYTES, JobStore, Order, Position, Transaction, Where
from blaxel_jobs.words import FailureKind, JobStatus, WaitingFor

from .samples import (
    EVER,
    FIRST,
    WORKSPACE,
    a_definition,
    a_signal,
    a_step,
    a_tally,
    add,
    apply,
    cancel_all,
    change,
    claim,
    claimable,
    contents,
    get,
    ids,
    move,
    names,
    new,
    report,
    tasks_of,
)

FULL = Spec(
    single=True,
    name="nächtlich",
    description="a\nb",
    tags=["x", "y z"],
    custom={"deep": {"list": [1, 2.5, None, True, "☃"]}, "big": 2**53 + 1},
    env={"TOKEN": "secret", "EMPTY": ""},
    memory=512,
    auto_start=False,
    run_at=5.5,
    said={"maxRetries": 3},
)
POLICY = Policy(bound=True, max_retries=3, retry=RetryPolicy(initial=0.5, jitter="none"), timeout=1.5, fail_fast=True)
FAILURE = Failure(FailureKind.PERMANENT, "ValueError", "bad\x00 \U0001f600", "Traceback ...")


class Oops(Exception):
    """What a test raises inside a transaction."""


# insert, get, find


ALL_FIELDS: dict[str, Any] = {
    "key": "k1", "spec": FULL, "priority": 1, "wait": WaitingFor.TIME, "until": 5.5, "batch": "b1", "concurrency_key": "c1",
    "policy": POLICY,
}  # fmt: skip
NOT_NEW: dict[str, Any] = {
    "slot": True, "paused": True, "deadline": 7.5, "time_left": 0.5, "progress": Progress(1.0, 3.0, "one"), "error": FAILURE,
    "recoveries": (Recovery(2.0, "task-0", "w1", "lease_expired", 1),), "policy": UNSAID, "running": 1, "failed": 2,
}  # fmt: skip


@pytest.mark.parametrize("lazy", [True, False], ids=["made when asked for", "in a list"])
@pytest.mark.parametrize(
    "fields",
    [{}, {"policy": BOUND}, ALL_FIELDS, {"wait": WaitingFor.WORKER}, NOT_NEW],
    ids=["plain", "bound", "all", "worker", "not new"],
)
def test_what_was_inserted_is_read_back_equal(store: JobStore, fields: dict[str, Any], lazy: bool) -> None:
    execution, tasks = new("e1", tasks=3, lazy=lazy, **fields)
    add(store, new("before", tasks=2, lazy=True), (execution, tasks))
    got = get(store, "e1")
    assert got.seq > 0
    assert got == replace(execution, seq=got.seq)
    stored = store.tasks(WORKSPACE, got.seq, -1, 10)
    assert stored == [replace(task, seq=kept.seq, execution=got.seq) for task, kept in zip(tasks, stored, strict=True)]
    assert store.events(WORKSPACE, got.seq, 0, 10) == [created(got)]
    assert [task.seq for task in claimable(store, execution="e1")] == [task.seq for task in stored if task.ready]


def test_an_execution_of_no_tasks_has_none(store: JobStore) -> None:
    add(store, new("a", tasks=0, lazy=True), new("b", tasks=0), new("c"))
    assert names(claimable(store)) == names(new("c")[1])
    assert tasks_of(store, "a") == []
    assert claimable(store, execution="a") == []


def test_numbers_grow_in_the_order_of_inserts(store: JobStore) -> None:
    add(store, new("a", tasks=2), new("b"))
    add(store, new("c"))
    executions = store.get(WORKSPACE, ["a", "b", "c"])
    assert ids(executions) == ["a", "b", "c"]
    numbers = [task.seq for execution in executions for task in store.tasks(WORKSPACE, execution.seq, -1, 10)]
    assert numbers == sorted(set(numbers))


def test_get_and_find_leave_out_what_is_unknown(store: JobStore) -> None:
    add(store, new("a"), new("b"), new("c"))
    assert ids(store.get(WORKSPACE, ["c", "nobody", "a", "c"])) == ["a", "c"]
    assert store.get(WORKSPACE, []) == []
    assert store.get(WORKSPACE, ["nobody"]) == []
    with store.begin() as transaction:
        assert ids(transaction.find(WORKSPACE, {"b", "nobody", "a"})) == ["a", "b"]
        assert transaction.find(WORKSPACE, ()) == []


def test_a_transaction_sees_its_own_writes(store: JobStore) -> None:
    with store.begin() as transaction:
        transaction.insert([new("a", key="k")])
        (found,) = transaction.find(WORKSPACE, ["a"])
        (task,) = transaction.tasks_in(found.seq, OPEN)
        move(transaction, transaction.claimable(WORKSPACE, ["job"], 5), Claimed("w1", 10.0))
        ((held, execution),) = transaction.held(None, [LeaseRef(task.seq, 1)])
        assert held.worker == "w1"
        assert execution.status is JobStatus.RUNNING
        assert transaction.claimable(WORKSPACE, None, 5) == []
        assert transaction.insert([new("a"), new("b", key="k"), new("c")]) == [execution, execution, None]
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["c", "a"]


def test_a_taken_id_is_answered_with_who_has_it(store: JobStore) -> None:
    add(store, new("a", tasks=2))
    claim(store)
    before = contents(store)
    with store.begin() as transaction:
        (existing,) = transaction.insert([new("a", tasks=5, job="other", priority=0)])
    assert existing == get(store, "a")
    assert existing.status is JobStatus.RUNNING
    assert contents(store) == before


def test_a_taken_key_is_answered_with_who_has_it(store: JobStore) -> None:
    add(store, new("a", key="k"))
    before = contents(store)
    with store.begin() as transaction:
        assert transaction.insert([new("b", key="k")]) == [get(store, "a")]
    assert contents(store) == before


def test_of_a_batch_the_free_ones_are_added_in_order(store: JobStore) -> None:
    add(store, new("a", key="ka"), new("b", key="kb"))
    with store.begin() as transaction:
        answers = transaction.insert(
            [new("c", tasks=2), new("d", key="kb"), new("e", key="ke"), new("a"), new("b", key="ka"), new("f")],
        )
    a, b = store.get(WORKSPACE, ["a", "b"])
    assert answers == [None, b, None, a, b, None]
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["f", "e", "c", "b", "a"]
    assert names(claimable(store))[2:] == names(new("c", tasks=2)[1] + new("e")[1] + new("f")[1])
    for execution in store.get(WORKSPACE, ["c", "e", "f"]):
        assert len(store.events(WORKSPACE, execution.seq, 0, 10)) == 1
        assert len(store.tasks(WORKSPACE, execution.seq, -1, 10)) == execution.total


def test_ids_belong_to_a_workspace_and_keys_to_a_job(store: JobStore) -> None:
    add(store, new("a", key="k"), new("b"), new("c"))
    add(store, new("a", key="k", workspace="other"), new("d", key="k", job="job2"))
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["d", "c", "b", "a"]
    assert ids(store.page("other", ALL, FIRST, 10)) == ["a"]


def test_names_may_hold_any_character(store: JobStore) -> None:
    """Some databases end a text at U+0000."""
    keys = ["k", "k\0", "k\0a", "k\0b", "\0", "\x1f", "\n", "\U0001f600"]
    add(store, *[new(f"e{number}", key=key) for number, key in enumerate(keys)])
    with store.begin() as transaction:
        taken = transaction.insert([new(f"other{number}", key=key) for number, key in enumerate(keys)])
    assert [(found.id, found.idempotency_key) for found in taken if found] == [(f"e{n}", key) for n, key in enumerate(keys)]
    assert ids(store.get(WORKSPACE, ["e0", "e1\0", "e1\0x", "\0"])) == ["e0"]
    assert store.get(WORKSPACE, ["e1\0"]) == []


def test_many_are_inserted_at_once(store: JobStore) -> None:
    add(store, *[new(f"e{number}", key=f"k{number}") for number in range(1000)], new("large", tasks=1000))
    assert len(store.page(WORKSPACE, Where(job="job"), FIRST, 2000)) == 1001
    assert len(claimable(store, limit=3000)) == 2000
    with store.begin() as transaction:
        answers = transaction.insert([new(f"f{number}", key=f"k{number}") for number in range(0, 2000, 2)])
    assert [answer and answer.id for answer in answers[:3]] == ["e0", "e2", "e4"]
    assert answers[500:] == [None] * 500


# transactions


def test_a_transaction_that_raises_leaves_nothing(store: JobStore) -> None:
    add(store, new("a", tasks=3, key="ka"), new("b", priority=0), new("c", workspace="other"))
    add(store, new("later", wait=WaitingFor.TIME, until=9.0))
    add(store, new("limited", job="few", concurrency_key="ck", batch="b1"), new("gone", tasks=2, key="kg", concurrency_key="cg"))
    leases = [task.lease for task in claim(store, 2)]
    add_more(store, "gone")
    before = contents(store, [WORKSPACE, "other", "third"])

    def everything() -> None:
        with store.begin() as transaction:
            transaction.insert([new("d", key="kd", tasks=2, lazy=True), new("e", workspace="third"), new("a")])
            move(transaction, transaction.claimable(WORKSPACE, None, 4), Claimed("w2", 5.0))
            move(transaction, transaction.claimable("other", None, 4), Claimed("w3", 4.0))
            transaction.extend(None, leases[:1], 99.0)
            move(transaction, transaction.held(None, leases[1:]), Completed("1"), 3.0)
            for task, execution in transaction.due(100.0, None, 10):
                if task.status is JobStatus.RUNNING:
                    move(transaction, [(task, execution)], Lost("lease_expired", 5), 100.0)
                    break
            add_all(transaction, "a", 7.0)
            add_all(transaction, "gone", 8.0)
            (limited,) = transaction.find(WORKSPACE, ["limited"])
            transaction.save([replace(limited, slot=True, deadline=5.0, waiting_for=WaitingFor.CONCURRENCY)], [], [])
            transaction.remove([execution.seq for execution in transaction.find(WORKSPACE, ["gone", "later"])])
            transaction.insert([new("gone", key="kg")])
            transaction.forget_tallies(10)
            raise Oops

    for _ in range(2):
        with pytest.raises(Oops):
            everything()
        assert contents(store, [WORKSPACE, "other", "third"]) == before
    add(store, new("d", key="kd"), new("e", workspace="third"))
    assert names(claim(store, 10, jobs=["job"])) == names([*new("a", tasks=3)[1][1:], *new("gone", tasks=2)[1], *new("d")[1]])
    assert len(report(store, leases)) == 2


def add_more(store: JobStore, name: str) -> None:
    with store.begin() as transaction:
        add_all(transaction, name, 2.0)


def add_all(transaction: Transaction, name: str, at: float) -> None:
    """Steps and signals for an execution, a definition and a tally; some for the second time."""
    (execution,) = transaction.find(WORKSPACE, [name])
    (task, *_) = transaction.tasks_in(execution.seq, tuple(JobStatus))
    steps = [a_step(task, "one", at=at), a_step(task, f"of {at}")]
    transaction.save([], [], [], steps, [a_signal(execution, "one", at=at), a_signal(execution, f"of {at}")])
    transaction.define(a_definition(updated_at=at))
    transaction.define(a_definition(f"of {at}"))
    transaction.count([a_tally(1, created=at), a_tally(int(at), created=1.0)])


def test_what_a_claim_was_offered_and_did_not_take_stays(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b", job="job2", priority=1))
    first = claimable(store)
    with store.begin() as transaction:
        offered = transaction.claimable(WORKSPACE, None, 10)
        assert transaction.claimable(WORKSPACE, None, 10) == offered
        move(transaction, offered[1:2], Claimed("w1", 10.0))
        assert [task for task, _ in transaction.claimable(WORKSPACE, None, 10)] == [first[0], *first[2:]]
    assert claimable(store) == [first[0], *first[2:]]
    assert claimable(store) == [first[0], *first[2:]]


def test_one_transaction_at_a_time(store: JobStore) -> None:
    def writer(number: int) -> None:
        for count in range(25):
            add(store, new(f"e{number}-{count}"))
            claim(store)

    in_threads([lambda number=number: writer(number) for number in range(4)])  # type: ignore[misc]
    executions = store.page(WORKSPACE, ALL, FIRST, 200)
    assert len({execution.seq for execution in executions}) == 100
    assert {execution.status for execution in executions} == {JobStatus.RUNNING}
    assert [store.tasks(WORKSPACE, execution.seq, -1, 2)[0].attempt for execution in executions] == [1] * 100


def test_reads_in_other_threads_see_only_what_is_committed(store: JobStore) -> None:
    add(store, new("a", tasks=60))
    seq = get(store, "a").seq
    written = threading.Event()
    reads = [0, 0]

    def haunt(store: JobStore, name: str) -> None:
        with store.begin() as transaction:
            transaction.insert([new(name)])
            move(transaction, transaction.claimable(WORKSPACE, None, 60), Claimed("ghost", 10.0))
            raise Oops

    def write() -> None:
        try:
            for count in range(60):
                with pytest.raises(Oops):
                    haunt(store, f"ghost{count}")
                claim(store)
        finally:
            written.set()

    def read(reader: int) -> None:
        last = 0
        while not written.is_set() or last < 61:
            execution = get(store, "a")
            assert execution.version >= last
            last = execution.version
            assert execution.running == last - 1
            assert len(store.events(WORKSPACE, seq, 0, 100)) >= last
            assert "ghost" not in {task.worker for task in store.tasks(WORKSPACE, seq, -1, 100)}
            assert ids(store.page(WORKSPACE, ALL, FIRST, 5)) == ["a"]
            reads[reader] += 1

    in_threads([write, lambda: read(0), lambda: read(1)])
    assert all(reads)


# save


def test_all_that_changes_is_saved(store: JobStore) -> None:
    add(store, new("a", tasks=3, spec=FULL))
    one, two, three = claim(store, 3, worker="wörker")
    report(store, [one.lease], Completed('{"ok":[1,null,"☃"]}'))
    report(store, [two.lease], Ended(FAILURE), 4.0)
    report(store, [three.lease], Lost("lease_expired", 0), 5.0)
    execution = get(store, "a")
    assert (execution.status, execution.completed, execution.failed, execution.version) == (JobStatus.FAILED, 1, 2, 7)
    assert execution.error == FAILURE
    assert execution.spec == FULL
    assert (execution.started_at, execution.ended_at, execution.updated_at) == (2.0, 5.0, 5.0)
    (recovery,) = execution.recoveries
    assert (recovery.at, recovery.task, recovery.worker, recovery.reason) == (5.0, "task-2", "wörker", "lease_expired")
    stored = store.tasks(WORKSPACE, execution.seq, -1, 10)
    assert [task.result for task in stored] == ['{"ok":[1,null,"☃"]}', None, None]
    assert stored[1].error == FAILURE
    assert [task.error and task.error.kind for task in stored] == [None, FailureKind.PERMANENT, FailureKind.WORKER_LOST]
    assert [(task.status, task.ended_at, task.losses) for task in stored] == [
        (JobStatus.COMPLETED, 3.0, 0),
        (JobStatus.FAILED, 4.0, 0),
        (JobStatus.FAILED, 5.0, 1),
    ]


EXECUTION_CHANGES: dict[str, Any] = {
    "version": 9, "status": JobStatus.RUNNING, "waiting_for": WaitingFor.CONCURRENCY, "wait_until": 3.5, "running": 1,
    "completed": 1, "failed": 1, "cancelled": 1, "retried": 7, "updated_at": 8.5, "started_at": 2.5, "ended_at": 9.5, "slot": True,
    "paused": True, "deadline": 12.5, "time_left": 0.25, "policy": POLICY, "progress": Progress(1.0, message="half"),
    "error": FAILURE, "recoveries": (Recovery(2.0, "task-0", "w1", "worker_dead", 1),),
}  # fmt: skip
TASK_CHANGES: dict[str, Any] = {
    "status": JobStatus.PAUSED, "waiting_for": WaitingFor.EVENT, "due_at": 4.5, "awaiting": "go", "attempt": 2, "continues": True,
    "errors": 3, "losses": 4, "token": 5, "worker": "w9", "updated_at": 8.5, "started_at": 2.5, "ended_at": 9.5,
    "progress": Progress(1.0, 2.0, "x"), "result": "[1]", "error": FAILURE,
    "history": (Attempt(1, "w1", 1.0, 2.0, "error", FAILURE), Attempt(2, None, 2.0, 3.0, "lost")),
}  # fmt: skip


@pytest.mark.parametrize("field", EXECUTION_CHANGES)
def test_every_field_of_an_execution_is_saved_there_and_back(store: JobStore, field: str) -> None:
    add(store, new("a", policy=BOUND), new("b"))
    others = contents(store)[-10:]
    for name, policy in (("a", BOUND), ("b", UNSAID)):
        before = get(store, name)
        assert before.policy == policy
        after = replace(before, **{field: EXECUTION_CHANGES[field]})
        assert after != before
        change(store, name, **{field: EXECUTION_CHANGES[field]})
        assert get(store, name) == after
        change(store, name, **{field: getattr(before, field)})
        assert get(store, name) == before
        with store.begin() as transaction:
            (found,) = transaction.find(WORKSPACE, [name])
            for record in (after, found):
                transaction.save([record], [], [])
        assert get(store, name) == before
    assert contents(store)[-10:] == others


@pytest.mark.parametrize("field", TASK_CHANGES)
def test_every_field_of_a_task_is_saved_there_and_back(store: JobStore, field: str) -> None:
    add(store, new("a", tasks=2))
    before = tasks_of(store, "a")
    after = replace(before[0], **{field: TASK_CHANGES[field]})
    assert after != before[0]
    with store.begin() as transaction:
        transaction.save([], [after], [])
    assert tasks_of(store, "a") == [after, before[1]]
    with store.begin() as transaction:
        (found, _) = transaction.tasks_in(before[0].execution, tuple(JobStatus))
        assert found == after
        transaction.save([], [before[0]], [])
    assert tasks_of(store, "a") == before
    with store.begin() as transaction:
        transaction.tasks_in(before[0].execution, OPEN)
        for record in (after, before[0]):
            transaction.save([], [record], [])
    assert tasks_of(store, "a") == before


Load = Callable[[Transaction, Execution], list[Execution]]
LOADS: dict[str, Load] = {
    "nothing": lambda _, execution: [execution],
    "find": lambda transaction, execution: transaction.find(WORKSPACE, [execution.id]),
    "find many": lambda transaction, execution: transaction.find(WORKSPACE, [execution.id, "nobody"]),
    "overdue": lambda transaction, _: transaction.overdue(EVER, 5),
    "parked": lambda transaction, execution: transaction.parked(WORKSPACE, execution.job, None, 5),
    "parked of a key": lambda transaction, execution: transaction.parked(WORKSPACE, execution.job, "ck", 5),
    "keyed": lambda transaction, execution: transaction.keyed(WORKSPACE, execution.job, "ck"),
    "claimable": lambda transaction, _: [execution for _, execution in transaction.claimable(WORKSPACE, None, 5)],
    "claimable of one": lambda transaction, each: [found for _, found in transaction.claimable(WORKSPACE, None, 5, each.id)],
    "due": lambda transaction, _: [execution for _, execution in transaction.due(EVER, None, 5)],
    "held": lambda transaction, each: [found for _, found in transaction.held(None, [LeaseRef(each.seq, 1)])],
}


@pytest.mark.parametrize("load", LOADS)
def test_whoever_loads_it_may_save_it(store: JobStore, load: str) -> None:
    """What a transaction has read tells it what need not be written; however it was read, that must be right."""
    add(store, new("a", wait=WaitingFor.CONCURRENCY, concurrency_key="ck", deadline=5.0, error=FAILURE))
    (task,) = tasks_of(store, "a")
    with store.begin() as transaction:
        status = JobStatus.RUNNING if load in ("due", "held") else JobStatus.PENDING
        transaction.save([], [replace(task, status=status, waiting_for=None, token=1, due_at=3.0, errors=2)], [])
    with store.begin() as transaction:
        (found,) = LOADS[load](transaction, get(store, "a"))
        assert found == get(store, "a")
        transaction.save([replace(found, error=None)], [replace(tasks_of(store, "a")[0], errors=0)], [])
    assert get(store, "a") == replace(found, error=None)
    assert tasks_of(store, "a")[0].errors == 0
    with store.begin() as transaction:
        (again,) = LOADS[load](transaction, get(store, "a"))
        transaction.save([replace(again, completed=1)], [replace(tasks_of(store, "a")[0], attempt=5)], [])
    assert get(store, "a") == replace(found, error=None, completed=1)
    assert (tasks_of(store, "a")[0].attempt, tasks_of(store, "a")[0].errors) == (5, 0)


# remove


def test_what_is_removed_is_gone_and_its_names_are_free(store: JobStore) -> None:
    add(store, new("a", tasks=2, key="ka"), new("b", tasks=2, key="kb", concurrency_key="ck", batch="b1"), new("c"))
    claim(store, 3)
    for name in ("a", "b", "c"):
        add_more(store, name)
    change(store, "b", slot=True, deadline=9.0)
    kept = [(get(store, name), tasks_of(store, name)) for name in ("a", "c")]
    numbers = [get(store, "b").seq, *[task.seq for task in tasks_of(store, "b")]]
    leases = [task.lease for task in tasks_of(store, "b")]
    with store.begin() as transaction:
        transaction.remove([get(store, "b").seq, 10**6])
        transaction.remove([])
        assert transaction.find(WORKSPACE, ["b"]) == []
        assert transaction.steps(numbers[1:]) == []
        assert transaction.signals(numbers[0]) == []
        assert transaction.held(None, leases) == []
        assert transaction.holders(WORKSPACE, "job", None) == 0
        assert transaction.keyed(WORKSPACE, "job", "ck") == []
        assert transaction.overdue(EVER, 5) == []
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["c", "a"]
    assert store.page(WORKSPACE, Where(batch="b1"), FIRST, 10) == []
    assert store.tasks(WORKSPACE, numbers[0], -1, 10) == []
    assert store.events(WORKSPACE, numbers[0], 0, 10) == []
    assert store.steps(WORKSPACE, numbers[0], 0, 10) == []
    assert [(get(store, name), tasks_of(store, name)) for name in ("a", "c")] == kept
    assert len(store.steps(WORKSPACE, get(store, "a").seq, 0, 10)) == 2
    add(store, new("b", key="kb", concurrency_key="ck"))
    assert get(store, "b").seq > get(store, "c").seq
    assert tasks_of(store, "b")[0].seq > max(numbers)
    assert names(claimable(store)) == names(new("c")[1] + new("b")[1])


def test_many_are_removed_at_once(store: JobStore) -> None:
    add(store, *[new(f"e{number}", tasks=2) for number in range(500)], new("kept"))
    with store.begin() as transaction:
        transaction.remove([get(store, f"e{number}").seq for number in range(500)])
    assert ids(store.page(WORKSPACE, ALL, FIRST, 1000)) == ["kept"]
    assert names(claimable(store)) == names(new("kept")[1])


# reads in pages


def test_pages_are_newest_first_by_job_and_for_all(store: JobStore) -> None:
    for number in range(9):
        add(store, new(f"e{number}", job=f"job{number % 3}"))
    assert ids(store.page(WORKSPACE, ALL, FIRST, 4)) == ["e8", "e7", "e6", "e5"]
    assert ids(store.page(WORKSPACE, Where(job="job1"), FIRST, 10)) == ["e7", "e4", "e1"]
    assert ids(store.page(WORKSPACE, ALL, Position(offset=7), 4)) == ["e1", "e0"]
    assert ids(store.page(WORKSPACE, Where(job="job1"), Position(offset=1), 1)) == ["e4"]
    assert store.page(WORKSPACE, ALL, Position(offset=9), 4) == []
    assert store.page(WORKSPACE, ALL, Position(offset=10**9), 4) == []
    assert store.page(WORKSPACE, Where(job="nobody"), FIRST, 4) == []


@pytest.mark.parametrize("order", Order)
def test_pages_in_every_order(store: JobStore, order: Order) -> None:
    names = ["b2", "a10", "Z", "a", "b10", "a2", "0", "m-x", "m.x", "m_x"]
    add(store, *[new(name, job=f"job{number % 2}") for number, name in enumerate(names)])
    add(store, new("a3", workspace="other"))
    pending = Where(statuses=(JobStatus.PENDING,)), Where(statuses=(JobStatus.PENDING, JobStatus.FAILED))
    for where in (ALL, Where(job="job0"), Where(id_has="a"), Where(job="job1", id_has="1"), *pending):
        expected = [
            name
            for number, name in enumerate(names)
            if where.job in (None, f"job{number % 2}") and (where.id_has is None or where.id_has in name)
        ]
        if order.by_id:
            expected.sort()
        if order in (Order.NEWEST, Order.ID_DOWN):
            expected.reverse()
        assert ids(store.page(WORKSPACE, where, Position(order=order), 100)) == expected, where
        assert ids(store.page(WORKSPACE, where, Position(offset=1, order=order), 2)) == expected[1:3], where
        for place, name in enumerate(expected):
            after = name if order.by_id else get(store, name).seq
            assert ids(store.page(WORKSPACE, where, Position(after, order=order), 3)) == expected[place + 1 : place + 4], where


def test_pages_by_status_and_batch(store: JobStore) -> None:
    everything: list[Execution] = []
    for number in range(24):
        name = f"e{number}"
        add(store, new(name, job=f"job{number % 2}", tasks=2, batch=None if number % 3 else f"b{number % 2}"))
        end(store, name, number % 7)
        everything.append(get(store, name))
    everything.reverse()
    assert {execution.status for execution in everything} == set(JobStatus)
    words = tuple(JobStatus)
    for statuses in [None, (), *[(word,) for word in words], words[:3], words[3:], words[4:], words[2:4], words, words[:1] * 2]:
        for job in (None, "job0", "nobody"):
            for batch in (None, "b0", "b1", "b2"):
                where = Where(job, statuses, batch)
                expected = [
                    execution.id
                    for execution in everything
                    if (job is None or execution.job == job)
                    and (batch is None or execution.batch == batch)
                    and (statuses is None or execution.status in statuses)
                ]
                assert ids(store.page(WORKSPACE, where, FIRST, 100)) == expected, where
                assert ids(store.page(WORKSPACE, where, Position(offset=1), 2)) == expected[1:3], where
                assert store.page("other", where, FIRST, 100) == []
                after = everything[10]
                older = [name for name in expected if get(store, name).seq < after.seq]
                assert ids(store.page(WORKSPACE, where, Position(after=after.seq), 3)) == older[:3], where


def end(store: JobStore, name: str, how: int) -> None:
    """Bring an execution of two tasks into one of seven states."""
    if how == 1:
        claim(store, 1, execution=name)
    if how == 2:
        apply(store, states.pause, name)
    if how == 3:
        cancel_all(store, name)
    if how >= 4:
        one, two = claim(store, 2, execution=name)
        report(store, [one.lease], Completed("1"))
        outcome = (Completed("2"), Ended(FAILURE), Suspended(9.0))[how - 4]
        report(store, [two.lease], outcome)


def test_pages_show_each_row_once_under_inserts(store: JobStore) -> None:
    add(store, *[new(f"e{number}") for number in range(10)])
    for job in ("job", None):
        seen: list[str] = []
        position = FIRST
        while page := store.page(WORKSPACE, Where(job=job), position, 3):
            seen += ids(page)
            position = Position(after=page[-1].seq)
            add(store, new(f"{job} meanwhile {len(seen)}"))
        assert [name for name in seen if "meanwhile" not in name] == [f"e{number}" for number in reversed(range(10))]
        assert len(seen) == len(set(seen))


def test_positions_out_of_range_are_empty_or_the_whole(store: JobStore) -> None:
    add(store, new("a"), new("b"))
    seq = get(store, "b").seq
    assert ids(store.page(WORKSPACE, ALL, Position(after=2**70), 5)) == ["b", "a"]
    for after in (0, -1, -(2**70)):
        assert store.page(WORKSPACE, ALL, Position(after=after), 5) == []
    assert store.tasks(WORKSPACE, seq, 2**70, 5) == []
    assert store.events(WORKSPACE, seq, 2**70, 5) == []
    assert store.tasks(WORKSPACE, 10**6, -1, 5) == []
    assert store.events(WORKSPACE, 10**6, 0, 5) == []


def test_tasks_come_in_order_in_pages(store: JobStore) -> None:
    add(store, new("before", tasks=2), new("a", tasks=7), new("after"))
    seq = get(store, "a").seq
    report(store, [task.lease for task in claim(store, 6)])
    assert [task.index for task in store.tasks(WORKSPACE, seq, -1, 3)] == [0, 1, 2]
    assert [task.index for task in store.tasks(WORKSPACE, seq, 2, 3)] == [3, 4, 5]
    assert [task.index for task in store.tasks(WORKSPACE, seq, 5, 3)] == [6]
    assert store.tasks(WORKSPACE, seq, 6, 3) == []
    with store.begin() as transaction:
        assert [task.index for task in transaction.tasks_in(seq, OPEN)] == [4, 5, 6]
        assert transaction.tasks_in(10**6, OPEN) == []


def sized(store: JobStore, name: str, inputs: list[int], results: list[int], letter: str = "x") -> int:
    """An execution whose inputs and results have these many bytes of JSON; its `seq`."""
    text = ['"' + letter * ((size - 2) // len(letter.encode())) + '"' for size in inputs + results]
    execution, tasks = new(name, tasks=len(inputs))
    add(store, (execution, [replace(task, input=given) for task, given in zip(tasks, text, strict=False)]))
    for task, value in zip(claim(store, len(results)), text[len(inputs) :], strict=True):
        report(store, [task.lease], Completed(value))
    return get(store, name).seq


def test_a_page_of_tasks_has_a_size(store: JobStore) -> None:
    half = MAX_BYTES // 2
    seq = sized(store, "a", [half - 100, 100, 100, 100], [100, half])
    assert [task.index for task in store.tasks(WORKSPACE, seq, -1, 10)] == [0]
    assert [task.index for task in store.tasks(WORKSPACE, seq, 0, 10)] == [1, 2, 3]
    assert [task.index for task in store.tasks(WORKSPACE, seq, 0, 2)] == [1, 2]
    seq = sized(store, "b", [half - 100, half], [100])
    assert [task.index for task in store.tasks(WORKSPACE, seq, -1, 10)] == [0, 1], "it may be full to the last byte"


def test_a_page_of_tasks_has_at_least_one(store: JobStore) -> None:
    seq = sized(store, "a", [MAX_BYTES + 100] * 2, [])
    assert [task.index for task in store.tasks(WORKSPACE, seq, -1, 10)] == [0]
    assert [task.index for task in store.tasks(WORKSPACE, seq, 0, 10)] == [1]


def test_the_size_of_a_page_is_in_bytes(store: JobStore) -> None:
    third = MAX_BYTES // 3
    seq = sized(store, "a", [third] * 4, [], "☃")
    assert [task.index for task in store.tasks(WORKSPACE, seq, -1, 10)] == [0, 1, 2]


def test_tasks_may_be_read_without_their_results(store: JobStore) -> None:
    seq = sized(store, "a", [100] * 3, [MAX_BYTES, MAX_BYTES])
    whole = [task for after in (-1, 0, 1) for task in store.tasks(WORKSPACE, seq, after, 1)]
    assert store.tasks(WORKSPACE, seq, -1, 10, results=False) == [replace(task, result=None) for task in whole]


def test_events_come_in_order_without_gaps(store: JobStore) -> None:
    add(store, new("other"), new("a", tasks=2))
    tasks = claim(store, 3)
    report(store, [task.lease for task in tasks[:2]])
    cancel_all(store, "a")
    seq = get(store, "a").seq
    events = store.events(WORKSPACE, seq, 0, 100)
    assert [event.id for event in events] == [1, 2, 3, 4, 5]
    assert [event.type for event in events] == ["created", "task.started", "task.started", "task.completed", "cancelled"]
    assert [event.task for event in events] == [None, "task-0", "task-1", "task-0", None]
    assert events[-1].status is JobStatus.CANCELLED
    assert store.events(WORKSPACE, seq, 2, 2) == events[2:4]
    assert store.events(WORKSPACE, seq, 5, 2) == []


def test_closing_twice_does_no_harm(store: JobStore) -> None:
    add(store, new("a"))
    store.close()
    store.close()


def in_threads(actions: list[Callable[[], None]]) -> None:
    """Run them side by side; what one raises is raised here."""
    errors: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
