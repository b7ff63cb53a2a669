"""Answers have a size, however large the execution is."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.records import Leased
from blaxel_jobs.core.reports import Completed, Released, Stepped
from blaxel_jobs.engine.commands import Tell
from blaxel_jobs.engine.journals import Journals
from blaxel_jobs.errors import IdempotencyConflict
from blaxel_jobs.stores.base import MAX_BYTES
from blaxel_jobs.words import WaitingFor

from .conftest import WORKSPACE, Harness

LARGE = 1_000_000


def done(harness: Harness, tasks: int, text: str = "x" * LARGE, **body: Any) -> str:
    """The id of an execution whose every task completed with this text."""
    id: str = harness.create(**body or {"tasks": [{}] * tasks})["executionId"]
    for leased in harness.claim():
        harness.engine.submit(Tell(leased.lease, Completed(f'"{text}"')))
    return id


def page(harness: Harness, id: str, **arguments: Any) -> dict[str, Any]:
    arguments = {"job": "job", "execution_id": id, **arguments}
    return harness.engine.call("list_job_execution_tasks", WORKSPACE, arguments)


def test_pages_of_tasks_are_cut_by_size_and_miss_none(harness: Harness) -> None:
    id = done(harness, 20)
    cursor, sizes, seen = None, [], []
    while True:
        answer = page(harness, id, limit=15, cursor=cursor)
        seen += [task["metadata"]["id"] for task in answer["data"]]
        sizes.append(len(answer["data"]))
        cursor = answer["meta"].get("nextCursor")
        assert answer["meta"]["hasMore"] is (cursor is not None)
        if cursor is None:
            break
        assert len(msgspec.json.encode(answer)) < 1.1 * MAX_BYTES
    assert seen == [f"task-{index}" for index in range(20)]
    assert sizes == [8, 8, 4]


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_the_last_page_says_so(harness: Harness, limit: int) -> None:
    id = done(harness, 3, "x")
    assert page(harness, id, limit=limit)["meta"]["hasMore"] is (limit < 3)


def test_a_get_has_what_fits(harness: Harness) -> None:
    view = harness.get(done(harness, 20))
    assert [task["metadata"]["id"] for task in view["tasks"]] == [f"task-{index}" for index in range(8)]
    assert (view["stats"]["success"], "results" in view) == (20, False)
    small = harness.get(done(harness, 8))
    assert (len(small["tasks"]), len(small["results"])) == (8, 8)


def test_results_are_measured_in_bytes(harness: Harness) -> None:
    view = harness.get(done(harness, 8, "☃" * (LARGE // 2)))
    assert (len(view["tasks"]), "results" in view) == (5, False)


def test_one_value_is_always_given(harness: Harness) -> None:
    view = harness.get(done(harness, 1, "x" * (MAX_BYTES + 1), input=1))
    assert len(bytes(view["result"])) == MAX_BYTES + 3


def test_a_repeated_create_is_compared_in_parts(harness: Harness) -> None:
    inputs = [{"n": n, "text": "x" * LARGE} for n in range(20)]
    first = harness.create(key="k", tasks=inputs)
    again = harness.create(key="k", tasks=inputs)
    assert (again["executionId"], again["disposition"]) == (first["executionId"], "existing")
    with pytest.raises(IdempotencyConflict):
        harness.create(key="k", tasks=[*inputs[:-1], {**inputs[-1], "n": -1}])


def again(harness: Harness, id: str, steps: dict[int, int], text: str = "x" * LARGE) -> None:
    """Have every task given back that is ready; those at these places store so many steps before."""
    for leased in harness.claim():
        for number in range(steps.get(leased.index, 0)):
            harness.tell(leased, Stepped(f"step {number}", f'"{text}"'))
        harness.tell(leased, Released())


def claims(harness: Harness, **arguments: Any) -> Iterator[list[Leased]]:
    """What one claim after the other hands out."""
    while leased := harness.claim(**arguments):
        yield leased


def test_a_claim_counts_what_was_stored(harness: Harness) -> None:
    id = harness.create(tasks=[{}] * 10)["executionId"]
    again(harness, id, {0: 1, 1: 2, 2: 3, 3: 3, 5: 10, 7: 4, 8: 4})
    found = list(claims(harness))
    assert [[leased.index for leased in some] for some in found] == [[0, 1, 2], [3, 4], [5], [6, 7, 8, 9]]
    assert [len(leased.steps) for some in found for leased in some] == [1, 2, 3, 3, 0, 10, 0, 4, 4, 0]
    assert {leased.attempt for some in found for leased in some} == {1}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many tasks the steps were read, each time."""
    found: list[int] = []
    more = Journals._more

    def noted(journals: Journals, first: int, room: int) -> None:
        more(journals, first, room)
        found.append(len(journals._read))

    monkeypatch.setattr(Journals, "_more", noted)
    return found


def test_steps_that_do_not_fit_are_hardly_read(harness: Harness, reads: list[int]) -> None:
    id = harness.create(tasks=[{}] * 100)["executionId"]
    again(harness, id, dict.fromkeys(range(100), 1), "x" * (LARGE // 2))
    assert [len(some) for some in claims(harness)] == [16] * 6 + [4]
    assert sum(reads) < 130


def test_small_steps_are_read_at_once(harness: Harness, reads: list[int]) -> None:
    id = harness.create(tasks=[{}] * 100)["executionId"]
    again(harness, id, dict.fromkeys(range(100), 2), "small")
    (leased,) = claims(harness)
    assert [len(each.steps) for each in leased] == [2] * 100
    assert reads == [2, 8, 32, 58]


def test_a_claim_counts_what_every_task_of_an_execution_gets(harness: Harness) -> None:
    harness.create(tasks=[{}] * 20, metadata={"note": "x" * LARGE})
    assert [len(some) for some in claims(harness)] == [8, 8, 4]


def test_what_does_not_fit_takes_no_slot(harness: Harness) -> None:
    harness.define(concurrency=2)
    ids = [harness.create()["executionId"] for _ in range(3)]
    again(harness, ids[0], {0: 5})
    for id in ids[:2]:
        harness.do("pause", id)
        harness.do("resume", id)
    first, second = claims(harness)
    assert [[leased.execution_id for leased in some] for some in (first, second)] == [[ids[0]], [ids[1]]]
    assert harness.waits(*ids) == [None, None, WaitingFor.CONCURRENCY]
