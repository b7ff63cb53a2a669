"""Sleeps and waits beside each other in one task, and events that reach those who wait for them, however they rest."""

from typing import Any

import pytest

from blaxel_jobs.core.reports import Answer, Awaited, Completed, Slept
from blaxel_jobs.engine.commands import Tell

from .conftest import Harness

DONE = Completed("1")


@pytest.fixture
def id(harness: Harness) -> str:
    return str(harness.create()["executionId"])


def steps(harness: Harness) -> dict[str, tuple[str, str | None]]:
    """Of the one task that there is to claim: kind and value by name."""
    [leased] = harness.claim()
    harness.tell(leased, DONE)
    return {step.name: (step.kind, step.value) for step in leased.steps}


def test_of_two_sleeps_the_sooner_wakes_the_task(harness: Harness, id: str) -> None:
    [leased] = harness.claim()
    assert harness.tell(leased, Slept("short", 3.0, 100.0)).remaining == 3.0
    assert harness.tell(leased, Slept("long", 60.0, 0.0)).suspended
    harness.pass_time(3.0)
    assert len(harness.claim()) == 1


def test_a_wait_that_ends_beside_a_sleep_wakes_the_task(harness: Harness, id: str) -> None:
    [leased] = harness.claim()
    assert harness.tell(leased, Awaited("go", 3.0, suspends=False)) == Answer(remaining=3.0)
    assert harness.tell(leased, Slept("long", 60.0, 0.0)).suspended
    harness.pass_time(3.0)
    [leased] = harness.claim()
    assert harness.tell(leased, Awaited("go", 3.0, suspends=False)).kind == "timeout"


@pytest.mark.parametrize("over", ["slept", "sent"])
def test_a_rest_that_is_over_when_its_report_comes_wakes_nobody(harness: Harness, id: str, over: str) -> None:
    """Also when it comes in one transaction with the wait that the task then sleeps through."""
    [leased] = harness.claim()
    beside: Slept | Awaited = Slept("nap", 0.0, 0.0)
    if over == "sent":
        beside = Awaited("sent", 30.0, suspends=False)
        harness.tell(leased, beside)
        harness.send(id, "sent")
    answers = harness.engine._apply([Tell(leased.lease, beside), Tell(leased.lease, Awaited("go", 60.0))])
    assert [answer.suspended for answer in answers] == [False, True]
    harness.pass_time(59.0)
    assert harness.claim() == []
    harness.pass_time(1.0)
    assert len(harness.claim()) == 1


def test_an_event_wakes_a_task_that_sleeps_beside_its_wait(harness: Harness, id: str) -> None:
    [leased] = harness.claim()
    assert harness.tell(leased, Awaited("go", None, suspends=False)) == Answer()
    assert harness.tell(leased, Slept("long", 60.0, 0.0)).suspended
    assert harness.waits(id) == ["time"]
    assert harness.send(id, "other") == "kept"
    assert harness.claim() == []
    assert harness.send(id, "go") == "taken"
    assert steps(harness) == {"go": ("event", "null"), "long": ("sleep", None)}


def test_each_of_several_waits_takes_its_event(harness: Harness, id: str) -> None:
    [leased] = harness.claim()
    harness.tell(leased, Awaited("approved", None, suspends=False))
    assert harness.tell(leased, Awaited("rejected")).suspended
    assert harness.send(id, "approved") == "taken"
    assert steps(harness) == {"approved": ("event", "null"), "rejected": ("wait", None)}


def test_a_sleep_hides_no_event_from_another_task(harness: Harness) -> None:
    id = str(harness.create(tasks=[{}, {}])["executionId"])
    sleeper, waiter = harness.claim()
    assert harness.tell(sleeper, Slept("go", 60.0, 0.0)).suspended
    assert harness.tell(waiter, Awaited("go")).suspended
    assert harness.send(id, "go") == "taken"
    [again] = harness.claim()
    assert again.task_id == waiter.task_id


def test_the_task_that_has_waited_longest_takes_the_event(harness: Harness) -> None:
    id = str(harness.create(tasks=[{}, {}])["executionId"])
    one, two = harness.claim()
    harness.tell(two, Awaited("go", None, suspends=False))
    harness.clock.advance(1.0)
    harness.tell(one, Awaited("go"))
    harness.tell(two, Slept("nap", 60.0, 0.0))
    assert [harness.send(id, "go") for _ in range(3)] == ["taken", "taken", "kept"]
    assert [leased.task_id for leased in harness.claim()] == ["task-0", "task-1"]


def test_an_execution_waits_for_what_comes_first_of_its_tasks(harness: Harness) -> None:
    id = str(harness.create(tasks=[{}, {}, {}])["executionId"])

    def said() -> tuple[Any, Any]:
        found = harness.get(id)
        return found["status"], found.get("waitingFor")

    one, two, three = harness.claim()
    harness.tell(one, Slept("nap", 10.0, 0.0))
    harness.tell(two, Awaited("go", 60.0))
    assert said() == ("running", None)
    harness.tell(three, Awaited("ever"))
    assert said() == ("pending", "time"), "not the event that the last one waits for"
    harness.do("pause", id)
    harness.do("resume", id)
    assert said() == ("pending", "time")
    harness.pass_time(10.0)
    assert harness.waits(id) == [None], "one is ready"
    [one] = harness.claim()
    harness.tell(one, Slept("again", 300.0, 0.0))
    assert said() == ("pending", "event"), "the wait that ends in 50 seconds"


def test_an_event_for_a_paused_task_is_taken_and_found_when_it_goes_on(harness: Harness, id: str) -> None:
    [leased] = harness.claim()
    harness.tell(leased, Awaited("go"))
    harness.do("pause", id)
    assert harness.send(id, "go") == "taken"
    assert harness.claim() == []
    harness.do("resume", id)
    assert steps(harness) == {"go": ("event", "null")}


def test_a_task_that_is_tried_again_waits_for_nothing(harness: Harness) -> None:
    """What its attempt before waited for, the next one may not."""
    id = str(harness.create(tasks=[{}])["executionId"])
    [leased] = harness.claim()
    harness.tell(leased, Awaited("go", None, suspends=False))
    harness.pass_time(100.0)  # the lease is over
    assert harness.send(id, "go") == "kept"
    [leased] = harness.claim()
    assert harness.tell(leased, Awaited("go")).kind == "event"
