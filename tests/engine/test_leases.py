"""Leases: fenced, extended by heartbeats, taken back when they run out; cancelled for good."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core.lease_requests import MAX_VALUE
from blaxel_jobs.core.records import Failure, LeaseRef, Progress
from blaxel_jobs.core.reports import Answer, Completed, Failed, Holding, LogLine, Noted, Released, Report, Stepped
from blaxel_jobs.engine.commands import Extend, Tell
from blaxel_jobs.engine.recovery import tick
from blaxel_jobs.errors import IllegalTransition, LeaseLost
from blaxel_jobs.words import FailureKind

from .conftest import Harness

HELD = Holding(lost=frozenset(), stop=frozenset())
REPORTS = [Completed("1"), Failed(Failure(FailureKind.ERROR, "ValueError", "no")), Released()]


def test_claims_are_first_in_first_out_within_a_priority(harness: Harness) -> None:
    ids = [
        harness.create(input=n, priority=p)["executionId"] for n, p in enumerate(["low", "medium", "critical", "medium", "high"])
    ]
    first, second = harness.claim(2), harness.claim(10)
    assert [leased.execution_id for leased in first + second] == [ids[2], ids[4], ids[1], ids[3], ids[0]]


def test_a_task_is_leased_once(harness: Harness) -> None:
    harness.create(tasks=[{}] * 5)
    assert [len(harness.claim(3)), len(harness.claim(3)), len(harness.claim(3))] == [3, 2, 0]


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_with_an_old_token_changes_nothing(harness: Harness, report: Any) -> None:
    id = harness.create()["executionId"]
    [old] = harness.claim(worker="zombie", lease=10.0)
    harness.clock.advance(10.0)
    assert tick(harness.engine).recovered == 1
    [new] = harness.claim(worker="other")
    before = harness.get(id)
    with pytest.raises(LeaseLost):
        harness.engine.submit(Tell(old.lease, report))
    assert harness.engine.submit(Extend((old.lease, new.lease), 10.0)) == Holding(lost=frozenset({old.lease}), stop=frozenset())
    assert harness.get(id) == before
    harness.engine.submit(Tell(new.lease, Completed('"done"')))
    assert harness.get(id)["status"] == "completed"


def test_a_lease_that_never_was_is_lost(harness: Harness) -> None:
    with pytest.raises(LeaseLost):
        harness.engine.submit(Tell(LeaseRef(999, 1), Completed("1")))


@pytest.mark.row("S1-17")
def test_two_reports_of_one_lease_count_once(harness: Harness) -> None:
    id = harness.create(tasks=[{}, {}])["executionId"]
    first, second = harness.claim()
    harness.engine.submit(Tell(first.lease, Completed("1")))
    with pytest.raises(LeaseLost):
        harness.engine.submit(Tell(first.lease, Completed("2")))
    view = harness.get(id)
    assert (view["status"], view["stats"]["success"], view["stats"]["running"]) == ("running", 1, 1)
    harness.engine.submit(Tell(second.lease, Failed(Failure(FailureKind.ERROR, "ValueError", "no"))))
    view = harness.get(id)
    assert (view["status"], view["error"]["message"]) == ("failed", "no")
    assert [bytes(value) for value in view["results"]] == [b"1", b"null"]


def test_a_heartbeat_keeps_a_lease(harness: Harness) -> None:
    harness.create()
    [leased] = harness.claim(lease=10.0)
    for _ in range(5):
        harness.clock.advance(9.0)
        assert tick(harness.engine).recovered == 0
        assert harness.engine.submit(Extend((leased.lease,), 10.0)) == HELD
    harness.clock.advance(10.0)
    assert tick(harness.engine).recovered == 1


def test_s4_10_losses_fail_a_task_at_last_and_are_all_recorded(make) -> None:
    harness = make(max_recoveries=2)
    id = harness.create()["executionId"]
    for attempt in range(1, 4):
        assert harness.get(id)["status"] == "pending"
        [leased] = harness.claim(worker=f"w{attempt}")
        assert leased.attempt == attempt
        harness.clock.advance(10.0)
        assert tick(harness.engine).recovered == 1
    view = harness.get(id)
    assert (view["status"], view["error"]["kind"], view["tasks"][0]["attempts"]) == ("failed", "worker_lost", 3)
    assert [(r["worker"], r["attempt"], r["reason"]) for r in view["recoveries"]] == [
        ("w1", 1, "lease_expired"),
        ("w2", 2, "lease_expired"),
        ("w3", 3, "lease_expired"),
    ]


def test_dead_workers_lose_their_leases_at_once_and_others_keep_theirs(harness: Harness) -> None:
    harness.create(tasks=[{}, {}])
    harness.claim(1, worker="embedded:dead")
    [kept] = harness.claim(1, worker="remote:alive")
    assert tick(harness.engine, "embedded:dead").recovered == 1
    assert harness.engine.submit(Extend((kept.lease,), 10.0)) == HELD
    [again] = harness.claim()
    assert again.attempt == 2


def test_cancel_is_final(harness: Harness) -> None:
    id = harness.create(tasks=[{}, {}, {}])["executionId"]
    done, running = harness.claim(2)
    harness.engine.submit(Tell(done.lease, Completed("1")))
    revoked: list[LeaseRef] = []
    harness.engine.listeners.revoked.append(revoked.extend)
    view = harness.cancel(id)
    assert (view["status"], view["stats"]["success"], view["stats"]["cancelled"]) == ("cancelled", 1, 2)
    assert revoked == [running.lease]
    with pytest.raises(LeaseLost):
        harness.engine.submit(Tell(running.lease, Completed("2")))
    assert harness.claim() == []
    harness.clock.advance(60.0)
    assert tick(harness.engine).recovered == 0
    again = harness.cancel(id)
    assert (again["status"], again["metadata"]["updatedAt"]) == ("cancelled", view["metadata"]["updatedAt"])
    assert [event["type"] for event in harness.events(id)][-1] == "cancelled"


def test_what_has_ended_cannot_be_cancelled(harness: Harness) -> None:
    id = harness.create()["executionId"]
    [leased] = harness.claim()
    harness.engine.submit(Tell(leased.lease, Completed("1")))
    with pytest.raises(IllegalTransition, match="completed"):
        harness.cancel(id)
    assert harness.get(id)["status"] == "completed"


@pytest.mark.row("S1-33")
def test_the_event_log_is_a_path(harness: Harness) -> None:
    id = harness.create(tasks=[{}, {}])["executionId"]
    first, _ = harness.claim()
    harness.engine.submit(Tell(first.lease, Completed("1")))
    harness.clock.advance(10.0)
    tick(harness.engine)
    [again] = harness.claim()
    harness.engine.submit(Tell(again.lease, Completed("2")))
    events = harness.events(id)
    assert [event["id"] for event in events] == list(range(1, 8))
    assert [(event["type"], event.get("task"), event["status"]) for event in events] == [
        ("created", None, "pending"),
        ("task.started", "task-0", "running"),
        ("task.started", "task-1", "running"),
        ("task.completed", "task-0", "running"),
        ("task.recovered", "task-1", "running"),
        ("task.started", "task-1", "running"),
        ("task.completed", "task-1", "completed"),
    ]


def test_waiting_for_a_worker_is_said(harness: Harness) -> None:
    id = harness.create()["executionId"]
    assert harness.get(id)["waitingFor"] == "worker"
    harness.engine.serving("default", ["job"])
    assert "waitingFor" not in harness.get(id)
    harness.clock.advance(60.0)
    assert harness.get(id)["waitingFor"] == "worker"


FAILURE = Failure(FailureKind.ERROR, "ValueError", "no", "Traceback\n ...")


def test_an_outcome_that_is_told_again_is_answered_as_it_was(harness: Harness) -> None:
    """Its answer was lost: nothing says to its worker that it was taken, and it is no loss."""
    for name in ("done", "failed", "other"):
        harness.create(executionId=name, input=None)
    harness.create(executionId="retried", input=None, maxRetries=1, retryDelayMs=1000)
    done, failed, other, retried = harness.claim()
    reports = [(done, Completed('{"a":1}')), (failed, Failed(FAILURE)), (retried, Failed(FAILURE))]
    told = [(harness.tell(leased, report), harness.events(leased.execution_id)) for leased, report in reports]
    for (leased, report), (answer, events) in zip(reports, told, strict=True):
        assert harness.tell(leased, report) == answer
        assert harness.events(leased.execution_id) == events
    assert harness.get("retried")["waitingFor"] == "retry"
    harness.do("pause", "retried")
    assert harness.tell(retried, Failed(FAILURE)) == Answer()
    assert harness.tell(other, Completed("1")) == Answer()
    harness.do("resume", "retried")
    harness.pass_time(1.5)
    assert len(harness.claim()) == 1
    with pytest.raises(LeaseLost):
        harness.tell(retried, Failed(FAILURE))


@pytest.mark.parametrize("first", [Completed("1"), Failed(FAILURE), Released()], ids=repr)
@pytest.mark.parametrize(
    "then", [Completed("2"), Failed(replace(FAILURE, message="other")), Released(), Stepped("a", "1")], ids=repr
)
def test_another_outcome_comes_too_late(harness: Harness, first: Report, then: Report) -> None:
    harness.create()
    [leased] = harness.claim()
    harness.tell(leased, first)
    before = harness.get(leased.execution_id)
    with pytest.raises(LeaseLost):
        harness.tell(leased, then)
    assert harness.get(leased.execution_id) == before


def test_an_outcome_that_was_never_taken_is_lost_with_its_lease(harness: Harness) -> None:
    for number in range(4):
        harness.create(executionId=f"e-{number}", input=None)
    expired, cancelled, deleted, claimed = harness.claim()
    harness.cancel(cancelled.execution_id)
    harness.do("delete", deleted.execution_id, body={"force": True})
    harness.tell(claimed, Released())
    assert len(harness.claim(1)) == 1
    harness.pass_time(11)
    for leased in (expired, cancelled, deleted, claimed):
        for report in (Completed("1"), Failed(FAILURE)):
            with pytest.raises(LeaseLost):
                harness.tell(leased, report)


def test_an_outcome_that_is_told_twice_in_one_commit_counts_once(tmp_path: Path) -> None:
    harness = Harness(f"sqlite:///{tmp_path}/jobs.db")
    harness.create()
    [leased] = harness.claim()

    async def tell_twice() -> list[Any]:
        tell = harness.engine.asubmit
        return [*await asyncio.gather(*(tell(Tell(leased.lease, Completed("1"))) for _ in range(3)))]

    assert asyncio.run(tell_twice()) == [Answer()] * 3
    assert [event["type"] for event in harness.events(leased.execution_id)] == ["created", "task.started", "task.completed"]
    harness.engine.close()


def lines(*messages: str) -> tuple[LogLine, ...]:
    return tuple(LogLine("info", message) for message in messages)


def logged(harness: Harness, id: str) -> list[str]:
    return [json.loads(bytes(event["data"]))["message"] for event in harness.events(id) if event["type"] == "log"]


def test_lines_that_are_told_again_are_kept_once(harness: Harness) -> None:
    id = harness.create(tasks=[{}, {}])["executionId"]
    leased, other = harness.claim()
    first, second = Noted(None, lines("a", "a")), Noted(Progress(1), lines("a"), 2)
    again = replace(second, again=True)
    for told in (first, replace(first, again=True), again, again):
        assert harness.tell(leased, told) == Answer()
        harness.tell(other, Noted(Progress(1)))
    assert logged(harness, id) == ["a"] * 3
    assert harness.tell(other, Noted(None, lines("b"), again=True)) == Answer()
    assert logged(harness, id) == [*["a"] * 3, "b"]
    own = [event["type"] for event in harness.events(id) if event.get("task") == leased.task_id]
    assert own == ["task.started", "log", "log", "log", "progress"]
    harness.do("pause", id)
    assert harness.tell(leased, again) == Answer(stop=True)


def test_lines_are_counted_anew_under_each_lease(harness: Harness) -> None:
    id = harness.create()["executionId"]
    for messages in ("ab", "c", "d"):
        [leased] = harness.claim()
        noted = Noted(None, lines(*messages), again=True)
        for _ in range(2):
            harness.tell(leased, noted)
        harness.tell(leased, Released())
    assert logged(harness, id) == ["a", "b", "c", "d"]


def test_lines_that_are_told_twice_in_one_commit_are_kept_once(harness: Harness) -> None:
    id = harness.create()["executionId"]
    [leased] = harness.claim()
    noted = Noted(None, lines("a"))

    async def tell_twice() -> list[Any]:
        tell = harness.engine.asubmit
        return [*await asyncio.gather(*(tell(Tell(leased.lease, each)) for each in (noted, replace(noted, again=True))))]

    assert asyncio.run(tell_twice()) == [Answer()] * 2
    assert logged(harness, id) == ["a"]


def test_lines_that_came_before_one_that_was_refused_do_not_hide_others(harness: Harness) -> None:
    """Who counts lines that were never kept tells some twice, and loses none."""
    id = harness.create()["executionId"]
    [leased] = harness.claim()
    for _ in range(2):
        harness.tell(leased, Noted(None, lines("a"), 3, again=True))
    assert logged(harness, id) == ["a", "a"]


def test_what_is_too_large_is_refused_alone(harness: Harness) -> None:
    """A worker of ours refuses it itself."""
    for _ in range(3):
        harness.create()
    one, two, three = ({"task": leased.lease.task, "token": leased.lease.token} for leased in harness.claim())
    most, more = "x" * (MAX_VALUE - 2), "é" * (MAX_VALUE // 2)
    reports = [
        {**one, "type": "stepped", "name": "a", "value": most},
        {**one, "type": "stepped", "name": "b", "value": more},
        {**one, "type": "completed", "result": more},
        {**two, "type": "completed", "result": most},
        {**three, "type": "completed", "result": 3},
    ]
    answers = harness.engine.call("report_leases", "default", {"body": {"reports": reports}})["answers"]
    assert [answer.get("error") for answer in answers] == [None, "too_large", "too_large", None, None]
    listed = harness.engine.call("list_executions", "default", {})["data"]
    assert [each["status"] for each in listed] == ["completed", "completed", "running"]
    alone = harness.engine.call("report_leases", "default", {"body": {"reports": reports[2:3]}})["answers"]
    assert [answer["error"] for answer in alone] == ["too_large"]


def test_of_what_a_worker_says_of_a_failure_as_much_is_kept_as_lists_can_show(harness: Harness) -> None:
    harness.create()
    [leased] = harness.claim()
    ref = {"task": leased.lease.task, "token": leased.lease.token}
    far = {**ref, "type": "noted", "progress": {"current": 1, "message": "p" * 500_000}}
    failure = {"kind": "error", "type": "E" * 500_000, "message": "m" * 500_000, "trace": "t" * 500_000 + "end"}
    for _ in range(2):
        reports = [far, {**ref, "type": "failed", "failure": failure}]
        answers = harness.engine.call("report_leases", "default", {"body": {"reports": reports}})["answers"]
        assert answers[1] == {}
    shown = harness.get(leased.execution_id)
    assert len(str(shown)) < 50_000
    assert shown["error"]["trace"].endswith("tend")


@pytest.mark.parametrize("together", [True, False])
def test_a_step_that_is_stored_stays_what_it_is(harness: Harness, together: bool) -> None:
    harness.create()
    [leased] = harness.claim()
    ref = {"task": leased.lease.task, "token": leased.lease.token}
    told = [{**ref, "type": "stepped", "name": "a", "value": value} for value in (1, 2)]
    for reports in [told] if together else [[each] for each in told]:
        harness.engine.call("report_leases", "default", {"body": {"reports": reports}})
    harness.tell(leased, Released())
    assert [(step.name, step.value) for step in harness.claim()[0].steps] == [("a", "1")]
