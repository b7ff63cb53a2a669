"""The state machine: every walk that events can make keeps the promises."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from blaxel_jobs.core import states
from blaxel_jobs.core.records import MAX_HISTORY, Event, Execution, Failure, Policy, Progress, Spec, Task
from blaxel_jobs.core.reports import Completed, LogLine, Released
from blaxel_jobs.core.states import (
    TABLE,
    Cancelled,
    Claimed,
    Ended,
    Lost,
    Parked,
    Paused,
    Reopened,
    Resumed,
    Retried,
    Suspended,
    Woken,
    cancel,
    execution_status,
    step,
)
from blaxel_jobs.errors import IllegalTransition
from blaxel_jobs.words import TERMINAL, FailureKind, JobStatus, WaitingFor

FAILURE = Failure(FailureKind.ERROR, "ValueError", "no")
EVENTS: list[Any] = [
    Claimed("w", 10.0),
    Completed("1"),
    Ended(FAILURE),
    Retried(FAILURE, 20.0),
    Suspended(20.0),
    Suspended(None, "event"),
    Released(),
    Lost("lease_expired", 2),
]
"""What is told of one task."""
OTHERS: list[Any] = [Woken(), Parked(), Paused(), Resumed(), Reopened(), Cancelled()]
"""What is done to the tasks of an execution by other ways."""
VERBS: list[Any] = [states.start, states.pause, states.resume, states.cancel, states.expire, states.retry, states.fail_fast]
EXECUTION_FLOW = {
    "pending": {"pending", "running", "paused", "failed", "cancelled"},
    "running": {"running", "pending", "paused", "completed", "failed", "cancelled"},
    "paused": {"paused", "pending", "running", "completed", "failed", "cancelled"},
    "failed": {"pending", "running"},
}


def new(tasks: int, **fields: Any) -> tuple[Execution, list[Task]]:
    execution = Execution(
        seq=1, workspace="default", id="e", job="j", priority=2, total=tasks, created_at=0.0, updated_at=0.0, spec=Spec(), **fields
    )
    made = [
        Task(
            seq=n + 1, execution=1, workspace="default", job="j", index=n, id=f"task-{n}", priority=2, input="null",
            created_at=0.0, updated_at=0.0, waiting_for=execution.waiting_for,
        )
        for n in range(tasks)
    ]  # fmt: skip
    return execution, made


def stepped(execution: Execution, task: Task, event: Any, now: float) -> tuple[Execution, Task, Event]:
    change = step(execution, task, event, now)
    return change.execution, change.task, change.event


def check(execution: Execution, tasks: list[Task], *, cancelled: bool) -> None:
    """The counts are those of the tasks, and the status follows from them."""
    statuses = [each.status for each in tasks]
    assert execution.running == statuses.count(JobStatus.RUNNING)
    assert execution.completed == statuses.count(JobStatus.COMPLETED)
    assert execution.failed == statuses.count(JobStatus.FAILED)
    assert execution.cancelled == statuses.count(JobStatus.CANCELLED)
    assert execution.done == all(each.done for each in tasks) == (execution.ended_at is not None)
    assert execution.status is (JobStatus.CANCELLED if cancelled else execution_status(execution))
    assert (execution.error is not None) == (execution.failed > 0)
    for task in tasks:
        assert (task.status is JobStatus.PAUSED) <= execution.paused
        assert (task.status is JobStatus.PENDING) <= (not execution.paused)
        assert (task.status is JobStatus.RUNNING) <= (task.worker is not None and task.due_at is not None)
        assert (task.ended_at is not None) == task.done
    if execution.done:
        assert not execution.paused
        assert (execution.slot, execution.deadline, execution.time_left, execution.waiting_for) == (False, None, None, None)
    if execution.paused:
        assert execution.deadline is None
        assert not execution.slot or execution.running


def refuses(move: Any, execution: Execution, tasks: list[Task]) -> bool:
    """May this not be done."""
    if isinstance(move, tuple):
        return (tasks[move[0] % len(tasks)].status, type(move[1])) not in TABLE
    if move is states.retry:
        return execution.status is not JobStatus.FAILED
    return execution.done and (move, execution.status) != (states.cancel, JobStatus.CANCELLED)


walks = st.lists(st.one_of(st.tuples(st.integers(0, 3), st.sampled_from(EVENTS)), st.sampled_from(VERBS)), max_size=40)


@given(st.integers(1, 4), st.sampled_from([None, 60.0]), walks)
@pytest.mark.row("S1-33")
def test_every_walk_is_a_path_of_the_table(count: int, timeout: float | None, walk: list[Any]) -> None:
    execution, tasks = new(count, policy=Policy(bound=True, timeout=timeout))
    cancelled = False
    for at, move in enumerate(walk):
        before, old = execution, list(tasks)
        told: Event | None
        try:
            if isinstance(move, tuple):
                place, event = move
                execution, moved, told = stepped(before, tasks[place % count], event, float(at))
                assert moved.status in TABLE[tasks[place % count].status, type(event)]
                tasks[place % count] = moved
            else:
                mine = [task for task in tasks if not task.done or move is states.retry]
                if move is states.fail_fast and not (before.failed and mine):
                    continue
                whole = move(before, mine, float(at))
                execution, told = whole.execution, whole.event
                for task in whole.tasks:
                    assert task.status in {
                        target for (status, _), to in TABLE.items() if status is tasks[task.index].status for target in to
                    }
                    tasks[task.index] = task
                cancelled = cancelled or move is states.cancel
        except IllegalTransition:
            assert (execution, tasks) == (before, old)
            assert refuses(move, before, tasks)
            continue
        assert not refuses(move, before, old)
        check(execution, tasks, cancelled=cancelled)
        if told is None:
            assert execution == before
            continue
        assert execution.status.value in EXECUTION_FLOW[before.status.value]
        assert told.id == execution.version == before.version + 1
        assert told.status is execution.status


@pytest.mark.parametrize(("status", "event"), list(itertools.product(sorted(TERMINAL), [*EVENTS, *OTHERS])))
def test_a_terminal_task_changes_only_by_retry(status: JobStatus, event: Any) -> None:
    assert ((status, type(event)) in TABLE) == (type(event) is Reopened and status is not JobStatus.COMPLETED)


def test_every_event_is_in_the_table() -> None:
    assert {event for _, event in TABLE} == {type(event) for event in (*EVENTS, *OTHERS)}


def test_losses_are_counted_apart_and_bounded() -> None:
    execution, [task] = new(1)
    for loss in range(1, 4):
        execution, task, _ = stepped(execution, task, Claimed(f"w{loss}", 10.0), float(loss))
        assert task.token == task.attempt == loss
        execution, task, told = stepped(execution, task, Lost("lease_expired", 2), float(loss))
        assert (task.losses, told.type) == (loss, "task.recovered" if loss < 3 else "task.failed")
    assert task.status is execution.status is JobStatus.FAILED
    assert task.error is not None
    assert task.error.kind is FailureKind.WORKER_LOST
    assert [(r.worker, r.attempt) for r in execution.recoveries] == [("w1", 1), ("w2", 2), ("w3", 3)]


@pytest.mark.parametrize("event", [Released(), Suspended(5.0), Suspended(None, "event")])
def test_who_gives_a_task_back_uses_up_nothing(event: Any) -> None:
    execution, [task] = new(1)
    for turn in range(1, 20):
        execution, task, _ = stepped(execution, task, Claimed("w", 10.0), 1.0)
        assert (task.attempt, task.token, task.started_at) == (1, turn, 1.0)
        execution, task, _ = stepped(execution, task, event, 2.0)
        _, task = states.move(execution, task, Woken(), 3.0)
    assert (task.status, task.losses, task.errors, execution.recoveries) == (JobStatus.PENDING, 0, 0, ())
    assert (execution.status, execution.retried) == (JobStatus.PENDING, 0)


def test_an_error_that_is_retried_is_remembered() -> None:
    execution, [task] = new(1)
    for attempt in range(1, MAX_HISTORY + 3):
        execution, task, _ = stepped(execution, task, Claimed(f"w{attempt}", 10.0), 1.0)
        assert (task.attempt, task.error) == (attempt, None)
        execution, task, told = stepped(execution, task, Retried(FAILURE, 20.0), 2.0)
        assert (told.type, told.error, task.waiting_for, task.due_at) == ("task.retrying", FAILURE, WaitingFor.RETRY, 20.0)
        execution, task = states.move(execution, task, Woken(), 20.0)
    assert [attempt.number for attempt in task.history] == list(range(3, MAX_HISTORY + 3))
    assert (task.errors, execution.retried) == (MAX_HISTORY + 2, MAX_HISTORY + 2)


def test_cancel_ends_all_open_tasks_in_one_event() -> None:
    execution, tasks = new(3)
    execution, tasks[0], _ = stepped(execution, tasks[0], Claimed("w", 10.0), 1.0)
    execution, tasks[0], _ = stepped(execution, tasks[0], Completed("1"), 2.0)
    execution, tasks[1], _ = stepped(execution, tasks[1], Claimed("w", 10.0), 3.0)
    whole = cancel(execution, tasks[1:], 4.0)
    after, told = whole.execution, whole.event
    assert (after.status, after.completed, after.cancelled, after.running) == (JobStatus.CANCELLED, 1, 2, 0)
    assert {task.status for task in whole.tasks} == {JobStatus.CANCELLED}
    assert told is not None
    assert (told.type, told.id, told.status) == ("cancelled", execution.version + 1, JobStatus.CANCELLED)
    assert cancel(after, [], 5.0).event is None
    execution, tasks[1], _ = stepped(execution, tasks[1], Completed("1"), 4.0)
    execution, tasks[2], _ = stepped(execution, tasks[2], Claimed("w", 10.0), 5.0)
    execution, tasks[2], _ = stepped(execution, tasks[2], Completed("1"), 6.0)
    with pytest.raises(IllegalTransition, match="is completed"):
        cancel(execution, [], 7.0)


def test_an_execution_that_waits_for_a_slot_does_so_until_it_has_one() -> None:
    execution, [one, two] = new(2)
    one = replace(one, waiting_for=WaitingFor.TIME, due_at=5.0)
    execution, two = states.move(execution, two, Parked(), 1.0)
    execution, one = states.move(execution, one, Woken(), 5.0)
    assert (execution.waiting_for, one.ready, two.ready) == (WaitingFor.CONCURRENCY, True, False)
    execution, one = states.move(execution, one, Parked(), 6.0)
    execution, one = states.move(execution, one, Woken(), 7.0)
    assert (execution.waiting_for, one.ready) == (None, True)


def test_time_does_not_pass_for_what_is_paused() -> None:
    execution, [task] = new(1, policy=Policy(bound=True, timeout=10.0))
    execution, task, _ = stepped(execution, task, Claimed("w", 10.0), 100.0)
    assert execution.deadline == 110.0
    execution = states.pause(execution, [], 104.0).execution
    assert (execution.status, execution.deadline, execution.time_left) == (JobStatus.PAUSED, None, 6.0)
    execution, task, _ = stepped(execution, task, Suspended(105.0), 104.5)
    assert (task.status, task.due_at) == (JobStatus.PAUSED, 105.0)
    whole = states.resume(execution, [task], 200.0)
    assert (whole.execution.deadline, whole.execution.waiting_for, whole.execution.wait_until) == (206.0, WaitingFor.TIME, 105.0)
    failed = states.expire(whole.execution, whole.tasks, 206.0)
    assert failed.execution.error is not None
    assert (failed.execution.status, failed.execution.error.kind) == (JobStatus.FAILED, FailureKind.TIMEOUT)
    again = states.retry(failed.execution, failed.tasks, 300.0)
    assert (again.execution.status, again.execution.deadline, again.execution.error) == (JobStatus.PENDING, 310.0, None)


def test_notes_are_events_and_change_no_status() -> None:
    execution, [task] = new(1)
    execution, task, _ = stepped(execution, task, Claimed("w", 10.0), 1.0)
    lines = [LogLine("info", "one"), LogLine("info", "two", {"n": 2})]
    after, noted, events = states.note(execution, task, Progress(1.0, 2.0), lines, 2.0)
    assert [(event.id, event.type) for event in events] == [(3, "log"), (4, "log"), (5, "progress")]
    assert (after.version, after.status, after.progress) == (5, JobStatus.RUNNING, Progress(1.0, 2.0))
    assert noted.progress == Progress(1.0, 2.0)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ((2, 0, 0, 0, 0), "pending"),
        ((2, 1, 0, 0, 0), "running"),
        ((2, 0, 1, 0, 0), "running"),
        ((2, 0, 2, 0, 0), "completed"),
        ((2, 0, 1, 1, 0), "failed"),
        ((2, 0, 0, 1, 1), "failed"),
        ((2, 0, 1, 0, 1), "cancelled"),
    ],
)
def test_an_execution_follows_its_tasks(counts: tuple[int, ...], status: str) -> None:
    names = ("total", "running", "completed", "failed", "cancelled")
    execution = replace(new(2)[0], **dict(zip(names, counts, strict=True)))
    assert execution_status(execution) == status
    paused = replace(execution, paused=True)
    assert execution_status(paused) == ("paused" if status in ("pending", "running") else status)
