"""Where executions are kept: the contract of a store, the stores that there are, and the choice of one by its URL."""

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from ..errors import ConfigError
from .artifacts import ArtifactStore, ExecutionArtifacts, MemoryArtifacts
from .base import JobStore
from .memory import MemoryJobStore

__all__ = ["ArtifactStore", "DatabaseJobStore", "JobStore", "MemoryJobStore", "artifacts_of", "open_store"]

_URLS: Final = "memory: (kept only as long as the process), sqlite:///relative.db and sqlite:////absolute.db"
_PREFIX: Final = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]{0,31})?", re.ASCII)


def open_store(url: str, *, table_prefix: str = "") -> JobStore:
    """The store that a URL names: `memory:`, `sqlite:///relative.db`, `sqlite:////absolute.db`. `table_prefix` begins the name of
    every table, where the store has tables.

    Raises ConfigError for a URL or prefix that cannot be, StoreError when the store cannot be opened.
    """
    if url == "memory:":
        return MemoryJobStore()
    return DatabaseJobStore(url, table_prefix=table_prefix)


def artifacts_of(store: JobStore) -> ExecutionArtifacts:
    """Where the artifacts of a store's executions are kept: in a folder beside its file, or where it has none in memory, for as
    long as the store lives."""
    path: Path | None = getattr(store, "path", None)
    if path is None:
        kept = _in_memory.get(store)
        if kept is None:
            kept = _in_memory[store] = MemoryArtifacts()
        return ExecutionArtifacts(kept, store)

    from .artifact_files import FolderArtifacts

    prefix: str = getattr(store, "table_prefix", "")
    return ExecutionArtifacts(FolderArtifacts(path.with_name(f"{path.name}-{prefix}artifacts")), store)


_in_memory: Final[WeakKeyDictionary[JobStore, MemoryArtifacts]] = WeakKeyDictionary()


def DatabaseJobStore(  # noqa: N802  named like the stores that it chooses from
    url: str | None = None,
    *,
    dialect: str | None = None,
    path: str | os.PathLike[str] | None = None,
    table_prefix: str = "",
) -> JobStore:
    """The store in a database: `DatabaseJobStore("sqlite:///jobs.db")` or `DatabaseJobStore(dialect="sqlite", path="jobs.db")`.

    Raises ConfigError for what names no database that can be used, StoreError when it cannot be opened.
    """
    if not _PREFIX.fullmatch(table_prefix):
        raise ConfigError(f"table_prefix {table_prefix!r} takes letters, digits and '_', starts with no digit, and has at most 32")
    if url is not None:
        if dialect is not None or path is not None:
            raise ConfigError("give a store's url, or its dialect and path, not both")
        path = _sqlite_path(url)
    elif dialect != "sqlite":
        raise ConfigError(f"the dialect of a store is 'sqlite', not {dialect!r}")
    elif path is None or not os.fspath(path):
        raise ConfigError("a SQLite store needs a path")

    from .sql.sqlite import SQLiteStore

    return SQLiteStore(Path(path), table_prefix)


def _sqlite_path(url: str) -> Path:
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite":
        raise ConfigError(f"no store has the URL {_without_password(url)!r}; there are {_URLS}")
    name = unquote(rest.removeprefix("/"))
    if not rest.startswith("/") or not name or name == ":memory:":
        raise ConfigError(f"{url!r} names no file; the URLs are {_URLS}")
    if "?" in rest or "\0" in name:
        raise ConfigError(f"{url!r}: a SQLite URL has a path and nothing behind it")
    return Path(name)


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)
