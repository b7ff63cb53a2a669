"""kill -9 in the middle of a create of 5,000 tasks: all of it is there, or nothing (invariant 13)."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.chaos.audit import autopsy
from tests.chaos.large_creates import TASKS
from tests.chaos.processes import Program, seeded


@pytest.mark.slow
@pytest.mark.row("S4-11")
@pytest.mark.parametrize(
    "kills", [6, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)])], ids=lambda kills: f"{kills}-kills"
)
def test_a_create_that_is_killed_leaves_all_of_itself_or_nothing(kills: int, tmp_path: Path) -> None:
    rng = seeded("kill a create")
    store = tmp_path / "jobs.db"
    acknowledged: dict[str, str] = {}
    begun: set[str] = set()
    lives = 0
    while len(begun - acknowledged.keys()) < kills:
        lives += 1
        assert lives <= 10 * kills, "most kills hit no create: this shows nothing"
        _create_and_die(tmp_path, begun, acknowledged, rng)
        autopsy(store)
    with closing(sqlite3.connect(store)) as file:
        sizes = file.execute(
            "select idempotency_key, id, total, (select count(*) from tasks where execution = x.seq) from executions x"
        )
        stored = {key: (id, total, tasks) for key, id, total, tasks in sizes}
    print(f"{lives} kills: {len(begun)} begun, {len(acknowledged)} acknowledged, {len(stored)} stored")
    assert {(total, tasks) for _, total, tasks in stored.values()} == {(TASKS, TASKS)}
    assert stored.keys() <= begun
    assert {key: stored[key][0] for key in acknowledged if key in stored} == acknowledged


def _create_and_die(folder: Path, begun: set[str], acknowledged: dict[str, str], rng: Random) -> None:
    """Kill it within its second create, which takes about as long as its first."""
    command = (sys.executable, "-m", "tests.chaos.large_creates", str(folder / "jobs.db"), str(len(begun)))
    with Program(folder, *command, stdout=subprocess.PIPE) as program:
        [first] = _told(program, "begin")
        begin = time.monotonic()
        begun.add(first)
        key, id = _told(program, "done")
        acknowledged[key] = id
        took = time.monotonic() - begin
        begun.update(_told(program, "begin"))
        time.sleep(rng.uniform(0.0, 1.1) * took)
        program.kill()
        for line in program.stdout:
            match line.decode().split():
                case ["begin", key]:
                    begun.add(key)
                case ["done", key, id]:
                    acknowledged[key] = id


def _told(program: Program, word: str) -> list[str]:
    """What follows the word in the next line."""
    line = program.stdout.readline().decode().split()
    assert line[:1] == [word], f"{line} instead of {word}:\n{program.text()}"
    return line[1:]
