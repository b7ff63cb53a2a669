"""One suite for the API, wherever it runs: over HTTP on each store, and in process on each store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from blaxel_jobs.jobs import Job, JobsClient
from blaxel_jobs.manager import JobManager
from tests.serving import serving

from .handlers import JOBS


class Jobs(Protocol):
    """What JobsClient and JobManager share."""

    def job(self, name: str) -> Job: ...


@pytest.fixture(scope="module", params=["http-memory", "http-sqlite", "process-memory", "process-sqlite"])
def jobs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Jobs of `handlers`, and simulated ones by any other name."""
    folder: Path = tmp_path_factory.mktemp("api")
    where, _, kind = request.param.partition("-")
    store = "memory:" if kind == "memory" else f"sqlite:///{folder}/jobs.db"
    if where == "process":
        with JobManager(store, simulate=True, slots=100) as manager:
            manager.register(*JOBS)
            yield manager
        return
    with (
        serving(folder, store, "--simulate", "--worker", "tests.api.handlers", "--slots", "100") as server,
        JobsClient(server.url) as client,
    ):
        yield client
