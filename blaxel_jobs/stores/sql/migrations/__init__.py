"""Making the tables and bringing old ones up to date, when a store is opened.

Reading the version costs one query. Alembic and SQLAlchemy are imported only where there is something to do: they would double the
time that a process needs to start.
"""

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from ....errors import StoreError, StoreTooNew
from ..connections import connect, open_writer, patiently

REVISIONS: Final = ("0001",)
"""What this release knows, the oldest first. Each is a file in versions/."""


def version_table(table_prefix: str) -> str:
    """The table that says at which revision the others are."""
    return f"{table_prefix}jobs_version"


def upgrade(path: Path, table_prefix: str, patience: float) -> None:
    """Bring the tables in this file to the newest revision. Processes that start together take turns; one of them does the work.

    Raises StoreTooNew when a newer release has done so, StoreError when the file cannot be used, StoreBusy.
    """
    with contextlib.closing(connect(path)) as connection:
        if _revision(connection, path, table_prefix, patience) == REVISIONS[-1]:
            return
    with contextlib.closing(open_writer(path, patience)) as connection:
        _run(connection, path, table_prefix, patience)


def _revision(connection: sqlite3.Connection, path: Path, table_prefix: str, patience: float) -> str | None:
    table = version_table(table_prefix)
    exists = "select count(*) from sqlite_master where type = 'table' and name = ?"
    if not patiently(lambda: connection.execute(exists, (table,)).fetchone()[0], path, patience):
        return None
    row = patiently(lambda: connection.execute(f"select version_num from {table}").fetchone(), path, patience)  # noqa: S608  checked name
    if row is None:
        return None
    found: str = row[0]
    if found not in REVISIONS:
        raise StoreTooNew(
            f"{path} is at revision {found}, this release knows revisions up to {REVISIONS[-1]}: "
            "upgrade blaxel-jobs, or open another store"
        )
    return found


def _run(connection: sqlite3.Connection, path: Path, table_prefix: str, patience: float) -> None:
    """Run what is missing, in one transaction that nobody else can write beside."""
    import alembic.command
    import alembic.config
    import sqlalchemy
    from sqlalchemy.pool import StaticPool

    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["table_prefix"] = table_prefix
    engine = sqlalchemy.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    try:
        with engine.begin() as bound:
            # Only here: SQLAlchemy rolls back when it first meets a connection, and leaves its beginning to the driver.
            patiently(lambda: connection.execute("begin exclusive"), path, patience)
            if _revision(connection, path, table_prefix, patience) != REVISIONS[-1]:
                config.attributes["connection"] = bound
                alembic.command.upgrade(config, REVISIONS[-1])
    except sqlalchemy.exc.DBAPIError as error:
        raise StoreError(
            f"{path} could not be brought to revision {REVISIONS[-1]} and was left as it is: {error.orig}. "
            "If its tables are another program's, choose a table_prefix"
        ) from error
