"""Who waits for what: long polls for the end of one execution, streams for every change of many.

Woken by the commit that made it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from ..core.ports import Clock

Key = tuple[str, str]
"""(workspace, execution id)."""


class Waiter(Protocol):
    """Somebody who waits."""

    every_change: bool
    """Woken by every change; else only by the end."""

    def wake(self, keys: list[Key]) -> None:
        """Called from any thread, with keys that have ended, and with others that changed as `every_change` says."""
        ...


class Waiters:
    """Who waits for which execution. Registered before the status is read, so that nothing is missed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Key, list[Waiter]] = {}
        self._released = False

    def add(self, keys: Iterable[Key], waiter: Waiter) -> None:
        keys = list(keys)
        with self._lock:
            for key in keys:
                self._waiting.setdefault(key, []).append(waiter)
            released = self._released
        if released:
            waiter.wake(keys)

    def discard(self, keys: Iterable[Key], waiter: Waiter) -> None:
        with self._lock:
            for key in keys:
                waiting = self._waiting.get(key)
                if waiting and waiter in waiting:
                    waiting.remove(waiter)
                    if not waiting:
                        del self._waiting[key]

    def wake(self, changed: Mapping[Key, bool]) -> None:
        """Wake those who wait for these executions; the value says whether it has ended."""
        if not self._waiting:
            return
        woken: dict[Waiter, list[Key]] = {}
        with self._lock:
            for key, done in changed.items():
                for waiter in self._waiting.get(key, ()):
                    if done or waiter.every_change:
                        woken.setdefault(waiter, []).append(key)
        for waiter, keys in woken.items():
            waiter.wake(keys)

    def release(self) -> None:
        """Wake everybody, now and from now on: the server drains."""
        with self._lock:
            self._released = True
            keys = list(self._waiting)
        self.wake(dict.fromkeys(keys, True))

    @property
    def released(self) -> bool:
        return self._released

    def keys(self) -> list[Key]:
        """What is waited for."""
        with self._lock:
            return list(self._waiting)


class ThreadWaiter:
    """A thread that waits: for an end, or for every change."""

    def __init__(self, *, every_change: bool = False) -> None:
        self.every_change = every_change
        self._event = threading.Event()

    def wake(self, keys: list[Key]) -> None:
        self._event.set()

    def wait(self, seconds: float | None) -> None:
        self._event.wait(seconds)


class LoopWaiter:
    """An asyncio task that waits, in the time of a clock: for an end, or for every change of many."""

    def __init__(self, clock: Clock, *, every_change: bool = False) -> None:
        self.every_change = every_change
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._woken: set[Key] = set()

    def wake(self, keys: list[Key]) -> None:
        # A closed loop has nobody left to wake.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._woke, keys)

    async def wait(self, seconds: float) -> Collection[Key]:
        """What was woken since the last time, or nothing after so many seconds."""
        if not self._woken:
            await self._clock.wait(self._event, seconds)
        self._event.clear()
        woken, self._woken = self._woken, set()
        return woken

    def _woke(self, keys: list[Key]) -> None:
        self._woken.update(keys)
        self._event.set()
