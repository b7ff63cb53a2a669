"""Seed 002, "Job Lifecycle" and "Error Handling": pending, running, completed or failed, and `durably.retry(runId)`."""

import threading
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import IllegalTransition, JobManager, JobsClient, UnknownJob, define_job
from tests.pace import PATIENCE, until
from tests.remote.processes import Server, Worker


def test_s2_18_19_pending_running_completed(store: str) -> None:
    started, gate = threading.Event(), threading.Event()

    @define_job("gated")
    def gated() -> str:
        started.set()
        assert gate.wait(PATIENCE)
        return "ended"

    with JobManager(store, worker=False) as manager:
        run = manager.register(gated).trigger()
        assert (run.status, run.refresh().waiting_for, run.done, run.started_at) == ("pending", "worker", False, None)
        working = threading.Thread(target=manager.work, kwargs={"until_idle": True})
        working.start()
        assert started.wait(PATIENCE)
        assert (run.refresh().status, run.waiting_for, run.done, run.ended_at) == ("running", None, False, None)
        assert run.tasks[0].worker
        gate.set()
        working.join(PATIENCE)
        assert (run.refresh().status, run.result, run.done, run.error) == ("completed", "ended", True, None)
        assert run.ended_at is not None
        assert run.started_at is not None
        assert run.created_at <= run.started_at <= run.ended_at
        assert [event.type for event in run.list_events()] == ["created", "task.started", "task.completed"]


@pytest.mark.slow
def test_s2_18_a_job_that_no_worker_knows_waits_for_one(tmp_path: Path) -> None:
    with Server(tmp_path) as server, JobsClient(server.url) as client:
        run = client.trigger("no-op", {"id": "abc123"})
        assert (run.refresh().status, run.waiting_for) == ("pending", "worker")
        with Worker(tmp_path, server.url):
            assert run.get_result(PATIENCE) == {"id": "abc123"}


def failing() -> tuple[Any, list[str]]:
    """A job whose second step fails as long as the list says so, and where its calls are noted."""
    calls: list[str] = []

    @define_job("my-job")
    def my_job(step: Any, payload: Any) -> str:
        def might_fail() -> str:
            calls.append("might-fail")
            if "mended" not in calls:
                raise ValueError("Something went wrong")
            return "result"

        step.run("fine", calls.append, "fine")
        result: str = step.run("might-fail", might_fail)
        return result

    return my_job, calls


def test_s2_21_an_error_in_a_step_fails_the_job_at_once(manager: JobManager) -> None:
    job, calls = failing()
    failed = manager.register(job).trigger({"id": "abc123"}).wait_done(PATIENCE)
    assert (failed.status, failed.attempts, failed.result) == ("failed", 1, None)
    assert calls == ["fine", "might-fail"]


def test_s2_21_a_handler_may_catch_what_a_step_raises(manager: JobManager) -> None:
    @define_job("careful")
    def careful(step: Any) -> str:
        try:
            return str(step.run("might-fail", lambda: 1 / 0))
        except ZeroDivisionError:
            return str(step.run("instead", lambda: "instead"))

    assert manager.register(careful).trigger().get_result(PATIENCE) == "instead"


def test_s2_22_the_error_is_stored(manager: JobManager) -> None:
    job, _ = failing()
    handle = manager.register(job)
    failed = handle.trigger({"id": "abc123"}).wait_done(PATIENCE)
    assert failed.error is not None
    assert (failed.error.type, failed.error.message, failed.error.kind) == ("ValueError", "Something went wrong", "error")
    assert "might_fail" in failed.error.trace
    assert Path(__file__).name in failed.error.trace
    assert "blaxel_jobs/" not in failed.error.trace
    (listed,) = handle.list_executions()
    assert (listed.status, listed.error.message) == ("failed", "Something went wrong")
    assert "trace" not in listed.to_dict()["error"]
    assert failed.to_dict()["tasks"][0]["error"]["message"] == "Something went wrong"


def test_s2_23_retry_goes_on_in_place_with_the_steps_that_completed(manager: JobManager) -> None:
    job, calls = failing()
    handle = manager.register(job)
    run = handle.trigger({"id": "abc123"}).wait_done(PATIENCE)
    calls.append("mended")
    retried = manager.retry_execution(run.id)
    assert retried.id == run.id
    assert retried.get_result(PATIENCE) == "result"
    assert calls == ["fine", "might-fail", "mended", "might-fail"]
    assert len(handle.list_executions()) == 1
    assert [event.type for event in run.list_events()] == [
        "created", "task.started", "task.failed", "retried", "task.started", "task.completed",
    ]  # fmt: skip
    assert [(each.attempt, each.outcome, each.error.message) for each in run.refresh().tasks[0].history] == [
        (1, "error", "Something went wrong")
    ]


def test_s2_23_retry_leaves_completed_tasks_alone(manager: JobManager) -> None:
    calls: list[int] = []

    @define_job("tasks")
    def tasks(step: Any) -> int:
        calls.append(step.index)
        if step.index == 1 and calls.count(1) == 1:
            raise ConnectionError
        return int(step.index)

    handle = manager.register(tasks)
    run = handle.wait_for_execution(handle.run([{}] * 3), PATIENCE)
    assert (run.status, run.stats["success"], run.stats["failure"]) == ("failed", 2, 1)
    assert run.retry().wait_done(PATIENCE).results == [0, 1, 2]
    assert sorted(calls) == [0, 1, 1, 2]


def test_s2_23_only_a_failed_one_can_be_retried(manager: JobManager) -> None:
    started, gate = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        gate.wait(PATIENCE)

    fine, gated = manager.register(define_job("fine", run=lambda: "ok"), define_job("gated", run=wait))
    completed, running, cancelled = fine.trigger().wait_done(PATIENCE), gated.trigger(), gated.trigger(auto_start=False).cancel()
    assert started.wait(PATIENCE)
    for run, status in ((completed, "completed"), (running, "running"), (cancelled, "cancelled")):
        with pytest.raises(IllegalTransition) as refused:
            manager.retry_execution(run.id)
        assert refused.value.status_code == 409
        assert run.refresh().status == status
    gate.set()
    assert running.wait_done(PATIENCE).attempts == 1


@pytest.mark.parametrize("verb", ["wait", "watch", "events", "start", "resume", "retry", "rerun", "batch", "event"])
def test_s2_18_a_manager_that_is_opened_anew_goes_on(verb: str, tmp_path: Path) -> None:
    """Whatever lets something run, or waits for it, has the worker begin; nothing has to be created first."""
    ready: list[str] = []

    @define_job("job")
    def job(step: Any) -> str:
        if verb == "event":
            step.wait_for_event("go")
        if verb == "retry" and not ready:
            raise ConnectionError
        return "ended"

    store = f"sqlite:///{tmp_path}/jobs.db"
    with JobManager(store, worker=False) as manager:
        run = manager.register(job).trigger(auto_start=verb != "start")
        if verb == "resume":
            run.pause()
        if verb in ("retry", "rerun", "event"):
            manager.work(until_idle=True)
    ready.append("now")
    with JobManager(store) as manager:
        manager.register(job)
        again = manager.get_execution(run.id)
        {
            "wait": lambda: manager.wait_for_execution(run.id, PATIENCE),
            "watch": lambda: [update.status for update in again.watch()],
            "events": lambda: [event.type for event in again.stream_events()],
            "start": again.start,
            "resume": again.resume,
            "retry": again.retry,
            "rerun": lambda: ready.append(again.rerun().id),
            "batch": lambda: manager.create_batch([{"job": "job"}]),
            "event": lambda: again.send_event("go"),
        }[verb]()
        id = ready[-1] if verb == "rerun" else run.id
        until(lambda: manager.get_execution(id).status == "completed", "it is executed", PATIENCE)


def test_s2_14_a_batch_of_a_job_that_nobody_has_here_is_refused(manager: JobManager) -> None:
    with pytest.raises(UnknownJob, match="'nobodys'"):
        manager.create_batch([{"job": "nobodys"}])
