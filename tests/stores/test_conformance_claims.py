"""What every store must do about claims, leases, what is due, and limits."""

from typing import Any

from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import Failure, LeaseRef
from blaxel_jobs.core.reports import Released
from blaxel_jobs.core.states import OPEN, Lost, Retried, Suspended
from blaxel_jobs.stores.base import ALL, JobStore, Where
from blaxel_jobs.words import FailureKind, JobStatus, WaitingFor

from .samples import (
    EVER,
    FIRST,
    WORKSPACE,
    add,
    apply,
    cancel_all,
    change,
    claim,
    claimable,
    due,
    get,
    ids,
    move,
    names,
    new,
    report,
    tasks_of,
)

FAILURE = Failure(FailureKind.ERROR, "E", "m")

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
        one, two, three, _ = transaction.tasks_in(get(store, "a").seq, OPEN)
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
    assert [(task.attempt, task.token) for task in again] == [(1, 2), (1, 2), (1, 1)]


def test_claims_of_one_execution(store: JobStore) -> None:
    add(
        store,
        new("same", priority=3),
        new("a", tasks=4, priority=3),
        new("same2", priority=3),
        new("after", job="other", priority=0),
    )
    assert names(claimable(store, execution="a")) == names(new("a", tasks=4)[1])
    assert names(claim(store, 2, execution="a", jobs=["job", "x"])) == names(new("a", tasks=4)[1][:2])
    assert names(claimable(store, execution="a", limit=1)) == names(new("a", tasks=4)[1][2:3])
    assert names(claimable(store, execution="after")) == names(new("after")[1])
    assert claimable(store, ["other"], execution="a") == []
    assert claimable(store, [], execution="a") == []
    assert claimable(store, workspace="other", execution="a") == []
    assert claimable(store, execution="nobody") == []
    report(store, [task.lease for task in tasks_of(store, "a")[1:2]], Released())
    assert [task.index for task in claim(store, 10, execution="a")] == [1, 2, 3]
    assert claim(store, 10, execution="a") == []
    report(store, [task.lease for task in tasks_of(store, "a")[:1]], Released())
    assert [task.index for task in claimable(store, execution="a")] == [0]
    assert len(claimable(store)) == 4
    apply(store, states.pause, "a")
    assert claimable(store, execution="a") == []


def test_cancelled_and_ended_tasks_are_not_claimable(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b"))
    (task,) = claim(store)
    cancel_all(store, "a")
    assert report(store, [task.lease]) == []
    assert names(claimable(store)) == names(new("b")[1])
    with store.begin() as transaction:
        assert transaction.tasks_in(get(store, "a").seq, OPEN) == []


# workspaces


def test_nothing_is_seen_from_another_workspace(store: JobStore) -> None:
    add(store, new("a", key="k"), new("b"))
    (task,) = claim(store)
    seq = get(store, "a").seq
    for other in ("other", "", "Default"):
        assert store.get(other, ["a"]) == []
        assert store.get(other, ["a", "b"]) == []
        assert store.page(other, ALL, FIRST, 10) == []
        assert store.page(other, Where(job="job"), FIRST, 10) == []
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
        found = transaction.held(None, refs)
        assert transaction.held(None, []) == []
    assert [task.lease for task, _ in found] == [one.lease, again.lease]
    assert [execution.id for _, execution in found] == ["a", "c"]


def test_held_tasks_come_with_their_execution(store: JobStore) -> None:
    add(store, new("a", tasks=3))
    tasks = claim(store, 3)
    with store.begin() as transaction:
        found = transaction.held(WORKSPACE, [task.lease for task in tasks])
    assert found == [(task, get(store, "a")) for task in tasks]


def test_leases_of_another_workspace_are_lost(store: JobStore) -> None:
    add(store, new("a"), new("b", workspace="other"))
    leases = [claim(store, workspace=workspace)[0].lease for workspace in (WORKSPACE, "other")]
    with store.begin() as transaction:
        assert [execution.id for _, execution in transaction.held("other", leases)] == ["b"]
        assert [execution.id for _, execution in transaction.held(None, leases)] == ["a", "b"]
        assert transaction.held("third", leases) == []
        assert transaction.extend("third", leases, 50.0) == {}
        assert transaction.extend("other", leases, 30.0) == {leases[1]: False}
    assert [task.due_at for task in due(store)] == [10.0, 30.0]
    with store.begin() as transaction:
        assert transaction.extend(None, leases, 40.0) == dict.fromkeys(leases, False)
        assert transaction.extend("other", leases, None) == {leases[1]: False}


def test_extend_moves_the_end_of_leases_that_hold(store: JobStore) -> None:
    add(store, new("a"), new("b"), new("c"))
    one, two, three = claim(store, 3, until=10.0)
    report(store, [three.lease], Released())
    with store.begin() as transaction:
        assert transaction.extend(WORKSPACE, [one.lease, three.lease, LeaseRef(two.seq, 7)], 20.0) == {one.lease: False}
        assert transaction.extend(WORKSPACE, [], 30.0) == {}
    assert store.next_due() == 10.0
    assert [task.seq for task in due(store, 10.0)] == [two.seq]
    with store.begin() as transaction:
        assert [task for task, _ in transaction.held(None, [one.lease])] == [replace(one, due_at=20.0)]


def test_extend_tells_which_are_to_stop(store: JobStore) -> None:
    add(store, new("a", tasks=2), new("b"))
    leases = [task.lease for task in claim(store, 3)]
    apply(store, states.pause, "a")
    with store.begin() as transaction:
        assert transaction.extend(WORKSPACE, leases, 20.0) == {leases[0]: True, leases[1]: True, leases[2]: False}
    apply(store, states.resume, "a")
    with store.begin() as transaction:
        assert transaction.extend(None, leases[:1], 20.0) == {leases[0]: False}


# what is due


def test_leases_are_due_when_they_end(store: JobStore) -> None:
    add(store, new("a", tasks=4))
    for until in (13.0, 11.0, 12.0, 11.0):
        claim(store, until=until)

    def indexes(now: float, limit: int = 10) -> list[int]:
        return [task.index for task in due(store, now, limit=limit)]

    assert indexes(10.9) == []
    assert indexes(11.0) == [1, 3]
    assert indexes(12.5) == [1, 3, 2]
    assert indexes(99.0, 3) == [1, 3, 2]
    with store.begin() as transaction:
        move(transaction, transaction.due(11.0, None, 10), Lost("lease_expired", 5), 11.0)
    assert indexes(99.0) == [2, 0]
    assert [recovery.task for recovery in get(store, "a").recoveries] == ["task-1", "task-3"]


def test_waits_are_due_in_one_line_with_leases(store: JobStore) -> None:
    add(store, new("later", wait=WaitingFor.TIME, until=12.0))
    add(store, *[new(name) for name in ("sleeps", "retries", "runs", "event", "ever")])
    sleeps, retries, _, event, ever = claim(store, 5, until=11.0)
    report(store, [sleeps.lease], Suspended(13.0))
    report(store, [retries.lease], Retried(FAILURE, 10.5))
    report(store, [event.lease], Suspended(14.0, "go"))
    report(store, [ever.lease], Suspended(None, "go"))
    add(store, new("start", wait=WaitingFor.START), new("parked", wait=WaitingFor.CONCURRENCY), new("ready"))
    with store.begin() as transaction:
        found = transaction.due(EVER, None, 10)
    assert [(execution.id, task.due_at) for task, execution in found] == [
        ("retries", 10.5), ("runs", 11.0), ("later", 12.0), ("sleeps", 13.0), ("event", 14.0),
    ]  # fmt: skip
    assert found == [(tasks_of(store, execution.id)[0], get(store, execution.id)) for _, execution in found]
    assert [len(due(store, now)) for now in (10.0, 10.5, 12.0, 13.9)] == [0, 1, 3, 4]
    assert [task.due_at for task in due(store, limit=2)] == [10.5, 11.0]
    assert store.next_due() == 10.5


def test_what_is_paused_is_not_due(store: JobStore) -> None:
    add(store, new("a", wait=WaitingFor.TIME, until=5.0, tasks=2), new("b", tasks=2))
    (one, two) = claim(store, 2, until=7.0)
    report(store, [one.lease], Suspended(6.0))
    apply(store, states.pause, "a")
    apply(store, states.pause, "b")
    assert [task.seq for task in due(store)] == [two.seq], "it still runs"
    report(store, [two.lease], Released())
    assert due(store) == []
    assert store.next_due() is None
    apply(store, states.resume, "a")
    apply(store, states.resume, "b")
    assert [task.due_at for task in due(store)] == [5.0, 5.0, 6.0]


def test_what_woke_is_not_due_and_is_claimable(store: JobStore) -> None:
    add(store, new("a", wait=WaitingFor.TIME, until=5.0, tasks=2))
    assert claimable(store) == []
    with store.begin() as transaction:
        for task, execution in transaction.due(5.0, None, 1):
            transaction.save(*([each] for each in states.move(execution, task, states.Woken(), 5.0)), [])
    assert [task.index for task in due(store)] == [1]
    assert [task.index for task in claim(store, 5)] == [0]


def test_leases_of_the_dead_are_due_at_once_in_any_workspace(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b", workspace="other"), new("later", wait=WaitingFor.TIME, until=30.0))
    claim(store, worker="host:1/dead", until=20.0)
    claim(store, worker="host:2/alive", until=10.0)
    claim(store, worker="HOST:1/alive", until=12.0)
    claim(store, worker="host:1/too", until=15.0, workspace="other")
    with store.begin() as transaction:
        found = transaction.due(1.0, "host:1/", 10)
        assert [(execution.id, task.worker) for task, execution in found] == [("b", "host:1/too"), ("a", "host:1/dead")]
        assert [task.due_at for task, _ in transaction.due(10.0, "host:1/", 10)] == [10.0, 15.0, 20.0]
        assert [task.due_at for task, _ in transaction.due(15.0, "host:1/", 10)] == [10.0, 12.0, 15.0, 20.0]
        assert [task.due_at for task, _ in transaction.due(10.0, "host:1/", 2)] == [10.0, 15.0]
        for nobody in ("host:1/dead2", "h%", "host_", "HOST:1/dead", "ost"):
            assert transaction.due(1.0, nobody, 10) == []
        assert len(transaction.due(1.0, "", 10)) == 4


def test_next_due_follows_leases_waits_and_deadlines(store: JobStore) -> None:
    assert store.next_due() is None
    add(store, new("a", tasks=3))
    assert store.next_due() is None
    (one,), (two,), (three,) = (claim(store, worker=f"w{n}", until=until) for n, until in enumerate((12.0, 11.0, 13.0)))
    assert store.next_due() == 11.0
    report(store, [two.lease])
    assert store.next_due() == 12.0
    with store.begin() as transaction:
        transaction.extend(None, [one.lease], 30.0)
    assert store.next_due() == 13.0
    report(store, [three.lease], Retried(FAILURE, 31.0))
    assert store.next_due() == 30.0
    change(store, "a", deadline=29.0)
    assert store.next_due() == 29.0
    change(store, "a", deadline=30.5)
    report(store, [one.lease])
    assert store.next_due() == 30.5
    change(store, "a", deadline=None)
    assert store.next_due() == 31.0
    cancel_all(store, "a")
    assert store.next_due() is None


def test_what_is_due_is_right_after_very_many_leases(store: JobStore) -> None:
    add(store, new("a", tasks=20))
    tasks = claim(store, 20, until=10.0)
    for round_ in range(200):
        with store.begin() as transaction:
            transaction.extend(None, [task.lease for task in tasks], 10.0 + round_)
    assert store.next_due() == 209.0
    report(store, [task.lease for task in tasks[1:]])
    assert store.next_due() == 209.0
    assert [task.seq for task in due(store, 209.0)] == [tasks[0].seq]


def test_executions_are_overdue_at_their_deadline(store: JobStore) -> None:
    add(store, *[new(f"e{number}", deadline=at) for number, at in enumerate((7.0, 5.0, None, 6.0, 5.0))])
    add(store, new("other", workspace="other", deadline=5.5))

    def overdue(now: float, limit: int = 10) -> list[str]:
        with store.begin() as transaction:
            return ids(transaction.overdue(now, limit))

    assert overdue(4.9) == []
    assert overdue(5.0) == ["e1", "e4"]
    assert overdue(EVER) == ["e1", "e4", "other", "e3", "e0"]
    assert overdue(EVER, 2) == ["e1", "e4"]
    apply(store, states.expire, "e1")
    apply(store, states.pause, "e4")
    assert overdue(EVER) == ["other", "e3", "e0"]
    assert get(store, "e4").time_left == 1.0
    apply(store, states.resume, "e4")
    assert overdue(5.0) == ["e4"]


# limits


def of(store: JobStore, verb: str, *arguments: Any) -> Any:
    """What a verb answers, in a transaction of its own; of executions their ids."""
    with store.begin() as transaction:
        found = getattr(transaction, verb)(*arguments)
    return ids(found) if isinstance(found, list) else found


def test_holders_are_counted_by_job_and_by_key(store: JobStore) -> None:
    add(store, *[new(f"e{number}", concurrency_key=f"k{number % 2}") for number in range(6)], new("plain"))
    add(store, new("job2", job="job2", concurrency_key="k0", slot=True), new("other", workspace="other", slot=True))
    assert of(store, "holders", WORKSPACE, "job", None) == 0
    for name in ("e0", "e2", "e3", "plain"):
        change(store, name, slot=True)
    assert [of(store, "holders", WORKSPACE, "job", key) for key in (None, "k0", "k1", "nobody")] == [4, 2, 1, 0]
    assert [of(store, "holders", WORKSPACE, "job2", key) for key in (None, "k0", "k1")] == [1, 1, 0]
    assert [of(store, "holders", "other", "job", key) for key in (None, "k0")] == [1, 0]
    change(store, "e0", slot=False)
    cancel_all(store, "e3")
    assert [of(store, "holders", WORKSPACE, "job", key) for key in (None, "k0", "k1")] == [2, 1, 0]


def test_parked_come_by_priority_and_then_by_age(store: JobStore) -> None:
    wait = WaitingFor.CONCURRENCY
    order = [("low", 3, "k0"), ("medium", 2, "k1"), ("high", 1, None), ("medium2", 2, "k0"), ("critical", 0, "k1")]
    add(store, *[new(name, priority=priority, concurrency_key=key, wait=wait) for name, priority, key in order])
    add(store, new("ready", concurrency_key="k0"), new("later", wait=WaitingFor.TIME, until=9.0))
    add(store, new("job2", job="job2", concurrency_key="k0", wait=WaitingFor.CONCURRENCY))
    add(store, new("other", workspace="other", wait=WaitingFor.CONCURRENCY))
    assert of(store, "parked", WORKSPACE, "job", None, 10) == ["critical", "high", "medium", "medium2", "low"]
    assert of(store, "parked", WORKSPACE, "job", None, 2) == ["critical", "high"]
    assert of(store, "parked", WORKSPACE, "job", "k0", 10) == ["medium2", "low"]
    assert of(store, "parked", WORKSPACE, "job", "k0", 1) == ["medium2"]
    assert of(store, "parked", WORKSPACE, "job", "nobody", 10) == []
    assert of(store, "parked", "other", "job", None, 10) == ["other"]
    assert of(store, "parked", WORKSPACE, "job", None, 10, ["k0"]) == ["critical", "high", "medium"]
    assert of(store, "parked", WORKSPACE, "job", None, 2, ["k0", "nobody"]) == ["critical", "high"]
    assert of(store, "parked", WORKSPACE, "job", "k0", 10, ["k1"]) == ["medium2", "low"]
    assert of(store, "parked", WORKSPACE, "job", "k0", 10, ["k0"]) == []
    apply(store, states.pause, "critical")
    cancel_all(store, "high")
    change(store, "medium2", waiting_for=None)
    assert of(store, "parked", WORKSPACE, "job", None, 10) == ["medium", "low"]
    change(store, "ready", waiting_for=WaitingFor.CONCURRENCY, wait_until=None)
    assert of(store, "parked", WORKSPACE, "job", "k0", 10) == ["ready", "low"]


def test_the_first_of_a_key_that_has_not_begun_is_found(store: JobStore) -> None:
    assert of(store, "keyed", WORKSPACE, "job", "k") == []
    add(store, new("plain"), new("another", concurrency_key="k2"), new("job2", job="job2", concurrency_key="k"))
    assert of(store, "keyed", WORKSPACE, "job", "k") == []
    add(store, new("a", concurrency_key="k", priority=3), new("b", concurrency_key="k", wait=WaitingFor.CONCURRENCY, priority=3))
    add(store, new("c", concurrency_key="k", wait=WaitingFor.TIME, until=9.0, priority=0))
    assert of(store, "keyed", WORKSPACE, "job", "k") == ["a"]
    (task,) = claim(store, execution="a")
    assert of(store, "keyed", WORKSPACE, "job", "k") == ["b"]
    report(store, [task.lease], Released())
    assert get(store, "a").status is JobStatus.PENDING
    assert of(store, "keyed", WORKSPACE, "job", "k") == ["b"], "one that waits again has begun"
    apply(store, states.pause, "b")
    assert of(store, "keyed", WORKSPACE, "job", "k") == ["c"]
    cancel_all(store, "c")
    assert of(store, "keyed", WORKSPACE, "job", "k") in (["a"], ["b"])
    cancel_all(store, "a")
    assert of(store, "keyed", WORKSPACE, "job", "k") == ["b"]
    cancel_all(store, "b")
    assert of(store, "keyed", WORKSPACE, "job", "k") == []
    assert of(store, "keyed", "other", "job", "k2") == []


def test_keys_may_hold_any_character(store: JobStore) -> None:
    keys = ["k", "k\0", "k\0a", "%", "\x1f", "\U0001f600"]
    add(store, *[new(f"e{number}", concurrency_key=key, wait=WaitingFor.CONCURRENCY) for number, key in enumerate(keys)])
    for number, key in enumerate(keys):
        change(store, f"e{number}", slot=True)
        assert of(store, "keyed", WORKSPACE, "job", key) == [f"e{number}"]
        assert of(store, "parked", WORKSPACE, "job", key, 5) == [f"e{number}"]
        assert of(store, "holders", WORKSPACE, "job", key) == 1


def test_a_parked_execution_is_not_claimable_until_it_wakes(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b"))
    with store.begin() as transaction:
        move_all(transaction, "a", states.Parked())
    assert names(claimable(store)) == names(new("b")[1])
    assert of(store, "parked", WORKSPACE, "job", None, 5) == ["a"]
    with store.begin() as transaction:
        move_all(transaction, "a", states.Woken())
    assert names(claim(store, 10)) == names([*new("a", tasks=3)[1], *new("b")[1]])
    assert of(store, "parked", WORKSPACE, "job", None, 5) == []


def move_all(transaction: Any, name: str, event: states.Woken | states.Parked) -> None:
    (execution,) = transaction.find(WORKSPACE, [name])
    tasks = []
    for task in transaction.tasks_in(execution.seq, (JobStatus.PENDING,)):
        execution, moved = states.move(execution, task, event, 2.0)
        tasks.append(moved)
    transaction.save([execution], tasks, [])


def test_tasks_in_some_statuses_come_by_their_index(store: JobStore) -> None:
    add(store, new("before", tasks=3), new("a", tasks=6))
    tasks = claim(store, 4, execution="a")
    report(store, [tasks[3].lease, tasks[0].lease])
    report(store, [tasks[1].lease], Released())

    def found(*statuses: JobStatus) -> list[int]:
        with store.begin() as transaction:
            return [task.index for task in transaction.tasks_in(get(store, "a").seq, statuses)]

    assert found(JobStatus.PENDING) == [1, 4, 5]
    assert found(JobStatus.RUNNING, JobStatus.COMPLETED) == [0, 2, 3]
    assert found(*OPEN) == [1, 2, 4, 5]
    assert found() == []
    assert found(*JobStatus) == [0, 1, 2, 3, 4, 5]
