"""The built-in handler, for jobs that nobody has written yet: a task says in its input how it is to go.

`{"duration": 2.5}` takes 2.5 seconds. `output`: what it returns. `fail`: true or a message, it raises. `hang`: true, it never ends.
`exit`: a number, it kills its process. They go together: first the duration, then the end.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..define import JobDef
from .context import TaskContext

Sleeper = Callable[[float], Awaitable[None]]


class SimulatedFailure(Exception):
    """The task's input asked for a failure."""


class SimulatedInputError(ValueError):
    """The task's input has a duration that is no number of seconds."""


def simulated_job(sleep: Sleeper) -> JobDef[Callable[[TaskContext, Any], Awaitable[Any]]]:
    """The built-in handler, sleeping on the given clock."""

    async def run(_: TaskContext, payload: Any) -> Any:
        wish: dict[str, Any] = payload if isinstance(payload, dict) else {}
        duration = wish.get("duration", 0)
        if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
            raise SimulatedInputError(f"duration is a finite number of seconds, 0 or more, not {duration!r}")
        await sleep(duration)
        if wish.get("hang"):
            await asyncio.Event().wait()
        if "exit" in wish:
            os._exit(int(wish["exit"]))
        if wish.get("fail"):
            raise SimulatedFailure(wish["fail"] if isinstance(wish["fail"], str) else "the task's input asked for a failure")
        return wish.get("output")

    return JobDef(SIMULATED, run)


SIMULATED: Final = "simulated"
