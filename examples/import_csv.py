"""Import a CSV file of 100,000 orders into SQLite, a thousand rows to a step. Kill it when you like; run again, it goes on.

    python -m examples.import_csv                       # writes ./orders.csv, always the same, and imports it into ./orders.db
    python -m examples.import_csv my.csv my.db          # a file of your own, with the same columns

A step is a checkpoint of the job, not of the other database: a kill between the two would do it twice. So each chunk is noted in
the target in the very transaction that brings its rows, and found there when its step is called again.
"""

import csv
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import TypedDict

import attrs

from blaxel_jobs import JobManager, TaskContext, define_job

ROWS = 100_000
CHUNK = 1000
COLUMNS = ("id", "day", "customer", "amount", "note")


@attrs.frozen
class Source:
    csv: str
    database: str


@attrs.frozen
class Place:
    """How far the file is read: always the end of a row."""

    offset: int
    rows: int
    done: bool


class Imported(TypedDict):
    rows: int
    amount: int


@define_job("import-csv", input=Source)
def import_csv(step: TaskContext, source: Source) -> Imported:
    step.run("tables", make_tables, source)
    size = Path(source.csv).stat().st_size
    place, number = step.run("head", read_head, source), 0
    while not place.done:
        # What a step is given comes from the step before, so that every attempt asks for the same chunks under the same names.
        place = step.run(f"chunk-{number:06}", import_chunk, source, number, place)
        number += 1
        step.progress(place.offset, size, f"{place.rows:,} rows")
    return step.run("count", count, source)


def make_tables(source: Source) -> None:
    with closing(sqlite3.connect(source.database)) as database, database:
        database.execute("create table if not exists orders (id integer, day text, customer text, amount integer, note text)")
        database.execute(
            "create table if not exists imported (chunk integer primary key, offset integer, rows integer, done integer)"
        )


def read_head(source: Source) -> Place:
    with Path(source.csv).open("rb") as file:
        head = tuple(file.readline().decode().strip().split(","))
        if head != COLUMNS:
            raise ValueError(f"the columns are {', '.join(COLUMNS)}, not {', '.join(head)}")
        return Place(file.tell(), 0, done=False)


def import_chunk(source: Source, number: int, place: Place) -> Place:
    """Import the rows from `place` on, and return where they end."""
    with closing(sqlite3.connect(source.database, timeout=30)) as database, database:
        before = database.execute("select offset, rows, done from imported where chunk = ?", (number,)).fetchone()
        if before is not None:
            return Place(before[0], before[1], bool(before[2]))
        with Path(source.csv).open("rb") as file:
            file.seek(place.offset)
            rows = list(islice(csv.reader(lines(file)), CHUNK))
            after = Place(file.tell(), place.rows + len(rows), done=len(rows) < CHUNK)
        database.executemany("insert into orders values (?, ?, ?, ?, ?)", rows)
        database.execute("insert into imported values (?, ?, ?, ?)", (number, after.offset, after.rows, after.done))
    return after


def lines(file: object) -> Iterator[str]:
    """Line by line, without reading ahead: a row that spans several lines takes as many."""
    while line := file.readline():  # type: ignore[attr-defined]
        yield line.decode()


def count(source: Source) -> Imported:
    with closing(sqlite3.connect(source.database)) as database:
        rows, amount = database.execute("select count(*), coalesce(sum(amount), 0) from orders").fetchone()
        return Imported(rows=rows, amount=amount)


def write_orders(path: Path, rows: int = ROWS) -> None:
    """The same file each time, with names and notes that make a CSV file interesting."""
    rng = Random(2026)
    customers = ["Ada", 'Grace "Amazing" Hopper', "Größe, Söhne & Co", "Жанна", "O'Neil"]
    notes = ["", "", "", "fragile", "two\nlines", 'say "when"', "a, b"]
    draft = path.with_suffix(".draft")
    with draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for id in range(1, rows + 1):
            day = date(2026, 1, 1) + timedelta(days=rng.randrange(365))
            writer.writerow([id, day, rng.choice(customers), rng.randrange(1, 100_000), rng.choice(notes)])
    draft.replace(path)


def main(source: Path, database: Path) -> int:
    with JobManager(f"sqlite:///{database}.jobs.db") as manager:
        job = manager.register(import_csv)
        execution = job.trigger(Source(str(source), str(database)), execution_id="import")
        shown = None
        for update in execution.watch():
            if update.progress and update.progress != shown:
                shown = update.progress
                print(f"{shown.current / shown.total:4.0%}, {shown.message}", flush=True)
        execution.refresh()
        if execution.error:
            print(f"{execution.error.type}: {execution.error.message}", file=sys.stderr)
            return 1
        imported = execution.get_result()
    print(f"{imported['rows']:,} orders over {imported['amount'] / 100:,.2f} in {database}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3):
        sys.exit(f"usage: python -m examples.import_csv [CSV DATABASE]\n\n{__doc__}")
    table, target = (Path(argument).resolve() for argument in sys.argv[1:] or ("orders.csv", "orders.db"))
    if not sys.argv[1:] and not table.exists():
        write_orders(table)
    sys.exit(main(table, target))
