"""Long polls: whoever waits for an execution is woken by the commit that ends it."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

from ..core.ports import Clock

Key = tuple[str, str]
"""(workspace, execution id)."""


class Waiter(Protocol):
    """Somebody who waits."""

    def wake(self) -> None:
        """Called from any thread, at most once."""
        ...


class Waiters:
    """Who waits for which execution. Registered before the status is read, so that no end is missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[Key, list[Waiter]] = defaultdict(list)
        self._released = False

    def add(self, key: Key, waiter: Waiter) -> None:
        with self._lock:
            self._waiting[key].append(waiter)
            released = self._released
        if released:
            waiter.wake()

    def discard(self, key: Key, waiter: Waiter) -> None:
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting and waiter in waiting:
                waiting.remove(waiter)
                if not waiting:
                    del self._waiting[key]

    def wake(self, keys: Iterable[Key]) -> None:
        """Wake those who wait for these executions."""
        if not self._waiting:
            return
        with self._lock:
            woken = [waiter for key in keys for waiter in self._waiting.pop(key, ())]
        for waiter in woken:
            waiter.wake()

    def release(self) -> None:
        """Wake everybody, now and from now on: the server drains."""
        with self._lock:
            self._released = True
            keys = list(self._waiting)
        self.wake(keys)

    def keys(self) -> list[Key]:
        """What is waited for."""
        with self._lock:
            return list(self._waiting)


class ThreadWaiter:
    """A thread that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.wake = self._event.set

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)


class LoopWaiter:
    """An asyncio task that waits, in the time of a clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        # A closed loop has nobody left to wake.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> None:
        await self._clock.wait(self._event, seconds)
