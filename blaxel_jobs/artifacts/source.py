"""What is put: bytes, or a file, read in pieces."""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from ..errors import InvalidRequest, TooLarge

MAX_BYTES: Final = 100 * 1024 * 1024
"""What one artifact may have."""
PIECE: Final = 256 * 1024
"""Bytes of an artifact that are held at once."""


class Readable(Protocol):
    """A file that is open for reading bytes."""

    def read(self, size: int, /) -> bytes: ...


Data = bytes | bytearray | memoryview | str | os.PathLike[str] | Readable
"""What can be put: bytes, the path of a file, or a file that is open for reading bytes, which is read from where it stands."""


def too_large(limit: int) -> TooLarge:
    """The error for an artifact above the limit."""
    return TooLarge(f"an artifact has at most {limit} bytes ({limit / 1024 / 1024:g} MB): put it in parts, or keep it elsewhere")


class StoppedError(Exception):
    """Whoever wanted this does not wait for it any more."""


class Source:
    """What is put, in pieces; each iteration begins anew.

    Raises TypeError for what cannot be put, OSError for a file that cannot be read, TooLarge at once where the size is known, else
    while it is read.
    """

    def __init__(self, data: Data, stopped: threading.Event | None = None) -> None:
        """`stopped` ends an iteration, from another thread."""
        self._stopped = stopped or threading.Event()
        self._begin, self.size, self.again = _reading(data)
        """The size in bytes, where that is known before they are read, and whether they can be read a second time."""
        self.sha256: str | None = None
        """Of all that the last complete iteration gave."""
        if self.size is not None and self.size > MAX_BYTES:
            raise too_large(MAX_BYTES)

    def __iter__(self) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
        with closing(self._begin()) as file:
            while piece := _bytes(file.read(PIECE)):
                size += len(piece)
                self._check(size)
                digest.update(piece)
                yield piece
                if self._stopped.is_set():
                    raise StoppedError
        if self.size is not None and size < self.size:
            raise _changed(self.size)
        self.sha256 = digest.hexdigest()

    def _check(self, size: int) -> None:
        if size > MAX_BYTES:
            raise too_large(MAX_BYTES)
        if self.size is not None and size > self.size:
            raise _changed(self.size)


def _bytes(piece: object) -> bytes:
    if not isinstance(piece, bytes):
        raise TypeError("an artifact is put from a file that is open for bytes: open(path, 'rb')")
    return piece


def _changed(size: int) -> InvalidRequest:
    return InvalidRequest(f"the file had {size} bytes, and has changed while it was put", path="data")


def _reading(data: Data) -> tuple[Callable[[], Any], int | None, bool]:
    """How to begin reading, the size, and whether it can be begun again."""
    if isinstance(data, bytes | bytearray | memoryview):
        held = bytes(data)
        return (lambda: io.BytesIO(held)), len(held), True
    if isinstance(data, str | os.PathLike):
        path = Path(data)
        return (lambda: path.open("rb", buffering=0)), path.stat().st_size, True
    if not callable(getattr(data, "read", None)):
        raise TypeError(f"an artifact is put from bytes, the path of a file or an open file, not from {type(data).__name__}")
    return _reading_file(data)


def _reading_file(file: Any) -> tuple[Callable[[], Any], int | None, bool]:
    """From where it stands now."""
    try:
        if not file.seekable():
            return (lambda: _Open(file)), None, False
    except AttributeError:
        return (lambda: _Open(file)), None, False
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start

    def begin() -> Any:
        file.seek(start)
        return _Open(file)

    return begin, size, True


class _Open(NamedTuple):
    """A file that is open already, and stays open: it is the caller's."""

    file: Any

    def read(self, size: int) -> Any:
        return self.file.read(size)

    def close(self) -> None:
        """Nothing: see above."""
