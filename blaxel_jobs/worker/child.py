"""What runs in a process of the worker's: one handler after the other, whose context reaches the worker through a pipe.

A process is a composition root of its own: it has its own clock and randomness. When its worker dies it dies too, wherever its
handler stands: the task is another's by then.
"""

import concurrent.futures
import contextlib
import itertools
import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from ..artifacts import Artifacts
from ..core.records import Leased, Progress
from ..core.reports import Answer, Completed, Failed, LogLine, Report
from ..errors import ContextUnavailable, LeaseLost
from ..system import SystemClock, rng
from .context import TaskContext
from .current import current
from .effects import Flow, Until
from .failures import as_error, failed
from .hold import End, Suspended
from .hold import Pause as PauseFuture
from .invoke import invoke
from .notes import MAX_KEPT
from .parcels import Get, Parcel, ParcelPort, Put
from .pipe import (
    Answered,
    Ask,
    Begin,
    Done,
    Note,
    Pause,
    Ready,
    ToWorker,
    Unwind,
    encode,
    pack,
    read_to_process,
    unpack_error,
)  # fmt: skip
from .places import load

WORKER_GONE: Final = 1
"""The exit code of a process that lost its worker."""


def main(connection: Connection) -> None:
    """Run handlers until the worker is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends its processes itself
    outlet, begins = _Outlet(connection), SimpleQueue[tuple[Begin, PipeWire]]()
    threading.Thread(target=_read, args=(connection, outlet, begins), name="blaxel-jobs-pipe", daemon=True).start()
    outlet.send(Ready())
    while True:
        begin, wire = begins.get()
        wire.done(_outcome(begin, wire))


def run_encoded(place: str, leased: bytes) -> bytes:
    """Run a handler in a process of somebody else's, who takes what JSON carries: a Leased, and what is reported."""
    task = msgspec.json.decode(leased, type=Leased)
    kind, report = pack(_outcome(Begin(0, place, task, 0.0), _NoWire()))
    return encode(Done(0, kind, report))


def _outcome(begin: Begin, wire: Any) -> Completed | Failed:
    leased = begin.leased
    try:
        job = load(begin.place, leased.job)
        artifacts = None if begin.folder is None else partial(_artifacts, wire, begin.folder)
        context = TaskContext(leased, wire, SystemClock(), rng, artifacts)
        token = current.set(context)
        try:
            return Completed(invoke(job, context, leased.input))
        finally:
            current.reset(token)
    except BaseException as raised:  # noqa: BLE001  also SystemExit: a handler does not end the process
        return failed(as_error(raised))


def _artifacts(wire: "PipeWire", folder: str, leased: Leased) -> Artifacts:
    return Artifacts(ParcelPort(wire, folder), leased.execution_id)


def _read(connection: Connection, outlet: "_Outlet", begins: "SimpleQueue[tuple[Begin, PipeWire]]") -> None:
    wire: PipeWire | None = None
    while True:
        try:
            message = read_to_process(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(WORKER_GONE)
        if isinstance(message, Begin):
            wire = PipeWire(outlet, message.run, message.in_place)
            begins.put((message, wire))
        elif wire is not None and wire.run == message.run:
            wire.hear(message)


class _Outlet:
    """The way to the worker, for any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: ToWorker | None, before: Callable[[], ToWorker | None] = lambda: None) -> None:
        """`before`: asked for what is to be sent before it."""
        with self._lock:
            for each in (before(), message):
                if each is not None:
                    self._connection.send_bytes(encode(each))


class PipeWire:
    """The wire of a context in a process: the worker's Hold at the other end does it all."""

    def __init__(self, outlet: _Outlet, run: int, in_place: float) -> None:
        self.run = run
        self.in_place = in_place
        self._outlet = outlet
        self._end: End | None = None
        self._told = False
        self._numbers = itertools.count()
        self._open: dict[int, concurrent.futures.Future[Any]] = {}
        self._pauses: set[int] = set()
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._lines: deque[LogLine] = deque(maxlen=MAX_KEPT)
        self._noted = threading.Event()
        self._noting = False

    @property
    def gone(self) -> bool:
        return self._end not in (None, End.STOPPED)

    def check(self) -> None:
        if self._end is None:
            return
        self._told = True
        if self._end is End.LOST:
            raise LeaseLost
        raise Suspended(self._end.value)

    def telling(self, report: Report) -> Flow[Answer]:
        if self.gone:
            self.check()
        number, future = self._question()
        self._outlet.send(Ask(self.run, number, *pack(report)), self._take)
        answer: Answer | None = yield self.until(future)
        self.check()
        assert answer is not None, "what has no answer is to unwind"
        return answer

    def put(self, parcel: Parcel) -> str:
        """Have an artifact kept. Returns its ref."""
        ref: str = self._asked(lambda number: Put(self.run, number, parcel))
        return ref

    def get(self, execution_id: str, id: str) -> Parcel:
        """An artifact, on its way here."""
        parcel: Parcel = self._asked(lambda number: Get(self.run, number, execution_id, id))
        return parcel

    def pause(self, seconds: float) -> PauseFuture:
        number, future = self._question()
        self._pauses.add(number)
        self._outlet.send(Pause(self.run, number, seconds if seconds < math.inf else None))
        if self._end is not None:
            self.wake()
        return future

    def until(self, pause: concurrent.futures.Future[Any]) -> Until:
        return Until(pause, nullcontext)

    def wake(self) -> None:
        for number in list(self._pauses):
            self._answer(number, None)

    def progress(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress
        self._note()

    def log(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
        self._note()

    def done(self, report: Report) -> None:
        """The handler has ended. Threads that it left behind are to end too."""
        kind, packed = pack(report)
        self._outlet.send(Done(self.run, kind, packed, self._told), self._take)
        self._end = End.OVER
        self.wake()
        self._noted.set()

    def hear(self, message: Answered | Unwind) -> None:
        """What the worker says."""
        if isinstance(message, Unwind):
            self._end = message.end
            self.wake()
        elif message.error is not None:
            self._answer(message.number, unpack_error(message.error))
        else:
            self._answer(message.number, message.answer or message.parcel or message.ref)

    def _asked(self, message: Callable[[int], ToWorker]) -> Any:
        self.check()
        number, future = self._question()
        self._outlet.send(message(number))
        answer = future.result()
        if answer is None:
            self.check()
        return answer

    def _question(self) -> tuple[int, concurrent.futures.Future[Any]]:
        number, future = next(self._numbers), concurrent.futures.Future[Any]()
        self._open[number] = future
        return number, future

    def _answer(self, number: int, answer: Answer | Parcel | str | Exception | None) -> None:
        self._pauses.discard(number)
        future = self._open.pop(number, None)
        if future is None:
            return
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _note(self) -> None:
        """The pipe may be full: a thread waits for it, while only the newest progress is kept."""
        with self._lock:
            begin, self._noting = not self._noting, True
        if begin:
            threading.Thread(target=self._send_notes, name="blaxel-jobs-notes", daemon=True).start()
        self._noted.set()

    def _send_notes(self) -> None:
        while self._end is not End.OVER:
            self._noted.wait()
            self._noted.clear()
            self._outlet.send(None, self._take)

    def _take(self) -> Note | None:
        with self._lock:
            progress, self._progress = self._progress, None
            lines = list(self._lines)
            self._lines.clear()
        return Note(self.run, progress, lines) if progress is not None or lines else None


class _NoWire:
    """Of a context in a process that nobody of ours listens to."""

    in_place = 0.0
    gone = False

    def check(self) -> None:
        raise ContextUnavailable

    def telling(self, report: Report) -> Flow[Answer]:
        raise ContextUnavailable

    def pause(self, seconds: float) -> PauseFuture:
        raise ContextUnavailable

    def until(self, pause: concurrent.futures.Future[Any]) -> Until:
        raise ContextUnavailable

    def wake(self) -> None:
        """Nothing waits."""

    def progress(self, progress: Progress) -> None:
        raise ContextUnavailable

    def log(self, line: LogLine) -> None:
        raise ContextUnavailable
