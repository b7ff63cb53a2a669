"""`drive` and `work`: tasks run here and now, in the caller's time."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobManager, LeaseHeld, TaskContext, define_job
from blaxel_jobs.engine.commands import Claim
from tests.pace import PATIENCE


@define_job("slow")
def slow(context: TaskContext, payload: Any) -> Any:
    for step in range(5):
        context.run(f"step {step}", time.sleep, 0.02)
    return payload


@define_job("slower")
def slower(context: TaskContext, payload: Any) -> Any:
    for step in range(5):
        context.run(f"step {step}", time.sleep, 0.1)
    return payload


@define_job("naps")
def naps(context: TaskContext) -> str:
    context.sleep("nap", 3600)
    return "awake"


@pytest.fixture(params=["memory:", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db" if request.param == "sqlite" else str(request.param)


@pytest.mark.parametrize("worker", [True, False])
def test_s0_12_drive_runs_it_here_and_returns_its_state(url: str, worker: bool) -> None:
    with JobManager(url, worker=worker) as manager:
        execution = manager.register(slow).trigger({"n": 1}, auto_start=False)
        driven = manager.drive(execution.id)
        assert (driven.status, driven.result) == ("completed", {"n": 1})
        assert manager.drive(execution.id).status == "completed"


def test_what_the_manager_s_own_worker_runs_is_waited_for(url: str) -> None:
    with JobManager(url) as manager:
        for _ in range(5):
            execution = manager.register(slow).trigger(7)
            assert manager.drive(execution.id).result == 7


def test_s0_15_slices_of_time_finish_it_together(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        execution = manager.register(slower).trigger("x")
        slices = 0
        while not execution.done:
            execution = manager.drive(execution.id, max_runtime=0.15)
            slices += 1
        assert slices > 1
        assert (execution.result, execution.tasks[0].attempts, execution.recoveries) == ("x", 1, [])


def test_s0_13_another_worker_s_lease_is_respected(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        execution = manager.register(slow).trigger("x")
        manager._engine.submit(Claim("default", ("slow",), 1, "somebody", 10.0))
        with pytest.raises(LeaseHeld):
            manager.drive(execution.id)


def test_drive_does_not_wait_for_what_sleeps(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        execution = manager.drive(manager.register(naps).trigger().id)
        assert (execution.status, execution.waiting_for) == ("pending", "time")


def test_work_serves_until_nothing_is_left(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        handles = manager.register(slow, naps)
        executions = [handles[0].trigger(n) for n in range(10)]
        handles[1].trigger()
        assert manager.work(jobs=["slow"], until_idle=True) == 10
        assert [execution.refresh().result for execution in executions] == list(range(10))
        assert manager.work(until_idle=True) == 1
        assert manager.work(until_idle=True) == 0


async def test_the_async_twins(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        job = manager.register(slow)
        execution = await job.atrigger(1)
        assert (await manager.adrive(execution.id)).result == 1
        await job.atrigger(2)
        assert await manager.awork(until_idle=True) == 1


def test_work_ends_in_time(url: str) -> None:
    with JobManager(url, worker=False) as manager:
        manager.register(slow)
        began = time.monotonic()
        worked: list[int] = []
        thread = threading.Thread(target=lambda: worked.append(manager.work(max_runtime=0.3)))
        thread.start()
        thread.join(PATIENCE)
        assert worked == [0]
        assert 0.3 <= time.monotonic() - began < PATIENCE / 2
