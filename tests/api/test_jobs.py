"""What the seed shows, on every backend."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.errors import (
    ExecutionFailed,
    IdempotencyConflict,
    IllegalTransition,
    InvalidRequest,
    NotFinished,
    NotFound,
    NotLoaded,
    WaitTimeoutError,
)
from tests.pace import PATIENCE, awithin, timed, within

from .conftest import Jobs

SIMULATED = "my-job"
STRANGE = [{}, {"a": None}, {"b": {"c": [{}, [], 0.1, -0, 1e300, 2**60]}}, {"ключ": "значение 🙂", "e": "é\u2028"}, {"t": True}]


@pytest.mark.row("S1-10", "S1-11", "S1-14", "S1-15")
def test_create_then_get(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)
    id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 0}, {"duration": 0}]))
    assert isinstance(id, str)
    assert id
    job.wait_for_execution(id, max_wait=PATIENCE)
    execution = job.get_execution(id)
    assert execution.status == "completed"
    assert (execution.id, execution.metadata.id, execution.metadata.job) == (id, id, SIMULATED)
    assert execution.spec.task_count == len(execution.tasks) == 2
    assert execution.stats == {"total": 2, "success": 2, "failure": 0, "running": 0, "retried": 0, "cancelled": 0}
    assert execution.created_at <= execution.started_at <= execution.ended_at


def test_s1_09_plain_dicts_survive_the_round_trip(jobs: Jobs) -> None:
    request = CreateJobExecutionRequest(tasks=STRANGE)
    for name in ("echo", "aecho"):
        job = jobs.job(name)
        execution = job.wait_for_execution(job.create_execution(request), max_wait=PATIENCE)
        assert json.dumps(execution.results) == json.dumps(STRANGE)
        assert json.dumps(execution.input) == json.dumps(STRANGE)


def test_an_input_is_one_task_and_its_value_the_result(jobs: Jobs) -> None:
    for payload in (None, 0, "text", [1, {}], {"a": 1}):
        execution = jobs.job("echo").trigger(payload)
        assert execution.get_result(max_wait=PATIENCE) == payload
        assert execution.result == execution.input == payload


def test_handlers_see_where_they_are(jobs: Jobs) -> None:
    job = jobs.job("describe")
    id = job.create_execution({"tasks": [{}, {}], "metadata": {"owner": "me"}, "env": {"A": "b"}}, name="Free text")
    execution = job.wait_for_execution(id, max_wait=PATIENCE)
    common = {"execution": id, "attempt": 1, "metadata": {"owner": "me"}, "env": {"A": "b"}}
    assert execution.results == [{**common, "task": f"task-{n}", "index": n} for n in range(2)]
    assert (execution.name, execution.metadata.custom) == ("Free text", {"owner": "me"})
    assert execution.spec.env_override == {"A": "***"}


@pytest.mark.row("S1-30")
def test_a_failed_execution_is_returned(jobs: Jobs) -> None:
    job = jobs.job("fail")
    execution = job.wait_for_execution(job.create_execution({"input": 7}), max_wait=PATIENCE)
    assert (execution.status, execution.done) == ("failed", True)
    assert (execution.error.kind, execution.error.type, execution.error.message) == ("error", "ValueError", "refused 7")
    with pytest.raises(ExecutionFailed, match="refused 7"):
        job.wait_for_execution(execution.id, raise_on_failure=True)
    with pytest.raises(ExecutionFailed):
        execution.get_result()


def test_s1_03_04_a_task_takes_its_duration(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)

    def attempt() -> float:
        begin = time.monotonic()
        execution = job.wait_for_execution(job.create_execution({"tasks": [{"duration": 0.2}] * 3}), max_wait=PATIENCE)
        assert (execution.ended_at - execution.started_at).total_seconds() >= 0.2
        return time.monotonic() - begin

    assert within(0.4, attempt) >= 0.2


@pytest.mark.row("S1-02")
def test_any_job_is_simulated_where_the_server_was_told_to(jobs: Jobs) -> None:
    job = jobs.job("nobody-wrote-me")
    assert job.wait_for_execution(job.run([{"duration": 0}]), max_wait=PATIENCE).status == "completed"


def test_s1_01_a_thousand_tasks(jobs: Jobs) -> None:
    job = jobs.job("echo")
    id = job.create_execution({"tasks": [{"n": n} for n in range(1000)]})
    execution = job.wait_for_execution(id, max_wait=PATIENCE)
    assert execution.results == [{"n": n} for n in range(1000)]
    assert len(execution.tasks) == 100
    within(0.1, lambda: timed(lambda: job.get_execution(id)))


def test_s1_16_a_status_is_faster_than_an_execution(jobs: Jobs) -> None:
    job = jobs.job("echo")
    id = job.create_execution({"tasks": [{"n": n, "text": "x" * 1000} for n in range(1000)]})
    job.wait_for_execution(id, max_wait=PATIENCE)
    assert job.get_execution_status(id) == "completed"

    def ratio() -> float:
        status = min(timed(lambda: job.get_execution_status(id)) for _ in range(10))
        return status / min(timed(lambda: job.get_execution(id)) for _ in range(3))

    within(1 / 5, ratio)


def test_more_than_a_page_of_tasks_is_read_page_by_page(jobs: Jobs) -> None:
    job = jobs.job("echo")
    execution = job.wait_for_execution(job.create_execution({"tasks": [{"n": n} for n in range(250)]}), max_wait=PATIENCE)
    page = execution.list_tasks(limit=100)
    assert (len(page), page.has_more) == (100, True)
    assert [task.result["n"] for task in page.auto_paging_iter()] == list(range(250))
    with pytest.raises(NotLoaded, match="list_tasks"):
        _ = execution.input


def test_large_results_come_whole(jobs: Jobs) -> None:
    job = jobs.job("echo")
    big = "x" * 90_000
    execution = job.wait_for_execution(
        job.create_execution({"tasks": [{"n": n, "big": big} for n in range(20)]}), max_wait=PATIENCE
    )
    assert [each["n"] for each in execution.get_result()] == list(range(20))


@pytest.mark.row("S1-08")
def test_an_unknown_execution(jobs: Jobs) -> None:
    job = jobs.job("echo")
    for verb in (job.get_execution, job.get_execution_status, job.wait_for_execution, job.cancel_execution):
        with pytest.raises(NotFound, match="nope"):
            verb("nope")


def test_s1_20_limits_of_a_list(jobs: Jobs) -> None:
    job = jobs.job("echo")
    job.run([{}])
    assert len(job.list_executions(limit=1)) == 1
    for limit in (0, -1, 1001):
        with pytest.raises(InvalidRequest) as caught:
            job.list_executions(limit=limit)
        assert caught.value.path == "limit"


@pytest.mark.row("S1-21", "S1-22")
async def test_a_list_is_a_list_that_pages(jobs: Jobs) -> None:
    job = jobs.job("list-me")
    ids = [job.run([{"duration": 0}]) for _ in range(7)]
    executions = job.list_executions(limit=3)
    assert isinstance(executions, list)
    assert [each.id for each in executions] == ids[:3:-1]
    assert [each.id for each in executions.next_page()] == ids[3:0:-1]
    assert [each.id for each in executions.auto_paging_iter()] == ids[::-1]
    again = await job.alist_executions(limit=3)
    assert [each.id async for each in again.auto_paging_iter()] == ids[::-1]
    assert [each.id for each in job.list_executions(limit=2, offset=4)] == ids[2:0:-1]
    with pytest.raises(NotLoaded):
        _ = executions[0].tasks


def test_idempotent_creates(jobs: Jobs) -> None:
    job = jobs.job("echo")
    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(lambda _: job.trigger({"a": 1}, idempotency_key="once").id, range(20)))
    assert len(ids) == 1
    with pytest.raises(IdempotencyConflict, match="once"):
        job.trigger({"a": 2}, idempotency_key="once")
    assert job.run([{}], execution_id="mine-1") == job.run([{}], execution_id="mine-1") == "mine-1"
    with pytest.raises(IdempotencyConflict, match="mine-1"):
        job.run([{}, {}], execution_id="mine-1")


def test_cancel_is_final(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)
    id = job.run([{"hang": True}] * 2)
    assert job.cancel_execution(id) is None
    assert job.get_execution_status(id) == "cancelled"
    execution = job.wait_for_execution(id)
    assert (execution.status, execution.stats["cancelled"]) == ("cancelled", 2)
    job.cancel_execution(id)
    with pytest.raises(ExecutionFailed):
        execution.get_result()
    done = job.run([{"duration": 0}])
    job.wait_for_execution(done, max_wait=PATIENCE)
    with pytest.raises(IllegalTransition, match="completed"):
        job.cancel_execution(done)


@pytest.mark.row("S1-24", "S1-25", "S1-28", "S1-36")
def test_k_08_max_wait_is_seconds_and_never_overslept(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)
    id = job.run([{"hang": True}])

    def wait(max_wait: float) -> None:
        with pytest.raises(WaitTimeoutError, match=id) as caught:
            job.wait_for_execution(id, max_wait=max_wait)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.execution.status in ("pending", "running")

    assert within(0.4, lambda: timed(lambda: wait(0.3))) >= 0.3
    assert within(1.3, lambda: timed(lambda: wait(1.2))) >= 1.2
    with pytest.raises(NotFinished):
        job.get_execution(id).get_result(max_wait=0)
    assert job.get_execution_status(id) in ("pending", "running")
    job.cancel_execution(id)


def test_s1_23_a_wait_ends_with_its_execution(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)

    def late() -> float:
        execution = job.wait_for_execution(job.run([{"duration": 0.3}]), max_wait=PATIENCE, interval=30)
        return time.time() - execution.ended_at.timestamp()

    within(0.02, late, tries=10)  # who asks now and then is later than that nearly always


async def test_s1_26_cancelling_a_wait_leaves_the_execution_alone(jobs: Jobs) -> None:
    job = jobs.job(SIMULATED)
    id = await job.acreate_execution({"tasks": [{"hang": True}]})

    async def attempt() -> float:
        waiting = asyncio.ensure_future(job.await_for_execution(id, max_wait=600))
        await asyncio.sleep(0.2)  # into the wait: nothing tells from outside when it has begun
        waiting.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return time.monotonic() - begin

    await awithin(0.05, attempt)
    assert await job.aget_execution_status(id) == "running"
    await job.acancel_execution(id)


async def test_the_async_twins(jobs: Jobs) -> None:
    job = jobs.job("aecho")
    execution = await job.atrigger({"a": 1})
    assert await execution.aget_result(max_wait=PATIENCE) == {"a": 1}
    assert (await (await job.aget_execution(execution.id)).arefresh()).status == "completed"
    assert await job.aget_execution_status(execution.id) == "completed"
    assert [event.type for event in await execution.alist_events()] == ["created", "task.started", "task.completed"]
    ids = await asyncio.gather(*[job.arun([{"n": n}]) for n in range(50)])
    done = await asyncio.gather(*[job.await_for_execution(id, max_wait=PATIENCE) for id in ids])
    assert [each.results for each in done] == [[{"n": n}] for n in range(50)]
    hanging = await jobs.job(SIMULATED).arun([{"hang": True}])
    await jobs.job(SIMULATED).acancel_execution(hanging)
    assert await jobs.job(SIMULATED).aget_execution_status(hanging) == "cancelled"


@pytest.mark.row("S1-33")
def test_the_event_log_of_an_execution(jobs: Jobs) -> None:
    job = jobs.job("echo")
    execution = job.wait_for_execution(job.run([{}, {}]), max_wait=PATIENCE)
    events = execution.list_events()
    assert [event.id for event in events] == [1, 2, 3, 4, 5]
    assert [event.status for event in events][:2] == ["pending", "running"]
    assert [event.status for event in events][-1] == "completed"


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        ({}, "tasks"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [{"duration": -1}]}, "tasks[0].duration"),
        ({"tasks": [{"duration": float("inf")}]}, None),
        ({"tasks": [{"duration": float("nan")}]}, None),
        ({"input": 1, "tasks": [{}]}, "input"),
        ({"input": 1, "color": "red"}, "color"),
        ({"input": 1, "priority": "urgent"}, "priority"),
        ({"input": {1, 2}}, None),
    ],
)
def test_a_bad_request_names_its_field_and_creates_nothing(jobs: Jobs, request_, path) -> None:
    job = jobs.job("bad-requests")
    with pytest.raises(InvalidRequest) as caught:
        job.create_execution(request_)
    assert (path or "").split("[")[0] in str(caught.value) or caught.value.path == path
    if path is not None:
        assert caught.value.path == path
    elif isinstance(request_.get("tasks"), list):
        assert "tasks[0].duration" in str(caught.value)
    assert job.list_executions() == []


def test_every_state_can_be_printed_as_json(jobs: Jobs) -> None:
    job = jobs.job("echo")
    created = job.trigger({"a": 1})
    json.dumps(created.to_dict())
    done = created.wait_done(max_wait=PATIENCE)
    assert json.loads(json.dumps(done.to_dict()))["result"] == {"a": 1}
    assert (
        json.loads(json.dumps(jobs.job("fail").trigger(1).wait_done(max_wait=PATIENCE).to_dict()))["error"]["type"] == "ValueError"
    )
