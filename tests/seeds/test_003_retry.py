"""Seed 003, the worker service: retry and backoff policies for transient failures. In virtual time, so that waits are exact."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from blaxel_jobs import Execution, InvalidRequest, JobManager, PermanentError, RetryAfter, RetryPolicy, bl_job, define_job
from mock_server import MockServer

LONG = 100 * 86_400.0


def failing(times: int = 1_000_000, error: Callable[[int], Exception] = lambda attempt: ConnectionError(f"try {attempt}")) -> Any:
    def run(step: Any) -> int:
        if step.attempt <= times:
            raise error(step.attempt)
        return int(step.attempt)

    return run


def gaps(execution: Execution[Any]) -> list[float]:
    """Seconds from the end of each try to the start of the next one."""
    task = execution.tasks[0]
    history = task.history or []
    starts = [*[each.started_at for each in history], task.metadata.started_at][1:]
    return [(start - each.ended_at) / timedelta(seconds=1) for each, start in zip(history, starts, strict=True)]


def about(seconds: list[float]) -> Any:
    return pytest.approx(seconds, abs=0.001)


def test_s3_06_28_the_default_is_one_try(jobs_mock: MockServer) -> None:
    jobs_mock.register(define_job("fails", run=failing()))
    failed = bl_job("fails").trigger().wait_done(LONG)
    assert (failed.status, failed.attempts, gaps(failed)) == ("failed", 1, [])


@pytest.mark.parametrize("where", ["definition", "call"])
def test_s3_06_28_waits_grow_by_the_formula(where: str, jobs_mock: MockServer) -> None:
    policy: dict[str, Any] = {"max_retries": 8, "retry_policy": RetryPolicy(initial=1.5, factor=3, max=100, jitter="none")}
    jobs_mock.register(define_job("fails", run=failing(), **(policy if where == "definition" else {})))
    failed = bl_job("fails").trigger(**(policy if where == "call" else {})).wait_done(LONG)
    assert (failed.status, failed.attempts) == ("failed", 9)
    assert gaps(failed) == about([min(100, 1.5 * 3**n) for n in range(8)])
    assert [(each.attempt, each.outcome, each.error.message) for each in failed.tasks[0].history] == [
        (n, "error", f"try {n}") for n in range(1, 9)
    ]
    assert failed.error is not None
    assert failed.error.message == "try 9"
    assert failed.stats["retried"] == 8


def test_s3_06_28_by_default_waits_are_random_up_to_the_formula(jobs_mock: MockServer) -> None:
    jobs_mock.register(define_job("fails", run=failing(), max_retries=10))
    runs = [bl_job("fails").trigger() for _ in range(40)]
    waits = [gaps(run.wait_done(LONG)) for run in runs]
    for nth, column in enumerate(zip(*waits, strict=True)):
        cap = min(300.0, 2.0**nth)
        assert all(0 <= wait <= cap + 0.001 for wait in column), (nth, column)
        # Full jitter: spread over the whole of it, around half of it.
        assert len(set(column)) > 20
        assert 0.3 * cap < sum(column) / len(column) < 0.7 * cap
        assert max(column) > 0.8 * cap
        assert min(column) < 0.2 * cap


def test_s3_06_28_a_fixed_delay(jobs_mock: MockServer) -> None:
    jobs_mock.register(define_job("fails", run=failing(3), max_retries=3, retry_delay=10))
    run = bl_job("fails").trigger().wait_done(LONG)
    assert (run.status, run.result, gaps(run)) == ("completed", 4, about([10, 10, 10]))
    slower = bl_job("fails").trigger(retry_delay=60, max_retries=2).wait_done(LONG)
    assert (slower.status, gaps(slower)) == ("failed", about([60, 60]))
    assert bl_job("fails").trigger(max_retries=0).wait_done(LONG).attempts == 1


def test_s3_06_28_while_it_waits_it_is_pending(jobs_mock: MockServer) -> None:
    jobs_mock.register(define_job("fails", run=failing(1), max_retries=1, retry_delay=10))
    run = bl_job("fails").trigger()
    jobs_mock.advance(9.9)
    (seen,) = jobs_mock.executions
    assert (seen.status, seen.waiting_for, seen.wait_until) == ("pending", "retry", seen.created_at + timedelta(seconds=10))
    assert run.wait_done(LONG).result == 2


@pytest.mark.parametrize("tries", [1, 3])
def test_s3_06_28_a_permanent_error_is_not_tried_again(tries: int, jobs_mock: MockServer) -> None:
    def error(attempt: int) -> Exception:
        return PermanentError("no such file") if attempt == tries else ConnectionError("passes")

    jobs_mock.register(define_job("fails", run=failing(error=error), max_retries=10))
    failed = bl_job("fails").trigger().wait_done(LONG)
    assert failed.error is not None
    assert (failed.status, failed.attempts, failed.error.kind) == ("failed", tries, "permanent")
    assert (failed.error.type, failed.error.message) == ("PermanentError", "no such file")


def test_s3_06_28_retry_after_says_when(jobs_mock: MockServer) -> None:
    def error(attempt: int) -> Exception:
        return RetryAfter(7200) if attempt == 2 else ConnectionError("busy")

    jobs_mock.register(define_job("limited", run=failing(3, error), max_retries=3, retry_delay=5))
    run = bl_job("limited").trigger().wait_done(LONG)
    assert (run.status, gaps(run)) == ("completed", about([5, 7200, 5]))
    jobs_mock.register(define_job("once", run=failing(1, lambda attempt: RetryAfter(1)), max_retries=0))
    assert bl_job("once").trigger().wait_done(LONG).status == "failed"  # it asks for a retry, and has none


def test_s3_28_a_step_has_retries_of_its_own(jobs_mock: MockServer) -> None:
    calls: list[float] = []

    @define_job("steps")
    def steps(step: Any) -> str:
        def fetch() -> str:
            calls.append(jobs_mock.monotonic())
            if len(calls) < 4:
                raise ConnectionError("not yet")
            return "fetched"

        fetched: str = step.options(max_retries=3, retry_delay=30).run("fetch", fetch)
        return fetched

    jobs_mock.register(steps)
    run = bl_job("steps").trigger().wait_done(LONG)
    assert (run.result, run.attempts) == ("fetched", 1)
    assert calls == [0, 30, 60, 90]


def test_s3_28_a_lost_worker_uses_up_no_retry(jobs_mock: MockServer) -> None:
    """A task that kills its worker each time is tried `max_recoveries` times more, without any retry of its own."""
    run = bl_job("job").trigger({"exit": 1, "duration": 5}, max_retries=0).wait_done(LONG)
    assert run.error is not None
    assert (run.status, run.error.kind, run.attempts) == ("failed", "worker_lost", 6)
    assert [lost.attempt for lost in run.recoveries] == [1, 2, 3, 4, 5, 6]
    assert [each.outcome for each in run.tasks[0].history] == ["lost"] * 5
    figures = bl_job("job").stats()
    assert (figures.retried, figures.recovered) == (0, 6)


@pytest.mark.parametrize(
    "options",
    [
        {"max_retries": -1},
        {"max_retries": 10_001},
        {"retry_delay": -1},
        {"retry_delay": 1, "retry_policy": RetryPolicy()},
        {"retry_policy": {"factor": 0.5}},
        {"retry_policy": {"wait": 5}},
        {"retry_policy": {"jitter": "some"}},
    ],
)
def test_s3_06_a_policy_that_cannot_be_is_refused(options: dict[str, Any], manager: JobManager) -> None:
    with pytest.raises(ValueError, match="retr|factor|wait|jitter"):
        define_job("fails", run=failing(), **options)
    job = manager.register(define_job("fails", run=failing()))
    with pytest.raises(InvalidRequest):
        job.trigger(**options)
    assert list(job.list_executions()) == []
