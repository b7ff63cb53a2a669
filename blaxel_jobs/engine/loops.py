"""The engine's poll loops: each does what is due and returns the seconds until it wants to be called again."""

import logging
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from ..core.ports import Clock, Rng

log = logging.getLogger("blaxel_jobs.engine")

JITTER: Final = 0.1
AFTER_ERROR: Final = 1.0


class Loop(Protocol):
    """One duty."""

    def poll(self, now: float) -> float:
        """Do what is due at `now`; return the seconds until the next look."""
        ...


class Loops:
    """Runs the loops in one thread. With a clock of its own, somebody else may call `poll` instead."""

    def __init__(self, loops: Sequence[Loop], clock: Clock, rng: Rng) -> None:
        self._loops = loops
        self._clock = clock
        self._rng = rng
        self._due = [0.0] * len(loops)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="blaxel-jobs-loops", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def poll(self) -> float:
        """Call every loop that is due; return the seconds until the next one is."""
        for place, loop in enumerate(self._loops):
            now = self._clock.monotonic()
            if self._due[place] <= now:
                self._due[place] = now + self._call(loop)
        return max(0.0, min(self._due) - self._clock.monotonic())

    def _call(self, loop: Loop) -> float:
        """Jittered, so that many servers on one store do not look at the same moment."""
        try:
            return loop.poll(self._clock.now()) * (1 - JITTER * self._rng.random())
        except Exception:
            log.exception("%s failed and is tried again", type(loop).__name__)
            return AFTER_ERROR

    def _run(self) -> None:
        while not self._stopping.wait(self.poll()):
            pass
