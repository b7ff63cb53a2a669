"""The tables, as they are at the newest revision. Imported only to make or change them: statements are text (statements.py).

What grows for ever (ended executions and tasks) stands in no index that a claim, a lease, a timer or a limit reads: those are over
live states only. An index over what most executions never have (a batch, a key, a deadline, a slot) costs the others nothing.
Workspace stands in every table that a request reaches by something a client sends; events, steps and signals are reached through
their execution.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import mysql

_Seq: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts rows only in a column of exactly INTEGER."""
_Json: Final = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_Instant: Final[Double[float]] = Double()
"""Seconds since 1970."""


def metadata(table_prefix: str = "") -> MetaData:
    """All tables and their indexes, named with the prefix."""
    tables = MetaData()
    for add in (_executions, _tasks, _events, _steps, _signals, _jobs, _tallies):
        add(tables, table_prefix)
    return tables


def _executions(tables: MetaData, prefix: str) -> None:
    name = f"{prefix}executions"
    table = Table(
        name,
        tables,
        Column("seq", _Seq, primary_key=True, autoincrement=True),
        Column("workspace", String(128), nullable=False),
        Column("id", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("total", Integer, nullable=False),
        Column("idempotency_key", String(255)),
        Column("batch", String(128)),
        Column("concurrency_key", String(255)),
        Column("created_at", _Instant, nullable=False),
        Column("spec", _Json, nullable=False),
        Column("version", Integer, nullable=False),
        Column("status", String(16), nullable=False),
        Column("waiting_for", String(16)),
        Column("wait_until", _Instant),
        Column("running", Integer, nullable=False),
        Column("completed", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("cancelled", Integer, nullable=False),
        Column("retried", Integer, nullable=False),
        Column("updated_at", _Instant, nullable=False),
        Column("started_at", _Instant),
        Column("ended_at", _Instant),
        Column("slot", Boolean, nullable=False),
        Column("paused", Boolean, nullable=False),
        Column("deadline", _Instant),
        Column("time_left", _Instant),
        Column("policy", _Json),
        Column("progress", _Json),
        Column("error", _Json),
        Column("recoveries", _Json),
        sqlite_autoincrement=True,
    )
    c = table.c
    Index(f"{name}_id", c.workspace, c.id, unique=True)
    _partial(f"{name}_key", "idempotency_key IS NOT NULL", c.workspace, c.job, c.idempotency_key, unique=True)
    Index(f"{name}_of_job", c.workspace, c.job, c.seq)
    Index(f"{name}_of_all", c.workspace, c.seq)
    _partial(f"{name}_of_batch", "batch IS NOT NULL", c.workspace, c.batch, c.seq)
    _partial(f"{name}_unsuccessful", "status IN ('failed', 'cancelled')", c.workspace, c.seq)
    _partial(f"{name}_deadline", "deadline IS NOT NULL", c.deadline)
    _partial(f"{name}_slots", "slot", c.workspace, c.job, c.concurrency_key)
    _partial(f"{name}_parked", "waiting_for = 'concurrency'", c.workspace, c.job, c.priority, c.seq)
    _partial(f"{name}_parked_of_key", "waiting_for = 'concurrency'", c.workspace, c.job, c.concurrency_key, c.priority, c.seq)
    keyed = "concurrency_key IS NOT NULL AND ended_at IS NULL"
    _partial(f"{name}_keyed", keyed, c.workspace, c.job, c.concurrency_key, c.seq)


def _tasks(tables: MetaData, prefix: str) -> None:
    name = f"{prefix}tasks"
    table = Table(
        name,
        tables,
        Column("seq", _Seq, primary_key=True, autoincrement=True),
        Column("execution", _Seq, nullable=False),
        Column("position", Integer, nullable=False),
        Column("workspace", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("id", String(128), nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("created_at", _Instant, nullable=False),
        Column("input", _Json, nullable=False),
        Column("state", String(8), nullable=False),
        Column("status", String(16), nullable=False),
        Column("waiting_for", String(16)),
        Column("due_at", _Instant),
        Column("awaiting", String(255)),
        Column("attempt", Integer, nullable=False),
        Column("continues", Boolean, nullable=False),
        Column("errors", Integer, nullable=False),
        Column("losses", Integer, nullable=False),
        Column("token", Integer, nullable=False),
        Column("worker", String(255)),
        Column("updated_at", _Instant, nullable=False),
        Column("started_at", _Instant),
        Column("ended_at", _Instant),
        Column("progress", _Json),
        Column("result", _Json),
        Column("error", _Json),
        Column("history", _Json),
        sqlite_autoincrement=True,
    )
    c = table.c
    Index(f"{name}_of_execution", c.execution, c.position, unique=True)
    _partial(f"{name}_ready", "state = 'ready'", c.workspace, c.job, c.priority, c.seq)
    _partial(f"{name}_leased", "state = 'leased'", c.due_at)
    _partial(f"{name}_timed", "state = 'waiting' AND due_at IS NOT NULL", c.due_at)
    _partial(f"{name}_held_back", "state IN ('waiting', 'paused')", c.workspace, c.job, c.status)


def _events(tables: MetaData, prefix: str) -> None:
    Table(
        f"{prefix}events",
        tables,
        Column("execution", _Seq, nullable=False),
        Column("id", Integer, nullable=False),
        Column("at", _Instant, nullable=False),
        Column("type", String(32), nullable=False),
        Column("status", String(16), nullable=False),
        Column("task", String(128)),
        Column("worker", String(255)),
        Column("error", _Json),
        Column("data", _Json),
        PrimaryKeyConstraint("execution", "id"),
        sqlite_with_rowid=False,
    )


def _steps(tables: MetaData, prefix: str) -> None:
    """In SQLite a table that is its own index: a commit of one step writes one page of it, and a task's steps lie together."""
    Table(
        f"{prefix}steps",
        tables,
        Column("task", _Seq, nullable=False),
        Column("name", String(255), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("at", _Instant, nullable=False),
        Column("due_at", _Instant),
        Column("value", _Json),
        PrimaryKeyConstraint("task", "name"),
        sqlite_with_rowid=False,
    )


def _signals(tables: MetaData, prefix: str) -> None:
    """`seq` is the order in which they came."""
    table = Table(
        f"{prefix}signals",
        tables,
        Column("seq", _Seq, primary_key=True, autoincrement=True),
        Column("execution", _Seq, nullable=False),
        Column("id", String(255), nullable=False),
        Column("name", String(255), nullable=False),
        Column("at", _Instant, nullable=False),
        Column("taken", Boolean, nullable=False),
        Column("payload", _Json, nullable=False),
    )
    Index(f"{prefix}signals_of_execution", table.c.execution, table.c.id, unique=True)


def _jobs(tables: MetaData, prefix: str) -> None:
    Table(
        f"{prefix}jobs",
        tables,
        Column("workspace", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("definition", _Json, nullable=False),
        PrimaryKeyConstraint("workspace", "job"),
    )


def _tallies(tables: MetaData, prefix: str) -> None:
    """The minute comes first, since old ones are taken out by it."""
    Table(
        f"{prefix}tallies",
        tables,
        Column("minute", Integer, nullable=False),
        Column("workspace", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("server", String(128), nullable=False),
        Column("numbers", _Json, nullable=False),
        PrimaryKeyConstraint("minute", "workspace", "job", "server"),
        sqlite_with_rowid=False,
    )


def _partial(name: str, condition: str, *columns: ColumnElement[Any], unique: bool = False) -> None:
    """An index over the rows that meet the condition, where the database has such."""
    where = text(condition)
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
