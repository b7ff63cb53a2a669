"""The tables, as they are at the newest revision. Imported only to make or change them: statements are text (statements.py).

What grows for ever (ended executions and tasks) stands in no index that a claim or a lease reads: those are over live states only.
Workspace stands in every table that a request reaches by something a client sends; events are reached through their execution.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
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
    """The tables executions, tasks and events, and their indexes, all named with the prefix."""
    tables = MetaData()
    _executions(tables, table_prefix)
    _tasks(tables, table_prefix)
    _events(tables, table_prefix)
    return tables


def _executions(tables: MetaData, prefix: str) -> None:
    table = Table(
        f"{prefix}executions",
        tables,
        Column("seq", _Seq, primary_key=True, autoincrement=True),
        Column("workspace", String(128), nullable=False),
        Column("id", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("total", Integer, nullable=False),
        Column("idempotency_key", String(255)),
        Column("created_at", _Instant, nullable=False),
        Column("spec", _Json, nullable=False),
        Column("version", Integer, nullable=False),
        Column("status", String(16), nullable=False),
        Column("running", Integer, nullable=False),
        Column("completed", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("cancelled", Integer, nullable=False),
        Column("retried", Integer, nullable=False),
        Column("updated_at", _Instant, nullable=False),
        Column("started_at", _Instant),
        Column("ended_at", _Instant),
        Column("error", _Json),
        Column("recoveries", _Json),
        sqlite_autoincrement=True,
    )
    c = table.c
    Index(f"{prefix}executions_id", c.workspace, c.id, unique=True)
    with_key = c.idempotency_key.is_not(None)
    Index(
        f"{prefix}executions_key",
        c.workspace,
        c.job,
        c.idempotency_key,
        unique=True,
        sqlite_where=with_key,
        postgresql_where=with_key,
    )
    Index(f"{prefix}executions_of_job", c.workspace, c.job, c.seq)
    Index(f"{prefix}executions_of_all", c.workspace, c.seq)


def _tasks(tables: MetaData, prefix: str) -> None:
    table = Table(
        f"{prefix}tasks",
        tables,
        Column("seq", _Seq, primary_key=True, autoincrement=True),
        Column("execution", _Seq, nullable=False),
        Column("position", Integer, nullable=False),
        Column("workspace", String(128), nullable=False),
        Column("job", String(128), nullable=False),
        Column("queue", String(128), nullable=False),
        Column("id", String(128), nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("created_at", _Instant, nullable=False),
        Column("input", _Json, nullable=False),
        Column("state", String(8), nullable=False),
        Column("status", String(16), nullable=False),
        Column("waiting_for", String(16)),
        Column("attempt", Integer, nullable=False),
        Column("losses", Integer, nullable=False),
        Column("token", Integer, nullable=False),
        Column("worker", String(255)),
        Column("lease_until", _Instant),
        Column("updated_at", _Instant, nullable=False),
        Column("started_at", _Instant),
        Column("ended_at", _Instant),
        Column("result", _Json),
        Column("error", _Json),
        sqlite_autoincrement=True,
    )
    c = table.c
    ready, leased = text("state = 'ready'"), text("state = 'leased'")
    Index(f"{prefix}tasks_of_execution", c.execution, c.position, unique=True)
    Index(f"{prefix}tasks_ready", c.workspace, c.job, c.priority, c.seq, sqlite_where=ready, postgresql_where=ready)
    Index(f"{prefix}tasks_leased", c.lease_until, sqlite_where=leased, postgresql_where=leased)


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
        PrimaryKeyConstraint("execution", "id"),
        sqlite_with_rowid=False,
    )
