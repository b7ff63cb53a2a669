"""A manager on each store, for tests of the seeds that say nothing of stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blaxel_jobs import JobManager


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def manager(store: str) -> Iterator[JobManager]:
    with JobManager(store) as manager:
        yield manager
