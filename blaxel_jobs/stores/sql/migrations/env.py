"""What Alembic runs: the revisions in versions/, in the connection and transaction that the caller has open."""

from alembic import context

from blaxel_jobs.stores.sql.migrations import version_table

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    version_table=version_table(_attributes["table_prefix"]),
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
