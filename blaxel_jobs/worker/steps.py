"""The durable verbs of a handler: steps, sleeps and waits for events. What is stored is replayed, all else is done and then stored.

A suspension ends all that a handler does at once. So it waits for the steps that run beside it, and of several sleeps and waits for
events it is the one that ends first which suspends, when all of them are stored: whichever is over then wakes the task.
"""

import logging
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import attrs
import msgspec

from .. import values
from ..core import retry
from ..core.ports import Rng
from ..core.records import Leased, RetryPolicy, StoredStep
from ..core.reports import Answer, Awaited, Report, Slept, Stepped
from ..errors import DuplicateStep, NotSerializable, PermanentError, RetryAfter, StepTimeout
from .effects import Call, Effect, Flow, Turn, steps_around
from .hold import Pause
from .logs import ids

log = logging.getLogger("blaxel_jobs.worker")

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
MARGIN: Final = 1.0
"""Seconds more than a sleep has left however it is reckoned."""

_FINAL: Final = (PermanentError, NotSerializable, DuplicateStep)
"""What no other try will mend."""


class Line(Protocol):
    """The line from a handler to its worker: a Hold, or what reaches one from another process."""

    @property
    def in_place(self) -> float: ...
    def check(self) -> None: ...
    def telling(self, report: Report) -> Flow[Answer]: ...
    def pause(self, seconds: float) -> Pause: ...
    def until(self, pause: Pause) -> Effect: ...
    def wake(self) -> None: ...


@attrs.frozen
class Options:
    """How a step is tried."""

    max_retries: int = attrs.field(default=0)
    retry_delay: float | None = attrs.field(default=None)
    timeout: float | None = attrs.field(default=None)

    @max_retries.validator
    def _check_count(self, _: Any, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"max_retries is a whole number, 0 or more, not {value!r}")

    @retry_delay.validator
    def _check_delay(self, _: Any, value: Any) -> None:
        if value is not None:
            check_seconds("retry_delay", value)

    @timeout.validator
    def _check_timeout(self, _: Any, value: Any) -> None:
        if value is not None and check_seconds("timeout", value) == 0:
            raise ValueError("timeout is more than 0 seconds")

    def delay(self, failed: int, error: Exception, rng: Rng | None) -> float | None:
        """Seconds to wait after so many tries that failed; None where the step is not tried again."""
        if failed > self.max_retries or isinstance(error, _FINAL):
            return None
        if isinstance(error, RetryAfter):
            return error.seconds
        if self.retry_delay is not None:
            return self.retry_delay
        if rng is None:
            return retry.delay(_NO_JITTER, failed, _Never())
        return retry.delay(retry.DEFAULT, failed, rng)


class _Never:
    def random(self) -> float:
        raise AssertionError("a policy without jitter asks for no randomness")


_NO_JITTER: Final = RetryPolicy(jitter="none")
PLAIN_OPTIONS: Final = Options()


def check_seconds(what: str, value: Any) -> float:
    """The number itself. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{what} is a finite number of seconds, 0 or more, not {value!r}")
    return float(value)


class Steps:
    """What one attempt of a task has stored, and goes on to store. Used by its handler from any thread."""

    def __init__(self, leased: Leased, line: Line, monotonic: Callable[[], float], rng: Rng | None) -> None:
        self._line = line
        self._monotonic = monotonic
        self._rng = rng
        self._leased = leased
        self._stored = {step.name: step for step in leased.steps}
        self._used: set[str] = set()
        self._running = 0
        self._rests: dict[str, float] = {}
        """Sleeps and waits under way, and when they end: inf for a wait without a limit, -inf for what is not stored yet."""
        self._lock = threading.Lock()

    def run(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any, options: Options) -> Flow[Any]:
        """A step."""
        stored = self._take(name, "value")
        if stored is not None:
            return values.replay(function, _text(stored), name)
        if not callable(function):
            raise TypeError(f"step {name!r} takes a function and its arguments, as in run({name!r}, fn, 1), not {function!r:.100}")
        self._count(1)
        try:
            value = yield from self._tries(name, function, args, kwargs, options)
            kept = values.keep(function, value, name)
            yield from self._line.telling(Stepped(name, kept.text))
        finally:
            self._count(-1)
            self._line.wake()
        return kept.value

    def sleep(self, name: str, seconds: float) -> Flow[None]:
        """A durable sleep."""
        check_seconds("a sleep", seconds)
        stored = self._take(name, "sleep")
        if stored is not None and stored.remaining <= 0:
            return
        with self._rest(name, -math.inf):
            yield from self._turn()
            suspends = len(self._rests) == 1 and self._is_next(name)
            while True:
                yield from self._slept(name, seconds, suspends=suspends)
                suspends = False
                while not suspends and (left := self._left(name)) > 0:
                    suspends = yield from self._until(lambda: self._left(name) > self._line.in_place and self._is_next(name), left)
                if not suspends:
                    return

    def wait_for_event(self, name: str, timeout: float | None) -> Flow[Any]:
        """A wait for an event. Raises StepTimeout."""
        if timeout is not None:
            check_seconds("timeout", timeout)
        stored = self._take(name, "event", "timeout", "wait")
        if stored is not None and stored.kind != "wait":
            return _event(name, stored.kind, stored.value)
        with self._rest(name, -math.inf):
            yield from self._turn()
            suspends = len(self._rests) == 1 and self._is_next(name)
            while (answer := (yield from self._line.telling(Awaited(name, timeout, suspends)))).kind is None:
                self._rests[name] = math.inf if timeout is None else self._monotonic() + answer.remaining
                self._line.wake()
                suspends = False
                while not suspends and (left := self._left(name)) > 0:
                    suspends = yield from self._until(lambda: self._is_next(name), left)
        return _event(name, answer.kind, answer.value)

    def _tries(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any, options: Options) -> Flow[Any]:
        failed = 0
        while True:
            try:
                return (yield Call(name, function, args, kwargs, options.timeout, self._monotonic))
            except Exception as error:
                failed += 1
                delay = options.delay(failed, error, self._rng)
                if delay is None:
                    raise
                why = type(error).__qualname__
                names = (self._leased.execution_id, self._leased.task_id)
                text = "step failed and is tried again in %.1f s (%s): execution %s task %s"
                log.info(text, delay, why, *names, extra=ids(self._leased))
            yield from self._waited(delay)

    def _waited(self, seconds: float) -> Flow[None]:
        due = self._monotonic() + seconds
        self._line.check()
        while (left := due - self._monotonic()) > 0:
            yield self._line.until(self._line.pause(left))
            self._line.check()

    def _until(self, ready: Callable[[], bool], seconds: float) -> Flow[bool]:
        """Wait until it is ready, which others may make it, but only for so long. Is it?"""
        if not ready():
            pause = self._line.pause(seconds)
            if ready():  # it became so just now, before there was a pause to end
                pause.cancel()
            else:
                yield self._line.until(pause)
                self._line.check()
        if ready():  # unless the handler goes on, or gives this up, now that another has ended
            yield from self._turn()
        return ready()

    def _turn(self) -> Flow[None]:
        yield Turn()
        self._line.check()

    def _slept(self, name: str, seconds: float, *, suspends: bool) -> Flow[None]:
        """Have it stored."""
        in_place = self._line.in_place if suspends else seconds + MARGIN
        answer = yield from self._line.telling(Slept(name, seconds, in_place))
        self._rests[name] = self._monotonic() + answer.remaining
        self._line.wake()

    def _left(self, name: str) -> float:
        return self._rests[name] - self._monotonic()

    def _is_next(self, name: str) -> bool:
        """It may suspend the task: no step runs but around it, and nothing that it would cut off ends before it does."""
        with self._lock:
            return self._running <= steps_around.get() and self._rests[name] == min(self._rests.values())

    def _take(self, name: str, *kinds: str) -> StoredStep | None:
        self._line.check()
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"a step's name is text of 1 to 255 characters, without control characters and lone surrogates, not {name!r:.300}"
            )
        with self._lock:
            if name in self._used:
                raise DuplicateStep(f"{name!r} was used before in this handler: each step, sleep and event has a name of its own")
            self._used.add(name)
        stored = self._stored.get(name)
        if stored is not None and stored.kind not in kinds:
            raise DuplicateStep(f"{name!r} was stored by something else ({stored.kind}) before the handler changed: name it anew")
        return stored

    def _count(self, steps: int) -> None:
        """So many more run now."""
        with self._lock:
            self._running += steps

    @contextmanager
    def _rest(self, name: str, due: float) -> Iterator[None]:
        with self._lock:
            self._rests[name] = due
        try:
            yield
        finally:
            with self._lock:
                del self._rests[name]
            self._line.wake()


def _event(name: str, kind: str | None, value: str | None) -> Any:
    if kind == "timeout":
        raise StepTimeout(f"the event {name!r} did not come in time")
    return None if value is None else msgspec.json.decode(value)


def _text(stored: StoredStep) -> str:
    return "null" if stored.value is None else stored.value
