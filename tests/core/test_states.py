"""The state machine: every walk that events can make keeps the promises."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaxel_jobs.core.records import Event, Execution, Failure, Spec, Task
from blaxel_jobs.core.states import TABLE, Claimed, Completed, Failed, Lost, Released, cancel, execution_status, step
from blaxel_jobs.errors import IllegalTransition
from blaxel_jobs.words import TERMINAL, FailureKind, JobStatus

FAILURE = Failure(FailureKind.ERROR, "ValueError", "no")
EVENTS: list[Any] = [Claimed("w", 10.0), Completed("1"), Failed(FAILURE), Released(), Lost("lease_expired", 2)]
EXECUTION_FLOW = {
    "pending": {"pending", "running", "cancelled"},
    "running": {"running", "pending", "completed", "failed", "cancelled"},
}


def new(tasks: int) -> tuple[Execution, list[Task]]:
    execution = Execution(
        seq=1, workspace="default", id="e", job="j", priority=2, total=tasks, created_at=0.0, updated_at=0.0, spec=Spec()
    )
    made = [
        Task(
            seq=n + 1, execution=1, workspace="default", job="j", index=n, id=f"task-{n}", priority=2, input="null",
            created_at=0.0, updated_at=0.0,
        )
        for n in range(tasks)
    ]  # fmt: skip
    return execution, made


def stepped(execution: Execution, task: Task, event: Any, now: float) -> tuple[Execution, Task, Event]:
    change = step(execution, task, event, now)
    return change.execution, change.task, change.event


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 3), st.integers(0, len(EVENTS) - 1)), max_size=40))
@pytest.mark.row("S1-33")
def test_every_walk_is_a_path_of_the_table(count: int, walk: list[tuple[int, int]]) -> None:
    execution, tasks = new(count)
    for at, (place, kind) in enumerate(walk):
        before, task, event = execution, tasks[place % count], EVENTS[kind]
        try:
            execution, moved, told = stepped(before, task, event, float(at))
        except IllegalTransition:
            assert (task.status, type(event)) not in TABLE
            continue
        assert moved.status in TABLE[task.status, type(event)]
        assert execution.status.value in EXECUTION_FLOW[before.status.value]
        assert told.id == execution.version == before.version + 1
        assert told.status is execution.status
        tasks[place % count] = moved
        statuses = [each.status for each in tasks]
        assert execution.running == statuses.count(JobStatus.RUNNING)
        assert execution.completed == statuses.count(JobStatus.COMPLETED)
        assert execution.failed == statuses.count(JobStatus.FAILED)
        assert execution.done == all(each.done for each in tasks) == (execution.ended_at is not None)
        if execution.done:
            assert execution.status is (JobStatus.FAILED if execution.failed else JobStatus.COMPLETED)
            assert (execution.error is not None) == (execution.failed > 0)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(sorted(TERMINAL), EVENTS)))
def test_a_terminal_task_never_changes(status: JobStatus, event: Any) -> None:
    assert (status, type(event)) not in TABLE


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


def test_a_release_uses_up_nothing() -> None:
    execution, [task] = new(1)
    for _ in range(20):
        execution, task, _ = stepped(execution, task, Claimed("w", 10.0), 1.0)
        execution, task, _ = stepped(execution, task, Released(), 1.0)
    assert (task.status, task.losses, execution.recoveries) == (JobStatus.PENDING, 0, ())
    assert execution.status is JobStatus.PENDING


def test_cancel_ends_all_open_tasks_in_one_event() -> None:
    execution, tasks = new(3)
    execution, tasks[0], _ = stepped(execution, tasks[0], Claimed("w", 10.0), 1.0)
    execution, tasks[0], _ = stepped(execution, tasks[0], Completed("1"), 2.0)
    execution, tasks[1], _ = stepped(execution, tasks[1], Claimed("w", 10.0), 3.0)
    after, ended, told = cancel(execution, tasks[1:], 4.0)
    assert (after.status, after.completed, after.cancelled, after.running) == (JobStatus.CANCELLED, 1, 2, 0)
    assert {task.status for task in ended} == {JobStatus.CANCELLED}
    assert (told.type, told.id, told.status) == ("cancelled", execution.version + 1, JobStatus.CANCELLED)
    with pytest.raises(IllegalTransition, match="is cancelled"):
        cancel(after, [], 5.0)


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ((2, 0, 0, 0, 0), "pending"),
        ((2, 1, 0, 0, 0), "running"),
        ((2, 0, 1, 0, 0), "running"),
        ((2, 0, 2, 0, 0), "completed"),
        ((2, 0, 1, 1, 0), "failed"),
        ((2, 0, 0, 1, 1), "cancelled"),
    ],
)
def test_an_execution_follows_its_tasks(counts: tuple[int, ...], status: str) -> None:
    assert execution_status(*counts) == status
