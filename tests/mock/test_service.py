"""A service that awaits executions, and long lists: the SDK's promises kept on a mock."""

import asyncio
import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobsClient, WaitTimeoutError, bl_job
from examples import async_service
from examples.async_service import app
from mock_server import MockServer
from tests.serving import serving

AT_ONCE = 500
MOST_LAG = 0.05
"""Seconds, for 99 of 100 timers."""
WORST_LAG = 0.25
"""Seconds, for each. 0.015 to 0.03 on a machine that does nothing else; this one runs another test beside it."""


async def post(tasks: list[dict[str, Any]]) -> tuple[int, Any]:
    """What the example service answers to one request."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(tasks).encode()}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http"}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


async def lags(done: asyncio.Event) -> list[float]:
    """How long the loop kept timers of 5 ms waiting beyond their time, the longest last."""
    seen = []
    while not done.is_set():
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        seen.append(time.perf_counter() - began - 0.005)
    return sorted(seen)


@pytest.fixture
def nothing_to_collect() -> Iterator[None]:
    """What was there before (all of pytest) stays out of the collector: going through it takes longer than a service may pause."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_to_collect")
async def test_k_12_a_service_awaits_five_hundred_executions_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(tmp_path, "memory:", "--simulate") as server:
        monkeypatch.setattr(async_service, "job", JobsClient(server.url).job("data-processing"))
        await post([{"duration": 0}])
        done = asyncio.Event()
        watching = asyncio.create_task(lags(done))
        awaited = []
        for number in range(AT_ONCE):  # 500 in about two seconds, and as many ends
            awaited.append(asyncio.create_task(post([{"duration": 6 + number / AT_ONCE}])))
            await asyncio.sleep(0.002)
        assert not any(task.done() for task in awaited)
        answers = await asyncio.gather(*awaited)
        done.set()
        assert [status for status, _ in answers] == [200] * AT_ONCE
        assert {answer["status"] for _, answer in answers} == {"completed"}
        assert len({answer["execution"] for _, answer in answers}) == AT_ONCE
        seen = await watching
        assert seen[len(seen) * 99 // 100] < MOST_LAG
        assert seen[-1] < WORST_LAG


async def test_many_requests_at_one_moment_of_virtual_time():
    async with MockServer():
        answers = await asyncio.gather(*[post([{"duration": 60}, {"duration": 30}]) for _ in range(AT_ONCE)])
        assert {(status, answer["status"]) for status, answer in answers} == {(200, "completed")}


def test_s1_19_every_execution_is_listed_once():
    with MockServer() as mock:
        job = bl_job("my-job")
        ids = [job.create_execution({"tasks": [{}]}) for _ in range(1500)]
        assert [one.id for one in job.list_executions().auto_paging_iter()] == ids[::-1]
        assert [one.id for one in mock.executions] == ids[::-1]


def test_s1_02_any_job_runs():
    with MockServer():
        for name in ("one", "two.three", "x" * 128):
            assert bl_job(name).trigger({"duration": 1, "output": name}).get_result() == name


def test_k_08_seconds_are_seconds_where_time_is_real():
    with MockServer(clock="real"):
        execution = bl_job("my-job").trigger({"hang": True})
        started = time.monotonic()
        with pytest.raises(WaitTimeoutError):
            execution.wait_done(max_wait=1)
        assert 1.0 <= time.monotonic() - started <= 1.1
