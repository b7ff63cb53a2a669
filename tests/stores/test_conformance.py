"""What every store must do, verb by verb."""

import threading
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from blaxel_jobs.core.records import Failure, LeaseRef, Spec
from blaxel_jobs.core.states import Claimed, Completed, Failed, Lost, Released, created
from blaxel_jobs.stores.base import MAX_BYTES, JobStore, Position
from blaxel_jobs.words import FailureKind, JobStatus, WaitingFor

from .samples import FIRST, WORKSPACE, add, cancel_all, claim, claimable, contents, get, ids, move, names, new, report

FULL = Spec(
    single=True,
    name="nächtlich",
    description="a\nb",
    tags=["x", "y z"],
    custom={"deep": {"list": [1, 2.5, None, True, "☃"]}, "big": 2**53 + 1},
    env={"TOKEN": "secret", "EMPTY": ""},
    memory=512,
)


class Oops(Exception):
    """What a test raises inside a transaction."""


# insert, get, find


def test_what_was_inserted_is_read_back_equal(store: JobStore) -> None:
    execution, tasks = new("e1", tasks=3, key="k1", spec=FULL, priority=1)
    add(store, (execution, tasks))
    got = get(store, "e1")
    assert got.seq > 0
    assert got == replace(execution, seq=got.seq)
    stored = store.tasks(WORKSPACE, got.seq, -1, 10)
    assert stored == [replace(task, seq=kept.seq, execution=got.seq) for task, kept in zip(tasks, stored, strict=True)]
    assert store.events(WORKSPACE, got.seq, 0, 10) == [created(got)]


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
        (task,) = transaction.open_tasks(found.seq)
        move(transaction, transaction.claimable(WORKSPACE, ["job"], 5), Claimed("w1", 10.0))
        ((held, execution),) = transaction.held([LeaseRef(task.seq, 1)])
        assert held.worker == "w1"
        assert execution.status is JobStatus.RUNNING
        assert transaction.claimable(WORKSPACE, None, 5) == []
        assert transaction.insert([new("a"), new("b", key="k"), new("c")]) == [execution, execution, None]
    assert ids(store.page(WORKSPACE, None, FIRST, 10)) == ["c", "a"]


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
    assert ids(store.page(WORKSPACE, None, FIRST, 10)) == ["f", "e", "c", "b", "a"]
    assert names(claimable(store))[2:] == names(new("c", tasks=2)[1] + new("e")[1] + new("f")[1])
    for execution in store.get(WORKSPACE, ["c", "e", "f"]):
        assert len(store.events(WORKSPACE, execution.seq, 0, 10)) == 1
        assert len(store.tasks(WORKSPACE, execution.seq, -1, 10)) == execution.total


def test_ids_belong_to_a_workspace_and_keys_to_a_job(store: JobStore) -> None:
    add(store, new("a", key="k"), new("b"), new("c"))
    add(store, new("a", key="k", workspace="other"), new("d", key="k", job="job2"))
    assert ids(store.page(WORKSPACE, None, FIRST, 10)) == ["d", "c", "b", "a"]
    assert ids(store.page("other", None, FIRST, 10)) == ["a"]


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
    assert len(store.page(WORKSPACE, "job", FIRST, 2000)) == 1001
    assert len(claimable(store, limit=3000)) == 2000
    with store.begin() as transaction:
        answers = transaction.insert([new(f"f{number}", key=f"k{number}") for number in range(0, 2000, 2)])
    assert [answer and answer.id for answer in answers[:3]] == ["e0", "e2", "e4"]
    assert answers[500:] == [None] * 500


# transactions


def test_a_transaction_that_raises_leaves_nothing(store: JobStore) -> None:
    add(store, new("a", tasks=3, key="ka"), new("b", priority=0), new("c", workspace="other"))
    leases = [task.lease for task in claim(store, 2)]
    before = contents(store, [WORKSPACE, "other"])

    def everything() -> None:
        with store.begin() as transaction:
            transaction.insert([new("d", key="kd", tasks=2), new("e", workspace="third"), new("a")])
            move(transaction, transaction.claimable(WORKSPACE, None, 4), Claimed("w2", 5.0))
            move(transaction, transaction.claimable("other", None, 4), Claimed("w3", 4.0))
            transaction.extend(leases[:1], 99.0)
            move(transaction, transaction.held(leases[1:]), Completed("1"), 3.0)
            move(transaction, transaction.expired(100.0, [], 1), Lost("lease_expired", 5), 100.0)
            raise Oops

    for _ in range(2):
        with pytest.raises(Oops):
            everything()
        assert contents(store, [WORKSPACE, "other", "third"]) == before
    add(store, new("d", key="kd"), new("e", workspace="third"))
    assert names(claim(store, 10)) == names(new("a", tasks=3)[1][1:] + new("d")[1])
    assert len(report(store, leases)) == 2


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
    executions = store.page(WORKSPACE, None, FIRST, 200)
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
            assert "ghost" not in store.workers()
            assert ids(store.page(WORKSPACE, None, FIRST, 5)) == ["a"]
            reads[reader] += 1

    in_threads([write, lambda: read(0), lambda: read(1)])
    assert all(reads)


# claimable


def test_claims_go_by_priority_and_then_by_age(store: JobStore) -> None:
    add(store, new("low", priority=3), new("medium", tasks=2), new("critical", priority=0), new("high", priority=1))
    add(store, new("medium2"), new("critical2", priority=0))
    order = ["critical", "critical2", "high", "medium", "medium2", "low"]
    assert [new(name)[1][0].input for name in order] == [text for text in names(claimable(store)) if '"index":0' in text]
    assert [task.index for task in claimable(store)] == [0, 0, 0, 0, 1, 0, 0]
    assert names(claim(store, 2)) == names(new("critical")[1] + new("critical2")[1])
    assert names(claim(store, 2)) == names(new("high")[1] + new("medium", tasks=2)[1][:1])
    assert len(claim(store, 10)) == 3
    assert claim(store, 10) == []


def test_claims_of_some_jobs_and_of_all(store: JobStore) -> None:
    add(store, new("a1", job="a", priority=2), new("b1", job="b", priority=1), new("c1", job="c", priority=0))
    add(store, new("a2", job="a", priority=0), new("b2", job="b", priority=2))
    everything = ["c1", "a2", "b1", "a1", "b2"]

    def found(jobs: list[str] | None, limit: int = 10) -> list[str]:
        with store.begin() as transaction:
            return [execution.id for _, execution in transaction.claimable(WORKSPACE, jobs, limit)]

    assert found(None) == everything
    assert found(None, 2) == ["c1", "a2"]
    assert found(["a"]) == ["a2", "a1"]
    assert found(["b", "a"]) == ["a2", "b1", "a1", "b2"]
    assert found(["b", "a", "b", "nobody"], 3) == ["a2", "b1", "a1"]
    assert found(["nobody"]) == []
    assert found([]) == []
    assert found(["a", "b", "c"]) == everything


def test_claims_of_very_many_jobs(store: JobStore) -> None:
    jobs = [f"job{number}" for number in range(450)]
    add(store, *[new(f"e{number}", job=job, priority=number % 4) for number, job in enumerate(jobs)])
    expected = sorted(range(450), key=lambda number: (number % 4, number))
    for wanted in (jobs, None):
        assert names(claimable(store, wanted, 200)) == [new(f"e{number}")[1][0].input for number in expected[:200]]


def test_only_what_waits_for_a_worker_is_claimable(store: JobStore) -> None:
    add(store, new("a", tasks=4))
    with store.begin() as transaction:
        one, two, three, _ = transaction.open_tasks(get(store, "a").seq)
        transaction.save(
            [],
            [
                replace(one, waiting_for=WaitingFor.TIME),
                replace(two, waiting_for=WaitingFor.WORKER),
                replace(three, status=JobStatus.PAUSED),
            ],
            [],
        )
    assert [(task.index, task.waiting_for) for task in claimable(store)] == [(1, WaitingFor.WORKER), (3, None)]
    with store.begin() as transaction:
        transaction.save([], [replace(one, updated_at=2.0), replace(three, updated_at=2.0)], [])
    assert [task.index for task in claimable(store)] == [0, 1, 2, 3]


def test_a_released_task_gets_its_place_back(store: JobStore) -> None:
    add(store, new("a"), new("b"), new("c"))
    first, second = claim(store, 2)
    report(store, [second.lease, first.lease], Released())
    again = claim(store, 10)
    assert [task.seq for task in again] == [first.seq, second.seq, second.seq + 1]
    assert [(task.attempt, task.token) for task in again] == [(2, 2), (2, 2), (1, 1)]


def test_cancelled_and_ended_tasks_are_not_claimable(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b"))
    (task,) = claim(store)
    cancel_all(store, "a")
    assert report(store, [task.lease]) == []
    assert names(claimable(store)) == names(new("b")[1])
    with store.begin() as transaction:
        assert transaction.open_tasks(get(store, "a").seq) == []


# workspaces


def test_nothing_is_seen_from_another_workspace(store: JobStore) -> None:
    add(store, new("a", key="k"), new("b"))
    (task,) = claim(store)
    seq = get(store, "a").seq
    for other in ("other", "", "Default"):
        assert store.get(other, ["a"]) == []
        assert store.get(other, ["a", "b"]) == []
        assert store.page(other, None, FIRST, 10) == []
        assert store.page(other, "job", FIRST, 10) == []
        assert store.tasks(other, seq, -1, 10) == []
        assert store.events(other, seq, 0, 10) == []
        assert claimable(store, workspace=other) == []
        assert claimable(store, ["job"], workspace=other) == []
        with store.begin() as transaction:
            assert transaction.find(other, ["a"]) == []
    assert task.workspace == WORKSPACE


# leases


def test_held_knows_exactly_the_newest_lease(store: JobStore) -> None:
    add(store, new("a"), new("b"), new("c"))
    one, two, three = claim(store, 3)
    report(store, [two.lease])
    report(store, [three.lease], Released())
    (again,) = claim(store)
    refs = [again.lease, three.lease, two.lease, one.lease, LeaseRef(one.seq, 0), LeaseRef(one.seq, 2), LeaseRef(10**6, 1)]
    with store.begin() as transaction:
        found = transaction.held(refs)
        assert transaction.held([]) == []
    assert [task.lease for task, _ in found] == [one.lease, again.lease]
    assert [execution.id for _, execution in found] == ["a", "c"]


def test_held_tasks_come_with_their_execution(store: JobStore) -> None:
    add(store, new("a", tasks=3))
    tasks = claim(store, 3)
    with store.begin() as transaction:
        found = transaction.held([task.lease for task in tasks])
    assert found == [(task, get(store, "a")) for task in tasks]


def test_extend_moves_the_end_of_leases_that_hold(store: JobStore) -> None:
    add(store, new("a"), new("b"), new("c"))
    one, two, three = claim(store, 3, until=10.0)
    report(store, [three.lease], Released())
    with store.begin() as transaction:
        assert transaction.extend([one.lease, three.lease, LeaseRef(two.seq, 7)], 20.0) == {one.lease}
        assert transaction.extend([], 30.0) == set()
    assert store.next_expiry() == 10.0
    with store.begin() as transaction:
        assert [task.seq for task, _ in transaction.expired(10.0, [], 10)] == [two.seq]
        assert [task for task, _ in transaction.held([one.lease])] == [replace(one, lease_until=20.0)]


def test_expired_by_time(store: JobStore) -> None:
    add(store, new("a", tasks=4))
    for until in (13.0, 11.0, 12.0, 11.0):
        claim(store, until=until)

    def expired(now: float, limit: int = 10) -> list[int]:
        with store.begin() as transaction:
            return [task.index for task, _ in transaction.expired(now, [], limit)]

    assert expired(10.9) == []
    assert expired(11.0) == [1, 3]
    assert expired(12.5) == [1, 3, 2]
    assert expired(99.0, 3) == [1, 3, 2]
    with store.begin() as transaction:
        move(transaction, transaction.expired(11.0, [], 10), Lost("lease_expired", 5), 11.0)
    assert expired(99.0) == [2, 0]
    assert [recovery.task for recovery in get(store, "a").recoveries] == ["task-1", "task-3"]


def test_expired_by_worker_in_any_workspace(store: JobStore) -> None:
    add(store, new("a", tasks=2), new("b", workspace="other"))
    claim(store, worker="dead", until=20.0)
    claim(store, worker="alive", until=10.0)
    claim(store, worker="dead", until=15.0, workspace="other")
    assert store.workers() == {"dead", "alive"}
    with store.begin() as transaction:
        found = transaction.expired(1.0, ["dead", "nobody"], 10)
        assert [(execution.id, task.worker) for task, execution in found] == [("b", "dead"), ("a", "dead")]
        assert len(transaction.expired(10.0, ["dead"], 10)) == 3
        assert len(transaction.expired(10.0, {"dead"}, 2)) == 2
        assert transaction.expired(1.0, ["nobody"], 10) == []


def test_next_expiry_and_workers_follow_the_leases(store: JobStore) -> None:
    assert store.next_expiry() is None
    assert store.workers() == set()
    add(store, new("a", tasks=3))
    (one,), (two,), (three,) = (claim(store, worker=f"w{n}", until=until) for n, until in enumerate((12.0, 11.0, 13.0)))
    assert store.next_expiry() == 11.0
    assert store.workers() == {"w0", "w1", "w2"}
    report(store, [two.lease])
    assert store.next_expiry() == 12.0
    with store.begin() as transaction:
        transaction.extend([one.lease], 30.0)
    assert store.next_expiry() == 13.0
    report(store, [three.lease], Released())
    assert store.next_expiry() == 30.0
    assert store.workers() == {"w0"}
    cancel_all(store, "a")
    assert store.next_expiry() is None
    assert store.workers() == set()


def test_expiries_are_right_after_very_many_leases(store: JobStore) -> None:
    add(store, new("a", tasks=20))
    tasks = claim(store, 20, until=10.0)
    for round_ in range(200):
        with store.begin() as transaction:
            transaction.extend([task.lease for task in tasks], 10.0 + round_)
    assert store.next_expiry() == 209.0
    report(store, [task.lease for task in tasks[1:]])
    assert store.next_expiry() == 209.0
    with store.begin() as transaction:
        assert [task.seq for task, _ in transaction.expired(209.0, [], 100)] == [tasks[0].seq]


# save


def test_all_that_changes_is_saved(store: JobStore) -> None:
    add(store, new("a", tasks=3, spec=FULL))
    one, two, three = claim(store, 3, worker="wörker")
    report(store, [one.lease], Completed('{"ok":[1,null,"☃"]}'))
    failure = Failure(FailureKind.PERMANENT, "ValueError", "bad\x00 \U0001f600", "Traceback ...")
    report(store, [two.lease], Failed(failure), 4.0)
    report(store, [three.lease], Lost("lease_expired", 0), 5.0)
    execution = get(store, "a")
    assert (execution.status, execution.completed, execution.failed, execution.version) == (JobStatus.FAILED, 1, 2, 7)
    assert execution.error == failure
    assert execution.spec == FULL
    assert (execution.started_at, execution.ended_at, execution.updated_at) == (2.0, 5.0, 5.0)
    (recovery,) = execution.recoveries
    assert (recovery.at, recovery.task, recovery.worker, recovery.reason) == (5.0, "task-2", "wörker", "lease_expired")
    stored = store.tasks(WORKSPACE, execution.seq, -1, 10)
    assert [task.result for task in stored] == ['{"ok":[1,null,"☃"]}', None, None]
    assert stored[1].error == failure
    assert [task.error and task.error.kind for task in stored] == [None, FailureKind.PERMANENT, FailureKind.WORKER_LOST]
    assert [(task.status, task.ended_at, task.losses) for task in stored] == [
        (JobStatus.COMPLETED, 3.0, 0),
        (JobStatus.FAILED, 4.0, 0),
        (JobStatus.FAILED, 5.0, 1),
    ]


# reads in pages


def test_pages_are_newest_first_by_job_and_for_all(store: JobStore) -> None:
    for number in range(9):
        add(store, new(f"e{number}", job=f"job{number % 3}"))
    assert ids(store.page(WORKSPACE, None, FIRST, 4)) == ["e8", "e7", "e6", "e5"]
    assert ids(store.page(WORKSPACE, "job1", FIRST, 10)) == ["e7", "e4", "e1"]
    assert ids(store.page(WORKSPACE, None, Position(offset=7), 4)) == ["e1", "e0"]
    assert ids(store.page(WORKSPACE, "job1", Position(offset=1), 1)) == ["e4"]
    assert store.page(WORKSPACE, None, Position(offset=9), 4) == []
    assert store.page(WORKSPACE, None, Position(offset=10**9), 4) == []
    assert store.page(WORKSPACE, "nobody", FIRST, 4) == []


def test_pages_show_each_row_once_under_inserts(store: JobStore) -> None:
    add(store, *[new(f"e{number}") for number in range(10)])
    for job in ("job", None):
        seen: list[str] = []
        position = FIRST
        while page := store.page(WORKSPACE, job, position, 3):
            seen += ids(page)
            position = Position(after=page[-1].seq)
            add(store, new(f"{job} meanwhile {len(seen)}"))
        assert [name for name in seen if "meanwhile" not in name] == [f"e{number}" for number in reversed(range(10))]
        assert len(seen) == len(set(seen))


def test_positions_out_of_range_are_empty_or_the_whole(store: JobStore) -> None:
    add(store, new("a"), new("b"))
    seq = get(store, "b").seq
    assert ids(store.page(WORKSPACE, None, Position(after=2**70), 5)) == ["b", "a"]
    for after in (0, -1, -(2**70)):
        assert store.page(WORKSPACE, None, Position(after=after), 5) == []
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
        assert [task.index for task in transaction.open_tasks(seq)] == [4, 5, 6]
        assert transaction.open_tasks(10**6) == []


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
