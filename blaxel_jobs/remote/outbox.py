"""Reports on their way: what is told while a request is under way goes out together with the next one."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from ..core.records import LeaseRef
from ..core.reports import Answer, Released, Report, ended_by, told_again
from ..errors import ConnectionFailed, ContractError, LeaseLost, Unavailable
from .link import Link, is_passing
from .wire import Encoded

MOST_BYTES: Final = 1024 * 1024
"""Of one request. A single report may have more: the server takes twice as much."""
MOST_REPORTS: Final = 1000

Send = Callable[[list[Encoded]], list[Answer | Exception]]


class Letter:
    """One report, and where its answer goes: to a future of an event loop, or to a thread that waits."""

    def __init__(self, lease: LeaseRef, report: Report, future: "asyncio.Future[Answer] | None" = None) -> None:
        self.encoded = Encoded(lease, report)
        self.lease = lease
        self.report = report
        self.future = future
        self.done = False
        self._doubtful = False
        self._outcome: Answer | Exception | None = None
        self._arrived = threading.Lock()
        self._arrived.acquire()

    @property
    def is_patient(self) -> bool:
        """It is worth waiting for a server. A task that is given back comes back by itself when its lease runs out."""
        return not isinstance(self.report, Released)

    def doubt(self) -> None:
        """It was sent, and no answer came that can be read: it may have been taken."""
        if not self._doubtful:
            self._doubtful = True
            self.encoded = Encoded(self.lease, told_again(self.report))

    def settle(self, outcome: Answer | Exception) -> None:
        """Keep the answer."""
        if self._doubtful and isinstance(outcome, LeaseLost):
            outcome = ended_by(self.report) or outcome
        self._outcome, self.done = outcome, True
        if self.future is None:
            self._arrived.release()

    def wait(self) -> Answer:
        """In the thread that sent it."""
        self._arrived.acquire()
        assert self._outcome is not None
        if isinstance(self._outcome, Answer):
            return self._outcome
        raise self._outcome

    def deliver(self) -> None:
        """In its loop. Nobody may wait any more."""
        if self.future is None or self.future.done():
            return
        if isinstance(self._outcome, Answer):
            self.future.set_result(self._outcome)
        elif self._outcome is not None:
            self.future.set_exception(self._outcome)


class Outbox:
    """Sends reports, one request at a time. A thread that finds nobody sending sends its own at once, and what came meanwhile too;
    for event loops, which must not wait, a thread of the outbox does. `send` performs one request."""

    def __init__(self, send: Send, link: Link) -> None:
        self._send = send
        self._link = link
        self._lock = threading.Lock()
        self._waiting: deque[Letter] = deque()
        self._sending = False
        self._wake = threading.Semaphore(0)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def post(self, lease: LeaseRef, report: Report) -> Answer:
        """From a thread that waits for the answer. Raises what the report is refused with; ConnectionFailed once closed."""
        letter = Letter(lease, report)
        if self._enqueue(letter):
            self._send_until(letter)
        return letter.wait()

    async def apost(self, lease: LeaseRef, report: Report) -> Answer:
        """From an event loop; as `post`."""
        letter = Letter(lease, report, asyncio.get_running_loop().create_future())
        assert letter.future is not None
        if self._enqueue(letter):
            self._in_thread()
        return await letter.future

    def close(self) -> None:
        """Send nothing more: what has no answer yet gets ConnectionFailed."""
        with self._lock:
            self._closed.set()
        self._wake.release()
        self._give_up(ConnectionFailed("the worker is closed", sent=False), lambda letter: True)

    def _enqueue(self, letter: Letter) -> bool:
        """Whether the caller is to send: nobody else does."""
        with self._lock:
            if self._closed.is_set() or (self._link.is_down and not letter.is_patient):
                raise ConnectionFailed("there is no server to report to", sent=False)
            self._waiting.append(letter)
            sends, self._sending = not self._sending, True
            return sends

    def _in_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="blaxel-jobs-reports", daemon=True)
            self._thread.start()
        self._wake.release()

    def _run(self) -> None:
        while True:
            self._wake.acquire()
            if self._closed.is_set():
                return
            while batch := self._next():
                self._deliver(batch)

    def _send_until(self, letter: Letter) -> None:
        """Send until the answer to this one is there, then leave the rest to the outbox's thread."""
        while not letter.done:
            self._deliver(self._next())
        with self._lock:
            self._sending = bool(self._waiting)
            if not self._waiting:
                return
        self._in_thread()

    def _next(self) -> list[Letter]:
        """What goes into one request; nothing left: nobody sends any more."""
        batch: list[Letter] = []
        size = 0
        with self._lock:
            while self._waiting and len(batch) < MOST_REPORTS:
                size += len(self._waiting[0].encoded.text)
                if batch and size > MOST_BYTES:
                    break
                batch.append(self._waiting.popleft())
            if not batch:
                self._sending = False
        return batch

    def _deliver(self, batch: list[Letter]) -> None:
        """Send these until they are answered, and hand the answers over."""
        pauses = self._link.pauses()
        while batch:
            try:
                outcomes = self._send([letter.encoded for letter in batch])
            except Exception as error:  # noqa: BLE001  whatever it is, those who wait get it
                if not is_passing(error):
                    self._refused(batch, error)
                    return
                self._link.failed(error)
                for letter in batch:
                    if getattr(error, "sent", True):
                        letter.doubt()
                batch = self._patient(batch, error)
                if self._closed.wait(pauses.after(error) if batch else 0):
                    _settle(batch, [error] * len(batch))
                    return
            else:
                self._link.answered()
                _settle(batch, outcomes)
                return

    def _refused(self, batch: list[Letter], error: Exception) -> None:
        """One of them is to blame: each goes alone, so that it is only that one's error."""
        if len(batch) == 1:
            _settle(batch, [error])
            return
        for letter in batch:
            if isinstance(error, ContractError):
                letter.doubt()
            self._deliver([letter])

    def _patient(self, batch: list[Letter], error: Exception) -> list[Letter]:
        """Those of the batch that are tried again. The others, also those that wait, have failed as if there were no server: who
        told them may tell them again later."""
        failed: Exception = error if isinstance(error, ConnectionFailed | Unavailable) else ConnectionFailed(str(error))
        self._give_up(failed, lambda letter: not letter.is_patient)
        hasty = [letter for letter in batch if not letter.is_patient]
        _settle(hasty, [failed] * len(hasty))
        return [letter for letter in batch if letter.is_patient]

    def _give_up(self, error: Exception, which: Callable[[Letter], bool]) -> None:
        with self._lock:
            given_up = [letter for letter in self._waiting if which(letter)]
            self._waiting = deque(letter for letter in self._waiting if not which(letter))
        _settle(given_up, [error] * len(given_up))


def _settle(letters: list[Letter], outcomes: "list[Answer | Exception] | list[Exception]") -> None:
    """Hand the answers over: each loop is woken once."""
    loops: dict[asyncio.AbstractEventLoop, list[Letter]] = {}
    for letter, outcome in zip(letters, outcomes, strict=True):
        letter.settle(outcome)
        if letter.future is not None:
            loops.setdefault(letter.future.get_loop(), []).append(letter)
    for loop, mine in loops.items():
        # A loop that is closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_deliver_all, mine)


def _deliver_all(letters: list[Letter]) -> None:
    for letter in letters:
        letter.deliver()
