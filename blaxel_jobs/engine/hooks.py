"""Who is told what happens: the log, and functions of the program around the engine."""

import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from msgspec import Struct

from ..words import JobStatus
from .effects import Told

log = logging.getLogger("blaxel_jobs.events")

EVERYTHING: Final = "*"
ENDS: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})
EVENTS: Final = frozenset(
    {
        EVERYTHING, *map(str, ENDS), "created", "started", "paused", "resumed", "retried", "timed_out", "failed_fast", "event.sent",
        "log", "progress", "task.started", "task.completed", "task.failed", "task.retrying", "task.suspended", "task.released",
        "task.recovered",
    }
)  # fmt: skip
"""What can be listened to: the types of events, the three ends of an execution, and everything."""
_NOTEWORTHY: Final = {"task.failed": logging.WARNING, "task.retrying": logging.WARNING, "task.recovered": logging.WARNING}


class Happening(Struct, frozen=True):
    """An event of an execution, as a listener is told of it."""

    type: str
    """Such as task.started; completed, failed or cancelled for the event that ended the execution."""
    execution_id: str
    job: str
    status: str
    """The execution's, from then on."""
    at: datetime
    task: str | None = None
    attempt: int | None = None
    worker: str | None = None
    error: str | None = None
    """Class and message of what the handler raised."""


Listener = Callable[[Happening], object]
L = TypeVar("L", bound=Listener)

MOST_WAITING: Final = 100_000
"""Events that wait for listeners that are slow."""
CLOSE_SECONDS: Final = 5.0
"""How long `close` waits for them."""


class Hooks:
    """Calls listeners one after the other, in a thread of its own, so that none of them holds up a commit or fails a job."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        """`most` events wait for listeners; those that come then are dropped."""
        self._most = most
        self._listeners: dict[str, tuple[Listener, ...]] = {}
        self._queue: SimpleQueue[Told | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._dropped = 0

    def on(self, event: str, listener: L) -> L:
        """Call it with a Happening for each event of this type, from now on. Raises ValueError for a type that there is not."""
        if event not in EVENTS:
            raise ValueError(f"there is no event {event!r}; there are {', '.join(sorted(EVENTS))}")
        if not callable(listener) or inspect.iscoroutinefunction(listener):
            raise TypeError(f"a listener is a plain function that is called with what happened, not {listener!r}")
        with self._starting:
            self._listeners[event] = (*self._listeners.get(event, ()), listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="blaxel-jobs-hooks", daemon=True)
                self._thread.start()
        return listener

    def told(self, told: Sequence[Told]) -> None:
        """From the committing thread."""
        if self._thread is None:
            return
        for each in told:
            if any(map(self._wanted, _types(each))):
                if self._queue.qsize() < self._most:
                    self._queue.put(each)
                else:
                    self._drop()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Tell what has happened until now, and end. What takes longer than so many seconds is left to itself."""
        if self._thread is None:
            return
        self._queue.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join(seconds)
            if self._thread.is_alive():
                log.warning("a listener still runs after %g s: it, and about %d events, are left", seconds, self._queue.qsize())

    def _wanted(self, kind: str) -> bool:
        return kind in self._listeners or EVERYTHING in self._listeners

    def _drop(self) -> None:
        if not self._dropped:
            log.warning("listeners are too slow: %d events wait, and those that come now are not told of", self._most)
        self._dropped += 1

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            if self._dropped and self._queue.empty():
                log.warning("%d events were not told of, since listeners were too slow", self._dropped)
                self._dropped = 0
            for kind in _types(told):
                for listener in (*self._listeners.get(kind, ()), *self._listeners.get(EVERYTHING, ())):
                    self._call(listener, told, kind)

    def _call(self, listener: Listener, told: Told, kind: str) -> None:
        try:
            listener(_happening(told, kind))
        except BaseException:  # also SystemExit: the next one is told, whatever this one raises
            log.exception("a listener for %s failed", kind, extra=_ids(told))


def _types(told: Told) -> tuple[str, ...]:
    """What an event is listened to as: its type, and the end that it was for the execution, which may be the same word."""
    kind = told.event.type
    return (kind, told.execution.status) if kind not in ENDS and told.ends else (kind,)


def _happening(told: Told, kind: str) -> Happening:
    execution, event = told.execution, told.event
    error = event.error or (execution.error if told.ends else None)
    return Happening(
        type=str(kind), execution_id=execution.id, job=execution.job, status=str(event.status),
        at=datetime.fromtimestamp(event.at, UTC), task=event.task, attempt=told.attempt, worker=event.worker,
        error=None if error is None else f"{error.type}: {error.message}",
    )  # fmt: skip


def log_events(told: Sequence[Told]) -> None:
    """Log what happens, by ids: the records carry execution_id, job, task_id and attempt, and never a payload."""
    everything = log.isEnabledFor(logging.DEBUG)
    for each in told:
        level = _NOTEWORTHY.get(each.event.type)
        if level is None:
            if everything:
                _log(logging.DEBUG, each)
        elif log.isEnabledFor(level):
            _log(level, each)


def _log(level: int, told: Told) -> None:
    execution, event = told.execution, told.event
    what = f"job {execution.job} execution {execution.id}"
    if event.task is not None:
        what += f" task {event.task}"
    if told.attempt is not None:
        what += f" attempt {told.attempt}"
    if event.error is not None:
        what += f" ({event.error.type})"
    log.log(level, "%s: %s, now %s", event.type, what, event.status, extra=_ids(told))


def _ids(told: Told) -> dict[str, Any]:
    """What a record about an event carries. A field that it has nothing for is None, so that a format may name it."""
    return {
        "execution_id": told.execution.id, "job": told.execution.job, "task_id": told.event.task, "attempt": told.attempt,
    }  # fmt: skip
