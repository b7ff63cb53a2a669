"""Statements, run in one write transaction: as few as will do, since at each of them the thread gives the interpreter's lock away,
and waits to have it back."""

import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ...errors import Unavailable
from .columns import Alike, Row
from .connections import meaning
from .statements import as_json, of_rows

MAX_ROWS: Final = 64
"""Rows of one insert, a power of two: there is a prepared statement for each power."""


class Running:
    """The connection that writes the file at `path`, in its transaction. Every statement raises Unavailable once one has failed:
    SQLite may have rolled back by itself, and what came then would be committed one by one."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.failed: Exception | None = None
        """What a statement raised."""
        self._path = path

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a statement finds."""
        self._check()
        try:
            return self.connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def insert(self, sql: str, values: Sequence[Row]) -> int:
        """Insert rows, by the statement for one. Returns how many were added."""
        added, start, many = 0, 0, MAX_ROWS
        self._check()
        try:
            while start < len(values):
                while many > len(values) - start:
                    many //= 2
                some = values[start : start + many]
                added += self.connection.execute(of_rows(sql, many), list(chain.from_iterable(some))).rowcount
                start += many
        except sqlite3.Error as error:
            raise self._fail(error) from error
        return added

    def update(self, one: str, many: str, values: Alike) -> None:
        """Run `many` for the values that several records have in common, and `one` for those of one alone."""
        alone = self.together(many, values)
        self._check()
        try:
            if alone:
                self.connection.executemany(one, alone)
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def together(self, many: str, values: Alike) -> list[Row]:
        """Run it for the values that several records have in common. Returns those of one alone, with its number."""
        alone = []
        for row, seqs in values.items():
            if len(seqs) == 1:
                alone.append((*row, *seqs))
            else:
                self.rows(many, (*row, as_json(seqs)))
        return alone

    def _check(self) -> None:
        if self.failed is not None:
            raise Unavailable("this transaction has failed") from self.failed

    def _fail(self, error: sqlite3.Error) -> Exception:
        self.failed = meaning(error, self._path)
        return self.failed
