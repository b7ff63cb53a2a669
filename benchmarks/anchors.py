"""The anchors: what the machine does without us, measured beside each of our figures."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .scratch import Scratch

W = "W: bare commits/s"

Commits = Callable[[int], list[float]]
"""Makes so many bare commits; the seconds of each."""


@contextmanager
def bare_commits(scratch: Scratch) -> Iterator[Commits]:
    """Plain SQLite commits: WAL, synchronous=FULL, one prepared insert of 4 columns, one row a commit."""
    with scratch.folder() as folder:
        connection = sqlite3.connect(folder / "anchor.db", isolation_level=None)
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute("create table rows (id integer primary key, name text, at real, body text)")

            def commit(count: int) -> list[float]:
                taken = []
                for number in range(count):
                    before = time.perf_counter()
                    connection.execute("insert into rows values (null, ?, ?, ?)", (f"row-{number}", before, '{"duration":0}'))
                    taken.append(time.perf_counter() - before)
                return taken

            commit(10)
            yield commit
        finally:
            connection.close()


@contextmanager
def commits_around(scratch: Scratch) -> Iterator[list[float]]:
    """Bare commits before and after the block, since a disk changes its pace; their seconds are in the list once it has ended."""
    half = scratch.size(600, 25)
    with bare_commits(scratch) as commit:
        taken = commit(half)
        yield taken
        taken += commit(half)


def per_second(taken: list[float]) -> float:
    """W, from the seconds of each commit."""
    return len(taken) / sum(taken)
