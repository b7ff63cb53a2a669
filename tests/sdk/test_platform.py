"""Talking to the Blaxel platform: how it is known, what its answers become, and what is not sent to it twice."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from blaxel_jobs import (
    Conflict,
    ConnectionFailed,
    ContractError,
    ExecutionFailed,
    InvalidRequest,
    NotFound,
    NotLoaded,
    RequestError,
    Unavailable,
    WaitTimeoutError,
)
from blaxel_jobs.transport.platform import ENDED, Request, translate
from tests.sdk.fakes import Echo, client_of, created_view, execution_view, page, problem, slept, task_view
from tests.sdk.platform import Platform

ASKED = Request({"job": "my-job", "execution_id": "exec-1"}, "team", "2026-11-22T12:00:00+00:00")


def seen(word: str, **more: Any) -> dict[str, Any]:
    """What a get of an execution with this word becomes."""
    return translate("get_job_execution", ASKED, {"metadata": {"id": "exec-1"}, "spec": {}, "status": word, **more})


@pytest.mark.parametrize(
    ("theirs", "ours", "done"),
    [
        ("queued", "pending", False), ("pending", "pending", False), ("running", "running", False),
        ("cancelling", "running", False), ("cancelled", "cancelled", True), ("canceled", "cancelled", True),
        ("failed", "failed", True),
        ("succeeded", "completed", True), ("completed", "completed", True), ("timeout", "failed", True),
        ("hibernating", "hibernating", False), ("TIMEOUT", "TIMEOUT", False), (None, "pending", False),
    ],
)  # fmt: skip
def test_the_words_of_the_platform_become_ours(theirs: str, ours: str, done: bool):
    view = seen(theirs)
    assert (view["status"], view["done"]) == (ours, done)
    assert (theirs in ENDED) is done


def test_a_timeout_of_the_platforms_is_a_failure_of_that_kind():
    assert seen("timeout", spec={"timeout": 60})["error"] == {
        "kind": "timeout", "type": "TimeoutError", "message": "the execution had not ended after its timeout of 60 s",
    }  # fmt: skip
    assert "its timeout" in seen("timeout")["error"]["message"]
    assert "error" not in seen("failed")


def test_what_the_platform_leaves_out_or_null_is_filled_in_or_left_out():
    view = seen("running", stats=None, tasks=None, spec={"taskCount": 3, "memoryOverride": None, "parallelism": 2})
    assert view["metadata"] == {
        "id": "exec-1", "job": "my-job", "workspace": "team", "createdAt": ASKED.at, "updatedAt": ASKED.at,
    }  # fmt: skip
    assert view["spec"] == {"taskCount": 3, "priority": "medium", "parallelism": 2}
    assert "tasks" not in view
    assert view["stats"] == {"total": 0, "success": 0, "failure": 0, "running": 0, "retried": 0, "cancelled": 0}


def test_tasks_get_their_inputs_and_the_reason_of_their_failure():
    condition = {"type": "Ready", "reason": "ExitCode", "executionReason": "", "message": "exit code 1"}
    rows = [
        {"metadata": {"name": "task-0", "startedAt": "2026-11-22T12:00:00Z"}, "status": "failed", "conditions": [condition]},
        {"metadata": None, "status": "reconciling"},
        {"metadata": {}, "status": "unspecified"},
    ]
    view = seen("failed", tasks=rows, spec={"tasks": [{"a": 1}, {}, {"b": 2}]})
    assert [task["metadata"]["id"] for task in view["tasks"]] == ["task-0", "task-1", "task-2"]
    assert [task["status"] for task in view["tasks"]] == ["failed", "pending", "pending"]
    assert [task["attempts"] for task in view["tasks"]] == [1, 0, 0]
    assert [task["input"] for task in view["tasks"]] == [{"a": 1}, {}, {"b": 2}]
    assert view["error"] == view["tasks"][0]["error"] == {"kind": "error", "type": "ExitCode", "message": "exit code 1"}


@pytest.mark.parametrize(
    ("operation", "view"),
    [
        ("get_job_execution", execution_view(status="failed", tasks=2)),
        ("get_job_execution", {**execution_view(status="completed"), "result": None, "tasks": [task_view(0, input=None)]}),
        ("get_job_execution", {**execution_view(status="paused"), "novelty": 1}),
        ("create_job_execution", created_view()),
        ("list_job_executions", page([execution_view()], "c1")),
        ("list_job_execution_tasks", page([task_view(0, result=5)])),
        ("get_job", {"metadata": {"name": "my-job", "workspace": "team"}, "served": True}),
    ],
)
def test_what_is_ours_already_stays_as_it_is(operation: str, view: dict[str, Any]):
    assert translate(operation, ASKED, view) == view


@pytest.mark.parametrize("answer", [None, [], 5, "x", {}, {"metadata": None, "spec": {}}, {"metadata": {}, "spec": None}])
def test_what_is_nobodys_is_a_contract_error(answer: Any):
    with pytest.raises(ContractError, match="is not a JobExecution"):
        client_of(lambda _: httpx.Response(200, json=answer)).job("my-job").get_execution("exec-1")


def test_a_whole_run_on_the_platform():
    platform = Platform()
    job = client_of(platform, workspace="team").job("my-job")
    id = job.create_execution({"tasks": [{"duration": 1}, {"duration": 2}]})
    assert id == "exec-1"
    assert [job.get_execution_status(id) for _ in range(4)] == ["pending", "running", "completed", "completed"]
    execution = job.get_execution(id)
    assert (execution.status, execution.done, execution.workspace, execution.priority) == ("completed", True, "team", "medium")
    assert execution.created_at == datetime(2026, 11, 22, 12, 0, 0, 123456, UTC)
    assert execution.started_at is None
    assert execution.input == [{"duration": 1}, {"duration": 2}]
    assert [task.status for task in execution.list_tasks()] == ["completed", "completed"]
    assert execution.metadata["cluster"] == "eu"
    with pytest.raises(NotLoaded, match="keeps no results"):
        execution.get_result()
    with pytest.raises(NotLoaded, match="keeps no results"):
        _ = execution.results


def test_what_a_create_answers_is_an_execution():
    platform = Platform()
    job = client_of(platform).job("my-job")
    job.list_executions()
    execution = job.trigger({"a": 1})
    assert (execution.id, execution.status, execution.done) == ("exec-1", "pending", False)
    assert execution.created_at == datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_an_input_is_one_task_there():
    platform = Platform()
    job = client_of(platform).job("my-job")
    job.run([{"a": 1}])
    assert job.trigger({"a": 2}).id == "exec-2"
    assert platform.executions["exec-2"]["tasks"] == [{"a": 2}]
    with pytest.raises(InvalidRequest, match="objects only") as caught:
        job.trigger([1, 2])
    assert caught.value.path == "input"


def test_at_the_platforms_address_an_input_is_not_sent_before_it_is_known_who_answers():
    platform = Platform()
    job = client_of(platform, base_url="https://api.blaxel.ai/v0", api_key="k").job("my-job")
    job.trigger({"a": 1})
    assert [request.method for request in platform.requests] == ["GET", "POST"]
    assert platform.executions["exec-1"]["tasks"] == [{"a": 1}]


def test_s1_18_status_falls_back_to_get_and_that_is_remembered():
    platform = Platform("running", "succeeded")
    platform.add("exec-1")
    client = client_of(platform)
    assert [client.job("my-job").get_execution_status("exec-1") for _ in range(3)] == ["running", "completed", "completed"]
    assert platform.asked("GET", "/status") == 1
    assert platform.asked("GET", "/executions/exec-1") == 3
    with pytest.raises(NotFound):
        client.job("my-job").get_execution_status("exec-9")
    assert platform.asked("GET", "/status") == 1


def test_s1_18_a_404_of_our_own_status_route_is_the_answer():
    echo = Echo(httpx.Response(404, json=problem(404, "not_found", "no such execution")))
    job = echo.job()
    for _ in range(2):
        with pytest.raises(NotFound, match="no such execution"):
            job.get_execution_status("exec-1")
    assert [request.url.path.rpartition("/")[2] for request in echo.requests] == ["status", "status"]


async def test_s1_18_the_async_status_falls_back_too():
    platform = Platform("succeeded")
    platform.add("exec-1")
    assert await platform.job().aget_execution_status("exec-1") == "completed"


def test_an_echo_is_ours_whatever_else_was_answered():
    view = execution_view(status="running")
    platform = iter([httpx.Response(404, json={"message": "?"}), httpx.Response(200, json=view, headers={"Jobs-Contract": "1"})])
    client = client_of(lambda _: next(platform))
    with pytest.raises(NotFound):
        client.job("my-job").get_execution("exec-1")
    assert client._seam.peer.is_platform
    client.job("my-job").get_execution("exec-1")
    assert client._seam.peer.contract is True


@pytest.mark.parametrize(
    "answer", [httpx.Response(502, text="bad gateway"), httpx.Response(404, text="no such page"), httpx.Response(401, json={})]
)
def test_errors_of_a_proxy_tell_nothing(answer: httpx.Response):
    client = client_of(lambda _: answer, connect_retries=0)
    with pytest.raises(RequestError):
        client.job("my-job").get_execution("exec-1")
    assert client._seam.peer.contract is None


def test_what_a_test_answers_in_our_shape_but_without_our_header_is_read_too():
    answers = [created_view(), {"status": "running", "done": False}, execution_view(status="completed", result=5)]
    client = client_of(lambda _: httpx.Response(200, json=answers.pop(0)))
    job = client.job("my-job")
    assert job.create_execution({"tasks": [{}]}) == "exec-1"
    assert job.get_execution_status("exec-1") == "running"
    assert job.get_execution("exec-1").result == 5
    assert client._seam.peer.contract is None


def test_the_dialect_is_remembered_for_each_server():
    platform = Platform("succeeded")
    platform.add("exec-1")
    theirs, ours = client_of(platform), Echo(execution_view())
    theirs.job("my-job").get_execution("exec-1")
    job = ours.job()
    job.get_execution("exec-1")
    assert theirs._seam.peer.is_platform
    assert job._seam.peer.contract is True


# Lists


def test_s1_19_pages_of_the_platform_are_followed():
    platform = Platform()
    for n in range(45):
        platform.add(f"exec-{n}")
    rows = platform.job().list_executions()
    assert (len(rows), rows.has_more, rows.next_cursor) == (20, True, "20")
    assert [row.id for row in rows.auto_paging_iter()] == [f"exec-{n}" for n in reversed(range(45))]
    last = platform.job().list_executions(limit=45)
    assert (last.has_more, last.next_cursor) == (False, None)


def test_bare_lists_of_old_versions_are_followed_by_offset():
    platform = Platform(lists="bare")
    for n in range(45):
        platform.add(f"exec-{n}")
    rows = platform.job().list_executions()
    assert rows.has_more
    assert [row.id for row in rows.auto_paging_iter()] == [f"exec-{n}" for n in reversed(range(45))]
    assert [row.id for row in platform.job().list_executions(limit=2, offset=43)] == ["exec-1", "exec-0"]
    assert Platform(lists="bare").job().list_executions() == []


# Waits


def test_the_platforms_timeout_ends_a_wait():
    platform = Platform("running", "running", "timeout")
    platform.add("exec-1")
    execution = client_of(platform).job("my-job").wait_for_execution("exec-1")
    assert (execution.status, execution.error.kind) == ("failed", "timeout")
    with pytest.raises(ExecutionFailed, match="its timeout of 60 s"):
        execution.wait_done(raise_on_failure=True)


def test_nothing_is_asked_to_be_held_once_the_platform_is_known():
    platform = Platform("queued", "cancelling", "hibernating", "succeeded")
    platform.add("exec-1")
    client = client_of(platform)
    assert client.job("my-job").wait_for_execution("exec-1", interval=0.2).status == "completed"
    assert ["Prefer" in request.headers for request in platform.requests] == [True, False, False, False]
    assert slept(client) <= 0.6


def test_many_are_waited_for_by_looking_at_each():
    platform = Platform("queued", "running", "succeeded")
    for n in range(3):
        platform.add(f"exec-{n}")
    client = client_of(platform)
    job = client.job("my-job")
    job.get_execution("exec-0")
    ended = job.wait_for_executions(["exec-2", "exec-0", "exec-1"])
    assert [(one.id, one.status) for one in ended] == [("exec-2", "completed"), ("exec-0", "completed"), ("exec-1", "completed")]
    assert {request.url.path.split("/")[-2] for request in platform.requests} == {"executions"}
    assert [update.status for update in job.get_execution_statuses(["exec-0", "nope"])] == ["completed", "unknown"]
    with pytest.raises(NotFound):
        job.wait_for_executions(["exec-0", "nope"])
    with pytest.raises(InvalidRequest, match="across jobs"):
        client.wait_for_executions(["exec-0"])


def test_many_that_do_not_end_there_time_out():
    platform = Platform("running")
    platform.add("exec-0")
    client = client_of(platform)
    with pytest.raises(WaitTimeoutError, match="1 of 1 executions .* exec-0"):
        client.job("my-job").wait_for_executions(["exec-0"], max_wait=20)
    assert 19.5 <= slept(client) <= 20.1


def test_cancelling_is_running_until_it_is_cancelled():
    platform = Platform("running")
    platform.add("exec-1")
    execution = client_of(platform).job("my-job").get_execution("exec-1")
    assert execution.cancel().status == "running"
    assert execution.wait_done().status == "cancelled"


# Creates that are sent again


def lost_once(platform: Platform, error: Exception) -> None:
    """The answer of the first create is lost."""
    creates = iter([error])
    platform.lose = lambda request: next(creates, None) if request.method == "POST" else None


def test_a_create_whose_answer_is_lost_is_not_sent_to_the_platform_again():
    platform = Platform()
    lost_once(platform, httpx.ReadError("cut"))
    with pytest.raises(ConnectionFailed):
        client_of(platform).job("my-job").create_execution({"tasks": [{}]})
    assert [request.method for request in platform.requests] == ["POST", "GET"], "one harmless look told who it is"
    assert len(platform.executions) == 1


def test_once_it_is_known_no_look_is_needed():
    platform = Platform()
    job = client_of(platform).job("my-job")
    job.create_execution({"tasks": [{}]})
    lost_once(platform, httpx.ReadTimeout("slow"))
    with pytest.raises(ConnectionFailed):
        job.create_execution({"tasks": [{}]})
    assert [request.method for request in platform.requests] == ["POST", "POST"]


def test_a_busy_platform_may_have_created_it_all_the_same():
    platform = Platform()
    platform.refuse = lambda request: httpx.Response(503) if request.method == "POST" else None
    with pytest.raises(Unavailable):
        client_of(platform).job("my-job").create_execution({"tasks": [{}]})
    assert platform.asked("POST", "/executions") == 1


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow")])
def test_what_was_never_sent_is_sent_again(error: Exception):
    platform = Platform()
    refusals = iter([error, error])
    platform.refuse = lambda _: next(refusals, None)
    assert client_of(platform).job("my-job").create_execution({"tasks": [{}]}) == "exec-1"
    assert [request.method for request in platform.requests] == ["POST", "POST", "POST"]


def test_with_an_id_of_the_callers_it_is_sent_again_and_found():
    platform = Platform()
    lost_once(platform, httpx.ReadError("cut"))
    job = client_of(platform).job("my-job")
    job.list_executions()
    assert job.create_execution({"tasks": [{}]}, execution_id="mine") == "mine"
    assert len(platform.executions) == 1
    with pytest.raises(Conflict):
        job.create_execution({"tasks": [{}]}, execution_id="mine")


def test_our_own_server_gets_it_again_after_one_look():
    answers: Iterator[Any] = iter([
        httpx.ReadError("cut"),
        httpx.Response(404, json=problem(404, "not_found", "-"), headers={"Jobs-Contract": "1"}),
        httpx.Response(200, json=created_view(), headers={"Jobs-Contract": "1"}),
    ])  # fmt: skip
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    assert client_of(answer).job("my-job").create_execution({"tasks": [{}]}) == "exec-1"
    assert [(request.method, request.url.path) for request in sent] == [
        ("POST", "/v0/jobs/my-job/executions"), ("GET", "/v0/jobs/my-job"), ("POST", "/v0/jobs/my-job/executions"),
    ]  # fmt: skip
    assert sent[0].headers["Idempotency-Key"] == sent[2].headers["Idempotency-Key"]


def test_a_server_that_stays_away_is_looked_for_as_often_as_it_is_tried():
    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadError("cut")

    sent: list[str] = []
    with pytest.raises(ConnectionFailed):
        client_of(answer).job("my-job").create_execution({"tasks": [{}]})
    assert sent == ["POST", "GET", "GET"]
