"""The engine's poll loops: each does what is due and says in how many seconds something will be."""

import logging
import math
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ..core.ports import Clock, Rng

log = logging.getLogger("blaxel_jobs.engine")

LONGEST: Final = 1.0
"""Seconds between two looks of the thread at the most: something new of another process may be due sooner than is known here."""
JITTER: Final = 0.1
"""How much earlier it looks at random, so that many servers on one store do not look at the same moment."""
AFTER_ERROR: Final = 1.0


class Loop(Protocol):
    """One duty."""

    def poll(self, now: float) -> float:
        """Do what is due at `now`; return the seconds until something else is, by what is known now: inf for nothing."""
        ...


class Once(Loop):
    """Something to do in the background, once."""

    def __init__(self, do: Callable[[], object]) -> None:
        self._do: Callable[[], object] | None = do

    def poll(self, now: float) -> float:
        if self._do is not None:
            self._do()
            self._do = None
        return math.inf


class Loops:
    """Runs the loops in one thread. Whoever has a clock of his own calls `poll` instead."""

    def __init__(self, loops: Sequence[Loop], clock: Clock, rng: Rng) -> None:
        self._loops = loops
        self._clock = clock
        self._rng = rng
        self._due = [0.0] * len(loops)
        self._lock = threading.Lock()
        """Of `_due`."""
        self._woken = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="blaxel-jobs-loops", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def poll(self) -> float:
        """Call every loop; return the seconds until one of them has something to do, by what is known now: inf for nothing."""
        return max(0.0, min(self._call(loop) for loop in self._loops))

    def hasten(self, seconds: float, place: int = 0) -> None:
        """The loop at this place has something to do in so many seconds, perhaps sooner than it knew. From any thread."""
        at = self._clock.monotonic() + seconds
        with self._lock:
            if self._thread is None or self._due[place] <= at:
                return
            self._due[place] = at
        self._woken.set()

    def _poll_due(self) -> float:
        """Call the loops whose turn it is; return the seconds until the next one's."""
        for place, loop in enumerate(self._loops):
            now = self._clock.monotonic()
            with self._lock:
                if self._due[place] > now:
                    continue
                self._due[place] = math.inf
            after = now + min(LONGEST, self._call(loop)) * (1 - JITTER * self._rng.random())
            with self._lock:  # meanwhile it may have been told of something sooner
                self._due[place] = min(self._due[place], after)
        with self._lock:
            return max(0.0, min(self._due) - self._clock.monotonic())

    def _call(self, loop: Loop) -> float:
        try:
            return loop.poll(self._clock.now())
        except Exception:
            log.exception("%s failed and is tried again", type(loop).__name__)
            return AFTER_ERROR

    def _run(self) -> None:
        while not self._stopping:
            self._woken.wait(self._poll_due())
            self._woken.clear()
