"""A job of five steps in a process of its own, for tests that kill it: `python -m tests.seeds.five_steps STORE ID FORM`.

Each step writes a line to notes.log when it is called; the fourth one then waits for a file called gate. The first process creates
the execution, and later ones find it by its id. FORM says which handler runs: sync or async.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from blaxel_jobs import JobManager, NotFound, Settings, define_job

NAMES = ("one", "two", "three", "four", "five")


def note(line: str) -> None:
    """In one write, so that a kill leaves no half line."""
    file = os.open("notes.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def notes(folder: Path) -> list[str]:
    path = folder / "notes.log"
    return path.read_text().splitlines() if path.exists() else []


def call(name: str, before: list[str]) -> list[str]:
    note(name)
    while name == "four" and not Path("gate").exists():
        time.sleep(0.01)
    return [*before, name]


async def acall(name: str, before: list[str]) -> list[str]:
    note(name)
    while name == "four" and not Path("gate").exists():
        await asyncio.sleep(0.01)
    return [*before, name]


@define_job("sync")
def steps(step: Any, payload: Any) -> list[str]:
    done: list[str] = []
    for name in NAMES:
        done = step.run(name, call, name, done)
    return done


@define_job("async")
async def asteps(step: Any, payload: Any) -> list[str]:
    done: list[str] = []
    for name in NAMES:
        done = await step.run(name, acall, name, done)
    return done


def main(store: str, id: str, form: str) -> None:
    with JobManager(store, settings=Settings(lease=60)) as manager:
        manager.register(steps, asteps)
        try:
            execution = manager.get_execution(id)
        except NotFound:
            execution = manager.trigger(form, execution_id=id)
        print(*execution.get_result(60))


if __name__ == "__main__":
    main(*sys.argv[1:])
