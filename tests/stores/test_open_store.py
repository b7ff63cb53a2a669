"""Stores by their URL."""

from pathlib import Path

import pytest

from blaxel_jobs.errors import ConfigError
from blaxel_jobs.stores import DatabaseJobStore, JobStore, MemoryJobStore, open_store
from blaxel_jobs.stores.sql.sqlite import SQLiteStore

from .samples import add, get, new


def test_memory() -> None:
    store = open_store("memory:")
    assert isinstance(store, MemoryJobStore)
    assert (store.shared, store.local, store.lock_path) == (False, True, None)


def test_sqlite_relative_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative, absolute = open_store("sqlite:///my%20jobs.db"), open_store(f"sqlite:///{tmp_path}/my jobs.db")
    assert isinstance(relative, SQLiteStore)
    assert (relative.shared, relative.local) == (True, True)
    add(relative, new("a"))
    assert get(absolute, "a").id == "a"
    relative.close()
    absolute.close()
    assert (tmp_path / "my jobs.db").exists()


def test_s4_15_keywords_and_url_give_the_same_store(tmp_path: Path) -> None:
    by_path: JobStore = DatabaseJobStore(dialect="sqlite", path=tmp_path / "a.db", table_prefix="x_")
    by_url = DatabaseJobStore(url=f"sqlite:///{tmp_path}/a.db", table_prefix="x_")
    add(by_path, new("a"))
    assert get(by_url, "a").id == "a"
    by_path.close()
    by_url.close()


@pytest.mark.parametrize(
    "url",
    ["", "memory", "sqlite:", "sqlite://", "sqlite:///", "sqlite://jobs.db", "sqlite:///:memory:", "sqlite:///a.db?mode=ro",
     "jobs.db", "file:///tmp/jobs", "postgresql://u:hunter2@host/db", "mysql://u:hunter2@host/db"],
)  # fmt: skip
def test_other_urls_are_refused_with_those_that_are_known(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["a b", "1x", "x-", "x;drop table y", "ä_", "x" * 33, "a\n"])
def test_a_prefix_is_a_name(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="table_prefix"):
        open_store(f"sqlite:///{tmp_path}/a.db", table_prefix=prefix)
    assert list(tmp_path.iterdir()) == []


def test_keywords_that_name_no_store() -> None:
    for arguments in ({}, {"dialect": "sqlite"}, {"dialect": "oracle", "path": "x"}, {"url": "sqlite:///x.db", "path": "x.db"}):
        with pytest.raises(ConfigError):
            DatabaseJobStore(**arguments)
