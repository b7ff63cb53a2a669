"""Creates: how many a caller, a hundred tasks or a hundred threads get committed on SQLite; what a large one costs others."""

import asyncio
import threading
import time

from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Extend

from .anchors import W, bare_commits, commits_around, per_second
from .report import Bar, Measured, Topic, rate
from .scratch import JOB, WORKSPACE, Scratch, a_create

SYNC = Bar("SQLite: enqueue one at a time, sync caller", "W", 0.6, 0.8, more_is_better=True)
ASYNC = Bar("SQLite: enqueue, 100 async callers", "W", 4, 8, more_is_better=True)
THREADS = Bar("SQLite: enqueue, 100 threads", "W", 1.5, 3, more_is_better=True)
HEARTBEAT = Bar("SQLite: heartbeat during one create of 10,000 tasks", "ms", 150, 100)

CALLERS = 100


def create(engine: Engine) -> None:
    """One execution, committed."""
    engine.call("create_job_execution", WORKSPACE, a_create())


async def create_many(engine: Engine, count: int, callers: int = CALLERS, concurrency_key: str | None = None) -> None:
    """`count` executions, each caller waiting for its own before it sends the next."""

    async def call() -> None:
        for _ in range(count // callers):
            await engine.acall("create_job_execution", WORKSPACE, a_create(concurrency_key=concurrency_key))

    await asyncio.gather(*(call() for _ in range(callers)))


def enqueue_sync(scratch: Scratch) -> Measured:
    """In blocks, the anchor's and ours by turns."""
    blocks, count = scratch.size(15, 2), 100
    bare, seconds = [], 0.0
    with scratch.engine("sqlite") as engine, bare_commits(scratch) as commit:
        create(engine)
        for _ in range(blocks):
            bare += commit(count)
            before = time.perf_counter()
            for _ in range(count):
                create(engine)
            seconds += time.perf_counter() - before
    anchor, ours = per_second(bare), rate(blocks * count, seconds)
    return Measured({SYNC: ours / anchor}, {W: anchor, "creates/s": ours})


def enqueue_async(scratch: Scratch) -> Measured:
    count = scratch.size(15_000, 200)

    async def timed(engine: Engine) -> float:
        await create_many(engine, CALLERS)
        before = time.perf_counter()
        await create_many(engine, count)
        return time.perf_counter() - before

    with scratch.engine("sqlite") as engine, commits_around(scratch) as bare:
        ours = rate(count, asyncio.run(timed(engine)))
    anchor = per_second(bare)
    return Measured({ASYNC: ours / anchor}, {W: anchor, "creates/s": ours})


def enqueue_threads(scratch: Scratch) -> Measured:
    each = scratch.size(70, 2)
    start = threading.Barrier(CALLERS + 1)

    def call(engine: Engine) -> None:
        start.wait()
        for _ in range(each):
            create(engine)

    with scratch.engine("sqlite") as engine, commits_around(scratch) as bare:
        threads = [threading.Thread(target=call, args=(engine,)) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        start.wait()
        before = time.perf_counter()
        for thread in threads:
            thread.join()
        ours = rate(CALLERS * each, time.perf_counter() - before)
    anchor = per_second(bare)
    return Measured({THREADS: ours / anchor}, {W: anchor, "creates/s": ours})


def heartbeat(scratch: Scratch) -> Measured:
    """The slowest heartbeat of those that ran while the create did."""
    tasks, slowest, creates = scratch.size(10_000, 100), 0.0, []
    with scratch.engine("sqlite") as engine:
        create(engine)
        (leased,) = engine.submit(Claim(WORKSPACE, (JOB,), 1, "bench", 60.0))
        for _ in range(3):
            large = threading.Thread(target=engine.call, args=("create_job_execution", WORKSPACE, a_create(tasks=tasks)))
            before = time.perf_counter()
            large.start()
            while large.is_alive():
                slowest = max(slowest, _beat(engine, leased.lease))
            creates.append(time.perf_counter() - before)
    return Measured({HEARTBEAT: slowest * 1000}, {"the create, ms": min(creates) * 1000})


def _beat(engine: Engine, lease: LeaseRef) -> float:
    before = time.perf_counter()
    holding = engine.submit(Extend((lease,), 60.0))
    taken = time.perf_counter() - before
    assert not holding.lost, "the lease was lost"
    time.sleep(0.001)
    return taken


TOPICS = (
    Topic("enqueue-sync", (SYNC,), enqueue_sync),
    Topic("enqueue-async", (ASYNC,), enqueue_async),
    Topic("enqueue-threads", (THREADS,), enqueue_threads),
    Topic("heartbeat", (HEARTBEAT,), heartbeat),
)
