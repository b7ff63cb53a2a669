"""The verbs: what is sent, what is done when an answer is lost, and what the platform is not asked for."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from blaxel_jobs import (
    ConnectionFailed,
    Execution,
    IllegalTransition,
    InvalidRequest,
    JobsClient,
    MethodNotAllowed,
    NotFound,
    Unavailable,
)
from blaxel_jobs.client import models
from blaxel_jobs.flow import Op
from blaxel_jobs.jobs import Job
from tests.sdk.fakes import NOON, ClockSeam, Echo, client_of, created_view, execution, execution_view, page, problem
from tests.sdk.platform import Platform


@pytest.mark.parametrize("verb", ["start", "pause", "resume", "retry"])
def test_a_verb_is_one_request_and_brings_the_execution_up_to_date(verb: str):
    echo = Echo(execution_view(status="running"), execution_view(status="paused"))
    job = echo.job()
    first = job.get_execution("exec-1")
    assert getattr(first, verb)() is first
    assert first.status == "paused"
    assert (echo.last.method, echo.last.url.path, echo.last.url.query) == ("POST", f"/v0/executions/exec-1/{verb}", b"job=my-job")
    assert getattr(job, f"{verb}_execution")("exec-1").status == "paused"
    client = JobsClient(seam=echo.seam())
    assert getattr(client, f"{verb}_execution")("a/b").id == "exec-1"
    assert (echo.last.url.raw_path, len(echo.requests)) == (f"/v0/executions/a%2Fb/{verb}".encode(), 4)


def test_what_has_a_body():
    echo = Echo(created_view(execution_id="exec-2"))
    new = echo.job().rerun_execution("exec-1", delay=2, name="again")
    assert isinstance(new, Execution)
    assert (new.id, echo.body) == ("exec-2", {"delayMs": 2000, "name": "again"})
    assert echo.last.headers["Idempotency-Key"]
    echo.job().rerun_execution("exec-1", idempotency_key="mine")
    assert ("Idempotency-Key" in echo.last.headers, echo.body) == (False, {"idempotencyKey": "mine"})
    echo.job().rerun_execution("exec-1", execution_id="exec-2")
    assert (echo.last.url.path, echo.body) == ("/v0/executions/exec-1/rerun", {"executionId": "exec-2"})
    gone = Echo(httpx.Response(204))
    assert gone.job().delete_execution("exec-1", force=True) is None
    assert (gone.body, gone.last.url.path) == ({"force": True}, "/v0/executions/exec-1/delete")
    gone.job().delete_execution("exec-1")
    assert gone.body == {}
    sent = Echo({"disposition": "taken", "id": "e1"})
    assert sent.job().send_event("exec-1", "paid", {"a": None}, event_id="e1") == "taken"
    assert sent.body == {"name": "paid", "payload": {"a": None}, "id": "e1"}
    sent.job().send_event("exec-1", "paid")
    assert sent.body["payload"] is None
    assert sent.body["id"], "without an id of its own it could not be sent twice"


class Losing:
    """Does what it is asked, and loses the first answer."""

    def __init__(self, second: Any) -> None:
        self.second = second
        self.ops: list[Op] = []

    def __call__(self, op: Op, _: ClockSeam) -> Any:
        self.ops.append(op)
        if len(self.ops) == 1:
            raise ConnectionFailed("reset")
        if isinstance(self.second, Exception) and len(self.ops) == 2:
            raise self.second
        return execution("running") if isinstance(self.second, Exception) else self.second


def test_a_retry_whose_answer_was_lost_is_done():
    losing = Losing(IllegalTransition("it is running"))
    assert Job("my-job", ClockSeam(losing)).retry_execution("exec-1").status == "running"
    assert [op.id for op in losing.ops] == ["retry_execution", "retry_execution", "get_job_execution"]


def test_a_retry_that_is_refused_is_refused():
    def refuse(op: Op, seam: ClockSeam) -> Any:
        raise IllegalTransition("it is running")

    with pytest.raises(IllegalTransition):
        Job("my-job", ClockSeam(refuse)).retry_execution("exec-1")


def test_a_delete_whose_answer_was_lost_is_done():
    assert Job("my-job", ClockSeam(Losing(NotFound("there is none")))).delete_execution("exec-1") is None
    missing = Losing(None)
    missing.ops.append(Op("none", "", {}))
    missing.second = NotFound("there is none")
    with pytest.raises(NotFound):
        Job("my-job", ClockSeam(missing)).delete_execution("exec-1")


def test_what_is_sent_again_says_the_same():
    event = models.SendExecutionEventOutput.from_dict({"disposition": "existing", "id": "k"})
    losing = Losing(event)
    assert Job("my-job", ClockSeam(losing)).send_event("exec-1", "paid", 1) == "existing"
    assert losing.ops[0].arguments["body"].id == losing.ops[1].arguments["body"].id == "key-1"
    losing = Losing(models.CreateJobExecutionOutput.from_dict(created_view()))
    Job("my-job", ClockSeam(losing)).rerun_execution("exec-1")
    assert losing.ops[0].arguments["idempotency_key"] == losing.ops[1].arguments["idempotency_key"] == "key-1"


ACROSS: list[Callable[[Job[Any, Any]], Any]] = [
    lambda job: job.start_execution("e"), lambda job: job.pause_execution("e"), lambda job: job.resume_execution("e"),
    lambda job: job.retry_execution("e"), lambda job: job.rerun_execution("e"), lambda job: job.delete_execution("e"),
    lambda job: job.send_event("e", "go"), lambda job: job.get_logs("e"), lambda job: [*job.stream_events("e")],
    lambda job: job.list_steps("e"), lambda job: job.trigger_many([1, 2]), lambda job: job.stats(),
]  # fmt: skip


@pytest.mark.parametrize("verb", ACROSS)
@pytest.mark.parametrize("known", [True, False], ids=["known", "not yet known"])
def test_the_platform_says_what_it_lacks(verb: Callable[[Job[Any, Any]], Any], known: bool):
    platform = Platform("running")
    job = platform.client(connect_retries=0).job("my-job")
    if known:
        job.list_executions()
    before = len(platform.requests)
    with pytest.raises(MethodNotAllowed, match="the Blaxel platform (cannot|keeps no) .*: that takes a server of blaxel-jobs"):
        verb(job)
    assert len(platform.requests) - before == (0 if known else 1)


def test_the_platform_has_no_routes_across_jobs():
    client = Platform("running").client()
    client.job("my-job").list_executions()
    for verb in (client.get_execution, client.get_execution_status, client.wait_for_execution):
        with pytest.raises(InvalidRequest, match=r"with job\(name\)") as caught:
            verb("exec-1")
        assert caught.value.path == "job"
    with pytest.raises(InvalidRequest, match=r"with job\(name\)"):
        client.list_executions()
    assert client.list_executions(job="my-job") == []
    with pytest.raises(MethodNotAllowed, match="by status"):
        client.list_executions(job="my-job", status="failed")


def test_the_platforms_executions_are_cancelled_as_ever():
    platform = Platform("running")
    platform.add("exec-1")
    job = platform.job()
    execution = job.get_execution("exec-1")
    assert job.cancel_execution("exec-1") is None
    assert execution.cancel() is execution
    assert platform.asked("DELETE", "/exec-1") == 2


def test_a_batch_is_read_from_its_items_and_refreshed_by_its_id():
    metadata = {"id": "b1", "createdAt": NOON}
    stats = dict.fromkeys(("running", "paused", "completed", "failed", "cancelled"), 0)
    view = {"metadata": metadata, "stats": {**stats, "total": 2, "pending": 2}, "done": False, "executionIds": ["e1", "e2"]}
    over = {**view, "stats": {**stats, "total": 2, "completed": 2, "pending": 0}, "done": True}
    updates = {"data": [{"id": id, "job": "my-job", "status": "completed", "done": True} for id in ("e1", "e2")]}
    echo = Echo(view, over, updates)
    batch = echo.job().trigger_many([1, {"a": 2}], priority="high", idempotency_key="k")
    assert echo.body == {
        "items": [{"job": "my-job", "input": 1, "priority": "high"}, {"job": "my-job", "input": {"a": 2}, "priority": "high"}]
    }
    assert (echo.last.url.path, echo.last.headers["Idempotency-Key"]) == ("/v0/batches", "k")
    assert [(each.id, each.job, each.status) for each in batch.executions] == [
        ("e1", "my-job", "pending"),
        ("e2", "my-job", "pending"),
    ]
    assert len(echo.requests) == 1, "how they stand was known"
    assert batch.refresh().done
    assert [each.status for each in batch.executions] == ["completed", "completed"]
    id, executions = batch
    assert (id, [each.id for each in executions], batch.counts["completed"]) == ("b1", ["e1", "e2"], 2)
    assert repr(batch) == "<Batch b1: total=2, completed=2>"


@pytest.mark.parametrize(
    ("items", "path"),
    [
        ([{"payload": 1}], "items[0].job"),
        ([{"job": "a"}, 5], "items[1]"),
        ([{"job": "a", "delay": -1}], "items[0].delay"),
        ([{"job": "a", "payload": {1}}], "items[0].input"),
        ([{"job": "a"}, {"job": "a", "tasks": 5}], "items[1].tasks"),
        ([{"job": "a"}, {"job": "a", "tasks": [1, {2}]}], "items[1].tasks[1]"),
        ([{"job": "a", "retry_policy": 7}], "items[0].retry_policy"),
    ],
)
def test_an_item_that_is_wrong_is_named(items: Any, path: str):
    echo = Echo(execution_view())
    with pytest.raises(InvalidRequest) as caught:
        JobsClient(seam=echo.seam()).create_batch(items)
    assert caught.value.path == path
    assert path.removesuffix(".job") in caught.value.message
    assert not echo.requests
    with pytest.raises(InvalidRequest, match="names one execution"):
        echo.job().trigger_many([1, 2], execution_id="e1")


# Events without a stream: a mock has none, and a server that was just asked to drain ends it


def event_view(id: int, status: str = "running", type: str = "log", **more: Any) -> dict[str, Any]:
    data = {"level": "info", "message": f"line {id}", "fields": {"n": id}}
    return {"id": id, "at": NOON, "type": type, "status": status, "task": "task-0", "data": data, **more}


class Events:
    """Lists of events that grow with every look, `at_once` on a page."""

    def __init__(self, total: int, at_once: int) -> None:
        self.total = total
        self.at_once = at_once
        self.known = 0
        self.failing: list[Exception] = []

    def __call__(self, op: Op, seam: ClockSeam) -> Any:
        assert op.id == "list_job_execution_events"
        if self.failing:
            raise self.failing.pop()
        start = int(op.arguments.get("cursor", 0))
        self.known = min(self.total, self.known + 2)
        ids = range(start + 1, min(self.known, start + self.at_once) + 1)
        rows = [event_view(id, "completed" if id == self.total else "running") for id in ids]
        more = str(start + self.at_once) if self.known > start + self.at_once else None
        return models.JobExecutionEventList.from_dict(page(rows, more))


@pytest.mark.parametrize(("total", "at_once"), [(1, 10), (7, 10), (7, 3), (9, 1)])
def test_without_a_stream_events_are_looked_at_until_the_end(total: int, at_once: int):
    seam = ClockSeam(Events(total, at_once))
    seam.peer.missing.add("stream_execution_events")
    assert [event.id for event in Job("my-job", seam).stream_events("exec-1")] == [*range(1, total + 1)]
    assert all(seconds <= 3 for seconds in seam.sleeps)


def test_looks_that_fail_are_survived_for_a_while():
    answers = Events(3, 10)
    answers.failing = [Unavailable("later"), ConnectionFailed("reset")]
    seam = ClockSeam(answers)
    seam.peer.missing.add("stream_execution_events")
    assert [event.id for event in Job("my-job", seam).stream_events("exec-1", after=1)] == [2, 3]
    answers = Events(3, 10)
    answers.failing = [Unavailable("later")] * 1000
    seam = ClockSeam(answers)
    seam.peer.missing.add("stream_execution_events")
    with pytest.raises(Unavailable):
        [*Job("my-job", seam).stream_events("exec-1")]
    assert 60 <= seam.now - 1000 <= 90


def test_logs_are_the_events_that_are_lines():
    rows = [event_view(1, type="created", data=None), event_view(2), event_view(3, type="progress"), event_view(4)]
    seam = ClockSeam(lambda op, _: models.JobExecutionEventList.from_dict(page(rows)))
    lines = Job("my-job", seam).get_logs("exec-1")
    assert [(line.level, line.message, line.fields, line.task) for line in lines] == [
        ("info", "line 2", {"n": 2}, "task-0"), ("info", "line 4", {"n": 4}, "task-0"),
    ]  # fmt: skip


def stream(*ids: int, end: bool, status: str = "running") -> httpx.Response:
    text = "".join(f"id: {id}\nevent: update\ndata: {json.dumps(event_view(id, status))}\n\n" for id in ids)
    text += "event: end\ndata: {}\n\n" if end else ""
    return httpx.Response(200, headers={"Content-Type": "text/event-stream", "Jobs-Contract": "1"}, text=": hello\n\n" + text)


def test_a_stream_that_breaks_is_opened_again_after_the_last_event():
    answers = [
        stream(1, 2, end=False),
        httpx.Response(503, json=problem(503, "unavailable", "draining")),
        stream(3, end=True, status="completed"),
    ]
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answers[len(asked) - 1]

    seen = [event.id for event in client_of(answer).stream_events("exec-1")]
    assert seen == [1, 2, 3]
    assert [request.url.query for request in asked] == [b"", b"after=2", b"after=2"]
    assert {request.url.path for request in asked} == {"/v0/executions/exec-1/events/stream"}


async def test_an_async_stream_of_events_too():
    client = client_of(lambda _: stream(1, 2, end=True, status="failed"))
    assert [event.id async for event in client.job("my-job").stream_events("exec-1", after=1)] == [2]


def test_a_server_that_has_no_such_stream_is_looked_at():
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/stream"):
            return httpx.Response(405, json=problem(405, "method_not_allowed", "no"), headers={"Jobs-Contract": "1"})
        return httpx.Response(200, json=page([event_view(1, "completed")]), headers={"Jobs-Contract": "1"})

    assert [event.id for event in client_of(answer).job("my-job").stream_events("exec-1")] == [1]
