"""Servers of a mock's time: one that stands in for the network in this process, and one that is reached over it.

While a stand-in is there, every seam of this process speaks to it and to nothing else, whatever its settings say, and keeps its
time.
"""

import os
import threading
from typing import Protocol

import httpx

from ..errors import ConfigError
from ..system import SystemClock, sleep
from ..words import ELAPSED, SLEPT


class Wire(Protocol):
    """What carries requests: `Connections`, or a stand-in for them. Groups are those of `Connections`."""

    def take_poll(self) -> int: ...
    def give_back(self, group: int) -> None: ...
    def send(self, request: httpx.Request, group: int) -> httpx.Response: ...
    async def asend(self, request: httpx.Request, group: int) -> httpx.Response: ...
    def close(self) -> None: ...
    async def aclose(self) -> None: ...


class StandIn(Protocol):
    """What stands in for the network and for time."""

    @property
    def wire(self) -> Wire: ...

    @property
    def base_url(self) -> str:
        """What requests on that wire name."""
        ...

    @property
    def url(self) -> str | None:
        """Where it listens as well. Seams whose base_url begins so reach it there."""
        ...

    def monotonic(self) -> float: ...
    def random(self) -> float: ...
    def new_key(self) -> str: ...
    def sleep(self, seconds: float) -> None: ...
    async def asleep(self, seconds: float) -> None: ...


_lock = threading.Lock()
_present: tuple[tuple[int, StandIn], ...] = ()
"""With the process that each belongs to; the last one is asked."""


def enter(stand_in: StandIn) -> None:
    """From now on it stands in."""
    global _present
    with _lock:
        _present = (*_present, (os.getpid(), stand_in))


def leave(stand_in: StandIn) -> None:
    """It stands in no more; an outer one does again."""
    global _present
    with _lock:
        _present = tuple(entry for entry in _present if entry[1] is not stand_in)


def present() -> bool:
    """Is there any."""
    return bool(_present)


def stand_in_for(base_url: str) -> StandIn | None:
    """What a seam of that base URL speaks to instead. Raises ConfigError in a child of the process that it belongs to."""
    entries = _present
    if not entries or any(one.url is not None and base_url.startswith(f"{one.url}/") for _, one in entries):
        return None
    pid, innermost = entries[-1]
    if pid != os.getpid():
        raise ConfigError(
            "the mock server is in the process that started this one: make it MockServer(live=True), and "
            "set BL_API_URL here to its url"
        )
    return innermost


class Time:
    """Real time, unless the server's own runs ahead of it: then what its answers say it took, and sleeping takes no time here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead = 0.0
        self._slept: float | None = None
        """What no request has told of yet; None as long as no answer named a time."""

    def monotonic(self) -> float:
        return SystemClock.monotonic() + self._ahead

    def sleep(self, seconds: float) -> None:
        if not self._skip(seconds):
            sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(0 if self._skip(seconds) else seconds)

    def stamp(self, request: httpx.Request) -> float:
        """Tell of what was slept. The answer is the time at which the request begins."""
        if self._slept:
            with self._lock:
                slept, self._slept = self._slept, 0.0
            request.headers[SLEPT] = repr(slept)
        return self.monotonic()

    def answered(self, began: float, response: httpx.Response) -> bool:
        """Did the answer name a time: then it took as long here as it did there, however many waited for it at once."""
        elapsed = response.headers.get(ELAPSED)
        if elapsed is None:
            return False
        with self._lock:
            self._slept = self._slept or 0.0
            self._ahead += max(0.0, began + float(elapsed) - self.monotonic())
        return True

    def _skip(self, seconds: float) -> bool:
        with self._lock:
            if self._slept is None:
                return False
            self._slept += seconds
            self._ahead += seconds
            return True
