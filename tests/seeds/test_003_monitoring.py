"""Seed 003, the monitoring service: figures of jobs, their backlog, hooks, and what the log says."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from blaxel_jobs import Figures, JobManager, JobsClient, bl_job, define_job
from blaxel_jobs.manager import Happening
from mock_server import MockServer
from tests.pace import PATIENCE, until
from tests.serving import serving

NEAR = 0.1
"""Percentiles are of buckets: right to a tenth."""


def near(seconds: float) -> Any:
    return pytest.approx(seconds * 1000, rel=NEAR)


def about(number: float) -> Any:
    return pytest.approx(number, abs=0.001)


def test_s3_10_counts_are_exact_and_percentiles_right_to_a_tenth(jobs_mock: MockServer) -> None:
    job, other = bl_job("word-count"), bl_job("other")
    good = job.trigger_many([{"duration": n} for n in range(1, 101)])
    bad = job.trigger_many([{"duration": 5, "fail": True}] * 10)
    late = other.trigger({"duration": 60}, delay=600)
    good.wait_done(1000)
    bad.wait_done(1000)
    late.wait_done(1000)
    figures = JobsClient().stats()
    assert figures.keys() == {"word-count", "other"}
    mine = figures["word-count"]
    assert (mine.created, mine.completed, mine.failed, mine.cancelled, mine.retried, mine.recovered) == (110, 100, 10, 0, 0, 0)
    assert mine.failure_rate == about(10 / 110)
    run = mine.run_ms
    assert (run.count, run.mean) == (110, about((5050 + 50) / 110 * 1000))
    # 110 durations: 1 to 100 s, and ten more of 5 s.
    assert (run.p50, run.p95, run.p99) == (near(45), near(95), near(99))
    assert (mine.wait_ms.count, mine.wait_ms.mean) == (110, about(0))
    figures_of_other = other.stats()
    assert figures_of_other == figures["other"]
    assert (figures_of_other.completed, figures_of_other.run_ms.p50) == (1, near(60))
    assert figures_of_other.wait_ms.mean == about(0)  # it was not ready before it was due


def test_s3_10_throughput_is_of_the_last_minute(jobs_mock: MockServer) -> None:
    job = bl_job("word-count")
    job.trigger_many([{"duration": 1}] * 120).wait_done(100)
    assert job.stats().per_second == pytest.approx(2, rel=NEAR)
    jobs_mock.advance(600)
    assert job.stats().per_second == 0
    assert job.stats().completed == 120


def test_s3_10_tries_again_and_ends_of_all_kinds_are_counted(jobs_mock: MockServer) -> None:
    def flaky(step: Any) -> None:
        if step.attempt < 3:
            raise ConnectionError

    jobs_mock.register(define_job("flaky", run=flaky, max_retries=5, retry_delay=10))
    job = bl_job("flaky")
    for _ in range(4):
        job.trigger().wait_done(1000)
    job.trigger(auto_start=False).cancel()
    figures = job.stats()
    assert (figures.created, figures.completed, figures.failed, figures.cancelled, figures.retried) == (5, 4, 0, 1, 8)
    assert figures.failure_rate == 0


def test_s3_11_completed_and_failed_jobs_by_name(manager: JobManager) -> None:
    def word_count(step: Any, payload: str) -> int:
        return len(payload.split())

    def fails() -> None:
        raise ValueError

    good, bad = manager.register(define_job("word-count", run=word_count), define_job("fails", run=fails))
    good.trigger_many(["to be or not to be"] * 100).wait_done(PATIENCE)
    bad.trigger_many([None] * 10).wait_done(PATIENCE)
    stats = manager.stats()
    assert isinstance(stats["word-count"], Figures)
    assert stats["word-count"].completed == 100
    assert (stats["fails"].failed, stats["fails"].failure_rate) == (10, 1.0)
    assert (stats["word-count"], stats["fails"]) == (good.stats(), bad.stats())


def test_s3_11_figures_outlive_a_process(tmp_path: Path) -> None:
    store, job = f"sqlite:///{tmp_path}/jobs.db", define_job("word-count", run=lambda: None)
    for n in (1, 2):
        with JobManager(store) as manager:
            manager.register(job).trigger_many([None] * 10).wait_done(PATIENCE)
            assert manager.stats("word-count").completed == 10 * n


def test_s3_13_the_oldest_is_as_old_as_it_is(jobs_mock: MockServer) -> None:
    jobs_mock.freeze()  # so that looking lets nothing run
    job = bl_job("job")
    for _ in range(3):
        job.trigger({}, auto_start=False)
        jobs_mock.advance(600)
    figures = job.stats()
    assert (figures.pending, figures.oldest_pending) == (3, about(1800))
    job.delete_execution(job.list_executions()[-1].id, force=True)
    assert (job.stats().pending, job.stats().oldest_pending) == (2, about(1200))


def test_s3_13_the_backlog_of_a_manager(store: str) -> None:
    started, gate = threading.Event(), threading.Event()

    def run() -> None:
        started.set()
        gate.wait(PATIENCE)

    with JobManager(store, worker=False) as manager:
        gated, idle = manager.register(define_job("gated", run=run), define_job("idle", run=run))
        gated.trigger_many([None] * 10)
        begin = time.monotonic()
        idle.trigger()
        idle.trigger().pause()
        idle.trigger(delay=1000)
        working = threading.Thread(target=manager.work, kwargs={"jobs": ["gated"], "slots": 3, "until_idle": True})
        working.start()
        until(lambda: manager.stats("gated").running == 3, "three of them run")
        threading.Event().wait(0.2)
        figures, other = manager.stats("gated"), manager.stats("idle")
        assert (figures.pending, figures.running, figures.paused) == (7, 3, 0)
        assert (other.pending, other.running, other.paused) == (2, 0, 1)
        assert 0.2 <= other.oldest_pending <= time.monotonic() - begin + 0.1
        gate.set()
        working.join(PATIENCE)
        assert (manager.stats("gated").pending, manager.stats("gated").oldest_pending) == (0, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "finished",
    [100_000, pytest.param(1_000_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
    ids=lambda number: f"{number}",
)
def test_s3_13_what_has_ended_costs_the_backlog_nothing(finished: int, tmp_path: Path) -> None:
    path, job = tmp_path / "jobs.db", define_job("job", run=lambda: None)
    with JobManager(f"sqlite:///{path}") as manager:
        manager.register(job).trigger().wait_done(PATIENCE)
    before = _seconds_of_stats(path, job, pending=100)
    _multiply_what_ended(path, finished)
    after = _seconds_of_stats(path, job, pending=200)
    print(f"stats with 1 ended: {before * 1000:.1f} ms, with {finished}: {after * 1000:.1f} ms")
    assert after < 5 * before + 0.005


def _seconds_of_stats(path: Path, job: Any, pending: int) -> float:
    """The quickest of several, after a hundred more are waiting."""
    with JobManager(f"sqlite:///{path}", worker=False) as manager:
        manager.register(job).trigger_many([None] * 100)
        assert manager.stats("job").pending == pending
        took = []
        for _ in range(40):
            begin = time.perf_counter()
            manager.stats()
            took.append(time.perf_counter() - begin)
        return min(took)


def _multiply_what_ended(path: Path, times: int) -> None:
    """Copy the execution that has ended, with its task, by SQL alone."""
    numbers = f"with recursive n(n) as (select 1000 union all select n + 1 from n where n < {times + 999})"
    with closing(sqlite3.connect(path)) as file:
        for table, special in (
            ("executions", {"seq": "n", "id": "'copy-' || n", "idempotency_key": "null"}),
            ("tasks", {"seq": "n", "execution": "n"}),
        ):
            columns = [row[1] for row in file.execute(f"pragma table_info({table})")]
            values = ", ".join(special.get(column, column) for column in columns)
            file.execute(f"{numbers} insert into {table} ({', '.join(columns)}) select {values} from {table}, n where seq = 1")
        file.commit()


@pytest.fixture
def heard(manager: JobManager) -> Callable[[str], "Queue[Happening]"]:
    def listen(event: str) -> "Queue[Happening]":
        queue: Queue[Happening] = Queue()
        manager.on(event, queue.put)
        return queue

    return listen


def test_s3_14_listeners_are_told_what_happens(manager: JobManager, heard: Callable[[str], "Queue[Happening]"]) -> None:
    def fails(step: Any) -> None:
        raise ValueError("Something went wrong")

    failed, retrying, everything = heard("failed"), heard("task.retrying"), heard("*")
    run = manager.register(define_job("fails", run=fails, max_retries=1, retry_delay=0)).trigger().wait_done(PATIENCE)
    told = failed.get(timeout=PATIENCE)
    assert (told.type, told.execution_id, told.job, told.status) == ("failed", run.id, "fails", "failed")
    assert told.error == "ValueError: Something went wrong"
    assert run.ended_at == told.at
    again = retrying.get(timeout=PATIENCE)
    assert (again.type, again.task, again.attempt, again.status) == ("task.retrying", "task-0", 1, "pending")
    types = ["created", "task.started", "task.retrying", "task.started", "task.failed", "failed"]
    assert [everything.get(timeout=PATIENCE).type for _ in types] == types
    assert failed.empty()


def test_s3_14_a_listener_that_raises_or_is_slow_harms_no_job(
    manager: JobManager, heard: Callable[[str], "Queue[Happening]"], caplog: pytest.LogCaptureFixture
) -> None:
    gate = threading.Event()

    manager.on("task.started", lambda happening: gate.wait(PATIENCE))
    manager.on("completed", lambda happening: 1 / 0)
    completed = heard("completed")
    job = manager.register(define_job("fine", run=lambda: "ok"))
    runs = [job.trigger() for _ in range(5)]
    assert [run.get_result(PATIENCE) for run in runs] == ["ok"] * 5  # while the first listener still holds up the others
    gate.set()
    assert [completed.get(timeout=PATIENCE).execution_id for _ in runs] == [run.id for run in runs]
    assert caplog.text.count("ZeroDivisionError") == 5


def test_s3_14_what_can_be_listened_to(manager: JobManager) -> None:
    with pytest.raises(ValueError, match="there is no event 'done'"):
        manager.on("done", print)

    async def listener(happening: Happening) -> None: ...

    with pytest.raises(TypeError):
        manager.on("failed", listener)
    assert manager.on("failed", print) is print


SECRET = "hunter2"
KEY = "bl-key-5f2c9e77"


@pytest.fixture
def verbose(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_s3_20_the_log_names_executions_and_attempts_and_shows_no_payload(verbose: pytest.LogCaptureFixture, store: str) -> None:
    @define_job("secretive", max_retries=1, retry_delay=0)
    def secretive(step: Any, payload: dict[str, str]) -> dict[str, str]:
        step.run("step", lambda: {"secret": payload["secret"]})
        step.log.info("working", secret=payload["secret"])
        step.wait_for_event("go")
        if step.attempt == 1:
            raise ValueError(f"with {payload['secret']}")
        return {"secret": payload["secret"]}

    with JobManager(store) as manager:
        run = manager.register(secretive).trigger(
            {"secret": SECRET}, metadata={"secret": SECRET}, env={"SECRET": SECRET}, idempotency_key=SECRET
        )
        run.send_event("go", {"secret": SECRET})
        assert run.get_result(PATIENCE) == {"secret": SECRET}
    ours = [record for record in verbose.records if record.name.split(".")[0] == "blaxel_jobs"]
    assert {record.name for record in ours} >= {"blaxel_jobs.events", "blaxel_jobs.handler"}
    for record in ours:
        assert SECRET not in logging.Formatter("%(message)s").format(record)
        assert SECRET not in repr(record.__dict__)
    about = [record for record in ours if record.name in ("blaxel_jobs.events", "blaxel_jobs.handler")]
    assert {record.__dict__["execution_id"] for record in about} == {run.id}
    assert {record.__dict__["job"] for record in about} == {"secretive"}
    tasks = [record for record in about if record.getMessage().startswith("task.") or record.name == "blaxel_jobs.handler"]
    assert {record.__dict__["attempt"] for record in tasks} == {1, 2}
    assert all(run.id in record.getMessage() for record in tasks)


@pytest.mark.slow
def test_s3_20_the_servers_log_shows_no_key_and_no_payload(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    options = ("--api-key-file", str(tmp_path / "keys"), "--simulate", "--log-level", "debug")
    with serving(tmp_path, "memory:", *options) as server:
        with JobsClient(server.url, api_key=KEY) as client:
            run = client.trigger("job", {"secret": SECRET, "fail": SECRET}).wait_done(PATIENCE)
        with JobsClient(server.url, api_key=f"{KEY}-wrong") as stranger, pytest.raises(Exception, match="key"):
            stranger.get_execution(run.id)
    log = server.log.read_text()
    assert run.id in log
    assert "task.failed" in log
    assert KEY not in log
    assert SECRET not in log
