"""What a handler notes on its way: progress, and lines for its log. Gathered, and sent every now and then."""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from ..core.ports import Clock
from ..core.records import Leased, Progress
from ..core.reports import LogLine, Noted
from ..errors import NotSerializable
from ..plain import check_plain

handler_log = logging.getLogger("blaxel_jobs.handler")

EVERY: Final = 0.2
"""Seconds between two reports, at least."""
LOG_WITHIN: Final = 1.0
"""Seconds that a line waits for others, at most."""
MAX_LINES: Final = 1000
"""Lines of one report."""
MOST_BYTES: Final = 512 * 1024
"""Of the lines of one report, unless it is only one."""
MAX_KEPT: Final = 10_000
"""Lines that wait while the store is out of reach. The oldest go first."""
MAX_TEXT: Final = 4 * 1024
MAX_FIELDS: Final = 64 * 1024
"""Bytes of the fields of a line; of more than that only the first text is kept."""

_encode: Final = msgspec.json.Encoder().encode
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Notes:
    """Gathers notes from any thread, and has them sent in the worker's loop."""

    def __init__(
        self,
        leased: Leased,
        clock: Clock,
        send: Callable[[Noted], Coroutine[Any, Any, None]],
        start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
    ) -> None:
        """send: sends one report, never raises. start: has a coroutine run in the loop."""
        self._leased = leased
        self._clock = clock
        self._send = send
        self._start = start
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._lines: deque[LogLine] = deque(maxlen=MAX_KEPT)
        self._told = 0
        """Lines that went out."""
        self._since = 0.0
        """When the oldest note that waits was made."""
        self._sent = -EVERY
        """When a report was last made."""
        self._sending = False
        self._at_ease: asyncio.Event | None = None
        """Ends the wait for more lines."""
        self._flushes: list[concurrent.futures.Future[None]] = []

    def progress(self, progress: Progress) -> None:
        """Only the last one counts."""
        with self._lock:
            first = self._progress is None
            self._note()
            self._progress = progress
        if first:
            self._hurry()

    def log(self, line: LogLine) -> None:
        """Also written to the stdlib's logger `blaxel_jobs.handler`, with ids and without fields."""
        leased = self._leased
        ids = {"job": leased.job, "execution_id": leased.execution_id, "task_id": leased.task_id, "attempt": leased.attempt}
        handler_log.log(
            _LEVELS[line.level], "%s (job %s, execution %s, task %s, attempt %d)", line.message, *ids.values(), extra=ids
        )
        with self._lock:
            self._note()
            self._lines.append(line)

    def flush(self) -> concurrent.futures.Future[None] | None:
        """Send what there is at once. A future that is done when it is sent; None when there is nothing."""
        with self._lock:
            if not self._sending:
                return None
            flush = concurrent.futures.Future[None]()
            self._flushes.append(flush)
        self._hurry()
        return flush

    def _note(self) -> None:
        if self._progress is None and not self._lines:
            self._since = self._clock.monotonic()
        if not self._sending:
            self._sending = True
            self._start(self._send_all)

    def _hurry(self) -> None:
        if self._at_ease is not None:
            self._start(self._wake)

    async def _wake(self) -> None:
        if self._at_ease is not None:
            self._at_ease.set()

    async def _send_all(self) -> None:
        try:
            while self._left():
                if not await self._waited():
                    await self._send(self._take())
                    self._sent = self._clock.monotonic()
        except BaseException:
            with self._lock:
                self._end()
            raise

    def _left(self) -> bool:
        with self._lock:
            left = self._progress is not None or bool(self._lines)
            if not left:
                self._end()
            return left

    def _end(self) -> None:
        self._sending = False
        flushes, self._flushes = self._flushes, []
        for flush in flushes:
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                flush.set_result(None)

    async def _waited(self) -> bool:
        """Wait for as long as it may take; False when there was nothing to wait for."""
        self._at_ease = asyncio.Event()
        try:
            with self._lock:
                if self._flushes:
                    return False
                due = max(self._sent + EVERY, self._since + (LOG_WITHIN if self._progress is None else 0))
            left = due - self._clock.monotonic()
            if left <= 0:
                return False
            await self._clock.wait(self._at_ease, left)
            return True
        finally:
            self._at_ease = None

    def _take(self) -> Noted:
        with self._lock:
            progress, self._progress = self._progress, None
            lines: list[LogLine] = []
            size = 0
            while self._lines and len(lines) < MAX_LINES:
                size += len(_encode(self._lines[0]))
                if lines and size > MOST_BYTES:
                    break
                lines.append(self._lines.popleft())
            before, self._told = self._told, self._told + len(lines)
        return Noted(progress, tuple(lines), before)


class Log:
    """A handler's log: lines with fields, kept as events of its execution."""

    def __init__(self, write: Callable[[LogLine], None]) -> None:
        self._write = write

    def debug(self, message: str, /, **fields: Any) -> None:
        """Write a line."""
        self._write(_line("debug", message, fields))

    def info(self, message: str, /, **fields: Any) -> None:
        """Write a line."""
        self._write(_line("info", message, fields))

    def warning(self, message: str, /, **fields: Any) -> None:
        """Write a line."""
        self._write(_line("warning", message, fields))

    def error(self, message: str, /, **fields: Any) -> None:
        """Write a line."""
        self._write(_line("error", message, fields))


def _line(level: str, message: object, fields: dict[str, Any]) -> LogLine:
    plain = {brief(key): _plain(value) for key, value in fields.items()}
    if plain and len(_encode(plain)) > MAX_FIELDS:
        plain = {"fields": brief(plain)}
    return LogLine(level, brief(message), plain)


def _plain(value: Any) -> Any:
    """The value itself, or the text of one that JSON cannot carry: a log refuses nothing."""
    try:
        check_plain(value)
    except (NotSerializable, RecursionError):
        return brief(value)
    return value


def brief(value: object) -> str:
    """Its text, as much of it as a note carries, with escapes for what is no Unicode."""
    try:
        return str(value)[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001  the text of a value is code of the user's
        return f"<{type(value).__qualname__}>"
