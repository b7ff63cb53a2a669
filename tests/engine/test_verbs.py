"""The verbs, retries, waits: what becomes of an execution that is steered while it goes its way."""

from typing import Any

import pytest

from blaxel_jobs.core.records import Failure
from blaxel_jobs.core.reports import Awaited, Completed, Failed, Released, Slept, Stepped
from blaxel_jobs.core.requests import read_batch
from blaxel_jobs.engine.commands import CreateBatch
from blaxel_jobs.errors import Conflict, IllegalTransition, NotFound
from blaxel_jobs.words import FailureKind

from .conftest import Harness

DONE = Completed("1")
NO = Failed(Failure(FailureKind.ERROR, "ValueError", "no"))


def create(harness: Harness, **body: Any) -> str:
    if "tasks" not in body:
        body.setdefault("input", None)
    return str(harness.create(**body)["executionId"])


def task(harness: Harness, id: str, index: int = 0) -> dict[str, Any]:
    view: dict[str, Any] = harness.get(id)["tasks"][index]
    return view


def test_a_rerun_of_what_is_deleted_while_it_is_read_is_refused(harness: Harness) -> None:
    """It asks for the inputs again as long as there are some."""
    id, store = create(harness), harness.engine.store
    read = store.tasks

    def tasks(*arguments: Any, **options: Any) -> Any:
        harness.do("delete", id, body={"force": True})
        return read(*arguments, **options)

    store.tasks = tasks  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        harness.do("rerun", id, body={})


def test_s2_21_one_throw_fails_an_execution(harness: Harness) -> None:
    id = create(harness)
    [leased] = harness.claim()
    harness.tell(leased, NO)
    view = harness.get(id)
    assert (view["status"], view["error"]["message"], task(harness, id)["attempts"]) == ("failed", "no", 1)


def test_s2_23_retry_keeps_what_is_done(harness: Harness) -> None:
    id = create(harness, tasks=[{}, {}], maxRetries=1, retryDelayMs=0)
    one, two = harness.claim()
    harness.tell(one, DONE)
    harness.tell(two, Stepped("step", "1"))
    harness.tell(two, NO)
    harness.pass_time(0.0)
    [two] = harness.claim()
    harness.tell(two, NO)
    assert harness.get(id)["status"] == "failed"
    assert harness.do("retry", id)["status"] == "running"
    [again] = harness.claim()
    assert (again.task_id, again.attempt, [step.name for step in again.steps]) == ("task-1", 3, ["step"])
    harness.tell(again, NO)  # its retries count anew
    harness.pass_time(0.0)
    [again] = harness.claim()
    harness.tell(again, DONE)
    assert harness.get(id)["status"] == "completed"


@pytest.mark.row("S3-06")
def test_what_is_permanent_is_not_retried_and_a_handler_may_say_when(harness: Harness) -> None:
    permanent = create(harness, maxRetries=5, retryDelayMs=1000)
    [leased] = harness.claim()
    harness.tell(leased, Failed(Failure(FailureKind.PERMANENT, "PermanentError", "no")))
    assert (harness.get(permanent)["status"], task(harness, permanent)["attempts"]) == ("failed", 1)
    later = create(harness, maxRetries=5, retryDelayMs=1000)
    [leased] = harness.claim()
    harness.tell(leased, Failed(Failure(FailureKind.ERROR, "RetryAfter", "later"), retry_after=7.0))
    harness.pass_time(6.9)
    assert (harness.get(later)["waitingFor"], harness.claim()) == ("retry", [])
    harness.pass_time(0.2)
    assert [leased.attempt for leased in harness.claim()] == [2]


@pytest.mark.row("S3-04")
def test_a_delay_is_kept_to_the_moment(harness: Harness) -> None:
    id = create(harness, delayMs=2000)
    harness.pass_time(1.999)
    assert (harness.get(id)["waitingFor"], harness.claim()) == ("time", [])
    harness.pass_time(0.001)
    assert [leased.execution_id for leased in harness.claim()] == [id]


def test_the_first_task_that_fails_ends_the_others(harness: Harness) -> None:
    id = create(harness, tasks=[{}, {}, {}], failFast=True)
    one, two = harness.claim(2)
    harness.tell(two, NO)
    view = harness.get(id)
    assert (view["status"], view["stats"]["failure"], view["stats"]["cancelled"]) == ("failed", 1, 2)
    assert harness.engine.store.events("default", 1, 0, 100)[-1].type == "failed_fast"
    with pytest.raises(Conflict):
        harness.tell(one, DONE)


def test_a_task_that_is_lost_too_often_fails_and_ends_the_others(make: Any) -> None:
    harness = make(max_recoveries=0)
    id = create(harness, tasks=[{}, {}, {}], failFast=True)
    assert len(harness.claim(2)) == 2
    harness.pass_time(10.0)
    view = harness.get(id)
    assert (view["status"], view["stats"]["failure"], view["stats"]["cancelled"]) == ("failed", 1, 2)
    assert view["error"]["kind"] == "worker_lost"


@pytest.mark.parametrize("how", ["expired", "failed_fast"])
def test_what_ended_while_it_waited_begins_anew_when_retried(harness: Harness, how: str) -> None:
    id = create(harness, tasks=[{}, {}], timeoutMs=5000, failFast=True)
    sleeping, other = harness.claim()
    harness.tell(sleeping, Stepped("step", "1"))
    harness.tell(sleeping, Slept("nap", 100.0, 0.0))
    if how == "failed_fast":
        harness.tell(other, NO)
    else:
        harness.pass_time(5.0)
    assert harness.get(id)["status"] == "failed"
    harness.do("retry", id)
    again = harness.claim()[0]
    assert (again.attempt, {step.name for step in again.steps}) == (2, {"step", "nap"})


def test_a_try_stands_in_the_history_once(harness: Harness) -> None:
    id = create(harness, maxRetries=3, retryDelayMs=60_000, timeoutMs=5000)
    [leased] = harness.claim()
    harness.tell(leased, NO)
    harness.pass_time(5.0)
    assert harness.get(id)["error"]["kind"] == "timeout"
    harness.do("retry", id)
    harness.claim()
    assert [each["attempt"] for each in task(harness, id)["history"]] == [1]


def test_the_first_wait_takes_an_event(harness: Harness) -> None:
    create(harness, tasks=[{}, {}])
    one, two = harness.claim()
    harness.tell(two, Awaited("go"))
    harness.clock.advance(1.0)
    harness.tell(one, Awaited("go"))
    assert harness.send(one.execution_id, "go") == "taken"
    assert [leased.task_id for leased in harness.claim()] == ["task-1"]


def test_a_ready_task_does_not_wait_for_what_another_one_waits_for(harness: Harness) -> None:
    id = create(harness, tasks=[{}, {}])
    harness.engine.serving("default", ["job"])
    one, two = harness.claim()
    harness.tell(two, Released())
    harness.tell(one, Slept("nap", 100.0, 0.0))
    assert (task(harness, id, 0)["waitingFor"], task(harness, id, 1).get("waitingFor")) == ("time", None)


def test_an_event_is_taken_once(harness: Harness) -> None:
    id = create(harness, tasks=[{}, {}])
    assert harness.send(id, "go") == "kept"
    one, two = harness.claim()
    assert harness.tell(one, Awaited("go")).kind == "event"
    assert harness.tell(two, Awaited("go")).suspended
    assert harness.send(id, "go") == "taken"
    assert harness.tell(one, Awaited("go")).kind == "event", "it has it already"


def test_a_paused_sleep_is_over_when_it_is_resumed_late(harness: Harness) -> None:
    id = create(harness)
    [leased] = harness.claim()
    harness.tell(leased, Slept("nap", 5.0, 0.0))
    harness.do("pause", id)
    harness.pass_time(60.0)
    assert (task(harness, id)["status"], harness.claim()) == ("paused", [])
    harness.do("resume", id)
    harness.pass_time(0.0)
    [leased] = harness.claim()
    assert (leased.attempt, [(step.name, step.remaining) for step in leased.steps]) == (1, [("nap", 0.0)])


def test_an_event_reaches_a_task_that_is_paused(harness: Harness) -> None:
    id = create(harness)
    [leased] = harness.claim()
    assert harness.tell(leased, Awaited("go", 60.0)).suspended
    harness.do("pause", id)
    assert harness.send(id, "go") == "taken"
    harness.pass_time(100.0)
    assert (task(harness, id)["status"], harness.claim()) == ("paused", [])
    harness.do("resume", id)
    [leased] = harness.claim()
    assert [(step.name, step.kind) for step in leased.steps] == [("go", "event")]


def test_time_stands_still_for_a_timeout_while_an_execution_is_paused(harness: Harness) -> None:
    id = create(harness, timeoutMs=5000)
    [leased] = harness.claim()
    assert leased.timeout == 5.0
    harness.clock.advance(3.0)
    harness.do("pause", id)
    harness.tell(leased, Released())
    harness.pass_time(60.0)
    harness.do("resume", id)
    [leased] = harness.claim()
    assert leased.timeout == 2.0
    harness.pass_time(1.9)
    assert harness.get(id)["status"] == "running"
    harness.pass_time(0.2)
    assert (harness.get(id)["status"], harness.get(id)["error"]["kind"]) == ("failed", "timeout")


def test_a_lease_that_ends_with_its_execution_s_time_is_told_first(harness: Harness) -> None:
    id = create(harness, timeoutMs=10_000, maxRetries=3)
    harness.claim(lease=10.0)
    harness.pass_time(10.0)
    view = harness.get(id)
    assert (view["status"], view["error"]["kind"], len(view["recoveries"])) == ("failed", "timeout", 1)
    assert [event["type"] for event in harness.events(id)][-2:] == ["task.recovered", "timed_out"]


def test_defaults_freeze_at_create_or_with_the_first_claim(harness: Harness) -> None:
    early, started = create(harness), create(harness, priority="critical")
    [leased] = harness.claim(1)
    assert leased.execution_id == started
    harness.define(maxRetries=3, timeoutMs=5000)
    late = create(harness)
    harness.define(maxRetries=7)
    harness.tell(leased, Released())
    harness.claim()
    specs = [harness.get(id)["spec"] for id in (started, early, late)]
    assert [(spec.get("maxRetries"), spec.get("timeout")) for spec in specs] == [(None, None), (7, None), (3, 5)]


def test_a_batch_with_a_key_that_is_taken_makes_nothing(harness: Harness) -> None:
    harness.create(key="mine", input=1)
    for items in (
        [{"job": "job", "input": 1, "idempotencyKey": "mine"}],
        [{"job": "job", "input": 2, "idempotencyKey": "mine"}],
        [{"job": "job", "input": 2, "idempotencyKey": "mine"}, {"job": "job", "input": 3}],
    ):
        with pytest.raises(Conflict):
            harness.engine.call("create_batch", "default", {"body": {"items": items}})
    assert len(harness.engine.call("list_executions", "default", {})["data"]) == 1


def test_a_batch_with_a_key_is_made_once(harness: Harness) -> None:
    body = {
        "items": [{"job": "job", "input": 1, "idempotencyKey": "mine"}, {"job": "other", "input": 2}],
        "idempotencyKey": "batch",
    }
    first, second = (harness.engine.call("create_batch", "default", {"body": body}) for _ in range(2))
    assert first == second
    assert harness.engine.call("get_batch", "default", {"batch_id": first["metadata"]["id"]}) == first


def test_what_has_ended_takes_no_event(harness: Harness) -> None:
    id = create(harness)
    harness.send(id, "go", "1")
    [leased] = harness.claim()
    harness.tell(leased, DONE)
    assert harness.send(id, "go", "1") == "existing"
    with pytest.raises(IllegalTransition):
        harness.send(id, "go", "2")


def test_two_creates_of_a_batch_that_race_make_it_once(harness: Harness) -> None:
    body = {"items": [{"job": "job", "input": n} for n in range(3)], "idempotencyKey": "batch"}
    command = CreateBatch("batch-1", read_batch("default", body).creates)
    first, second = harness.engine._apply([command, command])
    assert [created.execution.id for created in first] == [created.execution.id for created in second]
    assert [created.disposition for created in second] == ["existing"] * 3
    assert len(harness.claim()) == 3
