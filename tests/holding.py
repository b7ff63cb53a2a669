"""To stop a program in the middle, however fast it is: its store takes nothing more."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from blaxel_jobs.stores.sql.turns import Turns

T = TypeVar("T")


@contextmanager
def held_back_when(look: Callable[[sqlite3.Connection], T | None], path: Path) -> Iterator[T]:
    """Wait until `look` says something true of this SQLite store, and let nobody commit within the block. Yields what it said.

    The write lock is taken in turn with the others, so that they get on by one commit between two looks, however busy the machine.
    """
    with (
        closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as database,
        closing(Turns(Path(f"{path}-turn"))) as turns,
    ):
        while True:
            turns.take()
            database.execute("begin immediate")
            turns.give()
            try:
                if found := look(database):
                    yield found
                    return
            finally:
                database.execute("rollback")
