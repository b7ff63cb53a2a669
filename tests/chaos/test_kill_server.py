"""kill -9 of the server at random moments under load, on one SQLite file: invariants 1, 2, 3, 5, 9, 10 and 19."""

import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from blaxel_jobs import JobsClient
from tests.chaos.audit import Found, History, autopsy, check_runs, check_store, unfinished
from tests.chaos.load import Client, Request, check_requests
from tests.chaos.processes import Server, seeded
from tests.pace import until

CLIENTS = 4
LEASE = "60"
"""Seconds. So long that none runs out in a test: whatever is taken back was taken back because its worker is known to be dead."""
READ_OVER_HTTP = 40


class Boot(NamedTuple):
    """One life of a server: when it was ready, if it came so far, when it was killed, and what it left."""

    ready_at: float | None
    killed_at: float
    left: Found


@pytest.mark.slow
@pytest.mark.row("S4-09", "S4-10")
@pytest.mark.parametrize(
    "kills", [10, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)])], ids=lambda kills: f"{kills}-kills"
)
def test_what_a_killed_server_acknowledged_ends_exactly_once(kills: int, tmp_path: Path) -> None:
    rng = seeded("kill the server")
    store = tmp_path / "jobs.db"
    with Server(tmp_path, "--lease", LEASE) as server:
        url, port = server.url(), server.port()
    clients = [Client(f"client-{number}", url, rng.randrange(2**31) * 2 + number % 2) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    boots = [_live_and_die(tmp_path, port, rng) for _ in range(kills)]
    with Server(tmp_path, "--lease", LEASE, port=port) as server:
        server.url()
        ready_at = time.time()
        for client in clients:
            client.finish()
        until(lambda: unfinished(store) == 0, "all executions end")
        requests = [request for client in clients for request in client.requests]
        _read_over_http(url, requests, rng)
        server.terminate()
    found = check_store(store)
    acknowledged = check_requests(requests, found)
    check_runs(tmp_path / "runs.log", found)
    taken_back = _check_recoveries(boots, ready_at, found)
    print(f"{kills} kills: {len(requests)} sent, {acknowledged} acknowledged, {len(found)} exist, {taken_back} tasks taken back")
    assert acknowledged > kills
    assert taken_back > 0


def _live_and_die(folder: Path, port: int, rng: Random) -> Boot:
    """Start a server and kill it: mostly while it works, sometimes while it starts and takes back what the one before it held."""
    ready_at = None
    with Server(folder, "--lease", LEASE, port=port) as server:
        if rng.random() < 0.8:
            server.url()
            ready_at = time.time()
        time.sleep(rng.uniform(0.0, 1.2))
        killed_at = time.time()
        server.kill()
    return Boot(ready_at, killed_at, autopsy(folder / "jobs.db"))


def _check_recoveries(boots: list[Boot], last_ready_at: float, found: dict[str, History]) -> int:
    """Every task that ran at a kill was taken back before the next server was ready, and nothing else was. Returns how many."""
    recorded = {
        (id, recovery.task, recovery.attempt): recovery
        for id, history in found.items()
        for recovery in history.execution.recoveries
    }
    expected = set()
    for number, boot in enumerate(boots):
        ready_at = next((later.ready_at for later in boots[number + 1 :] if later.ready_at is not None), last_ready_at)
        for run in boot.left.running:
            if run in recorded and recorded[run].at < boot.killed_at:
                raise AssertionError(f"{run} was taken back while it ran")
            assert run in recorded, f"{run} ran at a kill and was not taken back"
            assert recorded[run].reason == "worker_dead"
            assert recorded[run].at <= ready_at, f"{run} was taken back {recorded[run].at - ready_at:.1f} s after the start"
            expected.add(run)
    assert recorded.keys() == expected, "tasks were taken back that were not lost"
    return len(expected)


def _read_over_http(url: str, requests: list[Request], rng: Random) -> None:
    """The contract's own view of some executions: what SDK users see after all those kills."""
    acknowledged = [request for request in requests if request.id is not None]
    with JobsClient(base_url=url) as sdk:
        for request in rng.sample(acknowledged, min(READ_OVER_HTTP, len(acknowledged))):
            execution = sdk.job(request.job).get_execution(str(request.id))
            total = len(request.payloads())
            stats = execution.stats
            assert execution.done
            assert (stats["total"], stats["running"]) == (total, 0)
            assert stats["success"] + stats["failure"] + stats["cancelled"] == total
            assert [task.status for task in execution.list_tasks()].count("completed") == stats["success"]
            if execution.status == "completed":
                assert execution.get_result(0) == request.expected()
            events = list(execution.list_events())
            assert [event.id for event in events] == list(range(1, len(events) + 1))
            assert [event.status for event in events if event.status in ("completed", "failed", "cancelled")] == [execution.status]
