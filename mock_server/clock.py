"""The clocks that a mock can have: virtual time, and real time at some speed."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

from blaxel_jobs.core.ports import Flag
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.system import FOREVER

from .virtual import START, STUCK_AFTER, VirtualClock

if TYPE_CHECKING:
    from blaxel_jobs.worker.context import AnyContext


class ScaledClock:
    """Real time, at some speed: with 60, a minute takes a second. The same verbs; nobody's leave is needed."""

    frozen = False

    def __init__(self, speed: float, start: float | None = None, elapsed: float = 0.0) -> None:
        """`start` is when it began, in seconds since 1970, and `elapsed` how long ago that is, by this clock."""
        self.speed = speed
        self._start = time.time() - elapsed if start is None else start
        self._began = time.monotonic() - elapsed / speed

    def now(self) -> float:
        return self._start + self.monotonic()

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self.speed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds / self.speed, FOREVER))

    async def wait(self, flag: Flag, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds / self.speed, FOREVER)):
                await flag.wait()

    def outside(self, context: "AnyContext | None") -> AbstractContextManager[object]:
        return nullcontext()

    async def turn(self) -> None:
        """At once."""

    def leave(self, seconds: float) -> AbstractContextManager[object]:
        return nullcontext()

    def watch(self) -> AbstractContextManager[object]:
        return nullcontext()

    async def spend(self, seconds: float, *, forced: bool = False) -> None:
        if forced:
            raise ConfigError("only a virtual clock is moved by hand")
        await self.sleep(seconds)

    async def settle(self, until: Callable[[], bool] = lambda: False, seconds: float = 0.0) -> None:
        """Time goes on by itself."""

    def patience(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    def idle(self) -> bool:
        return False

    def release(self) -> None:
        """Nobody waits for leave."""


MockClock = VirtualClock | ScaledClock

_SCALE: Final = re.compile(r"scale:(?P<speed>[0-9]{1,9}(?:\.[0-9]{1,9})?)")


def read_clock(text: str, start: float | None = None, stuck_after: float = STUCK_AFTER, elapsed: float = 0.0) -> MockClock:
    """`virtual`, `real` or `scale:N`. Raises ConfigError."""
    if text == "virtual":
        return VirtualClock(START if start is None else start, stuck_after, elapsed)
    scale = _SCALE.fullmatch(text)
    speed = 1.0 if text == "real" else float(scale["speed"]) if scale else 0.0
    if speed <= 0:
        raise ConfigError(f"a clock is 'virtual', 'real' or 'scale:60' (a minute takes a second), not {text!r}")
    return ScaledClock(speed, start, elapsed)
