"""Listeners are told of everything, in order, and whatever they do harms nothing; the log names what it is about."""

import logging
import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from blaxel_jobs import JobManager, define_job
from blaxel_jobs.core.records import Failure, Progress
from blaxel_jobs.core.reports import Completed, Crashed, Failed, LogLine, Noted, Released, Slept
from blaxel_jobs.define import JobDef
from blaxel_jobs.engine.hooks import EVENTS, Happening, Hooks
from blaxel_jobs.words import FailureKind
from tests.pace import PATIENCE

from .conftest import Harness

DONE = Completed('"hunter2"')
NO = Failed(Failure(FailureKind.ERROR, "ValueError", "no hunter2"))


@pytest.fixture
def heard(harness: Harness) -> "Queue[Happening]":
    """Everything that happens, as it is told."""
    queue: Queue[Happening] = Queue()
    harness.engine.hooks.on("*", queue.put)
    return queue


def run(harness: Harness, *reports: Any, job: str = "job", **body: Any) -> str:
    """An execution, with what its worker says of it in each of its attempts."""
    id = str(harness.create(job, **({} if "tasks" in body else {"input": None}), retryDelayMs=0, **body)["executionId"])
    for report in reports:
        harness.pass_time(0.0)
        [leased] = harness.claim(1)
        harness.tell(leased, report)
    return id


def all_of(harness: Harness, heard: "Queue[Happening]") -> list[Happening]:
    """What was heard until now."""
    harness.engine.hooks.close()
    return [heard.get_nowait() for _ in range(heard.qsize())]


def test_s3_14_in_order_and_by_whom(harness: Harness, heard: "Queue[Happening]") -> None:
    threads = set()
    harness.engine.hooks.on("*", lambda happening: threads.add(threading.current_thread().name))
    id = run(harness, NO, DONE, maxRetries=1)
    told = all_of(harness, heard)
    assert [each.type for each in told] == [
        "created",
        "task.started",
        "task.retrying",
        "task.started",
        "task.completed",
        "completed",
    ]
    assert {(each.execution_id, each.job) for each in told} == {(id, "job")}
    assert [each.attempt for each in told] == [None, 1, 1, 2, 2, 2]
    assert [each.worker for each in told if each.type == "task.started"] == ["w1", "w1"]
    assert [each.error for each in told if each.type == "task.retrying"] == ["ValueError: no hunter2"]
    assert [each.status for each in told] == ["pending", "running", "pending", "running", "completed", "completed"]
    assert threads == {"blaxel-jobs-hooks"}


def test_s3_14_each_end_is_told_once(harness: Harness, heard: "Queue[Happening]") -> None:
    expected: list[tuple[str, str]] = []

    def expect(id: str, *ends: str) -> str:
        expected.extend((id, end) for end in ends)
        return id

    expect(run(harness, DONE), "completed")
    expect(run(harness, NO), "failed")
    expect(run(harness, DONE, DONE, DONE, tasks=[{}, {}, {}]), "completed")
    expect(run(harness, NO, tasks=[{}, {}], failFast=True), "failed")
    harness.cancel(expect(run(harness), "cancelled"))
    harness.cancel(expected[-1][0])
    expect(run(harness, timeoutMs=1000), "failed")
    harness.claim()
    harness.pass_time(1.0)
    again = expect(run(harness, NO), "failed", "completed")
    harness.do("retry", again)
    harness.tell(harness.claim()[0], DONE)
    lost = expect(run(harness, *[Crashed("gone")] * 6), "failed")
    told = all_of(harness, heard)
    ended = [(each.execution_id, each.type) for each in told if each.type in ("completed", "failed", "cancelled")]
    assert ended == expected
    assert [each.error for each in told if each.execution_id == lost][-1].startswith("WorkerLost: ")


def test_s3_14_whatever_happens_can_be_listened_to(harness: Harness, heard: "Queue[Happening]") -> None:
    held = run(harness, autoStart=False)
    harness.do("start", held)
    harness.do("pause", held)
    harness.do("resume", held)
    [leased] = harness.claim()
    harness.tell(leased, Noted(Progress(1, 2), (LogLine("info", "line"),)))
    harness.tell(leased, Slept("nap", 100.0, 0.0))
    harness.send(held, "go")
    harness.pass_time(100.0)
    harness.tell(harness.claim()[0], Released())
    harness.tell(harness.claim()[0], Crashed("gone"))
    harness.tell(harness.claim()[0], NO)
    harness.do("retry", held)
    harness.cancel(held)
    run(harness, NO, DONE, maxRetries=1)
    run(harness, NO, tasks=[{}, {}], failFast=True)
    run(harness, timeoutMs=1)
    harness.claim()
    harness.pass_time(1.0)
    assert {each.type for each in all_of(harness, heard)} == EVENTS - {"*"}


def test_s3_14_only_what_was_asked_for(harness: Harness) -> None:
    failed: Queue[Happening] = Queue()
    harness.engine.hooks.on("failed", failed.put)
    run(harness, DONE)
    id = run(harness, NO)
    assert [(each.type, each.execution_id) for each in all_of(harness, failed)] == [("failed", id)]


@pytest.mark.parametrize("raised", [ValueError("of mine"), SystemExit(3)])
def test_s3_14_one_that_raises_stops_nobody(
    harness: Harness, heard: "Queue[Happening]", raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def raises(happening: Happening) -> None:
        raise raised

    harness.engine.hooks.on("created", raises)
    ids = [run(harness), run(harness)]
    assert [each.execution_id for each in all_of(harness, heard)] == ids
    assert [record.__dict__["execution_id"] for record in caplog.records if "listener" in record.message] == ids


def test_s3_14_one_that_blocks_holds_up_nothing_but_those_after_it(
    harness: Harness, heard: "Queue[Happening]", caplog: pytest.LogCaptureFixture
) -> None:
    started, gate = threading.Event(), threading.Event()

    def blocks(happening: Happening) -> None:
        started.set()
        gate.wait(PATIENCE)

    harness.engine.hooks.on("created", blocks)
    ids = [run(harness, DONE) for _ in range(3)]
    assert [harness.get(id)["status"] for id in ids] == ["completed"] * 3
    assert started.wait(PATIENCE)
    assert heard.empty()
    harness.engine.hooks.close(0.01)
    assert "a listener still runs" in caplog.text
    gate.set()
    told = [heard.get(timeout=PATIENCE) for _ in range(12)]
    assert [each.execution_id for each in told if each.type == "completed"] == ids


def test_what_waits_has_a_limit(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    hooks, told = Hooks(most=3), Queue[Happening]()
    started, gate = threading.Event(), threading.Event()

    def slow(happening: Happening) -> None:
        started.set()
        gate.wait(PATIENCE)
        told.put(happening)

    hooks.on("created", slow)
    harness.engine.listeners.told.append(hooks.told)
    first = run(harness)
    assert started.wait(PATIENCE)
    ids = [first, *(run(harness) for _ in range(5))]
    assert "too slow" in caplog.text
    gate.set()
    assert [told.get(timeout=PATIENCE).execution_id for _ in range(4)] == ids[:4]
    later = run(harness)
    assert told.get(timeout=PATIENCE).execution_id == later
    hooks.close()
    assert "2 events were not told of" in caplog.text


def test_s3_14_close_tells_what_has_happened(harness: Harness) -> None:
    gate, told = threading.Event(), []

    def listener(happening: Happening) -> None:
        gate.wait(PATIENCE)
        told.append(happening.execution_id)

    harness.engine.hooks.on("created", listener)
    ids = [run(harness) for _ in range(20)]
    threading.Timer(0.05, gate.set).start()
    harness.engine.close()
    assert told == ids


def test_s3_14_one_may_use_the_engine_and_listen_and_close(harness: Harness) -> None:
    chain: Queue[str] = Queue()

    def next_of(happening: Happening) -> None:
        chain.put(happening.job)
        if happening.job != "c":
            following = chr(ord(happening.job) + 1)
            harness.create(following)
            assert harness.get(happening.execution_id, happening.job)["status"] == "completed"

    def closes(happening: Happening) -> None:
        harness.engine.hooks.on("cancelled", lambda happening: None)
        harness.engine.hooks.close()
        chain.put("closed")

    harness.engine.hooks.on("completed", next_of)
    harness.engine.hooks.on("failed", closes)
    harness.create("a")
    for job in "abc":
        while not (leased := harness.claim()):
            pass
        harness.tell(leased[0], DONE)
        assert chain.get(timeout=PATIENCE) == job
    run(harness, NO)
    assert chain.get(timeout=PATIENCE) == "closed"


@pytest.fixture
def manager(store_url: str) -> Iterator[JobManager]:
    with JobManager(store_url) as manager:
        yield manager


def test_s3_14_a_listener_triggers_another_job(manager: JobManager) -> None:
    first, second = manager.register(define_job("first", run=lambda: 1), define_job("second", run=lambda: 2))
    results: Queue[Any] = Queue()

    def chained(happening: Happening) -> None:
        if happening.job == "first":
            results.put(manager.job("first").get_execution(happening.execution_id).get_result())
            results.put(second.trigger().get_result(PATIENCE))

    manager.on("completed", chained)
    first.trigger()
    assert [results.get(timeout=PATIENCE) for _ in range(2)] == [1, 2]


def test_nobody_listens_nothing_waits(harness: Harness) -> None:
    run(harness, DONE)
    assert "blaxel-jobs-hooks" not in {thread.name for thread in threading.enumerate()}
    harness.engine.hooks.close()


# The log


def test_s3_20_records_name_what_they_are_about(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "blaxel_jobs")
    secret = {"secret": "hunter2"}
    id = run(harness, NO, Crashed("gone"), DONE, maxRetries=1, metadata=secret, env=secret, idempotencyKey="hunter2")
    records = [record for record in caplog.records if record.name == "blaxel_jobs.events"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("DEBUG", f"created: job job execution {id}, now pending"),
        ("DEBUG", f"task.started: job job execution {id} task task-0 attempt 1, now running"),
        ("WARNING", f"task.retrying: job job execution {id} task task-0 attempt 1 (ValueError), now pending"),
        ("DEBUG", f"task.started: job job execution {id} task task-0 attempt 2, now running"),
        ("WARNING", f"task.recovered: job job execution {id} task task-0 attempt 2, now pending"),
        ("DEBUG", f"task.started: job job execution {id} task task-0 attempt 3, now running"),
        ("DEBUG", f"task.completed: job job execution {id} task task-0 attempt 3, now completed"),
    ]
    for record in records:
        about = record.__dict__
        assert (about["execution_id"], about["job"]) == (id, "job")
        assert about["task_id"] == (None if record.getMessage().startswith("created") else "task-0")
    assert [record.__dict__["attempt"] for record in records] == [None, 1, 1, 2, 2, 3, 3]
    assert not any("hunter2" in repr(vars(record)) for record in caplog.records)


def test_s3_20_a_record_is_made_only_where_it_is_wanted(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "blaxel_jobs")
    run(harness, NO)
    assert not caplog.records
    caplog.set_level(logging.WARNING, "blaxel_jobs")
    run(harness, NO)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["task.failed"]


SECRET = "hunter2"
WORKER = "blaxel_jobs.worker"


def test_s3_20_no_record_shows_what_is_in_an_execution(store_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Errors, retries, steps, an end by timeout, a lost lease, a listener that raises: all that is logged, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    running, gate = threading.Event(), threading.Event()

    def fails(context: Any, payload: Any) -> None:
        context.run("step", lambda: payload)
        context.options(max_retries=1, retry_delay=0.01).run("flaky", lambda: {}[SECRET])

    def cancelled(context: Any, payload: Any) -> None:
        running.set()
        gate.wait(PATIENCE)

    def refuses(happening: Happening) -> None:
        raise ValueError(happening.job)

    jobs: list[JobDef[Any, Any]] = [
        define_job("fails", run=fails, max_retries=1, retry_delay=0.01),
        define_job("late", run=lambda: gate.wait(PATIENCE), timeout=0.05),
        define_job("unfit", run=lambda: {SECRET}),
        define_job("cancelled", run=cancelled),
    ]
    with JobManager(store_url) as manager:
        manager.on("*", refuses)
        manager.register(*jobs)
        runs = [
            manager.job(job.name).trigger(
                {"a": SECRET}, metadata={"m": SECRET}, env={"E": SECRET}, idempotency_key=f"{SECRET}-{job.name}"
            )
            for job in jobs
        ]
        for run in runs[:3]:
            assert run.wait_done(PATIENCE).status == "failed"
        assert running.wait(PATIENCE)
        runs[3].cancel()
        gate.set()
    ours = [record for record in caplog.records if record.name.startswith("blaxel_jobs.")]
    assert {record.name for record in ours} >= {"blaxel_jobs.events", WORKER}
    ids = {run.id for run in runs}
    for record in ours:
        shown = logging.Formatter().format(record) + repr(vars(record))
        assert SECRET not in shown
        if any(id in record.getMessage() for id in ids):
            assert vars(record)["execution_id"] in ids
    told = [vars(record) for record in ours if record.name == "blaxel_jobs.events"]
    assert {about["execution_id"] for about in told} == ids
    assert {about["attempt"] for about in told if about["job"] == "fails"} == {None, 1, 2}
