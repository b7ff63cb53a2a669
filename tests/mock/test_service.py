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
from tests.pace import scaled, timed, within
from tests.serving import serving

AT_ONCE = 500


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
@pytest.mark.parametrize(
    ("most_lag", "worst_lag"),
    [
        pytest.param(0.5, 2.0, id="beside others"),  # a call that blocks the loop does so for seconds
        pytest.param(0.05, 0.25, id="alone", marks=pytest.mark.soak),
    ],
)
def test_k_12_a_service_awaits_five_hundred_executions_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_lag: float, worst_lag: float
):
    """The loop keeps 99 of 100 timers waiting for at most `most_lag` seconds, and none for longer than `worst_lag`."""
    with serving(tmp_path, "memory:", "--simulate") as server:

        async def attempt(duration: float) -> None:
            monkeypatch.setattr(async_service, "job", JobsClient(server.url).job("data-processing"))
            seen = await lags_beside_many(duration)
            assert seen[len(seen) * 99 // 100] < most_lag
            assert seen[-1] < worst_lag

        scaled(lambda duration: asyncio.run(attempt(duration)), 4.0, 10.0, 20.0)


async def lags_beside_many(duration: float) -> list[float]:
    """All of them at once. They are sent in half of their duration, and it takes them a quarter of it to end."""
    await post([{"duration": 0}])
    done = asyncio.Event()
    watching = asyncio.create_task(lags(done))
    began = time.perf_counter()
    awaited = []
    for number in range(AT_ONCE):
        awaited.append(asyncio.create_task(post([{"duration": duration * (1 + number / AT_ONCE / 4)}])))
        await asyncio.sleep(max(0.0, began + duration / 2 * number / AT_ONCE - time.perf_counter()))
    assert not any(task.done() for task in awaited)
    answers = await asyncio.gather(*awaited)
    done.set()
    assert [status for status, _ in answers] == [200] * AT_ONCE
    assert {answer["status"] for _, answer in answers} == {"completed"}
    assert len({answer["execution"] for _, answer in answers}) == AT_ONCE
    return await watching


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

        def wait() -> None:
            with pytest.raises(WaitTimeoutError):
                execution.wait_done(max_wait=1)

        assert within(1.1, lambda: timed(wait)) >= 1.0
