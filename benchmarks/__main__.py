"""`python -m benchmarks [NAME...]`: measure, print the table, exit 1 when a must is missed."""

import argparse
import datetime
import gc
import os
import platform
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import engine, mock, remote, sdk, server, steps, stores, stream, typescript, wait, worker
from .report import Result, Topic, as_markdown, as_text, row_table, seen_table
from .scratch import Scratch

MODULES = (engine, worker, steps, remote, stores, server, sdk, wait, stream, mock, typescript)
TOPICS: dict[str, Topic] = {topic.name: topic for module in MODULES for topic in module.TOPICS}
QUIET = 0.5
DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def measure(topic: Topic, runs: int, quick: bool) -> Result:
    """All runs of a topic, one after the other."""
    with Scratch(quick) as scratch:
        results = []
        for _ in range(1 if topic.once or quick else runs):
            gc.collect()
            results.append(topic.measure(scratch))
    return Result(topic, results)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ratios to anchors measured in the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"topics to run; all by default: {', '.join(TOPICS)}")
    parser.add_argument("--runs", type=int, default=5, help="runs of which the median counts (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one small run: shows that it works, measures nothing")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.relative_to(DOCUMENT.parent.parent)}")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in TOPICS]
    if unknown:
        parser.error(f"there is no topic {unknown[0]!r}; there are {', '.join(TOPICS)}")
    if options.runs < 1:
        parser.error("--runs is 1 or more")

    busy = os.getloadavg()[0]
    if busy > QUIET:
        print(f"the machine is busy (load {busy:.1f}): what follows is noisy", file=sys.stderr)
    results = []
    for name in options.names or TOPICS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results.append(measure(TOPICS[name], options.runs, options.quick))
    rows, seen = row_table(results), seen_table(results)
    print(as_text(rows), as_text(seen), sep="\n\n")
    if options.write:
        DOCUMENT.write_text(document(results, options.runs, busy))
    return 1 if any(result.missed for result in results) and not options.quick else 0


def document(results: Iterable[Result], runs: int, busy: float) -> str:
    """docs/benchmarks.md."""
    results = list(results)
    today = datetime.datetime.now(datetime.UTC).date()
    python = f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"""# Benchmarks

Written by `python -m benchmarks --write` on {today}: {platform.system()}, {os.cpu_count()} cores, {python}, fsync on, results kept,
leases on. Median of {runs} runs. Load of the machine before the first: {busy:.1f}; above {QUIET}, others were at work.
Each run measures its anchor right beside ours, so compare the ratios, not the absolute numbers.

W is the number of plain SQLite commits a second: WAL, `synchronous=FULL`, one prepared insert of 4 columns, one row a commit.
H is the CPU of a bare ASGI app that reads the body and answers the same number of bytes under the same uvicorn.

{as_markdown(row_table(results))}

## Absolute numbers

{as_markdown(seen_table(results))}
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
