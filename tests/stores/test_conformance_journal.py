"""What every store must do about steps, signals, definitions, tallies and the backlog."""

from typing import Any

from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import Definition, Policy, Progress, RetryPolicy, Step, Task
from blaxel_jobs.core.reports import LogLine, Released
from blaxel_jobs.core.states import Suspended
from blaxel_jobs.stores.base import Backlog, JobStore
from blaxel_jobs.words import JobStatus, WaitingFor

from .samples import (
    WORKSPACE,
    a_definition,
    a_signal,
    a_step,
    a_tally,
    add,
    apply,
    cancel_all,
    claim,
    get,
    new,
    report,
    tallies,
    tasks_of,
)

NAMES = ["b", "a", "a\0", "a\0b", "A", "", "\U0001f600", "%"]


def save(store: JobStore, *steps: Step) -> None:
    with store.begin() as transaction:
        transaction.save([], [], [], steps)


def stored(store: JobStore, *tasks: Task) -> list[Step]:
    with store.begin() as transaction:
        return transaction.steps([task.seq for task in tasks])


# steps


def test_steps_come_by_time_and_then_by_name(store: JobStore) -> None:
    add(store, new("a"))
    (task,) = tasks_of(store, "a")
    steps = [a_step(task, name, value=f'"{place}"', at=9.0 - place // 2) for place, name in enumerate(NAMES)]
    save(store, *steps[:3])
    for step in steps[3:]:
        save(store, step)
    assert stored(store, task) == in_order(steps)


def test_a_step_replaces_an_open_wait_and_nothing_else(store: JobStore) -> None:
    add(store, new("a"))
    (task,) = tasks_of(store, "a")
    waited = a_step(task, "waited", kind="wait", value=None, at=1.0, due_at=30.0)
    kept = [
        a_step(task, "run", value="1", at=2.0),
        a_step(task, "slept", kind="sleep", value=None, at=3.0, due_at=30.0),
        a_step(task, "came", kind="event", value="2", at=4.0),
        a_step(task, "over", kind="timeout", value=None, at=5.0),
    ]
    save(store, waited, *kept)
    came = a_step(task, "waited", kind="event", value='{"x":1}', at=20.0)
    save(store, came, *[a_step(task, step.name, value='"other"', at=9.0) for step in kept])
    save(store, a_step(task, "waited", value='"other"', at=21.0))
    assert stored(store, task) == [*kept, came]
    save(store, a_step(task, "twice", value="1", at=30.0), a_step(task, "twice", value="2", at=30.0))
    assert stored(store, task)[-1].value == "1"


def in_order(steps: list[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: (step.at, step.name.encode()))


def test_steps_of_several_tasks_come_by_task(store: JobStore) -> None:
    add(store, new("a", tasks=3), new("b"))
    one, two, three = tasks_of(store, "a")
    (other,) = tasks_of(store, "b")
    save(store, a_step(three, "x"), a_step(one, "y"), a_step(other, "x"), a_step(three, "w"), a_step(one, "x"))
    first, last = [a_step(one, "x"), a_step(one, "y")], [a_step(three, "w"), a_step(three, "x")]
    assert stored(store, three, one, two, one) == [*first, *last]
    assert stored(store, one, other) == [*first, a_step(other, "x")]
    assert stored(store, two) == stored(store) == []


def test_a_transaction_sees_its_own_steps_and_signals(store: JobStore) -> None:
    add(store, new("a"))
    (task,), execution = tasks_of(store, "a"), get(store, "a")
    with store.begin() as transaction:
        transaction.save([], [], [], [a_step(task, "x")], [a_signal(execution, "x")])
        assert transaction.steps([task.seq]) == [a_step(task, "x")]
        assert transaction.steps([task.seq], "x") == [a_step(task, "x")]
        assert transaction.steps([task.seq], "y") == []
        assert transaction.signals(execution.seq) == [a_signal(execution, "x")]


def test_steps_are_listed_without_their_values(store: JobStore) -> None:
    add(store, new("before"), new("a", tasks=12), new("after"))
    tasks = tasks_of(store, "a")
    for name in ("y", "x"):
        save(store, *[a_step(task, name) for task in reversed(tasks)], *[a_step(tasks_of(store, "after")[0], name)])
    save(store, a_step(tasks[0], "z", at=8.0, kind="wait", due_at=10.0))
    seq = get(store, "a").seq
    expected = [(task.id, a_step(task, name, value=None)) for task in tasks for name in ("x", "y")]
    expected.insert(2, ("task-0", a_step(tasks[0], "z", at=8.0, kind="wait", due_at=10.0, value=None)))
    assert store.steps(WORKSPACE, seq, 0, 100) == expected
    assert store.steps(WORKSPACE, seq, 3, 4) == expected[3:7]
    assert store.steps(WORKSPACE, seq, 100, 4) == []
    assert store.steps("other", seq, 0, 100) == []
    assert store.steps(WORKSPACE, get(store, "before").seq, 0, 100) == []
    assert store.steps(WORKSPACE, 10**6, 0, 100) == []
    assert [step.value for step in stored(store, tasks[0])] == ['"x"', '"y"', '"z"']


# signals


def test_signals_come_in_the_order_in_which_they_were_sent(store: JobStore) -> None:
    add(store, new("a"), new("b"))
    a, b = get(store, "a"), get(store, "b")
    sent = [a_signal(a, name, at=9.0 - place, payload=f'{{"n":{place}}}') for place, name in enumerate(NAMES)]

    def save_signals(*signals: Any) -> None:
        with store.begin() as transaction:
            transaction.save([], [], [], (), signals)

    def signals_of(seq: int) -> list[Any]:
        with store.begin() as transaction:
            return transaction.signals(seq)

    save_signals(*sent, a_signal(b, "a"))
    assert signals_of(a.seq) == sent
    sent[2] = a_signal(a, NAMES[2], taken=True, name="went", at=12.0)
    save_signals(sent[2])
    assert signals_of(a.seq) == sent
    assert signals_of(b.seq) == [a_signal(b, "a")]
    assert signals_of(10**6) == []


def test_signals_are_found_by_name_and_by_id(store: JobStore) -> None:
    add(store, new("a"), new("b"))
    a, b = get(store, "a"), get(store, "b")
    sent = [a_signal(a, "1", name="x"), a_signal(a, "2", name="y"), a_signal(a, "3", name="x"), a_signal(a, "4", name="X")]
    gone = a_signal(a, "0", name="x", taken=True)
    with store.begin() as transaction:
        transaction.save([], [], [], (), [gone, *sent, a_signal(b, "5", name="x")])
        assert transaction.signals(a.seq, name="x") == [sent[0], sent[2]]
        assert transaction.signals(a.seq, name="z") == transaction.signals(10**6, name="x") == []
        assert transaction.signals(a.seq, id="0") == [gone]
        assert transaction.signals(a.seq, id="5") == transaction.signals(10**6, id="1") == []


def test_waits_are_those_of_pending_tasks_each_reason_once(store: JobStore) -> None:
    add(store, new("a", tasks=6), new("b"))
    tasks, seq = tasks_of(store, "a"), get(store, "a").seq
    reasons = [None, WaitingFor.TIME, WaitingFor.TIME, WaitingFor.EVENT, WaitingFor.EVENT, WaitingFor.RETRY]
    ends = [None, 9.0, 7.0, None, None, 3.0]
    moved = [replace(task, waiting_for=why, due_at=end) for task, why, end in zip(tasks, reasons, ends, strict=True)]
    moved[5] = replace(moved[5], status=JobStatus.PAUSED)
    with store.begin() as transaction:
        assert transaction.waits(seq) == [(None, None)]
        transaction.save([], moved, [])
        expected = {None: None, WaitingFor.TIME: 7.0, WaitingFor.EVENT: None}
        assert (dict(transaction.waits(seq)), len(transaction.waits(seq))) == (expected, 3)
        assert transaction.waits(10**6) == []


def test_the_next_rest_of_a_task_is_its_first_sleep_or_wait_that_ends(store: JobStore) -> None:
    add(store, new("a", tasks=2))
    one, two = tasks_of(store, "a")
    rests = [
        a_step(one, "over", kind="sleep", due_at=5.0),
        a_step(one, "nap", kind="sleep", due_at=9.0),
        a_step(one, "go", kind="wait", due_at=7.0),
        a_step(one, "ever", kind="wait", due_at=None),
        a_step(one, "come", kind="event", due_at=6.0),
        a_step(two, "nap", kind="sleep", due_at=6.0),
    ]
    with store.begin() as transaction:
        assert transaction.next_rest(one.seq, 5.0) is None
        transaction.save([], [], [], rests)
        assert [transaction.next_rest(one.seq, after) for after in (4.0, 5.0, 7.0, 9.0)] == [5.0, 7.0, 9.0, None]
        assert transaction.next_rest(10**6, 0.0) is None


def test_the_lines_of_a_task_are_counted_since_its_last_claim(store: JobStore) -> None:
    add(store, new("a", tasks=2), new("b"))
    seq = get(store, "a").seq

    def note(*messages: str) -> None:
        with store.begin() as transaction:
            for task, _ in transaction.held(None, [task.lease for task in tasks_of(store, "a")]):
                (before,) = transaction.find(WORKSPACE, ["a"])
                logs = [LogLine("info", message) for message in messages]
                execution, after, events = states.note(before, task, Progress(1), logs, 3.0)
                transaction.save([execution], [after], events)
                assert transaction.lines(seq, task.id) >= len(messages)

    def kept() -> list[int]:
        with store.begin() as transaction:
            return [transaction.lines(number, id) for number in (seq, seq + 1, 10**6) for id in ("task-0", "task-1")]

    assert kept() == [0] * 6
    claim(store, limit=1, execution="a")
    note("one", "two")
    note("three")
    assert kept() == [3, *[0] * 5]
    claim(store, limit=1, execution="a")
    note("four")
    assert kept() == [4, 1, *[0] * 4]
    report(store, [tasks_of(store, "a")[0].lease], Released())
    claim(store, limit=1, execution="a")
    assert kept() == [0, 1, *[0] * 4]


# definitions


def test_definitions_are_kept_by_workspace_and_job(store: JobStore) -> None:
    assert store.definitions() == []
    policy = Policy(True, 3, RetryPolicy(0.5, 3.0, 9.0, "none"), 2.5, True)
    full = a_definition(
        "full", updated_at=5.5, queue="q", policy=policy, priority=0, concurrency=4, concurrency_per_key=2,
        input_schema={"type": "object", "x": [1, 2.5, None]}, output_schema={},
    )  # fmt: skip
    with store.begin() as transaction:
        transaction.define(a_definition("b"))
        transaction.define(a_definition("a", concurrency=1))
        transaction.define(full)
        transaction.define(a_definition("a", workspace="other"))

    def by_name() -> list[Definition]:
        return sorted(store.definitions(), key=lambda definition: (definition.workspace, definition.job))

    assert by_name() == [a_definition("a", concurrency=1), a_definition("b"), full, a_definition("a", workspace="other")]
    with store.begin() as transaction:
        transaction.define(a_definition("a", updated_at=9.0))
    assert by_name()[0] == a_definition("a", updated_at=9.0)
    assert len(by_name()) == 4


# tallies


def test_tallies_are_replaced_and_forgotten(store: JobStore) -> None:
    assert store.tallies() == []
    first = [a_tally(0, a=1.0), a_tally(5, a=1.0, b=2.5), a_tally(6), a_tally(6, server="s2"), a_tally(6, job="j2", c=0.5)]
    with store.begin() as transaction:
        transaction.count(first)
        transaction.count([])
        transaction.count([a_tally(5, a=7.0), a_tally(5, workspace="other", a=2.0)])
    first[1] = a_tally(5, a=7.0)
    assert tallies(store.tallies()) == tallies([*first, a_tally(5, workspace="other", a=2.0)])
    with store.begin() as transaction:
        assert transaction.forget_tallies(0) == []
        assert tallies(transaction.forget_tallies(6)) == tallies([*first[:2], a_tally(5, workspace="other", a=2.0)])
        assert transaction.forget_tallies(6) == []
        transaction.count([a_tally(0, a=8.0)])
    assert tallies(store.tallies()) == tallies([a_tally(0, a=8.0), *first[2:]])


# backlog


def test_the_backlog_is_what_has_not_ended(store: JobStore) -> None:
    assert store.backlog() == []
    add(store, new("a", tasks=5), new("b", wait=WaitingFor.START, tasks=2), new("c", wait=WaitingFor.TIME, until=9.0), new("d"))
    add(store, new("e", job="job2", wait=WaitingFor.CONCURRENCY), new("f", workspace="other", tasks=3))
    tasks = claim(store, 4, execution="a")
    report(store, [tasks[0].lease])
    report(store, [tasks[1].lease], Suspended(None, "go"))
    cancel_all(store, "d")
    claim(store, workspace="other")
    assert backlog(store) == {
        (WORKSPACE, "job", JobStatus.PENDING): 5,
        (WORKSPACE, "job", JobStatus.RUNNING): 2,
        (WORKSPACE, "job2", JobStatus.PENDING): 1,
        ("other", "job", JobStatus.PENDING): 2,
        ("other", "job", JobStatus.RUNNING): 1,
    }
    apply(store, states.pause, "a")
    apply(store, states.pause, "b")
    assert backlog(store) == {
        (WORKSPACE, "job", JobStatus.PENDING): 1,
        (WORKSPACE, "job", JobStatus.RUNNING): 2,
        (WORKSPACE, "job", JobStatus.PAUSED): 4,
        (WORKSPACE, "job2", JobStatus.PENDING): 1,
        ("other", "job", JobStatus.PENDING): 2,
        ("other", "job", JobStatus.RUNNING): 1,
    }
    report(store, [tasks[2].lease], Released())
    assert backlog(store)[WORKSPACE, "job", JobStatus.PAUSED] == 5
    for name in ("a", "b", "c", "e"):
        cancel_all(store, name)
    cancel_all(store, "f", "other")
    assert store.backlog() == []


def backlog(store: JobStore) -> dict[tuple[str, str, JobStatus], int]:
    found = store.backlog()
    assert {each.oldest for each in found} <= {1.0}
    counts = {(each.workspace, each.job, each.status): each.count for each in found}
    assert len(counts) == len(found)
    return counts


def test_the_backlog_knows_its_oldest(store: JobStore) -> None:
    ages = {"a": 5.0, "b": 3.0, "c": 4.0, "d": 2.0}
    for name, at in ages.items():
        execution, _ = new(name, priority=0 if name == "a" else 2, wait=WaitingFor.START if name == "d" else None)
        execution = replace(execution, created_at=at)
        add(store, (execution, [replace(task, created_at=at) for task in new(name, wait=execution.waiting_for)[1]]))
    assert store.backlog() == [Backlog(WORKSPACE, "job", JobStatus.PENDING, 4, 2.0)]
    cancel_all(store, "d")
    assert store.backlog() == [Backlog(WORKSPACE, "job", JobStatus.PENDING, 3, 3.0)]
    claim(store, execution="b")
    claim(store, execution="c")
    assert sorted(store.backlog(), key=lambda each: each.status) == [
        Backlog(WORKSPACE, "job", JobStatus.PENDING, 1, 5.0),
        Backlog(WORKSPACE, "job", JobStatus.RUNNING, 2, 3.0),
    ]
