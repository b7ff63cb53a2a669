"""Jobs that the API suite runs, in a server and in process."""

import asyncio
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


JOBS = [echo, aecho, describe, fail]
