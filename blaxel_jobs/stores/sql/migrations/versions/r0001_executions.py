"""Executions, tasks, events, steps, signals, jobs and tallies."""

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
JSON = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
INSTANT: sa.Double[float] = sa.Double()


def upgrade() -> None:
    prefix: str = context.config.attributes["table_prefix"]
    _executions(f"{prefix}executions")
    _tasks(f"{prefix}tasks")
    _events(f"{prefix}events")
    _steps(f"{prefix}steps")
    _signals(f"{prefix}signals")
    _jobs(f"{prefix}jobs")
    _tallies(f"{prefix}tallies")


def _executions(table: str) -> None:
    op.create_table(
        table,
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("workspace", sa.String(128), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("batch", sa.String(128)),
        sa.Column("concurrency_key", sa.String(255)),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("waiting_for", sa.String(16)),
        sa.Column("wait_until", INSTANT),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("retried", sa.Integer, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("slot", sa.Boolean, nullable=False),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("deadline", INSTANT),
        sa.Column("time_left", INSTANT),
        sa.Column("policy", JSON),
        sa.Column("progress", JSON),
        sa.Column("error", JSON),
        sa.Column("recoveries", JSON),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{table}_id", table, ["workspace", "id"], unique=True)
    _partial(f"{table}_key", table, "idempotency_key IS NOT NULL", ["workspace", "job", "idempotency_key"], unique=True)
    op.create_index(f"{table}_of_job", table, ["workspace", "job", "seq"])
    op.create_index(f"{table}_of_all", table, ["workspace", "seq"])
    _partial(f"{table}_of_batch", table, "batch IS NOT NULL", ["workspace", "batch", "seq"])
    _partial(f"{table}_unsuccessful", table, "status IN ('failed', 'cancelled')", ["workspace", "seq"])
    _partial(f"{table}_deadline", table, "deadline IS NOT NULL", ["deadline"])
    _partial(f"{table}_slots", table, "slot", ["workspace", "job", "concurrency_key"])
    parked, by_age = "waiting_for = 'concurrency'", ["priority", "seq"]
    _partial(f"{table}_parked", table, parked, ["workspace", "job", *by_age])
    _partial(f"{table}_parked_of_key", table, parked, ["workspace", "job", "concurrency_key", *by_age])
    keyed = "concurrency_key IS NOT NULL AND ended_at IS NULL"
    _partial(f"{table}_keyed", table, keyed, ["workspace", "job", "concurrency_key", "seq"])


def _tasks(table: str) -> None:
    op.create_table(
        table,
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("execution", SEQ, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("workspace", sa.String(128), nullable=False),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("input", JSON, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("waiting_for", sa.String(16)),
        sa.Column("due_at", INSTANT),
        sa.Column("awaiting", sa.String(255)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("continues", sa.Boolean, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(255)),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("progress", JSON),
        sa.Column("result", JSON),
        sa.Column("error", JSON),
        sa.Column("history", JSON),
        sqlite_autoincrement=True,
    )
    op.create_index(f"{table}_of_execution", table, ["execution", "position"], unique=True)
    _partial(f"{table}_ready", table, "state = 'ready'", ["workspace", "job", "priority", "seq"])
    _partial(f"{table}_leased", table, "state = 'leased'", ["due_at"])
    _partial(f"{table}_timed", table, "state = 'waiting' AND due_at IS NOT NULL", ["due_at"])
    _partial(f"{table}_held_back", table, "state IN ('waiting', 'paused')", ["workspace", "job", "status"])


def _events(table: str) -> None:
    op.create_table(
        table,
        sa.Column("execution", SEQ, nullable=False),
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("task", sa.String(128)),
        sa.Column("worker", sa.String(255)),
        sa.Column("error", JSON),
        sa.Column("data", JSON),
        sa.PrimaryKeyConstraint("execution", "id"),
        sqlite_with_rowid=False,
    )


def _steps(table: str) -> None:
    op.create_table(
        table,
        sa.Column("task", SEQ, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT),
        sa.Column("value", JSON),
        sa.PrimaryKeyConstraint("task", "name"),
        sqlite_with_rowid=False,
    )


def _signals(table: str) -> None:
    op.create_table(
        table,
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("execution", SEQ, nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("taken", sa.Boolean, nullable=False),
        sa.Column("payload", JSON, nullable=False),
    )
    op.create_index(f"{table}_of_execution", table, ["execution", "id"], unique=True)


def _jobs(table: str) -> None:
    op.create_table(
        table,
        sa.Column("workspace", sa.String(128), nullable=False),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("definition", JSON, nullable=False),
        sa.PrimaryKeyConstraint("workspace", "job"),
    )


def _tallies(table: str) -> None:
    op.create_table(
        table,
        sa.Column("minute", sa.Integer, nullable=False),
        sa.Column("workspace", sa.String(128), nullable=False),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("server", sa.String(128), nullable=False),
        sa.Column("numbers", JSON, nullable=False),
        sa.PrimaryKeyConstraint("minute", "workspace", "job", "server"),
        sqlite_with_rowid=False,
    )


def _partial(name: str, table: str, condition: str, columns: list[str], **options: Any) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where, **options)
