"""SIGTERM under load: in time, with nothing lost, and no recovery used up (invariant 18)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from blaxel_jobs import JobsClient
from tests.chaos.audit import check_file, check_runs, check_store, runs, unfinished
from tests.chaos.load import Client, Request, check_requests
from tests.chaos.processes import Server, seeded
from tests.pace import PATIENCE, until

GRACE = 0.5
MARGIN = 20.0
"""Seconds beyond the grace time for closing connections, on a busy machine. What nothing ends goes on for minutes."""
CLIENTS = 3


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_a_server_that_is_asked_to_end_finishes_or_gives_back(rounds: int, tmp_path: Path) -> None:
    rng = seeded("SIGTERM")
    store = tmp_path / "jobs.db"
    options = ("--grace", str(GRACE), "--lease", "60", "--slots", "16")
    with Server(tmp_path, *options) as server:
        url, port = server.url(), server.port()
        server.terminate()
    clients = [Client(f"client-{number}", url, rng.randrange(2**31) * 2 + number % 2) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    endless: list[str] = []

    def sent() -> list[Request]:
        return [request for client in clients for request in client.requests]

    def endless_run() -> bool:
        return {(id, "task-0", 1) for id in endless} <= set(runs(tmp_path / "runs.log"))

    for _ in range(rounds):
        with Server(tmp_path, *options, port=port) as server, JobsClient(base_url=server.url()) as sdk:
            # One that blocks its thread, one that awaits: neither ends by itself the first time.
            endless += [sdk.job("gated").create_execution({"input": 0}), sdk.job("patient").create_execution({"input": 0})]
            until(endless_run, "they run")
            _await_more(sent, rng.randrange(20, 40))
            took = server.terminate()
        assert took < GRACE + MARGIN, f"it took {took:.1f} s to end:\n{server.text()}"
        assert not check_file(store).running
        assert check_file(store).ids >= {request.id for request in sent() if request.id}
    with Server(tmp_path, *options, port=port) as server:
        server.url()
        for client in clients:
            client.finish()
        until(lambda: unfinished(store) == 0, "all executions end")
        server.terminate()
    found = check_store(store)
    check_runs(tmp_path / "runs.log", found)
    given_back = [found.pop(id) for id in endless]
    assert check_requests(sent(), found)
    for history in given_back:
        assert [event.type for event in history.events if event.type != "task.started"] == [
            "created",
            "task.released",
            "task.completed",
        ]
        assert history.tasks[0].attempt == 1
    assert not [id for id, history in found.items() if history.execution.recoveries]


def _await_more(sent: Callable[[], list[Request]], more: int) -> None:
    enough = len(sent()) + more
    until(lambda: len(sent()) >= enough, "the clients are at it")


@pytest.mark.parametrize("job", ["gated", "patient", "blocking", "deaf"])
def test_no_handler_keeps_a_server_from_ending(job: str, tmp_path: Path) -> None:
    """One that waits in a thread, one that awaits, one that blocks the loop, one that swallows its cancellation."""
    store = tmp_path / "jobs.db"
    with Server(tmp_path, "--grace", "0.2", "--lease", "60") as server, JobsClient(base_url=server.url()) as sdk:
        id = sdk.job(job).create_execution({"input": 0})
        until((tmp_path / "runs.log").exists, "it runs")
        took = server.terminate()
    assert took < 0.2 + MARGIN, f"it took {took:.1f} s to end"
    assert not check_file(store).running
    with Server(tmp_path) as server, JobsClient(base_url=server.url()) as sdk:
        execution = sdk.job(job).wait_for_execution(id, max_wait=PATIENCE)
        assert (execution.result, execution.recoveries) == ({"attempt": 1}, [])
