"""What an Execution shows, and its verbs, over an echo."""

import json
from typing import Any

import httpx
import pytest

from blaxel_jobs import ExecutionFailed, IllegalTransition, JobStatus, NotFinished, NotLoaded, WaitTimeoutError
from blaxel_jobs.errors import JobsError
from blaxel_jobs.execution import Execution
from tests.sdk.fakes import NOON, Echo, created_view, execution_view, page, problem, task_view

FULL = {
    "metadata": {"name": "n", "description": "d", "tags": ["a", "b"], "custom": {"k": 1}, "startedAt": NOON, "completedAt": NOON},
    "waitingFor": "worker",
    "error": {"kind": "error", "type": "ValueError", "message": "no", "trace": "Traceback"},
    "recoveries": [{"at": NOON, "task": "task-0", "worker": "w", "reason": "lease_expired", "attempt": 1}],
}


def got(status: str = "completed", **more: Any) -> Execution:
    return Echo(execution_view(status=status, **more)).job().get_execution("exec-1")


def test_s1_15_fields_are_attributes():
    execution = got("failed", tasks=1, **FULL)
    assert execution.status == "failed"
    assert execution.status == JobStatus.FAILED
    assert execution.metadata.id == execution.id == "exec-1"
    assert execution.metadata.custom == {"k": 1}
    assert (execution.job, execution.workspace, execution.name, execution.description) == ("my-job", "default", "n", "d")
    assert (execution.tags, execution.priority, execution.waiting_for, execution.done) == (["a", "b"], "medium", "worker", True)
    assert execution.error is not None
    assert (execution.error.kind, execution.error.type, execution.error.message) == ("error", "ValueError", "no")
    assert execution.recoveries[0].reason == "lease_expired"
    assert execution.stats["total"] == execution.spec.task_count == 1
    times = (execution.created_at, execution.started_at, execution.ended_at)
    assert [time.isoformat() for time in times if time] == [NOON] * 3


def test_what_was_left_out_is_none_or_empty():
    execution = got("pending")
    assert (execution.name, execution.description, execution.waiting_for, execution.error) == (None, None, None, None)
    assert (execution.started_at, execution.ended_at) == (None, None)
    assert (execution.tags, execution.recoveries, execution.tasks) == ([], [], [])
    assert (execution.result, execution.results) == (None, None)


def test_to_dict_is_json_with_the_contracts_names_and_an_id():
    view = execution_view(status="failed", **FULL)
    shown = got("failed", **FULL).to_dict()
    assert shown == {"id": "exec-1", **view}
    assert json.loads(json.dumps(shown)) == shown


def test_a_repr_says_what_matters():
    assert repr(got("completed")) == "<Execution exec-1 of my-job: completed>"
    assert repr(got("pending", waitingFor="worker")) == "<Execution exec-1 of my-job: pending waiting_for=worker>"
    assert repr(got("failed", error=FULL["error"])) == "<Execution exec-1 of my-job: failed error='no'>"
    assert "UNSET" in repr(got().metadata)


@pytest.mark.parametrize("field", ["tasks", "input", "result", "results"])
def test_what_was_not_read_is_not_guessed(field: str):
    created = Echo(created_view()).job().trigger(1)
    listed = Echo(page([execution_view()])).job().list_executions()[0]
    for execution in (created, listed):
        with pytest.raises(NotLoaded, match=f"{'tasks' if field == 'input' else field} of execution exec-1 was not read.*refresh"):
            getattr(execution, field)
        assert not hasattr(execution, field)


def test_refresh_loads_what_was_missing():
    echo = Echo(created_view(), execution_view(status="completed", result=5, tasks=1))
    execution = echo.job().trigger(1)
    assert execution.refresh() is execution
    assert (execution.status, execution.result, execution.results) == ("completed", 5, None)


def test_results_of_tasks_are_a_list():
    execution = got(tasks=2, results=[1, None])
    assert execution.results == [1, None]
    assert execution.result is None


def test_a_result_of_null_is_a_result():
    assert got(result=None).get_result() is None
    assert got(tasks=1, results=[None]).get_result() == [None]


def test_results_that_did_not_fit_are_said_to_be_missing():
    for execution in (got(tasks=200), got("failed", tasks=200), got(tasks=1)):
        with pytest.raises(NotLoaded, match="do not fit into one answer"):
            _ = execution.results
    with pytest.raises(NotLoaded, match="do not fit"):
        _ = got(tasks=1).result
    assert got("failed", tasks=1).results is None
    assert got("failed", tasks=1).result is None
    assert got("running", tasks=200).results is None


def test_input_is_that_of_the_task_or_of_the_tasks():
    def with_tasks(*inputs: Any, total: int | None = None) -> Execution:
        view = execution_view(tasks=len(inputs) if total is None else total)
        return Echo({**view, "tasks": [task_view(n, input=value) for n, value in enumerate(inputs)]}).job().get_execution("exec-1")

    assert with_tasks({"a": 1}).input == {"a": 1}
    assert with_tasks(None).input is None
    assert with_tasks(1, 2, 3).input == [1, 2, 3]
    with pytest.raises(NotLoaded, match="list_tasks"):
        _ = with_tasks(1, 2, total=200).input


def test_get_result_waits_and_returns_the_value():
    echo = Echo(created_view(), execution_view(), execution_view(status="completed", result={"a": 1}))
    execution = echo.job().trigger(1)
    assert execution.get_result(max_wait=5) == {"a": 1}
    assert [request.headers.get("Prefer") for request in echo.requests] == [None, "wait=5", "wait=4"]
    sent = len(echo.requests)
    assert execution.get_result() == {"a": 1}
    assert len(echo.requests) == sent


def test_get_result_reads_results_that_did_not_fit_from_the_tasks():
    rows = [task_view(n, result=n * n) for n in range(5)]
    echo = Echo(execution_view(status="completed", tasks=5), page(rows[:3], "next"), page(rows[3:]))
    assert echo.job().get_execution("exec-1").get_result() == [0, 1, 4, 9, 16]
    assert echo.last.url.params["cursor"] == "next"
    echo = Echo(execution_view(status="completed", tasks=1), page([task_view(0, result="large")]))
    assert echo.job().get_execution("exec-1").get_result() == "large"


def test_get_result_says_why_there_is_none():
    with pytest.raises(NotFinished, match="exec-1 is running"):
        got("running").get_result(max_wait=0)
    with pytest.raises(WaitTimeoutError):
        got("running").get_result(max_wait=0.01)
    with pytest.raises(ExecutionFailed, match=r"exec-1 failed: ValueError: no \(error\)") as caught:
        got("failed", error=FULL["error"]).get_result()
    assert caught.value.execution is not None
    with pytest.raises(ExecutionFailed, match="exec-1 cancelled"):
        got("cancelled").get_result()
    with pytest.raises(JobsError):
        got("running").get_result(max_wait=-1)


def test_cancel_updates_the_execution_and_the_jobs_cancel_returns_none():
    echo = Echo(created_view(), execution_view(status="cancelled"))
    execution = echo.job().trigger(1)
    assert execution.cancel() is execution
    assert execution.status == "cancelled"
    assert echo.last.method == "DELETE"
    assert echo.job().cancel_execution("exec-1") is None  # type: ignore[func-returns-value]
    refusing = Echo(httpx.Response(409, json=problem(409, "illegal_transition", "it is completed")))
    with pytest.raises(IllegalTransition):
        refusing.job().cancel_execution("exec-1")


def test_wait_done_updates_the_execution():
    execution = Echo(created_view(), execution_view(status="completed", result=1)).job().trigger(1)
    assert execution.wait_done(max_wait=5) is execution
    assert execution.result == 1


def test_a_timeout_carries_the_same_execution():
    execution = Echo(created_view(), execution_view(status="running")).job().trigger(1)
    with pytest.raises(WaitTimeoutError) as caught:
        execution.wait_done(max_wait=0)
    assert caught.value.execution is execution
    assert execution.status == "running"


async def test_s1_13_the_async_verbs_do_the_same():
    completed = execution_view(status="completed", result=1)
    tasks, events = page([task_view(0, result=1)]), page([])
    echo = Echo(created_view(), execution_view(), completed, completed, tasks, events, execution_view(status="cancelled"))
    job = echo.job()
    execution = await job.atrigger(1)
    assert await execution.arefresh() is execution
    assert (await execution.await_done(max_wait=5)).status == "completed"
    assert await execution.aget_result() == 1
    assert (await job.aget_execution("exec-1")).result == 1
    assert (await execution.alist_tasks())[0].result == 1
    assert await execution.alist_events() == []
    assert (await execution.acancel()).status == "cancelled"


def test_s1_21_a_list_of_executions_is_a_list():
    echo = Echo(page([execution_view("a"), execution_view("b")], "c1"), page([execution_view("c")]))
    executions = echo.job().list_executions(limit=2)
    assert isinstance(executions, list)
    assert len(executions) == 2
    assert [execution.id for execution in executions] == ["a", "b"]
    assert (executions.has_more, executions.next_cursor) == (True, "c1")
    last = executions.next_page()
    assert type(last) is type(executions)
    assert [execution.id for execution in last] == ["c"]
    assert dict(echo.last.url.params) == {"limit": "2", "cursor": "c1"}
    assert (last.has_more, last.next_cursor) == (False, None)
    sent = len(echo.requests)
    assert last.next_page() == []
    assert not last.next_page().has_more
    assert len(echo.requests) == sent


PAGES = [page([execution_view("a"), execution_view("b")], "c1"), page([], "c2"), page([execution_view("c")])]


def test_s1_19_auto_paging_gives_every_row_of_every_page():
    rows = Echo(*PAGES).job().list_executions().auto_paging_iter()
    assert [execution.id for execution in rows] == ["a", "b", "c"]


async def test_s1_22_async_lists_page_alike():
    echo = Echo(*PAGES)
    executions = await echo.job().alist_executions()
    assert (await executions.anext_page()) == []
    echo = Echo(*PAGES)
    rows = (await echo.job().alist_executions()).auto_paging_iter()
    assert [execution.id async for execution in rows] == ["a", "b", "c"]


def test_tasks_and_events_come_in_pages():
    echo = Echo(
        execution_view(), page([task_view(0, input=1)], "t1"), page([task_view(1, input=2)]),
        page([{"id": 1, "at": NOON, "type": "created", "status": "pending"}], "e1"),
        page([{"id": 2, "at": NOON, "type": "task.started", "task": "task-0", "status": "running"}]),
    )  # fmt: skip
    execution = echo.job().get_execution("exec-1")
    assert [task.input for task in execution.list_tasks(limit=1).auto_paging_iter()] == [1, 2]
    assert dict(echo.last.url.params) == {"limit": "1", "cursor": "t1"}
    assert [event.type for event in execution.list_events().auto_paging_iter()] == ["created", "task.started"]
