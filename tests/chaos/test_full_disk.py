"""A disk that takes nothing more: 503 with Retry-After, no false acknowledgement, and all by itself well again (invariant 17).

The limit on the size of files (RLIMIT_FSIZE) of the running server stands for the full disk: its writes fail from one moment to
the next, also in the middle of one, and its reads go on.
"""

import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from blaxel_jobs import JobsClient
from tests.chaos.audit import autopsy, check_runs, check_store, unfinished
from tests.chaos.load import Request, check_requests
from tests.chaos.processes import Server
from tests.pace import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes the limits of another process")

LEASE = 1.0
FULL_AT = 16 * 1024
"""Bytes of a file. A create writes more pages than that, wherever in its log SQLite stands."""
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Caller:
    """Creates over plain HTTP, one request each, and keeps what was sent and what was answered."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=PATIENCE)
        self.requests: list[Request] = []

    def create(self, request: Request | None = None, **payload: object) -> httpx.Response:
        """A new request of one task, or one that was refused."""
        if request is None:
            number = len(self.requests)
            request = Request(f"key-{number}", "in-loop" if number % 2 else "in-thread", {"input": {"n": number, **payload}})
            self.requests.append(request)
        path = f"/v0/jobs/{request.job}/executions"
        response = self._http.post(path, json=request.body, headers={"Idempotency-Key": request.key})
        if response.status_code == 200:
            request.id = response.json()["executionId"]
        return response

    def get(self, request: Request) -> httpx.Response:
        return self._http.get(f"/v0/jobs/{request.job}/executions/{request.id}")

    def close(self) -> None:
        self._http.close()


@pytest.mark.slow
def test_a_full_disk_refuses_and_heals(tmp_path: Path) -> None:
    store = tmp_path / "jobs.db"
    with Server(tmp_path, "--lease", str(LEASE)) as server:
        caller = Caller(server.url())
        first = [caller.create() for _ in range(20)]
        running = [caller.create(pause=2.0) for _ in range(4)]
        assert {response.status_code for response in [*first, *running]} == {200}
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (FULL_AT, resource.RLIM_INFINITY))
        refused = _create_for(caller, 3 * LEASE)
        patient = _PatientCaller(server.url())
        assert Counter(response.status_code for response in refused).keys() == {503}
        for response in refused:
            assert response.headers["Content-Type"] == "application/problem+json"
            assert int(response.headers["Retry-After"]) >= 1
            assert response.json()["error"] == "unavailable"
        assert caller.get(caller.requests[0]).status_code == 200, "what stands can be read"
        assert autopsy(store).ids == {request.id for request in caller.requests if request.id}, "a create that was refused is there"

        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, NO_LIMIT)
        until(lambda: caller.create().status_code == 200, "the server takes creates again")
        for request in [request for request in caller.requests if not request.id][::2]:
            assert caller.create(request).json()["disposition"] == "created"
        patient.succeeds()
        until(lambda: unfinished(store) == 0, "all executions end")
        caller.close()
        server.terminate()
    found = check_store(store)
    # Whether they were reported late or taken back first: what ran while the disk was full has ended.
    assert all(found[response.json()["executionId"]].tasks[0].status == "completed" for response in running)
    assert check_requests([*caller.requests, patient.request], found)
    check_runs(tmp_path / "runs.log", found)


def _create_for(caller: Caller, seconds: float) -> list[httpx.Response]:
    """Again and again, for longer than a lease."""
    end = time.monotonic() + seconds
    answers = []
    while time.monotonic() < end:
        answers.append(caller.create())
        time.sleep(0.02)
    return answers


class _PatientCaller(threading.Thread):
    """An SDK user whose one create meets the full disk: it honours Retry-After and succeeds when there is space."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.request = Request("patient", "in-loop", {"input": {"n": 1}})
        self._url = url
        self.start()

    def run(self) -> None:
        with JobsClient(base_url=self._url, connect_retries=10) as sdk:
            self.request.id = sdk.job(self.request.job).create_execution(self.request.body, idempotency_key=self.request.key)

    def succeeds(self) -> None:
        self.join(PATIENCE)
        assert self.request.id is not None
