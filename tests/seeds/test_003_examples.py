"""Seed 003, the downstream dependants: image processing, and long-running imports that outlive a kill."""

import csv
import os
import re
import sqlite3
import struct
import subprocess
import sys
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from blaxel_jobs import JobManager
from examples.import_csv import CHUNK, ROWS, Source, import_csv, make_tables, write_orders
from tests.chaos.processes import Program
from tests.pace import PATIENCE, until
from tests.serving import plain_environment


@pytest.mark.slow
def test_s3_25_images_are_made_by_several_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.images", str(tmp_path / "images"), "160", "6"]
    with subprocess.Popen(command, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        out, err = program.communicate(timeout=120)
    assert program.returncode == 0, err
    processes = [int(number) for number in re.findall(r"by process (\d+)$", out, re.MULTILINE)]
    assert len(processes) == 6
    assert len(set(processes)) >= 2
    assert not {program.pid, os.getpid()} & {*processes}
    for n in range(6):
        path = tmp_path / "images" / f"mandelbrot-{n}"
        pixels = path.with_suffix(".ppm").read_bytes().split(b"\n", 1)[1]
        assert len(set(pixels)) > 10  # something is to be seen
        assert png(path.with_suffix(".png")) == (160, 120, pixels)
        width, height, small = png(path.with_name(f"{path.name}-small.png"))
        assert (width, height, len(small)) == (40, 30, 3 * 40 * 30)
        assert small[:3] == pixels[:3]


def png(path: Path) -> tuple[int, int, bytes]:
    """Width, height and pixels of an image, read as the standard says and not as the example writes it."""
    data, parts, at = path.read_bytes(), {}, 8
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + body),)
        parts[kind] = body
        at += 12 + size
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert (depth, colour, rest, at) == (8, 2, [0, 0, 0], len(data))
    lines, stride = zlib.decompress(parts[b"IDAT"]), 1 + 3 * width
    assert len(lines) == stride * height
    assert {lines[row * stride] for row in range(height)} == {0}  # no filter
    return width, height, b"".join(lines[row * stride + 1 : (row + 1) * stride] for row in range(height))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_s3_26_an_import_that_was_killed_brings_every_row_once(tmp_path: Path) -> None:
    table, database = tmp_path / "orders.csv", tmp_path / "orders.db"
    write_orders(table)
    command = (sys.executable, "-m", "examples.import_csv", str(table), str(database))
    for rows in (20_000, 60_000):
        stall_after(rows, database)
        with Program(tmp_path, *command) as victim:
            kill_at(rows, victim, database)
        assert count(database) == rows, "the chunk that it was killed in is there in part"
        assert rows // CHUNK - stored(database) in (0, 1), "the last chunk may be there, and its step not stored"
    stall_after(None, database)
    with Program(tmp_path, *command) as last:
        last.exited()
        assert "100%, 100,000 rows" in last.text()
        assert "100,000 orders over" in last.text()
    with closing(sqlite3.connect(database)) as file:
        imported = file.execute("select id, day, customer, amount, note from orders order by rowid").fetchall()
        assert file.execute("select count(*), count(distinct id), min(id), max(id) from orders").fetchone() == (ROWS, ROWS, 1, ROWS)
    with table.open(newline="", encoding="utf-8") as source:
        rows_there = csv.reader(source)
        next(rows_there)
        for expected, found in zip(rows_there, imported, strict=True):
            assert expected == list(map(str, found))


def stall_after(rows: int | None, database: Path) -> None:
    """Have the import stand still in the chunk after so many rows: counting them against each other takes for ever."""
    make_tables(Source("", str(database)))
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.execute("drop trigger if exists stall")
        if rows is not None:
            counted = "select count(*) from orders a, orders b, orders c"
            file.execute(f"create trigger stall before insert on orders when new.id = {rows + CHUNK // 2} begin {counted}; end")


def kill_at(rows: int, victim: Program, database: Path) -> None:
    until(lambda: victim.check_alive() or count(database) == rows, f"{rows} rows are there")
    victim.kill()


def count(database: Path) -> int:
    """How many rows are committed."""
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database, timeout=30)) as file:
        if not file.execute("select 1 from sqlite_master where name = 'orders'").fetchone():
            return 0
        return int(file.execute("select count(*) from orders").fetchone()[0])


def stored(database: Path) -> int:
    """How many chunks are stored as steps."""
    with JobManager(f"sqlite:///{database}.jobs.db", worker=False) as reader:
        return sum(step.name.startswith("chunk-") for step in reader.list_steps("import").auto_paging_iter())


def test_s3_26_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text("a,b\n1,2\n")
    with JobManager("memory:") as manager:
        failed = manager.register(import_csv).trigger(Source(str(table), str(tmp_path / "orders.db"))).wait_done(PATIENCE)
    assert failed.error is not None
    assert "the columns are id, day" in failed.error.message


@pytest.mark.parametrize("rows", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_s3_26_a_small_file_is_imported_whole(rows: int, tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    write_orders(table, rows)
    with JobManager("memory:") as manager:
        run = manager.register(import_csv).trigger(Source(str(table), str(tmp_path / "orders.db")))
        assert run.get_result(PATIENCE)["rows"] == rows
        assert run.refresh().progress is not None
        assert run.progress.current == run.progress.total == table.stat().st_size
