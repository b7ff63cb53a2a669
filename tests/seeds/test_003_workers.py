"""Seed 003, the worker service: how many tasks run at once, and how the runtime wires workers at startup."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs import JobManager, define_job
from tests.chaos.processes import Program
from tests.pace import PATIENCE, until
from tests.remote.jobs import notes as remote_notes
from tests.remote.processes import Server, Worker
from tests.seeds.five_steps import notes


class Counted:
    """A job that runs only in fours, in threads or in the event loop."""

    def __init__(self) -> None:
        self.most = self.running = 0
        self._lock, self._threads, self._tasks = threading.Lock(), threading.Barrier(4), asyncio.Barrier(4)

    def run(self) -> None:
        self._count(1)
        self._threads.wait(PATIENCE)
        self._count(-1)

    async def arun(self) -> None:
        self._count(1)
        async with asyncio.timeout(PATIENCE):
            await self._tasks.wait()
        self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self.running += change
            self.most = max(self.most, self.running)


@pytest.mark.parametrize("form", ["threads", "loop"])
def test_s3_05_a_worker_runs_as_many_at_once_as_it_has_slots(form: str, store: str) -> None:
    counted = Counted()
    with JobManager(store, slots=4) as manager:
        job = manager.register(define_job("job", run=counted.run if form == "threads" else counted.arun))
        for execution in job.trigger_many([None] * 20).wait_done(PATIENCE).executions:
            assert execution.status == "completed"
    assert counted.most == 4


def test_s3_05_slots_are_for_tasks_not_for_executions(store: str) -> None:
    counted = Counted()
    with JobManager(store, slots=4) as manager:
        job = manager.register(define_job("job", run=counted.run))
        assert job.wait_for_execution(job.run([{}] * 20), PATIENCE).status == "completed"
    assert counted.most == 4


def test_s3_05_a_job_says_how_many_of_it_run_at_once(manager: JobManager) -> None:
    counted = Counted()
    job = manager.register(define_job("job", run=counted.run, concurrency=4))
    job.trigger_many([None] * 12).wait_done(PATIENCE, raise_on_failure=True)
    assert counted.most == 4


@pytest.mark.slow
def test_s3_21_a_worker_process_serves_the_modules_that_it_is_told_and_ends_with_sigterm(tmp_path: Path) -> None:
    with Server(tmp_path) as server, server.client() as client, Worker(tmp_path, server.url, "--grace", "0.2") as worker:
        assert client.trigger("no-op", 5).get_result(PATIENCE) == 5
        run = client.trigger("two-steps", {"n": 1})
        until(lambda: "second 1" in remote_notes(tmp_path), "its second step runs")
        assert worker.terminate() < 30.0
        assert (run.refresh().status, run.recoveries) == ("pending", [])


@pytest.mark.slow
def test_s3_21_the_lifespan_of_an_app_wires_a_worker_and_ends_it_with_sigterm(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "uvicorn", "--port", "0", "tests.seeds.lifespan_app:app")
    with Program(tmp_path, *command) as first:
        url = until(lambda: address(first), "the app listens")
        id = httpx.post(url).text
        until(lambda: "begins 1" in notes(tmp_path), "its job runs")
        assert httpx.get(f"{url}/{id}").text == "running None"
        ended(first)
        assert "Application shutdown complete" in first.text()
        assert "Traceback" not in first.text()
    with JobManager(f"sqlite:///{tmp_path}/jobs.db", worker=False) as reader:
        execution = reader.get_execution(id)
        assert (execution.status, execution.recoveries) == ("pending", [])
    (tmp_path / "gate").touch()
    first.log.unlink()
    with Program(tmp_path, *command) as second:
        url = until(lambda: address(second), "the app listens again")
        until(lambda: httpx.get(f"{url}/{id}").text.startswith("completed"), "it goes on by itself")
        mine = httpx.post(url).text
        until(lambda: httpx.get(f"{url}/{mine}").text == "completed True", "handlers run in the app's loop")
        ended(second)
    assert notes(tmp_path)[:2] == ["begins 1", "begins 1"]  # given back: the same attempt again


def ended(program: Program) -> None:
    """SIGTERM. uvicorn shuts down in good order, and then ends by the signal."""
    os.kill(program.pid, signal.SIGTERM)
    _, status = os.waitpid(program.pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGTERM), program.text()


def address(program: Any) -> str | None:
    """Where it says that it listens."""
    program.check_alive()
    said = [line for line in program.text().splitlines() if "running on http" in line]
    return said[-1].split(" on ")[1].split()[0] if said else None
