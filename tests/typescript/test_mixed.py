"""Python and TypeScript at one server: who creates, who works, and who takes over."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobsClient
from tests.chaos.processes import Program
from tests.pace import PATIENCE, until
from tests.remote.jobs import notes
from tests.remote.processes import Server, Worker
from tests.serving import plain_environment

from .node import PACKAGE, node

pytestmark = pytest.mark.slow

LEASE = 1
"""Seconds, of servers in tests that wait for one to end."""


class NodeWorker(Program):
    """typescript/tests/worker.js, working in `folder`."""

    def __init__(self, folder: Path, url: str, *, grace: float = 10, slots: int = 8) -> None:
        self._ready = folder / f"node-{time.monotonic_ns()}.json"
        script = str(PACKAGE / "tests" / "worker.js")
        super().__init__(folder, node(), script, url, str(self._ready), str(round(grace * 1000)), str(slots))
        self.id: str = until(self._look, "the worker takes work")["worker"]

    def _look(self) -> Any:
        self.check_alive()
        return json.loads(self._ready.read_text()) if self._ready.exists() else None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, "--lease", str(LEASE)) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[JobsClient]:
    client = server.client()
    yield client
    client.close()


def open_gate(folder: Path) -> None:
    (folder / "gate").touch()


def noted(folder: Path, line: str, times: int = 1) -> None:
    until(lambda: notes(folder).count(line) >= times, f"the note {line!r}")


def test_python_creates_and_typescript_works(tmp_path: Path, server: Server, client: JobsClient) -> None:
    with NodeWorker(tmp_path, server.url) as worker:
        payload = {"text": "\u00e4\u20ac\U0001f600", "n": [1, 2.5, -0.125, None, True], "o": {}}
        execution = client.trigger("no-op", payload).wait_done(PATIENCE)
        assert (execution.status, execution.result) == ("completed", payload)
        batch = client.job("no-op").trigger_many(range(50)).wait_done(PATIENCE)
        assert [one.refresh().result for one in batch.executions] == [*range(50)]
        worker.terminate()


def test_typescript_creates_and_python_works(tmp_path: Path, server: Server, client: JobsClient) -> None:
    open_gate(tmp_path)
    with Worker(tmp_path, server.url, module="tests.typescript.jobs"):
        command = [node(), str(PACKAGE / "tests" / "creator.js"), "two-steps", '{"n": 41}']
        environment = plain_environment(BL_API_URL=server.url)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["output"] == [42, "done"]
    assert client.get_execution(answer["id"]).metadata.custom == {"from": "node"}


@pytest.mark.parametrize("heir", ["typescript", "python"])
def test_s2_11_a_typescript_worker_that_is_killed_in_its_second_step_is_followed_by_another(
    heir: str, tmp_path: Path, server: Server, client: JobsClient
) -> None:
    with NodeWorker(tmp_path, server.url) as first:
        execution = client.trigger("two-steps", {"n": 1})
        noted(tmp_path, "second 1")
        first.kill()
        follows = NodeWorker(tmp_path, server.url) if heir == "typescript" else Worker(
            tmp_path, server.url, module="tests.typescript.jobs"
        )  # fmt: skip
        with follows:
            noted(tmp_path, "second 2")
            open_gate(tmp_path)
            execution.wait_done(PATIENCE)
    assert execution.result == [2, "done"]
    assert [recovery.worker for recovery in execution.recoveries] == [first.id]
    assert [line for line in notes(tmp_path) if line.startswith("first")] == ["first 1"]


def test_two_workers_of_different_languages_share_one_job(tmp_path: Path, server: Server, client: JobsClient) -> None:
    with NodeWorker(tmp_path, server.url, slots=1), Worker(tmp_path, server.url, "--slots", "1", module="tests.typescript.jobs"):
        batch = client.job("who").trigger_many([None, None])
        noted(tmp_path, "node works")
        noted(tmp_path, "python works")
        open_gate(tmp_path)
        batch.wait_done(PATIENCE)
        assert sorted(execution.refresh().result for execution in batch.executions) == ["node", "python"]


def test_sigterm_gives_back_what_does_not_end_and_another_goes_on(tmp_path: Path) -> None:
    with Server(tmp_path, "--lease", "60") as server, server.client() as client:
        with NodeWorker(tmp_path, server.url, grace=0.2) as first:
            execution = client.trigger("two-steps", {"n": 1})
            noted(tmp_path, "second 1")
            first.terminate()
        with Worker(tmp_path, server.url, module="tests.typescript.jobs"):
            noted(tmp_path, "second 1", times=2)  # with the same attempt
            open_gate(tmp_path)
            execution.wait_done(PATIENCE)
    assert execution.result == [2, "done"]
    assert execution.recoveries == []
    assert "stopped by Suspended" in notes(tmp_path)


def test_a_second_signal_ends_it_at_once(tmp_path: Path, server: Server, client: JobsClient) -> None:
    with NodeWorker(tmp_path, server.url, grace=600) as worker:
        client.trigger("two-steps", {"n": 1})
        noted(tmp_path, "second 1")
        os.kill(worker.pid, signal.SIGTERM)

        def ended() -> int | None:
            os.kill(worker.pid, signal.SIGTERM)
            return worker._process.poll()

        assert until(ended, "it ends", pause=0.1) == 128 + signal.SIGTERM


def test_a_handler_that_blocks_the_event_loop_keeps_its_lease(tmp_path: Path, server: Server, client: JobsClient) -> None:
    with NodeWorker(tmp_path, server.url):
        execution = client.trigger("blocking", {"seconds": 2.5 * LEASE}).wait_done(PATIENCE)
    assert execution.result == "held"
    assert execution.recoveries == []
    assert notes(tmp_path) == ["blocking 1"]


def test_a_frozen_worker_that_comes_back_changes_nothing(tmp_path: Path, server: Server, client: JobsClient) -> None:
    with NodeWorker(tmp_path, server.url) as zombie:
        execution = client.trigger("two-steps", {"n": 1})
        noted(tmp_path, "second 1")
        zombie.freeze()
        with Worker(tmp_path, server.url, module="tests.typescript.jobs"):
            noted(tmp_path, "second 2")
            open_gate(tmp_path)
            before = execution.wait_done(PATIENCE).to_dict()
        zombie.thaw()
        noted(tmp_path, "stopped by LeaseLost")
        assert client.trigger("no-op", 5).get_result(PATIENCE) == 5
        assert execution.refresh().to_dict() == before


def test_a_server_that_restarts_finds_its_typescript_worker(tmp_path: Path) -> None:
    with Server(tmp_path) as first:
        port = first.port
        worker = NodeWorker(tmp_path, first.url)
        with first.client() as client:
            execution = client.trigger("two-steps", {"n": 1})
        noted(tmp_path, "second 1")
        first.kill()
    with worker:
        open_gate(tmp_path)  # while there is no server to report to
        with Server(tmp_path, port=port) as second, second.client() as client:
            done = client.job("two-steps").wait_for_execution(execution.id, PATIENCE)
            assert (done.result, done.recoveries) == ([2, "done"], [])
        assert notes(tmp_path) == ["first 1", "second 1"]
