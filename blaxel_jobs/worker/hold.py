"""A handler's hold on its task: its reports go out here, and what ends the hold reaches the handler here."""

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from enum import Enum
from typing import Any, Final, NoReturn

from ..core.records import Leased, Progress
from ..core.reports import Answer, Awaited, LogLine, Noted, Report, Slept, ended_by, told_again
from ..errors import ConnectionFailed, ContractError, LeaseLost, Unavailable
from .effects import Flow, Send, Until, run_there
from .logs import ids
from .means import Means
from .notes import Notes

log = logging.getLogger("blaxel_jobs.worker")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to report."""

PASSING: Final = (Unavailable, ConnectionFailed, ContractError)
"""After these a report is made again: the store is out of reach, or what came for an answer is not from it."""

Pause = concurrent.futures.Future[None]

_lock: Final = threading.Lock()
"""Of all holds together: none has it for longer than a few assignments, and one for each would cost more."""


class Suspended(BaseException):
    """Unwinds a handler whose task goes on later, from what its steps have stored. Let it pass: `finally` runs, nothing is lost."""


class End(Enum):
    """Why a handler is to unwind."""

    STOPPED = "its execution is paused"
    SUSPENDED = "it waits without a worker, and goes on when that is over"
    LOST = "its lease is lost: it was cancelled, or another worker has it"
    OVER = "its worker stops, or its execution's time is up"


class Hold:
    """One lease, while its handler runs. Used by the handler from any thread, and by the worker."""

    __slots__ = ("_loop", "_means", "_notes", "_pauses", "_tasks", "around", "closed", "end", "leased", "on_end", "told")

    def __init__(self, leased: Leased, means: Means) -> None:
        """Made in the worker's loop. One is made for every task, so all that few of them need is made later."""
        self.leased = leased
        self.end: End | None = None
        self.closed = False
        """The handler has ended."""
        self.told = False
        """The handler was told of the end: what it returns after that is not its outcome."""
        self.around: Context | None = None
        """Of the handler, where it does not run in the worker's loop: for what is done on its behalf."""
        self.on_end: Callable[[End], None] | None = None
        """Called when the handler is to unwind, from any thread."""
        self._means = means
        self._loop = asyncio.get_running_loop()
        self._pauses: dict[Pause, bool] | None = None
        self._tasks: set[asyncio.Task[None]] | None = None
        self._notes: Notes | None = None

    @property
    def in_place(self) -> float:
        """Seconds that a durable sleep may last without giving the task up."""
        return self._means.leases.in_place

    @property
    def gone(self) -> bool:
        """Nothing that the handler still does is kept."""
        return self.end not in (None, End.STOPPED)

    def check(self) -> None:
        """Raise what the handler is to unwind by, if it is: Suspended, or LeaseLost."""
        if self.end is None:
            return
        self.told = True
        if self.end is End.LOST:
            raise LeaseLost
        raise Suspended(self.end.value)

    def finish(self, end: End) -> None:
        """The handler is to unwind. It is told at its next verb; what it sleeps through is over at once. From any thread."""
        with _lock:
            if end is self.end or self.gone:
                return
            self.end, gone = end, end is not End.STOPPED
            pauses = [pause for pause, by_stop in (self._pauses or {}).items() if gone or by_stop]
        if gone:
            self._means.on_gone(self.leased.lease)
        _resolve(pauses)
        if self.on_end is not None:
            self.on_end(end)

    def close(self) -> None:
        """The handler has ended."""
        self.closed = True
        self.around = None  # its context has this hold: with it, both would wait for the garbage collector
        if self._pauses:
            with _lock:
                pauses = list(self._pauses)
            _resolve(pauses)

    def telling(self, report: Report) -> Flow[Answer]:
        """Make a report of the handler's. Raises LeaseLost, and Suspended when the answer is that it is to unwind."""
        # A step that has returned is stored, though the handler is to unwind.
        if self.gone:
            self.check()
        if self.closed and isinstance(report, Slept | Awaited):  # left behind: it suspends nothing any more
            raise Suspended("its handler has ended")
        # What may end the lease goes out after the notes, anything else beside them.
        flushed = None if self._notes is None else self._notes.flush()
        if flushed is not None and isinstance(report, Slept | Awaited):
            yield self.until(flushed)
        answer = yield from self._sending(report)
        self.check()
        return answer

    async def deliver(self, report: Report) -> None:
        """Make the last report, after all notes. Raises LeaseLost, and Suspended when the lease has ended meanwhile."""
        flushed = None if self._notes is None else self._notes.flush()
        if flushed is not None:
            await asyncio.wrap_future(flushed)
        try:
            self._obeyed(await self._means.leases.report(self.leased.lease, report))
        except LeaseLost:
            self._lose()
        except PASSING as error:
            await run_there(self._sending_again(report, error))

    def progress(self, progress: Progress) -> None:
        """Never waits."""
        self._noted().progress(progress)

    def log(self, line: LogLine) -> None:
        """Never waits."""
        self._noted().log(line)

    def pause(self, seconds: float, *, by_stop: bool = True) -> Pause:
        """A future that is done after so many seconds, or when the hold ends, or at `wake`. by_stop: False for one that only ends
        early when the lease is gone."""
        pause = Pause()
        with _lock:
            if self._pauses is None:
                self._pauses = {}
            self._pauses[pause] = by_stop
            ended = self.gone or (by_stop and self.end is not None)
        if ended:
            _resolve([pause])
        self.start(lambda: self._elapse(seconds, pause), copy_context() if self.around is None else self.around)
        return pause

    def wake(self) -> None:
        """Ends all pauses of the handler's."""
        with _lock:
            pauses = [pause for pause, by_stop in (self._pauses or {}).items() if by_stop]
        _resolve(pauses)

    def until(self, pause: concurrent.futures.Future[Any]) -> Until:
        """The wait for it."""
        return Until(pause, self._means.threads.outside)

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], around: Context | None = None) -> None:
        """Have a coroutine run in the worker's loop. From any thread."""
        around = (around or self._means.own).copy()
        # A loop that is closed has ended what the work was for.
        with contextlib.suppress(RuntimeError):
            if _running_loop() is self._loop:
                self._start(work, around)
            else:
                self._loop.call_soon_threadsafe(self._start, work, around)

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]], around: Context) -> None:
        task = self._loop.create_task(work(), context=around)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _elapse(self, seconds: float, pause: Pause) -> None:
        over = asyncio.Event()
        pause.add_done_callback(lambda _: self._set(over))
        try:
            await self._means.clock.wait(over, seconds)
        finally:
            with _lock:
                if self._pauses is not None:
                    del self._pauses[pause]
            _resolve([pause])

    def _set(self, over: asyncio.Event) -> None:
        if _running_loop() is self._loop:
            over.set()
        else:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(over.set)

    def _noted(self) -> Notes:
        with _lock:
            if self._notes is None:
                self._notes = Notes(self.leased, self._means.clock, self._note, self.start)
            return self._notes

    async def _note(self, noted: Noted) -> None:
        if not self.gone:
            with contextlib.suppress(LeaseLost, Suspended):
                await run_there(self._sending(noted))

    def _sending(self, report: Report) -> Flow[Answer]:
        """Make a report, if need be again and again."""
        try:
            return self._obeyed((yield self._send(report)))
        except LeaseLost:
            self._lose()
        except PASSING as raised:
            error = raised
        return (yield from self._sending_again(report, error))

    def _sending_again(self, report: Report, error: Exception) -> Flow[Answer]:
        """Make a report whose try has just raised, until the store is within reach: what was worked for is not thrown away, and the
        lease is kept alive meanwhile."""
        pause, leased, doubtful, last = FIRST_PAUSE, self.leased, False, False
        while True:
            if isinstance(error, ContractError):
                doubtful, report = True, told_again(report)
            names = (leased.execution_id, leased.task_id)
            log.warning("report is tried again: execution %s task %s: %s", *names, error, extra=ids(leased))
            yield self.until(self.pause(pause, by_stop=False))
            if self.gone:
                if last or not doubtful or self.end is not End.LOST:
                    self.check()
                last = True  # it may be this report that has ended the lease: one more try tells
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                return self._obeyed((yield self._send(report)))
            except LeaseLost:
                if doubtful and (ended := ended_by(report)):
                    return self._obeyed(ended)
                self._lose()
            except PASSING as raised:
                error = raised

    def _send(self, report: Report) -> Send:
        return Send(self._means.leases, self.leased.lease, report, self._means.threads.outside)

    def _lose(self) -> NoReturn:
        self.finish(End.LOST)
        self.check()
        raise AssertionError("a hold that has ended does not pass its check")

    def _obeyed(self, answer: Answer) -> Answer:
        if answer.suspended:
            self.finish(End.SUSPENDED)
        elif answer.stop:
            self.finish(End.STOPPED)
        return answer


def _resolve(pauses: list[Pause]) -> None:
    for pause in pauses:
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if not pause.done():
                pause.set_result(None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
