"""Jobs that the API suite runs, in a server and in process."""

import asyncio
import threading
from typing import Any

from blaxel_jobs.define import define_job
from blaxel_jobs.worker import TaskContext


@define_job("echo")
def echo(context: TaskContext, payload: Any) -> Any:
    return payload


@define_job("aecho")
async def aecho(context: TaskContext, payload: Any) -> Any:
    await asyncio.sleep(0)
    return payload


@define_job("describe")
def describe(context: TaskContext, payload: Any) -> Any:
    return {
        "execution": context.execution_id, "task": context.task_id, "index": context.index, "attempt": context.attempt,
        "metadata": context.metadata, "env": context.env,
    }  # fmt: skip


@define_job("fail")
def fail(context: TaskContext, payload: Any) -> None:
    raise ValueError(f"refused {payload}")


@define_job("stepper")
def stepper(context: TaskContext, payload: Any) -> Any:
    """A step, and a wait for the event `go`."""

    def begin() -> int:
        context.log.info("begun", n=payload)
        return 1

    first = context.run("first", begin)
    context.progress(1, 2, "half")
    word = context.wait_for_event("go")
    return {"first": first, "word": word}


_broken: set[str] = set()


@define_job("once-broken")
def once_broken(context: TaskContext, payload: Any) -> Any:
    """Fails the first time that an execution runs it."""
    context.run("counted", lambda: None)
    if context.execution_id not in _broken:
        _broken.add(context.execution_id)
        raise ValueError("not yet")
    return "mended"


@define_job("looper")
def looper(context: TaskContext, payload: Any) -> int:
    """Takes step after step, for longer than a test takes."""
    for index in range(2000):
        context.run(f"step-{index}", _pause)
    return 2000


def _pause() -> None:
    threading.Event().wait(0.02)


JOBS = [echo, aecho, describe, fail, stepper, once_broken, looper]
