"""Connections to a SQLite file: how they are set up, how they wait for another process, and what their errors mean."""

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from ...errors import JobsError, StoreBusy, StoreError, Unavailable

T = TypeVar("T")

OLDEST: Final = (3, 35, 0)
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_OUTSIDE: Final = _BUSY | {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
}
_FIRST_PAUSE: Final = 0.001
_LONGEST_PAUSE: Final = 0.005

_CHECKPOINT_PAGES: Final = 2000
"""8 MB of log before it is copied into the database. SQLite's 1000 costs a tenth more per create beside a large history; 4000 makes
the first thousand creates slower, while the log's file grows."""
_WRITER_CACHE_KIB: Final = 65_536
_READER_CACHE_KIB: Final = 8_192


def check_version(version: tuple[int, int, int] = sqlite3.sqlite_version_info[:3]) -> None:
    """Raises StoreError when this SQLite is too old."""
    if version < OLDEST:
        ours, needed = (".".join(map(str, v)) for v in (version, OLDEST))
        raise StoreError(f"this Python has SQLite {ours}: blaxel-jobs needs {needed} or newer")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that never waits by itself and commits only what it is told to. Raises Unavailable when it cannot be opened."""
    try:
        return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256)
    except sqlite3.Error as error:
        raise meaning(error, path) from error


def open_writer(path: Path, patience: float) -> sqlite3.Connection:
    """A connection whose commits are on the disk when they return. Raises StoreBusy, Unavailable; StoreError without WAL."""
    connection = connect(path)
    try:
        mode = patiently(lambda: connection.execute("pragma journal_mode = wal").fetchone()[0], path, patience)
        connection.execute("pragma synchronous = full")
        connection.execute(f"pragma wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute(f"pragma cache_size = -{_WRITER_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    if mode != "wal":
        connection.close()
        raise StoreError(f"{path} cannot have a write-ahead log (its journal stays {mode}): keep it on a local disk")
    return connection


def open_reader(path: Path, patience: float) -> sqlite3.Connection:
    """A connection that cannot write. Raises StoreBusy, Unavailable."""
    connection = connect(path)
    try:
        connection.execute("pragma query_only = on")
        # It reads the file, which is locked for a moment while another connection opens or closes the log.
        patiently(lambda: connection.execute(f"pragma cache_size = -{_READER_CACHE_KIB}"), path, patience)
    except sqlite3.Error as error:
        connection.close()
        raise meaning(error, path) from error
    except BaseException:
        connection.close()
        raise
    return connection


class Place:
    """Which file stood at the path when it was opened. SQLite goes on writing a file that was deleted or replaced, and what it
    commits there is lost."""

    def __init__(self, path: Path) -> None:
        """Raises OSError without a file."""
        self._path = os.fspath(path)
        self._file = _identity(self._path)

    def check(self) -> None:
        """Raise Unavailable when that file is not there any more."""
        try:
            same = _identity(self._path) == self._file
        except FileNotFoundError:
            same = False
        except OSError as error:
            raise Unavailable(f"{self._path} cannot be used now: {error}", retry_after=1) from error
        if not same:
            raise Unavailable(f"{self._path} was deleted or replaced while it was open: put it back, or start again", retry_after=5)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def patiently(action: Callable[[], T], path: Path, patience: float) -> T:
    """Do it, again while another process is in the way, for at most `patience` seconds.

    SQLite's own waiting backs off to 100 ms and lets a busy process starve the others; short random pauses do not.
    Raises StoreBusy after that, Unavailable for what waiting does not mend.
    """
    pause = _FIRST_PAUSE
    deadline = 0.0
    while True:
        try:
            return action()
        except sqlite3.Error as error:
            if primary_code(error) not in _BUSY:
                raise meaning(error, path) from error
            now = time.monotonic()
            deadline = deadline or now + patience
            if now >= deadline:
                raise StoreBusy(f"another process has held {path} for {patience:g} s") from error
        time.sleep(random.random() * pause)
        pause = min(pause * 1.1, _LONGEST_PAUSE)


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's result code, without what extends it."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def meaning(error: sqlite3.Error, path: Path) -> JobsError | sqlite3.Error:
    """The error to raise for one of SQLite's: Unavailable for what the file, the disk or another process did. A mistake of ours
    stays what it is."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return Unavailable(f"the disk of {path} is full: nothing was written", retry_after=5)
    if code == sqlite3.SQLITE_NOTADB:
        return Unavailable(f"{path} is not a SQLite database")
    if code in _OUTSIDE or (code == sqlite3.SQLITE_ERROR and str(error).startswith("no such table")):
        return Unavailable(f"{path} cannot be used now: {error}", retry_after=1)
    return error
