"""Sync handlers of a mock: one at a time, so that the same test goes the same way."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from blaxel_jobs.worker.threads import Call, Threads

MOST: Final = 1000


class Turns(Threads):
    """The next handler begins when the one before has ended, or waits for an answer of the mock."""

    def __init__(self) -> None:
        super().__init__(MOST)
        self._lock = threading.Lock()
        self._next: deque[Callable[[], None]] = deque()
        self._taken = False
        self._here = threading.local()
        self._coming_back: set[threading.Event] = set()

    def submit(self, call: Call) -> None:
        self._take(partial(super().submit, partial(self._run_one, call)))

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Called by a handler's thread: let the next one run meanwhile. Elsewhere it does nothing."""
        if not getattr(self._here, "handler", False):
            yield
            return
        self._give()
        try:
            yield
        finally:
            again = threading.Event()
            self._coming_back.add(again)
            self._take(again.set)
            again.wait()
            self._coming_back.discard(again)

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._next.clear()
        for again in list(self._coming_back):
            again.set()
        super().close()

    def _run_one(self, call: Call) -> None:
        self._here.handler = True
        try:
            call()
        finally:
            self._here.handler = False
            self._give()

    def _take(self, begin: Callable[[], None]) -> None:
        with self._lock:
            if self._taken:
                self._next.append(begin)
                return
            self._taken = True
        begin()

    def _give(self) -> None:
        with self._lock:
            if not self._next:
                self._taken = False
                return
            begin = self._next.popleft()
        begin()
