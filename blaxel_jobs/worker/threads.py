"""Threads for sync handlers.

Daemons: a handler that never returns must not keep the process alive after its lease was given back.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue

Call = Callable[[], None]


class Threads:
    """Up to `size` threads, started when they are first needed."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def submit(self, call: Call) -> None:
        """Run it in a thread. It must not raise. Called from one thread only."""
        if not self._idle.acquire(blocking=False) and self._started < self._size:
            self._started += 1
            threading.Thread(target=self._run, name=f"blaxel-jobs-handler-{self._started}", daemon=True).start()
        self._calls.put(call)

    def outside(self) -> AbstractContextManager[object]:
        """Around the time in which the handler of this thread waits for something of ours."""
        return nullcontext()

    def close(self) -> None:
        """Let idle threads end; busy ones end after what they run."""
        for _ in range(self._started):
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self._idle.release()
