"""Watching: a snapshot, then every change, until all have ended."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blaxel_jobs.core.reports import Completed
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.errors import InvalidRequest
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory


@pytest.fixture(params=["memory", "sqlite"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    url = "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    made = engine_on(url)
    yield made
    made.close()


def engine_on(url: str) -> Engine:
    engine = Engine(open_store(url), clock=SystemClock(), new_id=id_factory(), rng=Random(0))
    engine.start()
    return engine


def create(engine: Engine) -> None:
    """An execution `e1`."""
    engine.call("create_job_execution", "default", {"job": "job", "body": {"input": 1, "executionId": "e1"}})


async def claim(engine: Engine) -> Any:
    [leased] = await engine.asubmit(Claim("default", None, 1, "w", 10.0))
    return leased


def said(updates: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(update["id"], str(update["status"]), update["done"]) for update in updates]


async def test_a_watch_tells_every_change_and_ends(engine: Engine) -> None:
    create(engine)
    watch = engine.watch("default", {"ids": ["e1", "nope"]}, 10.0)
    assert said(await anext(watch)) == [("e1", "pending", False), ("nope", "unknown", True)]
    leased = await claim(engine)
    assert said(await anext(watch)) == [("e1", "running", False)]
    await engine.asubmit(Tell(leased.lease, Completed("1")))
    assert said(await anext(watch)) == [("e1", "completed", True)]
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    assert engine.waiters.keys() == []


async def test_a_quiet_watch_says_so(engine: Engine) -> None:
    create(engine)
    watch = engine.watch("default", {"ids": ["e1"]}, 0.01)
    assert said(await anext(watch)) == [("e1", "pending", False)]
    assert await anext(watch) == []
    await watch.aclose()
    assert engine.waiters.keys() == []


async def test_a_foreign_workspace_is_unknown(engine: Engine) -> None:
    create(engine)
    assert said(await anext(engine.watch("other", {"ids": ["e1"]}, 1.0))) == [("e1", "unknown", True)]


async def test_bulk_status(engine: Engine) -> None:
    create(engine)
    answer = await engine.acall("get_execution_statuses", "default", {"body": {"ids": ["nope", "e1", "nope"]}})
    assert said(answer["data"]) == [("nope", "unknown", True), ("e1", "pending", False), ("nope", "unknown", True)]
    for bad, path in [({}, "ids"), ({"ids": []}, "ids"), ({"ids": ["x"] * 10_001}, "ids"), ({"ids": [1]}, "ids[0]"), ([], "")]:
        for ask in (
            lambda bad: engine.call("get_execution_statuses", "default", {"body": bad}),
            lambda bad: engine.watch("default", bad, 1),
        ):
            with pytest.raises(InvalidRequest) as caught:
                ask(bad)
            assert caught.value.path == path


async def test_draining_ends_every_watch_and_every_poll(engine: Engine) -> None:
    create(engine)
    watch = engine.watch("default", {"ids": ["e1"]}, 60.0)
    await anext(watch)
    arguments = {"job": "job", "execution_id": "e1", "prefer": "wait=30"}
    poll = asyncio.ensure_future(engine.acall("get_job_execution_status", "default", arguments))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(engine.release_waiters)
    assert said(await anext(watch)) == [("e1", "pending", False)]
    with pytest.raises(StopAsyncIteration):
        await anext(watch)
    assert (await poll)["status"] == "pending"


async def test_what_another_process_does_is_seen_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    here, there = engine_on(url), engine_on(url)
    create(here)
    watch = here.watch("default", {"ids": ["e1"]}, 10.0)
    arguments = {"job": "job", "execution_id": "e1", "prefer": "wait=30"}
    poll = asyncio.ensure_future(here.acall("get_job_execution_status", "default", arguments))
    assert said(await anext(watch)) == [("e1", "pending", False)]
    leased = await claim(there)
    await there.asubmit(Tell(leased.lease, Completed("1")))
    while (update := said(await anext(watch))) != [("e1", "completed", True)]:
        assert update[0][0] == "e1"
    assert (await poll)["status"] == "completed"
    here.close()
    there.close()
