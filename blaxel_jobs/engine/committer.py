"""Group commit: callers hand in commands, and those that meet are committed together.

Two forms behind one port. `Inline` commits in the caller's thread, one command at a time: for stores without fsync, and
deterministic. `Grouped` lets a sync caller who finds nobody committing lead and commit at once; everybody else queues for the
committer's thread, so that one fsync serves many and no event loop ever waits for a disk. Async callers of one loop hand over
together, once per tick, and are answered together, in one callback.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from queue import SimpleQueue
from typing import Any, ClassVar, Final, Protocol
from weakref import WeakKeyDictionary

from ..errors import StoreError, Unavailable
from .commands import Command

log = logging.getLogger("blaxel_jobs.engine")

MAX_CREATE_ROWS: Final = 1000
"""Creates join a batch until it has this many rows; a single larger one goes alone."""

Apply = Callable[[Sequence[Command]], list[Any]]
"""Commits commands in one transaction: an outcome for each, an exception where it could not be done.

Raises when nothing was committed.
"""


class Committer(Protocol):
    """Where commands go. Returns when they are durable; raises what went wrong with this one."""

    at_once: ClassVar[bool]
    """`submit` waits for nobody: an event loop may call it."""

    def submit(self, command: Command) -> Any: ...
    def asubmit(self, command: Command) -> Awaitable[Any]: ...
    def close(self) -> None: ...


class Inline:
    """Commits each command in the caller's own thread."""

    at_once: ClassVar = True

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, command: Command) -> Any:
        with self._lock:
            if self._closed:
                raise Unavailable("the engine is closed")
            [outcome] = self._apply((command,))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def asubmit(self, command: Command) -> Any:
        return self.submit(command)

    def close(self) -> None:
        """Refuse what comes from now on."""
        with self._lock:
            self._closed = True


class _Caller:
    """A thread that waits for its outcome.

    Those of a batch wake each other, one after the other: all at once they would stand in line for the interpreter's lock, and the
    next commit behind them at each of its statements. Not the main thread, whose wait a signal may end: it wakes nobody.
    """

    __slots__ = ("_awake", "outcome", "wake", "wake_next", "wakes")

    def __init__(self) -> None:
        self.outcome: Any = None
        self.wakes = threading.get_ident() != threading.main_thread().ident
        self.wake_next: Callable[[], None] | None = None
        self._awake = threading.Lock()
        self._awake.acquire()
        self.wake = self._awake.release

    def wait(self) -> Any:
        try:
            self._awake.acquire()
        finally:
            # Nothing here is Python's: an exception that is set from outside, to end this thread, comes before it or behind it.
            if self.wake_next is not None:
                self.wake_next()
        return self.outcome


_Waiting = tuple[Command, _Caller | asyncio.Future[Any]]


class Grouped:
    """Commits commands that meet together, in a thread of its own or in that of a sync caller who finds it idle."""

    at_once: ClassVar = False

    def __init__(self, apply: Apply) -> None:
        self._apply = apply
        self._leading = threading.Lock()
        self._idle = False
        self._work: SimpleQueue[None] = SimpleQueue()
        """What an idle thread waits for. More than one, or one too late, only has it look for nothing."""
        self._urgent: deque[_Waiting] = deque()
        self._creates: deque[_Waiting] = deque()
        self._inboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, list[_Waiting]] = WeakKeyDictionary()
        self._closed = False
        self._thread = threading.Thread(target=self._lead, name="blaxel-jobs-committer", daemon=True)
        self._thread.start()

    def submit(self, command: Command) -> Any:
        if self._closed:
            raise Unavailable("the engine is closed")
        if not (self._urgent or self._creates) and self._leading.acquire(blocking=False):
            try:
                outcome = self._commit([command])[0]
            finally:
                self._leading.release()
            return _unwrap(outcome)
        caller = _Caller()
        self._queue([(command, caller)])
        return _unwrap(caller.wait())

    def asubmit(self, command: Command) -> Awaitable[Any]:
        if self._closed:
            raise Unavailable("the engine is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        inbox = self._inboxes.get(loop)
        if inbox is None:
            inbox = self._inboxes[loop] = []
        inbox.append((command, future))
        if len(inbox) == 1:
            loop.call_soon(self._flush, inbox)
        return future

    def close(self) -> None:
        """Commit what is queued, then stop."""
        self._closed = True
        self._work.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._refuse()

    def _flush(self, inbox: list[_Waiting]) -> None:
        arrived, inbox[:] = inbox[:], []
        self._queue(arrived)

    def _queue(self, arrived: list[_Waiting]) -> None:
        for waiting in arrived:
            (self._urgent if waiting[0].urgent else self._creates).append(waiting)
        if self._idle:
            self._work.put(None)
        if self._closed and not self._thread.is_alive():
            self._refuse()

    def _lead(self) -> None:
        while True:
            self._rest()
            while self._urgent or self._creates:
                with self._leading:
                    batch = self._take()
                    outcomes = self._commit([command for command, _ in batch])
                _answer(batch, outcomes)
            if self._closed:
                return

    def _rest(self) -> None:
        """Wait for something to do. It says that it is idle and then looks; who queues does so the other way round, so that one of
        the two sees the other."""
        self._idle = True
        if not (self._urgent or self._creates or self._closed):
            self._work.get()
        self._idle = False

    def _take(self) -> list[_Waiting]:
        """Everything urgent, then creates until the batch is full."""
        batch = [self._urgent.popleft() for _ in range(len(self._urgent))]
        rows = 0
        while self._creates and (rows == 0 or rows + self._creates[0][0].size <= MAX_CREATE_ROWS):
            if batch and rows == 0 and self._creates[0][0].size > MAX_CREATE_ROWS:
                break
            waiting = self._creates.popleft()
            rows += waiting[0].size
            batch.append(waiting)
        return batch

    def _commit(self, commands: list[Command]) -> list[Any]:
        """The outcomes. A transaction that fails as a whole is tried again one by one, so that a bad command fails alone.

        Not where the store is at fault: it would fail each of them too, after as long a wait.
        """
        try:
            return self._apply(commands)
        except (StoreError, Unavailable) as error:
            return [error] * len(commands)
        except Exception as error:  # noqa: BLE001  each caller gets what went wrong with its own command
            if len(commands) == 1:
                return [error]
            # By its class only: what it says may quote a payload.
            log.warning("a batch of %d commands failed, trying each alone: %s", len(commands), type(error).__qualname__)
        return [self._commit([command])[0] for command in commands]

    def _refuse(self) -> None:
        """Nobody commits any more. Called by whoever may have queued last, so two may take turns here."""
        for queue in (self._urgent, self._creates):
            with contextlib.suppress(IndexError):
                while True:
                    _answer([queue.popleft()], [Unavailable("the engine is closed")])


def _unwrap(outcome: Any) -> Any:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _answer(batch: list[_Waiting], outcomes: list[Any]) -> None:
    """Hand every waiter its outcome; those of one loop in one callback. A loop that is gone has nobody left to tell."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    line: list[_Caller] = []
    for (_, waiter), outcome in zip(batch, outcomes, strict=True):
        if isinstance(waiter, _Caller):
            waiter.outcome = outcome
            if waiter.wakes:
                line.append(waiter)
            else:
                waiter.wake()
        else:
            by_loop.setdefault(waiter.get_loop(), []).append((waiter, outcome))
    for caller, following in pairwise(line):
        caller.wake_next = following.wake
    if line:
        line[0].wake()
    for loop, answers in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, answers)
        except RuntimeError:
            log.debug("a loop was closed before %d answers reached it", len(answers))


def _resolve(answers: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, outcome in answers:
        if not future.done():
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
