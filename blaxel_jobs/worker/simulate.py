"""The built-in handler, for jobs that nobody has written yet: a task says in its input how it is to go.

`{"duration": 2.5}` takes 2.5 seconds. `output`: what it returns. `fail`: true or a message, it raises. `hang`: true, it never ends.
`exit`: a number, it kills its process. `progress`: how many times it tells how far it is, spread over the duration; true is 10.
They go together: first the duration, then the end. All else is left alone, but for a warning in the task's log where a field is
nearly called `duration` and none is.
"""

import math
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

from ..define import JobDef
from ..nearest import nearest
from .context import AnyContext, AsyncTaskContext
from .failures import InvalidInput

Sleeper = Callable[[float], Awaitable[None]]
Exit = Callable[[AnyContext, int], object]
"""Ends the worker that runs this task, as a process ends: with an exit code, and without a report."""


class SimulatedFailure(Exception):
    """The task's input asked for a failure."""


class SimulatedInputError(InvalidInput):
    """The task's input has a duration that is no number of seconds, or a progress that is no number of times."""


def exit_process(_: AnyContext, code: int) -> None:
    """End this process where it stands."""
    os._exit(code)


def simulated_job(sleep: Sleeper, exit: Exit = exit_process) -> JobDef[Any, Any]:
    """The built-in handler. `sleep` takes seconds, for ever too."""

    async def run(context: AsyncTaskContext, payload: Any) -> Any:
        wish: dict[str, Any] = payload if isinstance(payload, dict) else {}
        if wish and "duration" not in wish:
            _tell_of_a_slip(context, wish)
        duration = wish.get("duration", 0)
        if isinstance(duration, bool) or not isinstance(duration, int | float) or duration < 0:
            raise SimulatedInputError(f"duration is a finite number of seconds, 0 or more, not {duration!r}")
        notes = _notes(wish.get("progress", 0))
        for done in range(notes):
            await sleep(duration / notes)
            context.progress(done + 1, notes)
        if not notes:
            await sleep(duration)
        if wish.get("hang"):
            await sleep(math.inf)
        if "exit" in wish:
            exit(context, int(wish["exit"]))
            await sleep(math.inf)  # where it ends without the process, the lease runs out
        if wish.get("fail"):
            raise SimulatedFailure(wish["fail"] if isinstance(wish["fail"], str) else "the task's input asked for a failure")
        return wish.get("output")

    return JobDef(SIMULATED, run)


def _tell_of_a_slip(context: AsyncTaskContext, wish: dict[str, Any]) -> None:
    """Inputs have fields of their own, so that none can be refused."""
    slip = nearest("duration", wish, SLIP)
    if slip is not None:
        said = f"the input has no duration, so this takes 0 seconds, but it has {slip!r}: did you mean 'duration'?"
        context.log.warning(said)


def _notes(wish: Any) -> int:
    if wish is True:
        return NOTES
    if not isinstance(wish, int) or not 0 <= wish <= MOST_NOTES:
        raise SimulatedInputError(f"progress is true, or a number of times from 0 to {MOST_NOTES}, not {wish!r}")
    return int(wish)


SIMULATED: Final = "simulated"
NOTES: Final = 10
MOST_NOTES: Final = 10_000
SLIP: Final = 0.8
"""How near to `duration` a name is that was meant to be it; `rotation` and `iteration` are below."""
