"""Durable steps: what one costs beside a bare commit, how many a second fifty handlers get, and what a busy thread costs them."""

import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

from blaxel_jobs import JobsClient
from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.engine import Engine
from blaxel_jobs.worker.context import AsyncTaskContext, TaskContext

from . import handlers
from .anchors import W, bare_commits, commits_around, per_second
from .engine import create
from .processes import remote_worker, server
from .report import Bar, Measured, Topic, percentile, rate
from .scratch import JOB, Scratch
from .worker import PATIENCE, hire

STEP_SYNC = Bar("SQLite: a step alone, sync handler, against a bare commit", "x", 2, 1.3)
STEP_ASYNC = Bar("SQLite: a step alone, async handler, against a bare commit", "x", 4, 2)
FIFTY = Bar("SQLite: steps of 50 async handlers at once", "W", 3, 5, more_is_better=True)
FIFTY_THREADS = Bar("SQLite: steps of 50 sync handlers at once", "W", 3, 5, more_is_better=True)
BESIDE_REMOTE = Bar("python -m blaxel_jobs.worker with one CPU-bound thread handler: step p99 of the others", "ms", 25, 10)
BESIDE_EMBEDDED = Bar("blaxel-jobs serve --worker with one CPU-bound thread handler: step p99 of the others", "ms", 25, 10)

AT_ONCE = 50
OTHERS = 2
"""Async handlers, and as many sync ones, beside the one that computes."""

Record = Callable[[float], None]


def _step_by_step(steps: int, record: Record, *, is_async: bool) -> JobDef[Any]:
    """A job that takes steps which do nothing, one after the other, and tells the seconds of each."""

    def sync(context: TaskContext) -> None:
        for number in range(steps):
            before = time.perf_counter()
            context.run(f"step-{number}", handlers.nothing)
            record(time.perf_counter() - before)

    async def in_loop(context: AsyncTaskContext) -> None:
        for number in range(steps):
            before = time.perf_counter()
            await context.run(f"step-{number}", handlers.nothing)
            record(time.perf_counter() - before)

    return define_job(JOB, run=in_loop if is_async else sync)


def _run_all(engine: Engine, job: JobDef[Any], executions: int) -> float:
    """Seconds until as many executions have run, all at once."""
    left, lock, over = executions, threading.Lock(), threading.Event()

    def ended(told: Any) -> None:
        nonlocal left
        with lock:
            left -= sum(each.ends for each in told)
            if left <= 0:
                over.set()

    engine.listeners.told.append(ended)
    for _ in range(executions):
        create(engine)
    engine.start()
    serving = hire(engine, job, slots=executions)
    before = time.perf_counter()
    serving.start()
    assert over.wait(PATIENCE), "the handlers did not end"
    seconds = time.perf_counter() - before
    serving.stop(PATIENCE)
    return seconds


def step_alone(scratch: Scratch) -> Measured:
    """In blocks, a bare commit's and each kind of handler's by turns; medians."""
    bare: list[float] = []
    taken: dict[bool, list[float]] = {False: [], True: []}
    blocks, count = scratch.size(6, 1), scratch.size(100, 10)
    with bare_commits(scratch) as commit:
        for _ in range(blocks):
            bare += commit(count)
            for is_async, seconds in taken.items():
                with scratch.engine("sqlite") as engine:
                    _run_all(engine, _step_by_step(count, seconds.append, is_async=is_async), 1)
    anchor, sync, in_loop = (statistics.median(each) for each in (bare, taken[False], taken[True]))
    return Measured(
        {STEP_SYNC: sync / anchor, STEP_ASYNC: in_loop / anchor},
        {"a bare commit, ms": anchor * 1000, "sync handler, ms": sync * 1000, "async handler, ms": in_loop * 1000},
    )


def _fifty(scratch: Scratch, bar: Bar, *, is_async: bool) -> Measured:
    steps = scratch.size(100, 4)
    taken: list[float] = []
    with scratch.engine("sqlite") as engine, commits_around(scratch) as bare:
        seconds = _run_all(engine, _step_by_step(steps, taken.append, is_async=is_async), AT_ONCE)
        assert len(taken) == AT_ONCE * steps, "a step was not taken"
    anchor, ours = per_second(bare), rate(len(taken), seconds)
    return Measured({bar: ours / anchor}, {W: anchor, "steps/s": ours, "a step, p50, ms": statistics.median(taken) * 1000})


def fifty_async(scratch: Scratch) -> Measured:
    return _fifty(scratch, FIFTY, is_async=True)


def fifty_threads(scratch: Scratch) -> Measured:
    return _fifty(scratch, FIFTY_THREADS, is_async=False)


def _beside(scratch: Scratch, bar: Bar, url: str) -> Measured:
    """Each step is timed in its handler, which waits a little after it; without and with one that computes all the while."""
    steps = scratch.size(300, 5)
    with JobsClient(base_url=url) as jobs:
        _steps_of_others(jobs, 5)
        alone = _steps_of_others(jobs, steps)
        busy = jobs.trigger(handlers.compute)
        assert any(update.status == "running" for update in busy.watch()), "nobody computes"
        beside = _steps_of_others(jobs, steps)
        assert not busy.refresh().done, "nobody computed any more"
    return Measured(
        {bar: percentile(beside, 0.99)},
        {
            "p50, ms": statistics.median(beside),
            "slowest, ms": max(beside),
            "p99 without the busy one, ms": percentile(alone, 0.99),
        },
    )


def _steps_of_others(jobs: JobsClient, steps: int) -> list[float]:
    """The milliseconds that each step took, of handlers in the worker's loop and in its threads together."""
    others = [jobs.trigger(job, steps) for job in (handlers.step_in_loop, handlers.step_in_thread) for _ in range(OTHERS)]
    return [ms for other in others for ms in other.get_result(PATIENCE)]


def beside_remote(scratch: Scratch) -> Measured:
    with server(scratch, "sqlite") as (url, _), remote_worker(scratch, url):
        return _beside(scratch, BESIDE_REMOTE, url)


def beside_embedded(scratch: Scratch) -> Measured:
    with server(scratch, "sqlite", "--worker", handlers.__name__) as (url, _):
        return _beside(scratch, BESIDE_EMBEDDED, url)


TOPICS = (
    Topic("step", (STEP_SYNC, STEP_ASYNC), step_alone),
    Topic("steps-async", (FIFTY,), fifty_async),
    Topic("steps-threads", (FIFTY_THREADS,), fifty_threads),
    Topic("beside-remote", (BESIDE_REMOTE,), beside_remote),
    Topic("beside-embedded", (BESIDE_EMBEDDED,), beside_embedded),
)
