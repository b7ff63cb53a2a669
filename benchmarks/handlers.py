"""Jobs for the worker processes that are measured."""

import asyncio
import time

from blaxel_jobs.define import define_job
from blaxel_jobs.worker.context import AsyncTaskContext, TaskContext

PAUSE = 0.005
"""Seconds between two steps, so that it is seen how long one takes, not how many there is room for."""
LONGEST = 60.0


def nothing() -> None:
    """A step."""


@define_job("noop")
async def noop() -> None:
    """Does nothing."""


@define_job("stamp")
async def stamp() -> float:
    """Tells when it began, on the clock that all processes of the machine have in common."""
    return time.perf_counter()


@define_job("step-in-thread")
def step_in_thread(context: TaskContext, steps: int) -> list[float]:
    """The milliseconds that each of so many steps took."""
    taken = []
    for number in range(steps):
        before = time.perf_counter()
        context.run(f"step-{number}", nothing)
        taken.append(1000 * (time.perf_counter() - before))
        time.sleep(PAUSE)
    return taken


@define_job("step-in-loop")
async def step_in_loop(context: AsyncTaskContext, steps: int) -> list[float]:
    """The same."""
    taken = []
    for number in range(steps):
        before = time.perf_counter()
        await context.run(f"step-{number}", nothing)
        taken.append(1000 * (time.perf_counter() - before))
        await asyncio.sleep(PAUSE)
    return taken


@define_job("compute")
def compute(context: TaskContext) -> int:
    """Computes, until nobody wants it any more."""
    total, end = 0, time.perf_counter() + LONGEST
    while not context.cancelled and time.perf_counter() < end:
        total += sum(range(5000))
    return total
