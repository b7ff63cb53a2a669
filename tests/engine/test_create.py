"""Creates: idempotent, all or nothing, answered when they are committed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from blaxel_jobs.errors import IdempotencyConflict, InvalidRequest, NotFound

from .conftest import Harness


def test_a_new_execution_is_pending(harness: Harness) -> None:
    created = harness.create(tasks=[{"a": 1}, {}], name="Free text", tags=["x"], metadata={"owner": "me"}, priority="high")
    assert (created["disposition"], created["status"], created["done"]) == ("created", "pending", False)
    view = harness.get(created["executionId"])
    assert view["metadata"]["custom"] == {"owner": "me"}
    assert (view["spec"]["taskCount"], view["spec"]["priority"]) == (2, "high")
    assert [bytes(task["input"]) for task in view["tasks"]] == [b'{"a":1}', b"{}"]
    assert [event["type"] for event in harness.events(created["executionId"])] == ["created"]


@pytest.mark.parametrize("how", ["header", "body", "id"])
def test_the_same_key_and_body_is_the_same_execution(harness: Harness, how: str) -> None:
    body = {"input": {"a": 1, "b": 2}}
    again = {"input": {"b": 2, "a": 1}}
    other = {"input": {"a": 1, "b": 3}}
    extra = {"body": {"idempotencyKey": "k"}, "id": {"executionId": "mine"}, "header": {}}[how]
    key = "k" if how == "header" else None
    first = harness.create(key=key, **body, **extra)
    second = harness.create(key=key, **again, **extra)
    assert (first["disposition"], second["disposition"]) == ("created", "existing")
    assert second["executionId"] == first["executionId"]
    with pytest.raises(IdempotencyConflict) as caught:
        harness.create(key=key, **other, **extra)
    assert caught.value.path == ("executionId" if how == "id" else "idempotencyKey")
    assert len(harness.claim()) == 1


def test_a_key_is_of_one_job_and_one_workspace(harness: Harness) -> None:
    ids = {
        harness.create(key="k", job="a")["executionId"],
        harness.create(key="k", job="b")["executionId"],
        harness.create(key="k", job="a", workspace="other")["executionId"],
    }
    assert len(ids) == 3


def test_an_id_is_of_one_workspace_and_all_its_jobs(harness: Harness) -> None:
    harness.create(job="a", executionId="mine", input=1)
    assert harness.create(job="a", workspace="other", executionId="mine", input=1)["disposition"] == "created"
    with pytest.raises(IdempotencyConflict):
        harness.create(job="b", executionId="mine", input=1)


def test_a_key_names_one_id(harness: Harness) -> None:
    harness.create(executionId="mine", idempotencyKey="k", input=1)
    with pytest.raises(IdempotencyConflict) as caught:
        harness.create(executionId="other", idempotencyKey="k", input=1)
    assert caught.value.path == "idempotencyKey"
    assert harness.create(idempotencyKey="k", input=1)["executionId"] == "mine"
    [only] = harness.engine.call("list_job_executions", "default", {"job": "job"})["data"]
    assert only["metadata"]["id"] == "mine"


def test_an_id_decides_whatever_the_key(harness: Harness) -> None:
    harness.create(executionId="mine", idempotencyKey="k", input=1)
    again = harness.create(executionId="mine", idempotencyKey="new", input=1)
    assert (again["executionId"], again["disposition"]) == ("mine", "existing")
    with pytest.raises(IdempotencyConflict) as caught:
        harness.create(executionId="mine", idempotencyKey="new", input=2)
    assert caught.value.path == "executionId"
    assert harness.create(idempotencyKey="new", input=1)["disposition"] == "created"


def test_a_race_of_fifty_threads_makes_one_execution(harness: Harness) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: harness.create(key="k", input=1), range(50)))
    assert len({answer["executionId"] for answer in answers}) == 1
    assert sorted(answer["disposition"] for answer in answers) == ["created"] + ["existing"] * 49
    assert len(harness.claim()) == 1


async def test_a_race_of_tasks_in_one_batch_makes_one_execution(harness: Harness) -> None:
    import asyncio

    calls = [
        harness.engine.acall("create_job_execution", "default", {"job": "job", "body": {"input": n % 2}, "idempotency_key": "k"})
        for n in range(20)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    conflicts = [answer for answer in answers if isinstance(answer, IdempotencyConflict)]
    assert len(conflicts) == 10
    assert len({answer["executionId"] for answer in answers if isinstance(answer, dict)}) == 1


def test_a_refused_create_leaves_nothing(harness: Harness) -> None:
    with pytest.raises(InvalidRequest):
        harness.create(tasks=[{}, 1])
    assert harness.engine.call("list_job_executions", "default", {"job": "job"})["data"] == []


def test_an_unknown_execution_is_not_found(harness: Harness) -> None:
    created = harness.create(job="a")
    for job, id in [("a", "nope"), ("b", created["executionId"])]:
        with pytest.raises(NotFound, match=id):
            harness.get(id, job)
        with pytest.raises(NotFound, match=id):
            harness.cancel(id, job)
    with pytest.raises(NotFound):
        harness.get(created["executionId"], "a", workspace="other")


def test_simulated_durations_are_checked_at_create(make) -> None:
    simulating = make(simulate=True)
    with pytest.raises(InvalidRequest) as caught:
        simulating.create(tasks=[{"duration": 1}, {"duration": -1}])
    assert caught.value.path == "tasks[1].duration"
    assert make().create(tasks=[{"duration": "a handler's own word"}])["status"] == "pending"


def test_s1_19_pages_show_each_execution_once_under_inserts(harness: Harness) -> None:
    ids = [harness.create()["executionId"] for _ in range(25)]
    seen: list[str] = []
    cursor = None
    while True:
        page = harness.engine.call("list_job_executions", "default", {"job": "job", "limit": 10, "cursor": cursor})
        seen += [row["metadata"]["id"] for row in page["data"]]
        harness.create()
        cursor = page["meta"].get("nextCursor")
        if cursor is None:
            break
    assert seen == ids[::-1]
    offset = harness.engine.call("list_job_executions", "default", {"job": "job", "limit": 5, "offset": 3})
    assert [row["metadata"]["id"] for row in offset["data"]] == ids[24:19:-1]
    with pytest.raises(InvalidRequest):
        harness.engine.call("list_job_executions", "default", {"job": "job", "offset": 1, "cursor": "x"})
