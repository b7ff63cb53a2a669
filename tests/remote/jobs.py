"""Handlers that write down what they do in the working directory, and wait there for a file called gate."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from blaxel_jobs import define_job


def note(line: str) -> None:
    """One line, in one write, so that processes do not mix theirs."""
    file = os.open("notes.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def notes(folder: Path) -> list[str]:
    path = folder / "notes.log"
    return path.read_text().split("\n")[:-1] if path.exists() else []


async def through_the_gate() -> None:
    while not Path("gate").exists():
        await asyncio.sleep(0.01)


@define_job("two-steps")
async def two_steps(context: Any, payload: Any) -> Any:
    """Its second step waits for the gate."""

    def first() -> int:
        note(f"first {context.attempt}")
        return int(payload["n"]) + 1

    async def second() -> str:
        note(f"second {context.attempt}")
        await through_the_gate()
        return "done"

    try:
        number = await context.run("first", first)
        return [number, await context.run("second", second)]
    except BaseException as stopped:
        note(f"stopped by {type(stopped).__name__}")
        raise


@define_job("two-steps-in-a-thread")
def two_steps_in_a_thread(context: Any, payload: Any) -> Any:
    def second() -> str:
        note(f"second {context.attempt}")
        while not Path("gate").exists():
            time.sleep(0.01)
        return "done"

    number = context.run("first", lambda: int(payload["n"]) + 1)
    return [number, context.run("second", second)]


@define_job("blocking")
async def blocking(context: Any, payload: Any) -> str:
    """Blocks the event loop, which no handler should."""
    note(f"blocking {context.attempt}")
    time.sleep(payload["seconds"])
    return "held"


@define_job("no-op")
async def no_op(context: Any, payload: Any) -> Any:
    return payload


@define_job("images", queue="images")
def images(context: Any, payload: Any) -> Any:
    return payload
