"""The stores under test. A new one is a line in STORES: how to open it in an empty folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from blaxel_jobs.stores.sql.sqlite import SQLiteStore

STORES: dict[str, Callable[[Path], JobStore]] = {
    "memory": lambda _: MemoryJobStore(),
    "sqlite": lambda folder: open_store(f"sqlite:///{folder}/jobs.db"),
    "sqlite-prefix": lambda folder: open_store(f"sqlite:///{folder}/jobs.db", table_prefix="acme_"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    opened = STORES[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of the file of `sqlite`."""
    return tmp_path / "jobs.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(path, busy_timeout=5.0)
    yield opened
    opened.close()
