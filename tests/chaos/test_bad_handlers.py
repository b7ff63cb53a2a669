"""Handlers that would take their worker with them: each fails alone, and the slot it had is free for the next."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from blaxel_jobs import define_job
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.system import SystemClock, id_factory
from blaxel_jobs.worker import Worker


class Unusual(BaseException):
    """No Exception."""


async def exits_in_the_loop() -> None:
    sys.exit(3)


async def raises_in_the_loop() -> None:
    raise Unusual


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


def exits() -> None:
    sys.exit(3)


def raises() -> None:
    raise Unusual


def stops_iterating() -> None:
    next(iter([]))


def raises_what_only_loops_raise() -> None:
    raise asyncio.CancelledError


BAD = (exits_in_the_loop, raises_in_the_loop, cancels_itself, exits, raises, stops_iterating, raises_what_only_loops_raise)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(MemoryJobStore(), clock=SystemClock(), new_id=id_factory(), rng=Random(0))
    engine.start()
    yield engine
    engine.close()


@pytest.mark.parametrize("handler", BAD, ids=lambda handler: handler.__name__)
def test_a_bad_handler_fails_alone(handler: Callable[[], Any], engine: Engine) -> None:
    jobs = [define_job("bad", run=handler), define_job("good", run=lambda: "done")]
    worker = Worker(LocalLeases(engine, ["default"], "w"), jobs, slots=1, clock=SystemClock())
    worker.start()
    try:
        for _ in range(2):
            assert _run(engine, "bad")["status"] == "failed"
        assert _run(engine, "good")["status"] == "completed"
    finally:
        worker.stop(grace=1)


def _run(engine: Engine, job: str) -> dict[str, Any]:
    created = engine.call("create_job_execution", "default", {"job": job, "body": {"input": None}})
    ended: dict[str, Any] = engine.call(
        "get_job_execution", "default", {"job": job, "execution_id": created["executionId"], "prefer": "wait=5"}
    )
    return ended
