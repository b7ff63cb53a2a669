"""What a commit or a task leaves behind is freed at once: cycles would wait for the collector, and cost a third of the time."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blaxel_jobs.core.reports import Completed
from blaxel_jobs.define import define_job
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory
from blaxel_jobs.worker import Worker

FEW = 20
FEWER_THAN_ONE_EACH = FEW - 1


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    engine = Engine(open_store(url), clock=SystemClock(), new_id=id_factory(), rng=Random(1))
    yield engine
    engine.close()


@contextmanager
def no_collector() -> Iterator[Callable[[], int]]:
    """The value says how many objects only the collector could free."""
    gc.collect()
    gc.disable()
    try:
        yield gc.collect
    finally:
        gc.enable()


def create(engine: Engine) -> None:
    engine.call("create_job_execution", "default", {"job": "job", "body": {"input": 1}})


def test_commits_leave_no_garbage(engine: Engine) -> None:
    def some() -> None:
        for _ in range(FEW):
            create(engine)
            [leased] = engine.submit(Claim("default", ("job",), 1, "worker", 10.0))
            engine.submit(Tell(leased.lease, Completed("1")))

    some()
    with no_collector() as garbage:
        some()
        assert garbage() <= FEWER_THAN_ONE_EACH


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_tasks_leave_no_garbage(engine: Engine, kind: str) -> None:
    ended = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    engine.listeners.told.append(lambda told: loop.call_soon_threadsafe(_release, ended, sum(each.ends for each in told)))

    async def in_loop() -> None: ...

    def in_thread() -> None: ...

    handler: Callable[[], Awaitable[None] | None] = in_loop if kind == "async" else in_thread
    worker = Worker(LocalLeases(engine, ["default"], "worker"), [define_job("job", run=handler)], slots=4, clock=SystemClock())

    async def some() -> None:
        for _ in range(FEW):
            create(engine)
            await ended.acquire()
        while worker.holding or len(asyncio.all_tasks()) > standing:
            await asyncio.sleep(0)

    await worker.astart()
    try:
        standing = len(asyncio.all_tasks())
        await some()
        with no_collector() as garbage:
            await some()
            assert garbage() <= FEWER_THAN_ONE_EACH
    finally:
        await worker.astop()


def _release(ended: asyncio.Semaphore, times: int) -> None:
    for _ in range(times):
        ended.release()


def test_the_collector_is_what_is_counted() -> None:
    with no_collector() as garbage:
        for _ in range(FEW):
            _leave_a_cycle()
        assert garbage() >= FEW


def _leave_a_cycle() -> None:
    ring: list[Any] = []
    ring.append(ring)
