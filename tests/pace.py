"""Real time in tests that also hold on a slow, busy machine.

Whoever else uses the machine makes a measurement longer, never shorter. So the best of some tries tells what the product does,
and who waits for something gives it far longer than it takes.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""How many seconds something may take that takes one at most: the start of a process, the end of a task, a wake-up."""


def within(seconds: float, attempt: Callable[[], float], tries: int = 20) -> float:
    """The first of `attempt`'s measured times that is at most `seconds`; fails with all of them when none of `tries` is."""
    took: list[float] = []
    while len(took) < tries:
        took.append(attempt())
        if took[-1] <= seconds:
            return took[-1]
    raise AssertionError(f"never within {seconds} s: {sorted(took)}")


async def awithin(seconds: float, attempt: Callable[[], Awaitable[float]], tries: int = 20) -> float:
    """`within`, of an async attempt."""
    took: list[float] = []
    while len(took) < tries:
        took.append(await attempt())
        if took[-1] <= seconds:
            return took[-1]
    raise AssertionError(f"never within {seconds} s: {sorted(took)}")


def timed(action: Callable[[], object]) -> float:
    """How many seconds `action` takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


async def atimed(action: Callable[[], Awaitable[object]]) -> float:
    """`timed`, of an async action."""
    began = time.perf_counter()
    await action()
    return time.perf_counter() - began


def until(look: Callable[[], T | None], what: str = "it is so", deadline: float = PATIENCE, pause: float = 0.005) -> T:
    """What `look` answers, once that is true: asked every `pause` seconds. Fails after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(pause)


def scaled(attempt: Callable[[float], object], *scales: float) -> None:
    """`attempt` with each of these scales of its time in turn, until it passes; how it fails with the last one is how it fails.

    For leases and deadlines that a slow machine misses when they are short: a wrong product fails at any scale.
    """
    *short, last = scales
    for scale in short:
        try:
            attempt(scale)
        except Exception as error:
            print(f"at scale {scale}: {error!r}")
        else:
            return
    attempt(last)


def best_of(tries: int, attempt: Callable[[], object]) -> None:
    """`attempt` until it passes, at most that often. For what real time leaks into: a wrong product never passes."""
    scaled(lambda _: attempt(), *[1.0] * tries)
