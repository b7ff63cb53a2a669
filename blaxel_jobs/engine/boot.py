"""Which processes run workers on this machine's store: a file that each of them locks together, and that only a lonely one locks
alone.

The lock goes with the process, however it dies. So who gets the file alone knows that every embedded worker in the store is dead.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: leases run out there, and nothing is known sooner
    fcntl = None  # type: ignore[assignment]


class Boot:
    """This process's part of the lock file; without a path there is none, and nobody is ever known to be dead."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None

    @contextlib.contextmanager
    def enter(self) -> Iterator[bool]:
        """Join. True when no other process is in; none can join until the block ends."""
        if self._path is None or fcntl is None:
            yield False
            return
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            yield _lock_alone(self._file)
            fcntl.flock(self._file, fcntl.LOCK_SH)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Leave; the file stays, since others may be in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _lock_alone(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
