"""Executions, tasks and events."""

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
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("spec", JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("retried", sa.Integer, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("error", JSON),
        sa.Column("recoveries", JSON),
        sqlite_autoincrement=True,
    )
    with_key = sa.text("idempotency_key IS NOT NULL")
    op.create_index(f"{table}_id", table, ["workspace", "id"], unique=True)
    op.create_index(
        f"{table}_key",
        table,
        ["workspace", "job", "idempotency_key"],
        unique=True,
        sqlite_where=with_key,
        postgresql_where=with_key,
    )
    op.create_index(f"{table}_of_job", table, ["workspace", "job", "seq"])
    op.create_index(f"{table}_of_all", table, ["workspace", "seq"])


def _tasks(table: str) -> None:
    op.create_table(
        table,
        sa.Column("seq", SEQ, primary_key=True, autoincrement=True),
        sa.Column("execution", SEQ, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("workspace", sa.String(128), nullable=False),
        sa.Column("job", sa.String(128), nullable=False),
        sa.Column("queue", sa.String(128), nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("input", JSON, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("waiting_for", sa.String(16)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("losses", sa.Integer, nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(255)),
        sa.Column("lease_until", INSTANT),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT),
        sa.Column("ended_at", INSTANT),
        sa.Column("result", JSON),
        sa.Column("error", JSON),
        sqlite_autoincrement=True,
    )
    ready, leased = sa.text("state = 'ready'"), sa.text("state = 'leased'")
    op.create_index(f"{table}_of_execution", table, ["execution", "position"], unique=True)
    op.create_index(f"{table}_ready", table, ["workspace", "job", "priority", "seq"], sqlite_where=ready, postgresql_where=ready)
    op.create_index(f"{table}_leased", table, ["lease_until"], sqlite_where=leased, postgresql_where=leased)


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
        sa.PrimaryKeyConstraint("execution", "id"),
        sqlite_with_rowid=False,
    )
