"""Claims that wait for work: of remote workers, which hold a request open until there is something for them."""

import asyncio
import contextlib
import threading
from collections.abc import Collection

from msgspec import Struct

from ..core.ports import Clock


class Awaiting(Struct, frozen=True):
    """Wait for what `note` noted, for at most so many seconds; answers whether it came."""

    event: asyncio.Event
    seconds: float


class Arrivals:
    """Who waits for which jobs. A claim is noted before its last look at the store, so that it misses nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], dict[asyncio.Event, asyncio.AbstractEventLoop]] = {}
        self.released = False

    def note(self, workspace: str, jobs: Collection[str]) -> asyncio.Event:
        """From now on what arrives for these jobs sets the event. In the loop that will wait; `forget` ends it."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._lock:
            for job in jobs:
                self._waiting.setdefault((workspace, job), {})[event] = loop
        return event

    def forget(self, workspace: str, jobs: Collection[str], event: asyncio.Event) -> None:
        with self._lock:
            for job in jobs:
                waiting = self._waiting.get((workspace, job), {})
                waiting.pop(event, None)
                if not waiting:
                    self._waiting.pop((workspace, job), None)

    def wake(self, ready: Collection[tuple[str, str]]) -> None:
        """Something can be claimed for these (workspace, job). From any thread."""
        if not self._waiting:
            return
        with self._lock:
            woken = {event: loop for key in ready for event, loop in self._waiting.get(key, {}).items()}
        for event, loop in woken.items():
            with contextlib.suppress(RuntimeError):  # a closed loop has nobody left to wake
                loop.call_soon_threadsafe(event.set)

    def release(self) -> None:
        """Wake everybody, now and from now on: the server drains."""
        self.released = True
        self.wake(list(self._waiting))

    async def wait(self, arrival: Awaiting, clock: Clock) -> bool:
        """Until the event is set, or the time is over."""
        if not self.released:
            await clock.wait(arrival.event, arrival.seconds)
        return arrival.event.is_set()
