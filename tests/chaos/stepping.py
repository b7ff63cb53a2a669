"""Handlers that write down each step that runs, and each that they were told is stored: for `tests.chaos.test_kill_steps`."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from blaxel_jobs import AsyncTaskContext, TaskContext, define_job

STEPS: Final = 4
LONGEST: Final = 0.02
"""Seconds that a step takes."""
LOG: Final = Path("steps.log")
"""In the working directory: `ran` or `acked`, where, execution id, step, and the token that this run of the step made."""


def note(*words: str) -> None:
    """A line, in one write: lines of several threads and processes keep their order and never mix."""
    file = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{' '.join(words)}\n".encode())
    finally:
        os.close(file)


def _begun(where: str, id: str, name: str) -> tuple[str, float]:
    """The token of this run, and how long it is to take."""
    token = os.urandom(6).hex()
    note("ran", where, id, name, token)
    return token, Random(token).uniform(0, LONGEST)


def in_loop(where: str) -> Callable[..., Any]:
    """A handler for event loops; `where` is the first word of its lines after their kind."""

    async def handler(context: AsyncTaskContext) -> list[str]:
        async def step(name: str) -> str:
            token, seconds = _begun(where, context.execution_id, name)
            await asyncio.sleep(seconds)
            return token

        tokens = []
        for name in map(str, range(STEPS)):
            tokens.append(await context.run(name, step, name))
            note("acked", where, context.execution_id, name, tokens[-1])
        return tokens

    return handler


def in_thread(where: str) -> Callable[..., Any]:
    """The same for threads."""

    def handler(context: TaskContext) -> list[str]:
        def step(name: str) -> str:
            token, seconds = _begun(where, context.execution_id, name)
            time.sleep(seconds)
            return token

        tokens = []
        for name in map(str, range(STEPS)):
            tokens.append(context.run(name, step, name))
            note("acked", where, context.execution_id, name, tokens[-1])
        return tokens

    return handler


embedded = define_job(name="embedded", run=in_loop("server"))
embedded_in_thread = define_job(name="embedded-in-thread", run=in_thread("server"))


@define_job("stubborn")
async def stubborn(context: AsyncTaskContext, payload: dict[str, int]) -> int:
    """Its first `hang` attempts never end."""
    note("began", "server", context.execution_id, str(context.attempt), "-")
    while context.attempt <= payload["hang"]:
        await asyncio.sleep(3600)
    return context.attempt
