"""Work: how fast a worker drains no-ops, and how soon it picks a new execution up."""

import asyncio
import statistics
import threading
import time
from typing import Any

from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.system import SystemClock
from blaxel_jobs.worker import Worker

from .anchors import W, commits_around, per_second
from .engine import create, create_many
from .report import Bar, Measured, Topic, percentile, rate
from .scratch import JOB, WORKSPACE, Scratch, a_create

DRAIN_ASYNC = Bar("SQLite: drain no-op, async handlers", "W", 2.5, 5, more_is_better=True)
DRAIN_SYNC = Bar("SQLite: drain no-op, sync handlers in threads", "W", 1, 2, more_is_better=True)
MEMORY = Bar("memory: create-run-done, in process", "/s", 10_000, 25_000, more_is_better=True)
PICKUP_MEMORY = Bar("memory: pickup p50 from the answer of create", "ms", 1, 0.5)
PICKUP_MEMORY_P99 = Bar("memory: pickup p99", "ms")
PICKUP_SQLITE = Bar("SQLite: pickup p50 from the answer of create", "bare commits", 6, 3)
PICKUP_SQLITE_P99 = Bar("SQLite: pickup p99", "bare commits")

PATIENCE = 60.0


def hire(engine: Engine, job: JobDef[Any], slots: int) -> Worker:
    """A worker for one job, not started."""
    return Worker(LocalLeases(engine, [WORKSPACE], "bench"), [job], slots=slots, clock=SystemClock())


class Countdown:
    """Is over when `count` handlers have run."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()
        self.over = threading.Event()

    def down(self) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.over.set()

    def job(self, is_async: bool) -> JobDef[Any]:
        """A job that does nothing but count."""

        async def in_loop() -> None:
            self.down()

        return define_job(JOB, run=in_loop if is_async else self.down)


def _drain(scratch: Scratch, bar: Bar, is_async: bool, slots: int) -> Measured:
    count = scratch.size(10_000 if is_async else 5_000, 200)
    with scratch.engine("sqlite") as engine, commits_around(scratch) as bare:
        asyncio.run(create_many(engine, count))
        engine.start()
        countdown = Countdown(count)
        worker = hire(engine, countdown.job(is_async), slots)
        before = time.perf_counter()
        worker.start()
        assert countdown.over.wait(PATIENCE), "the queue was not drained"
        worker.stop(PATIENCE)
        ours = rate(count, time.perf_counter() - before)
        page = engine.call("list_job_executions", WORKSPACE, {"job": JOB})["data"]
        assert all(execution["status"] == "completed" for execution in page), "a result was not kept"
    anchor = per_second(bare)
    return Measured({bar: ours / anchor}, {W: anchor, "executions/s": ours})


def drain_async(scratch: Scratch) -> Measured:
    return _drain(scratch, DRAIN_ASYNC, is_async=True, slots=100)


def drain_sync(scratch: Scratch) -> Measured:
    return _drain(scratch, DRAIN_SYNC, is_async=False, slots=32)


def memory(scratch: Scratch) -> Measured:
    """Create, run and report in one event loop, as `async with JobManager()` does."""
    count = scratch.size(10_000, 100)

    async def timed(engine: Engine) -> float:
        countdown = Countdown(count)
        worker = hire(engine, countdown.job(is_async=True), slots=100)
        before = time.perf_counter()
        await worker.astart()
        for _ in range(count):
            await engine.acall("create_job_execution", WORKSPACE, a_create())
        async with asyncio.timeout(PATIENCE):
            while not countdown.over.is_set():
                await asyncio.sleep(0.001)
        await worker.astop(PATIENCE)
        return time.perf_counter() - before

    with scratch.engine("memory") as engine:
        ours = rate(count, asyncio.run(timed(engine)))
    return Measured({MEMORY: ours}, {})


def _pickup(scratch: Scratch, store: str) -> list[float]:
    """Seconds from the answer of a create to the first line of its handler, for an idle worker; 0 when the handler was first."""
    started, picked = 0.0, threading.Event()

    async def run() -> None:
        nonlocal started
        started = time.perf_counter()
        picked.set()

    taken = []
    with scratch.engine(store) as engine:
        engine.start()
        worker = hire(engine, define_job(JOB, run=run), slots=8)
        worker.start()
        for _ in range(scratch.size(400, 20)):
            picked.clear()
            create(engine)
            answered = time.perf_counter()
            assert picked.wait(PATIENCE), "the execution was not picked up"
            taken.append(max(0.0, started - answered))
            time.sleep(0.004)  # the report is committed, and the worker waits again
        worker.stop(PATIENCE)
    return taken


def pickup_memory(scratch: Scratch) -> Measured:
    taken = [1000 * seconds for seconds in _pickup(scratch, "memory")]
    return Measured({PICKUP_MEMORY: statistics.median(taken), PICKUP_MEMORY_P99: percentile(taken, 0.99)}, {})


def pickup_sqlite(scratch: Scratch) -> Measured:
    with commits_around(scratch) as bare:
        taken = _pickup(scratch, "sqlite")
    anchor, p50, p99 = statistics.median(bare), statistics.median(taken), percentile(taken, 0.99)
    return Measured(
        {PICKUP_SQLITE: p50 / anchor, PICKUP_SQLITE_P99: p99 / anchor},
        {"a bare commit, ms": anchor * 1000, "p50, ms": p50 * 1000, "p99, ms": p99 * 1000},
    )


TOPICS = (
    Topic("drain-async", (DRAIN_ASYNC,), drain_async),
    Topic("drain-sync", (DRAIN_SYNC,), drain_sync),
    Topic("memory", (MEMORY,), memory),
    Topic("pickup-memory", (PICKUP_MEMORY, PICKUP_MEMORY_P99), pickup_memory),
    Topic("pickup-sqlite", (PICKUP_SQLITE, PICKUP_SQLITE_P99), pickup_sqlite),
)
