"""Making the tables, and meeting tables of other releases."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import alembic.config
import alembic.script
import pytest
import sqlalchemy as sa

from blaxel_jobs.errors import StoreError, StoreTooNew
from blaxel_jobs.stores import open_store
from blaxel_jobs.stores.sql import migrations
from blaxel_jobs.stores.sql.schema import metadata
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from tests.pace import PATIENCE

from .samples import WORKSPACE, add, get, new

ROOT = Path(__file__).parents[2]


def test_the_revisions_that_are_named_are_the_files(tmp_path: Path) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    script = alembic.script.ScriptDirectory.from_config(config)
    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == migrations.REVISIONS
    assert script.get_heads() == [migrations.REVISIONS[-1]]


@pytest.mark.parametrize("prefix", ["", "acme_"])
def test_the_migrations_make_what_the_schema_says(tmp_path: Path, prefix: str) -> None:
    SQLiteStore(tmp_path / "migrated.db", prefix).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path}/made.db")
    metadata(prefix).create_all(engine)
    engine.dispose()
    migrated, made = tables(tmp_path / "migrated.db"), tables(tmp_path / "made.db")
    version = migrated.pop(f"{prefix}jobs_version")
    assert "version_num" in version
    assert migrated == made
    assert all(name.startswith(prefix) for name in migrated)


def tables(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    found = connection.execute("select name, sql from sqlite_master where sql is not null and name not like 'sqlite_%'").fetchall()
    connection.close()
    return {name: re.sub(r"\s+", " ", sql) for name, sql in found}


def test_the_schema_can_be_written_for_other_databases() -> None:
    from sqlalchemy.dialects import mysql, postgresql

    for dialect in (postgresql.dialect(), mysql.dialect()):
        for table in metadata("p_").sorted_tables:
            assert "p_" in str(sa.schema.CreateTable(table).compile(dialect=dialect))
            for index in table.indexes:
                assert "p_" in str(sa.schema.CreateIndex(index).compile(dialect=dialect))


def test_two_prefixes_live_in_one_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    one, two = open_store(url, table_prefix="one_"), open_store(url, table_prefix="two_")
    add(one, new("a", key="k"))
    add(two, new("a", key="k", tasks=2))
    assert [get(store, "a").total for store in (one, two)] == [1, 2]
    assert two.get(WORKSPACE, ["b"]) == []
    one.close()
    two.close()


def test_a_newer_store_is_refused_and_named(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    SQLiteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("update jobs_version set version_num = '0999'")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StoreTooNew, match=rf"revision 0999.* up to {migrations.REVISIONS[-1]}: upgrade blaxel-jobs"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table tasks (mine text)")
        connection.execute("insert into tasks values ('kept')")
    connection.close()
    with pytest.raises(StoreError, match=r"left as it is: table tasks already exists.*table_prefix"):
        SQLiteStore(path)
    store = SQLiteStore(path, "jobs_")
    add(store, new("a"))
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("select * from tasks").fetchall() == [("kept",)]
    assert connection.execute("select count(*) from sqlite_master where name = 'executions'").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("round_", range(3))
def test_processes_that_start_together_all_find_the_tables(tmp_path: Path, round_: int) -> None:
    script = """
import sys
from blaxel_jobs.stores import open_store
from tests.stores.samples import add, new
print("ready", flush=True)
sys.stdin.readline()
store = open_store("sqlite:///" + sys.argv[1])
add(store, new(sys.argv[2]))
store.close()
"""
    path = tmp_path / "jobs.db"
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for name in ("a", "b", "c")
    ]
    for process in starters:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in starters:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in starters:
        process.communicate(timeout=PATIENCE)
    assert [process.returncode for process in starters] == [0, 0, 0]
    store = SQLiteStore(path)
    assert len(store.get(WORKSPACE, ["a", "b", "c"])) == 3
    store.close()


def test_opening_a_store_that_is_up_to_date_imports_no_database_toolkit(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    SQLiteStore(path).close()
    script = """
import sys
from blaxel_jobs.stores import open_store
open_store("sqlite:///" + sys.argv[1]).close()
print([name for name in ("sqlalchemy", "alembic") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout == "[]\n"
