"""Answers have a size, however large the execution is."""

from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.reports import Completed
from blaxel_jobs.engine.commands import Tell
from blaxel_jobs.errors import IdempotencyConflict
from blaxel_jobs.stores.base import MAX_BYTES

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
