"""The verbs, batches, events and options of executions, wherever they run."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from blaxel_jobs import (
    ExecutionFailed,
    IdempotencyConflict,
    IllegalTransition,
    InvalidRequest,
    JobManager,
    Jobs,
    KeyInUse,
    NotFinished,
    NotFound,
    RetryPolicy,
    define_job,
)
from tests.pace import PATIENCE, until, within

ANY = "nobody-wrote-me"
"""A job that is simulated."""


@pytest.mark.row("S4-36")
def test_start_lets_one_begin_that_was_created_not_to(jobs: Jobs) -> None:
    execution = jobs.trigger("echo", 1, auto_start=False)
    assert (execution.status, execution.waiting_for) == ("pending", "start")
    assert execution.start() is execution
    assert execution.wait_done(max_wait=PATIENCE).result == 1
    other = jobs.trigger("echo", 2, auto_start=False)
    assert jobs.job("echo").start_execution(other.id).id == other.id
    assert jobs.wait_for_execution(other.id, max_wait=PATIENCE).status == "completed"
    with pytest.raises(IllegalTransition):
        other.start()


@pytest.mark.row("S4-37", "S4-38")
def test_pause_stops_at_a_step_and_resume_goes_on(jobs: Jobs) -> None:
    execution = jobs.trigger("looper")
    until(lambda: len(execution.list_steps(limit=5)) == 5)
    assert execution.pause().status == "paused"
    until(lambda: execution.refresh().stats["running"] == 0)
    taken = [step.name for step in execution.list_steps(limit=1000)]
    assert taken == [f"step-{index}" for index in range(len(taken))]
    assert execution.pause().status == "paused"
    jobs.resume_execution(execution.id)
    until(lambda: len(execution.list_steps(limit=1000)) > len(taken))
    assert execution.refresh().attempts == 1
    assert jobs.cancel_execution(execution.id).status == "cancelled"
    with pytest.raises(IllegalTransition):
        execution.resume()


@pytest.mark.row("S2-23")
def test_retry_is_in_place_and_keeps_steps(jobs: Jobs) -> None:
    job = jobs.job("once-broken")
    execution = job.trigger()
    assert execution.wait_done(max_wait=PATIENCE).status == "failed"
    assert execution.retry().id == execution.id
    assert execution.wait_done(max_wait=PATIENCE).get_result() == "mended"
    assert execution.tasks[0].history[0].outcome == "error"
    assert (execution.attempts, [step.name for step in execution.list_steps()]) == (2, ["counted"])
    with pytest.raises(IllegalTransition, match="completed"):
        job.retry_execution(execution.id)


def test_rerun_is_a_new_execution_of_the_same_work(jobs: Jobs) -> None:
    old = jobs.trigger("describe", 1, name="old", metadata={"k": 1}, env={"A": "b"}, priority="high", idempotency_key="one-key")
    old.wait_done(max_wait=PATIENCE)
    new = old.rerun(name="new", metadata={"k": 2})
    assert new.id != old.id
    assert (new.name, new.priority) == ("new", "high")
    assert new.spec.idempotency_key != "one-key"
    result = new.get_result(max_wait=PATIENCE)
    assert (result["metadata"], result["env"]) == ({"k": 2}, {"A": "b"})
    many = jobs.job("echo").run([{"n": n} for n in range(3)])
    jobs.wait_for_execution(many, max_wait=PATIENCE)
    assert jobs.rerun_execution(many).wait_done(max_wait=PATIENCE).results == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.row("S4-40")
def test_delete_forgets_all_of_it(jobs: Jobs) -> None:
    job = jobs.job("delete-me")
    running = job.get_execution(job.run([{"hang": True}]))
    with pytest.raises(IllegalTransition):
        running.delete()
    running.delete(force=True)
    ended = job.run([{"duration": 0}], execution_id="delete-1")
    job.wait_for_execution(ended, max_wait=PATIENCE)
    job.delete_execution(ended)
    assert job.list_executions() == []
    for id in (running.id, ended):
        with pytest.raises(NotFound):
            jobs.get_execution(id)
    assert job.run([{"duration": 0}], execution_id="delete-1") == "delete-1"
    with pytest.raises(NotFound):
        job.delete_execution("nope")


def test_an_event_is_taken_by_the_wait_for_it(jobs: Jobs) -> None:
    execution = jobs.trigger("stepper", 1)
    until(lambda: execution.refresh().waiting_for == "event")
    assert (execution.progress.current, execution.progress.total, execution.progress.message) == (1, 2, "half")
    assert execution.tasks[0].awaiting == "go"
    assert execution.send_event("stop", None, event_id="e0") == "kept"
    assert execution.send_event("go", {"a": [1]}, event_id="e1") == "taken"
    assert execution.get_result(max_wait=PATIENCE) == {"first": 1, "word": {"a": [1]}}
    early = jobs.trigger("stepper", 2, auto_start=False)
    job = jobs.job("stepper")
    assert [job.send_event(early.id, "go", "x", event_id="e1") for _ in range(2)] == ["kept", "existing"]
    assert early.start().get_result(max_wait=PATIENCE)["word"] == "x"
    with pytest.raises(IllegalTransition):
        early.send_event("go")


def test_events_and_logs_are_followed_to_the_end(jobs: Jobs) -> None:
    execution = jobs.trigger("stepper", 7)
    seen = []
    for event in execution.stream_events():
        seen.append(event)
        if event.type == "task.suspended":
            execution.send_event("go", "now")
    ids = [event.id for event in seen]
    assert ids == [*range(1, len(ids) + 1)]
    assert (seen[0].type, seen[-1].type, seen[-1].status) == ("created", "task.completed", "completed")
    assert [event.data for event in seen if event.type == "event.sent"] == [{"name": "go"}]
    assert [event.id for event in jobs.stream_events(execution.id, after=ids[-3])] == ids[-2:]
    (line,) = execution.logs()
    assert (line.level, line.message, line.fields, line.task) == ("info", "begun", {"n": 7}, "task-0")
    assert jobs.job("stepper").get_logs(execution.id) == [line]
    assert [step.name for step in execution.list_steps()] == ["first", "go"]
    assert [(step.name, step.kind) for step in jobs.list_steps(execution.id, limit=1).auto_paging_iter()] == [
        ("first", "value"),
        ("go", "event"),
    ]
    with pytest.raises(NotFound):
        next(iter(jobs.job("echo").stream_events(execution.id)))


async def test_the_async_verbs(jobs: Jobs) -> None:
    execution = await jobs.atrigger("stepper", 1, auto_start=False)
    await execution.astart()
    async for event in execution.stream_events():
        if event.type == "task.suspended":
            assert await execution.asend_event("go", 3) == "taken"
    assert (await execution.aget_result(max_wait=PATIENCE))["word"] == 3
    again = await execution.arerun(auto_start=False)
    assert (await jobs.apause_execution(again.id)).status == "paused"
    assert (await jobs.aresume_execution(again.id)).status == "pending"
    assert (await again.acancel()).status == "cancelled"
    with pytest.raises(IllegalTransition):
        await again.aretry()
    await again.adelete()
    with pytest.raises(NotFound):
        await jobs.aget_execution(again.id)
    assert [line.message for line in await execution.alogs()] == ["begun"]
    assert (await jobs.aget_execution_status(execution.id), await jobs.aget_execution_result(execution.id)) == (
        "completed",
        {"first": 1, "word": 3},
    )


def test_the_verbs_of_a_job_are_for_its_own_executions(jobs: Jobs) -> None:
    id = jobs.trigger("echo", 1, auto_start=False).id
    other = jobs.job("aecho")
    for verb in (
        other.start_execution, other.pause_execution, other.resume_execution, other.cancel_execution, other.retry_execution,
        other.rerun_execution, other.delete_execution, other.list_steps, other.get_logs, lambda each: other.send_event(each, "go"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            verb(id)
    assert jobs.get_execution(id).waiting_for == "start"
    assert jobs.job("echo").delete_execution(id, force=True) is None


@pytest.mark.row("S2-24", "S4-51", "S4-55")
def test_a_batch_is_all_or_nothing(jobs: Jobs) -> None:
    job = jobs.job("echo")
    batch = job.trigger_many([{"n": n} for n in range(20)], tags=["many"], idempotency_key="batch-1")
    batch_id, executions = batch
    assert [each.job for each in executions] == ["echo"] * 20
    assert batch.wait_done(max_wait=PATIENCE) is batch
    assert (batch.done, batch.counts["completed"], batch.counts["total"]) == (True, 20, 20)
    assert [each.get_result() for each in executions] == [{"n": n} for n in range(20)]
    assert executions[3].refresh().batch_id == batch_id
    again = job.trigger_many([{"n": n} for n in range(20)], tags=["many"], idempotency_key="batch-1")
    assert (again.id, [each.status for each in again.executions]) == (batch_id, ["completed"] * 20)
    with pytest.raises(IdempotencyConflict):
        job.trigger_many([{"n": 0}], idempotency_key="batch-1")
    assert {each.id for each in jobs.list_executions(batch=batch_id, limit=7).auto_paging_iter()} == {
        each.id for each in executions
    }
    before = len(jobs.list_executions(job="echo", limit=1000))
    with pytest.raises(InvalidRequest) as caught:
        job.trigger_many([1, {1}])
    assert len(jobs.list_executions(job="echo", limit=1000)) == before, caught.value


def test_a_batch_of_many_jobs(jobs: Jobs) -> None:
    items = [
        {"job": "echo", "payload": 1, "name": "first"},
        {"job": "fail", "payload": 2},
        {"job": ANY, "tasks": [{"duration": 0}] * 3, "max_retries": 1},
    ]
    batch = jobs.create_batch(items, auto_start=False)
    assert batch.counts == {"total": 3, "pending": 3, "running": 0, "paused": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert [each.refresh().waiting_for for each in batch.executions] == ["start"] * 3
    assert (batch.executions[0].name, batch.executions[2].spec.max_retries) == ("first", 1)
    for execution in batch.executions:
        execution.start()
    with pytest.raises(ExecutionFailed, match="refused 2"):
        batch.wait_done(max_wait=PATIENCE, raise_on_failure=True)
    found = jobs.get_batch(batch.id).wait_done(max_wait=PATIENCE)
    assert [each.status for each in found.executions] == ["completed", "failed", "completed"]
    assert len(found) == 3
    with pytest.raises(InvalidRequest) as caught:
        jobs.create_batch([{"job": "echo", "payload": 1}, {"job": "echo", "payload": 1, "priority": "urgent"}])
    assert caught.value.path == "items[1].priority"
    with pytest.raises(NotFound) as missing:
        jobs.get_batch("nope")
    assert missing.value.path == "batchId"


@pytest.mark.parametrize(("id", "said"), [("", "'' is not a batch id"), (None, "None is not a batch id"), ("\ud800", "batchId")])
def test_what_cannot_be_the_id_of_a_batch(jobs: Jobs, id: Any, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        jobs.get_batch(id)
    assert caught.value.path == "batchId"


async def test_an_async_batch(jobs: Jobs) -> None:
    batch = await jobs.job("aecho").atrigger_many([1, 2, 3])
    await batch.await_done(max_wait=PATIENCE)
    assert [await execution.aget_result() for execution in batch.executions] == [1, 2, 3]
    other = await jobs.acreate_batch([{"job": "aecho", "payload": 4}])
    assert (await (await jobs.aget_batch(other.id)).await_done(max_wait=PATIENCE)).counts["completed"] == 1


def test_lists_across_jobs_have_filters(jobs: Jobs) -> None:
    ids = {word: jobs.job(f"filter-{word}").run([{"duration": 0}]) for word in ("a", "b")}
    paused = jobs.trigger("filter-a", {"duration": 0}, auto_start=False).pause()
    for id in ids.values():
        jobs.wait_for_execution(id, max_wait=PATIENCE)
    assert [each.id for each in jobs.list_executions(job="filter-a")] == [paused.id, ids["a"]]
    assert [each.id for each in jobs.list_executions(job="filter-a", status="completed")] == [ids["a"]]
    assert [each.id for each in jobs.list_executions(job="filter-a", status=["paused", "failed"])] == [paused.id]
    assert ids["b"] in [each.id for each in jobs.list_executions(limit=1000)]
    assert [each.id for each in jobs.list_executions(job="filter-a", limit=1, offset=1)] == [ids["a"]]
    with pytest.raises(InvalidRequest) as caught:
        jobs.list_executions(status="gone")
    assert caught.value.path == "status"


@pytest.mark.row("S3-10", "S3-11", "S3-13")
def test_stats_of_a_job(jobs: Jobs) -> None:
    job = jobs.job("count-me")
    job.trigger_many([{"duration": 0}] * 5).wait_done(max_wait=PATIENCE)
    job.get_execution(job.run([{"hang": True}], execution_id="counted")).cancel()
    job.trigger({"duration": 0}, auto_start=False)
    until(lambda: jobs.stats("count-me").completed == 5)
    figures = job.stats()
    assert (figures.completed, figures.cancelled, figures.failed, figures.pending) == (5, 1, 0, 1)
    assert figures.run_ms.count >= 5
    assert 0 <= figures.run_ms.p50 <= figures.run_ms.p95
    assert attrs.evolve(jobs.stats()["count-me"], oldest_pending=None) == attrs.evolve(figures, oldest_pending=None)
    assert jobs.stats("nobody-ran-me").completed == 0


@pytest.mark.row("S3-04", "S3-08")
def test_a_delay_and_a_time_are_waited_for(jobs: Jobs) -> None:
    def attempt() -> float:
        delayed = jobs.trigger("echo", 1, delay=0.5)
        assert (delayed.waiting_for, delayed.wait_until - delayed.created_at) == ("time", timedelta(seconds=0.5))
        at = datetime.now(UTC) + timedelta(seconds=0.6)
        timed = jobs.trigger("echo", 2, run_at=at.replace(tzinfo=None))
        assert timed.spec.run_at == at
        late = [
            (execution.wait_done(max_wait=PATIENCE).started_at - due).total_seconds()
            for execution, due in ((delayed, delayed.wait_until), (timed, at))
        ]
        assert min(late) >= 0
        return max(late)

    at = datetime.now(UTC)
    within(0.3, attempt, tries=10)
    with pytest.raises(InvalidRequest, match="delay"):
        jobs.trigger("echo", 1, delay=1, run_at=at)


def test_retries_and_their_policy(jobs: Jobs) -> None:
    execution = jobs.trigger("fail", 1, max_retries=2, retry_delay=0.05)
    mended = jobs.trigger("once-broken", max_retries=1, retry_policy=RetryPolicy(initial=0.01, jitter="none"))
    execution.wait_done(max_wait=PATIENCE)
    assert (execution.status, execution.attempts, execution.stats["retried"]) == ("failed", 3, 2)
    assert [attempt.outcome for attempt in execution.tasks[0].history] == ["error", "error"]
    assert execution.spec.retry_policy.to_dict() == {"initialMs": 50, "factor": 1, "maxMs": 50, "jitter": "none"}
    assert mended.get_result(max_wait=PATIENCE) == "mended"
    with pytest.raises(InvalidRequest, match="retry"):
        jobs.trigger("echo", 1, retry_delay=1, retry_policy={"initial": 1})


@pytest.mark.row("S4-68")
def test_a_timeout_ends_an_execution(jobs: Jobs) -> None:
    execution = jobs.trigger(ANY, {"hang": True}, timeout=0.3).wait_done(max_wait=PATIENCE)
    assert (execution.status, execution.error.kind, execution.spec.timeout) == ("failed", "timeout", 0.3)


@pytest.mark.row("S2-16")
def test_a_concurrency_key_lets_one_run_at_a_time(jobs: Jobs) -> None:
    job = jobs.job(ANY)
    first = job.trigger({"hang": True}, concurrency_key="user")
    until(lambda: first.refresh().status == "running")
    second = job.trigger({"duration": 0}, concurrency_key="user")
    until(lambda: second.refresh().waiting_for == "concurrency")
    assert second.spec.concurrency_key == "user"
    joined = job.trigger({"duration": 5}, concurrency_key="user", on_conflict="coalesce")
    assert joined.id == second.id
    with pytest.raises(KeyInUse):
        job.trigger({"duration": 0}, concurrency_key="user", on_conflict="reject")
    assert job.trigger({"duration": 0}, concurrency_key="another", on_conflict="reject").wait_done(max_wait=PATIENCE).done
    first.cancel()
    assert second.wait_done(max_wait=PATIENCE).status == "completed"


def test_fail_fast_ends_the_other_tasks(jobs: Jobs) -> None:
    execution = jobs.wait_for_execution(
        jobs.job(ANY).create_execution({"tasks": [{"hang": True}, {"fail": True}]}, fail_fast=True), max_wait=PATIENCE
    )
    assert (execution.status, execution.stats["cancelled"], execution.stats["failure"]) == ("failed", 1, 1)


def test_results_by_id(jobs: Jobs) -> None:
    id = jobs.trigger("echo", {"a": 1}).id
    assert jobs.get_execution_result(id, max_wait=PATIENCE) == {"a": 1}
    assert jobs.job("echo").get_execution_result(id) == {"a": 1}
    waiting = jobs.trigger("echo", 1, auto_start=False)
    with pytest.raises(NotFinished):
        jobs.get_execution_result(waiting.id)
    with pytest.raises(NotFound):
        jobs.get_execution_status("nope")


@attrs.frozen
class Order:
    id: str
    count: int = 1


@attrs.frozen
class Receipt:
    order: str
    at: datetime


@define_job("echo", input=Order, output=dict[str, int | str])
def echo_order(context: object, order: Order) -> dict[str, int | str]:
    return {"id": order.id, "count": order.count}


@pytest.mark.row("S2-05")
def test_a_handle_of_a_definition_checks_payloads_before_it_sends_them(jobs: Jobs) -> None:
    job = jobs.job(echo_order)
    before = len(jobs.list_executions(job="echo", limit=1000))
    with pytest.raises(InvalidRequest) as caught:
        job.trigger({"id": "a", "count": "many"})  # type: ignore[arg-type]
    assert caught.value.path == "input.count"
    with pytest.raises(InvalidRequest) as caught:
        job.trigger_many([Order("a"), {"count": 1}])  # type: ignore[list-item]
    assert (caught.value.path or "").startswith("payloads[1]")
    assert str(caught.value).startswith("payloads[1]: ")
    with pytest.raises(InvalidRequest, match="not one dict: use trigger"):
        job.trigger_many({"id": "a"})  # type: ignore[dict-item]
    assert len(jobs.list_executions(job="echo", limit=1000)) == before
    assert job.trigger(Order("a", 2)).get_result(max_wait=PATIENCE) == {"id": "a", "count": 2}


def test_a_handle_of_a_definition_gives_results_of_its_type() -> None:
    @define_job("receipt", output=Receipt)
    def receipt(context: object, order: Order) -> Receipt:
        return Receipt(order.id, datetime(2026, 1, 1, tzinfo=UTC))

    with JobManager() as manager:
        job = manager.register(receipt)
        expected = Receipt("a", datetime(2026, 1, 1, tzinfo=UTC))
        execution = job.trigger(Order("a"))
        assert execution.get_result(max_wait=PATIENCE) == expected
        assert execution.result == job.get_execution(execution.id).result == job.get_execution_result(execution.id) == expected
        assert job.list_executions()[0].refresh().result == expected
        assert [each.get_result() for each in job.trigger_many([Order("a")]).wait_done(max_wait=PATIENCE).executions] == [expected]
        assert manager.get_execution(execution.id).result == {"order": "a", "at": "2026-01-01T00:00:00Z"}


def test_many_verbs_at_once_agree(jobs: Jobs) -> None:
    execution = jobs.trigger(ANY, {"hang": True})
    with ThreadPoolExecutor(8) as pool:
        verbs = [execution.pause, execution.resume, execution.pause, execution.resume] * 4
        assert all(each.result().id == execution.id for each in [pool.submit(verb) for verb in verbs])
    assert execution.cancel().status == "cancelled"


async def test_a_stream_of_events_can_be_left(jobs: Jobs) -> None:
    execution = await jobs.atrigger(ANY, {"hang": True})
    async for event in execution.stream_events():
        assert event.type == "created"
        break
    waiting = asyncio.ensure_future(anext(aiter(jobs.stream_events(execution.id, after=100))))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await execution.acancel()).done
