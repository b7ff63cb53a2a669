"""A real server and real workers far from it: killed, stopped, frozen, cut off."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobsClient
from tests.pace import PATIENCE, scaled, until
from tests.serving import plain_environment

from .jobs import notes
from .processes import Server, Worker

LEASES = (1.0, 4.0)
"""Seconds, of servers in tests that wait for one to end. On a machine where heartbeats are late it takes the longer one."""


@pytest.fixture
def clients() -> Iterator[list[JobsClient]]:
    clients: list[JobsClient] = []
    yield clients
    for client in clients:
        client.close()


def connect(server: Server, clients: list[JobsClient], **options: Any) -> JobsClient:
    clients.append(server.client(**options))
    return clients[-1]


def subfolder(folder: Path, name: object) -> Path:
    (folder / str(name)).mkdir()
    return folder / str(name)


def open_gate(folder: Path) -> None:
    (folder / "gate").touch()


def noted(folder: Path, line: str) -> None:
    until(lambda: line in notes(folder), f"the note {line!r}")


@pytest.mark.parametrize("job", ["two-steps", "two-steps-in-a-thread"])
def test_a_worker_that_is_killed_in_its_second_step_is_followed_by_another(
    job: str, tmp_path: Path, clients: list[JobsClient]
) -> None:
    def kill_one(lease: float) -> None:
        folder = subfolder(tmp_path, lease)
        with Server(folder, "--lease", str(lease)) as server:
            client = connect(server, clients)
            with Worker(folder, server.url) as first:
                execution = client.job(job).trigger({"n": 1})
                noted(folder, "second 1")
                first.kill()
                with Worker(folder, server.url):
                    noted(folder, "second 2")
                    open_gate(folder)
                    execution.wait_done(PATIENCE)
        assert execution.result == [2, "done"]
        [recovery] = execution.recoveries
        assert recovery.worker == first.id
        assert [line for line in notes(folder) if line.startswith("first")] == (["first 1"] if job == "two-steps" else [])

    scaled(kill_one, *LEASES)


def test_s3_21_sigterm_gives_back_what_does_not_end_and_another_goes_on_at_once(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path, "--lease", "60") as server:
        client = connect(server, clients)
        options = ("--grace", "0.2")
        with Worker(tmp_path, server.url, *options) as first, Worker(tmp_path, server.url, *options) as second:
            execution = client.job("two-steps").trigger({"n": 1})
            noted(tmp_path, "second 1")
            holder, rest = (first, second) if execution.refresh().tasks[0].worker == first.id else (second, first)
            assert holder.terminate() < 30.0
            assert not holder.is_ready
            until(lambda: notes(tmp_path).count("second 1") == 2, "the other one goes on, with the same attempt")
            open_gate(tmp_path)
            execution.wait_done(PATIENCE)
            assert rest.terminate() < 30.0
    assert execution.result == [2, "done"]
    assert execution.recoveries == []


def test_sigterm_lets_what_runs_end_within_the_grace_time(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as server, Worker(tmp_path, server.url) as worker:
        execution = connect(server, clients).job("two-steps").trigger({"n": 1})
        noted(tmp_path, "second 1")
        os.kill(worker.pid, signal.SIGTERM)
        until(lambda: not worker.is_ready, "the worker takes no more work")
        open_gate(tmp_path)
        worker.exited()
        execution.refresh()
    assert (execution.status, execution.result) == ("completed", [2, "done"])
    assert notes(tmp_path) == ["first 1", "second 1"]


def test_a_second_signal_ends_it_at_once(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as server, Worker(tmp_path, server.url, "--grace", "600") as worker:
        connect(server, clients).job("two-steps").trigger({"n": 1})
        noted(tmp_path, "second 1")
        os.kill(worker.pid, signal.SIGTERM)
        until(lambda: not worker.is_ready, "the worker takes no more work")
        os.kill(worker.pid, signal.SIGTERM)
        assert until(worker.exit_code, "it ends") == 128 + signal.SIGTERM


def test_a_frozen_worker_that_comes_back_is_told_so_and_changes_nothing(tmp_path: Path, clients: list[JobsClient]) -> None:
    def freeze_one(lease: float) -> None:
        folder = subfolder(tmp_path, lease)
        with Server(folder, "--lease", str(lease)) as server:
            client = connect(server, clients)
            with Worker(folder, server.url, "--name", "zombie") as zombie:
                execution = client.job("two-steps").trigger({"n": 1})
                noted(folder, "second 1")
                zombie.freeze()
                with Worker(folder, server.url, "--name", "heir"):
                    noted(folder, "second 2")
                    open_gate(folder)  # the zombie finds it open, too
                    execution.wait_done(PATIENCE)
                    before = execution.to_dict()
                    zombie.thaw()
                    # By a heartbeat or by its next report, whichever is first.
                    until(lambda: {"stopped by CancelledError", "stopped by LeaseLost"} & {*notes(folder)}, "the zombie is told so")
                    # It is a worker again, like any other.
                    assert client.job("no-op").trigger(5).wait_done(PATIENCE).result == 5
                    zombie.terminate()
            assert execution.refresh().to_dict() == before
        assert execution.result == [2, "done"]
        assert [recovery.worker.partition(":")[0] for recovery in execution.recoveries] == ["zombie"]

    scaled(freeze_one, *LEASES)


def test_a_handler_that_blocks_the_event_loop_keeps_its_lease(tmp_path: Path, clients: list[JobsClient]) -> None:
    def block(lease: float) -> None:
        folder = subfolder(tmp_path, lease)
        with Server(folder, "--lease", str(lease)) as server, Worker(folder, server.url):
            execution = connect(server, clients).job("blocking").trigger({"seconds": 2.5 * lease})
            execution.wait_done(PATIENCE)
        assert execution.result == "held"
        assert execution.recoveries == []
        assert notes(folder) == ["blocking 1"]

    scaled(block, *LEASES)


def test_a_server_that_restarts_finds_its_remote_leases_as_they_were(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as first:
        port = first.port
        worker = Worker(tmp_path, first.url)
        execution = connect(first, clients).job("two-steps").trigger({"n": 1})
        noted(tmp_path, "second 1")
        first.kill()
    with worker:
        open_gate(tmp_path)  # while there is no server to report to
        with Server(tmp_path, port=port) as second:
            client = connect(second, clients)
            done = client.job("two-steps").wait_for_execution(execution.id, int(PATIENCE))
            assert done.result == [2, "done"]
            assert done.recoveries == []
            assert client.job("no-op").trigger(5).wait_done(PATIENCE).result == 5
        assert notes(tmp_path) == ["first 1", "second 1"]
        said = [line for line in worker.text().splitlines() if "server at" in line]
        assert ["waiting for" in line for line in said[:2]] == [True, False], said


def test_a_server_that_starts_after_its_worker_is_waited_for(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as reserved:
        port, url = reserved.port, reserved.url
    with Worker(tmp_path, url, ready=False) as worker:
        until(lambda: "waiting for the server" in worker.text(), "the worker waits")
        assert not worker.is_ready
        with Server(tmp_path, port=port) as server:
            assert worker.ready()["url"] == f"{server.url}/v0"
            assert connect(server, clients).job("no-op").trigger(1).wait_done(PATIENCE).result == 1


def test_a_server_with_nothing_in_memory_is_told_of_the_jobs_again(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path, store="memory:") as first:
        port = first.port
        worker = Worker(tmp_path, first.url)
    with worker, Server(tmp_path, port=port, store="memory:") as second:
        client = connect(second, clients)
        assert client.job("images").trigger(1).wait_done(PATIENCE).result == 1
        until(lambda: _queue_of(client, "images") == "images", "the definition is there again")


def _queue_of(client: JobsClient, job: str) -> Any:
    from blaxel_jobs.flow import Op

    return client._seam.perform(Op("get_job", "Job", {"job": job})).definition.queue


def test_a_worker_serves_the_queues_that_it_is_told_to(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as server, Worker(tmp_path, server.url, "--queues", "images,more"):
        client = connect(server, clients)
        left = client.job("no-op").trigger(1)
        assert client.job("images").trigger(2).wait_done(PATIENCE).result == 2
        assert left.refresh().status == "pending"


@pytest.mark.parametrize(("scopes", "says"), [("submit", "scope `worker`"), (None, "does not take this worker's key")])
def test_a_key_that_the_server_does_not_take_is_one_line_and_exit_code_1(scopes: str | None, says: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("another-key\n")
    (tmp_path / "keys").write_text(f"another-key scopes={scopes}\n" if scopes else "the-key\n")
    with Server(tmp_path, "--api-key-file", "keys") as server:
        command = [sys.executable, "-m", "blaxel_jobs.worker", "tests.remote.jobs", "--url", server.url, "--api-key-file", "key"]
        done = subprocess.run(command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "another-key" not in done.stderr


def test_a_key_with_the_scope_of_a_worker_is_enough(tmp_path: Path, clients: list[JobsClient]) -> None:
    (tmp_path / "key").write_text("# of the workers\nw-key\n")
    (tmp_path / "keys").write_text("w-key workspace=team scopes=worker\nu-key workspace=team scopes=read,submit\n")
    with Server(tmp_path, "--api-key-file", "keys") as server, Worker(tmp_path, server.url, "--api-key-file", "key"):
        client = connect(server, clients, api_key="u-key")
        assert client.job("two-steps-in-a-thread").list_executions() == []
        open_gate(tmp_path)
        assert client.job("two-steps-in-a-thread").trigger({"n": 4}).wait_done(PATIENCE).result == [5, "done"]


def test_many_small_tasks_are_few_requests(tmp_path: Path, clients: list[JobsClient]) -> None:
    with Server(tmp_path) as server, Worker(tmp_path, server.url, "--slots", "64"):
        job = connect(server, clients).job("no-op")
        ids = [job.trigger(n).id for n in range(300)]
        assert [job.wait_for_execution(id, int(PATIENCE)).result for id in ids] == list(range(300))


def test_the_command_tells_what_it_serves(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Worker(tmp_path, server.url, "--name", "web-1") as worker:
        assert worker.id.startswith(f"web-1:{worker.pid}:")
        assert worker.ready() == {"worker": worker.id, "url": f"{server.url}/v0", "pid": worker.pid}
        worker.terminate()
        assert "serves two-steps, two-steps-in-a-thread, blocking, no-op, images for" in worker.text()
