"""Turns between processes that write one SQLite file.

SQLite gives its write lock to whoever asks first after a commit, and that is the process that has just committed: beside a busy one
the others wait for a hundred milliseconds and more. So a writer first takes its turn, an advisory lock on a file beside the
database, and gives it back as soon as it has the write lock. A process that waits for the write lock thus keeps the busy one from
asking again.

This is for fairness only: nothing breaks without it. Whoever cannot get the turn in time goes on and asks SQLite.
"""

import os
import random
import sys
import time
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_PAUSE: Final = 0.001
_LONGEST_WAIT: Final = 0.25
"""Seconds. Longer than any fair wait; a turn held longer belongs to a process that is stopped, or to a dead one's forked child."""


class Turns:
    """This process's place at the file. Raises OSError when it cannot be opened. On Windows there are no turns."""

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        if sys.platform != "win32":
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def take(self) -> None:
        """Wait for the turn. To be given back at once, also when it was not had in time."""
        if self._file is None:
            return
        deadline = 0.0
        while not self._try(self._file):
            now = time.monotonic()
            deadline = deadline or now + _LONGEST_WAIT
            if now >= deadline:
                return
            time.sleep(random.random() * _PAUSE)

    def give(self) -> None:
        """Let the next one have it."""
        if self._file is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file. Closing twice does no harm."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _try(self, file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
