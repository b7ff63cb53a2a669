"""Time in a mock server: virtual, or real at some speed.

Virtual time stands still while anything runs. When nothing can, it jumps to what is due next, if somebody has given it leave: a
client that waits gives leave for as long as it waits, a client that looks for all that executions still do by themselves. A handler
that waits or looks gives none: it is part of what executions do, and goes on when a client lets them.
"""

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec import Struct

from blaxel_jobs.core.ports import Flag
from blaxel_jobs.errors import MockStuck
from blaxel_jobs.worker.current import current

if TYPE_CHECKING:
    from blaxel_jobs.worker.context import AnyContext

START: Final = 1_893_456_000.0
"""When virtual time begins unless told: 2030-01-01T00:00:00Z."""
STUCK_AFTER: Final = 10.0
"""Seconds of real time that a handler may run while a client waits."""
LOOKS: Final = 10
"""How often it is looked for what is stuck, in that time."""


class Duties(Protocol):
    """What a virtual clock is there for: handlers that run, and an engine that has things to do in time."""

    def holding(self) -> int:
        """How many tasks were claimed and are not reported."""
        ...

    def running(self) -> "list[AnyContext]":
        """Those tasks, the oldest first."""
        ...

    def strays(self) -> bool:
        """A lease was taken from a handler that may still run."""
        ...

    def due(self) -> float:
        """Do what is due now. The seconds until something else is, or inf."""
        ...

    def goes_on(self) -> bool:
        """Something that waits is due some day: a sleep, a retry, the lease of a worker that was lost."""
        ...


class _Timer(NamedTuple):
    """Something that is due. At one instant what executions do comes first, then whoever waited so long in vain."""

    due: float
    in_vain: bool
    number: int
    future: asyncio.Future[None]


class _Leave(Struct, frozen=True, eq=False):
    """A client's leave to move time, up to a limit; only as long as executions do something, for one that looks or watches."""

    limit: float
    forced: bool = False
    looks: bool = False


class _Look(Struct, frozen=True, eq=False):
    """Somebody who looks when he has seen enough."""

    enough: Callable[[], bool]
    future: asyncio.Future[None]


class VirtualClock:
    """A clock that jumps. `now` and `monotonic` may be called from anywhere, all else belongs to the thread of its loop."""

    def __init__(self, start: float = START, stuck_after: float = STUCK_AFTER, elapsed: float = 0.0) -> None:
        """`start` is when it began, in seconds since 1970, and `elapsed` how long ago that is."""
        self.duties: Duties | None = None
        self.frozen = False
        self.stuck_after = stuck_after
        self._start = start
        self._elapsed = elapsed
        self._timers: list[_Timer] = []
        self._number = itertools.count()
        self._working = 0
        self._polled = True
        self._turns: deque[asyncio.Future[None]] = deque()
        self._first_turns: deque[asyncio.Future[None]] = deque()
        self._leaves: dict[_Leave, None] = {}
        self._looks: dict[_Look, None] = {}
        self._first_looks: dict[_Look, None] = {}
        self._outside: dict[int, int] = {}
        """How many calls of ours the handler of a task (by the id of its context) waits for."""

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """For handlers: their executions go on when it is over."""
        with self.outside(current.get(None)):
            if seconds == math.inf:
                await asyncio.get_running_loop().create_future()
            with self._work():
                await self._timer(seconds, in_vain=False)

    async def wait(self, flag: Flag, seconds: float) -> None:
        with self.outside(current.get(None)):
            if seconds == math.inf:
                await flag.wait()
                return
            raised = asyncio.ensure_future(flag.wait())
            over = self._timer(seconds, in_vain=True)
            try:
                with self._work() if _in_handler() else nullcontext():
                    await asyncio.wait((raised, over), return_when=asyncio.FIRST_COMPLETED)
            finally:
                raised.cancel()
                over.cancel()

    @contextmanager
    def outside(self, context: "AnyContext | None") -> Iterator[None]:
        """The handler of this task waits for us, so it does not run."""
        if context is None:
            yield
            return
        key = id(context)
        self._outside[key] = self._outside.get(key, 0) + 1
        try:
            yield
        finally:
            self._outside[key] -= 1
            if not self._outside[key]:
                del self._outside[key]

    async def turn(self) -> None:
        """Returns when nothing can run, to one caller at a time: what one request causes is over before the next is looked at."""
        turn = asyncio.get_running_loop().create_future()
        (self._first_turns if _in_handler() else self._turns).append(turn)
        await turn

    def leave(self, seconds: float) -> AbstractContextManager[object]:
        """Somebody waits so long: time may move, with all that is due."""
        return self._given(_Leave(self._elapsed + seconds))

    def watch(self) -> AbstractContextManager[object]:
        """Somebody follows what executions do: time may move as long as they do something."""
        return self._given(_Leave(math.inf, looks=True))

    async def spend(self, seconds: float, *, forced: bool = False) -> None:
        """Let time pass, and do all that is due until then. forced: also while it is frozen. Raises MockStuck."""
        if _in_handler() and not forced:
            await self.sleep(seconds)
            return
        async with self.patience():
            with self._given(_Leave(self._elapsed + seconds, forced)):
                await self._timer(seconds, in_vain=True)
            await self.turn()

    async def settle(self, until: Callable[[], bool] = lambda: False, seconds: float = math.inf) -> None:
        """Let executions go on until `until` is true, or none is left that can; for so many seconds at most.

        Frozen time stays as it is. Raises MockStuck.
        """
        over: asyncio.Future[None] | None = None

        def enough() -> bool:
            return self.frozen or until() or not (self._goes_on() or self._busy()) or (over is not None and over.done())

        if enough():
            return
        if seconds < math.inf:
            over = self._timer(seconds, in_vain=True)
        look = _Look(enough, asyncio.get_running_loop().create_future())
        looks = self._first_looks if _in_handler() else self._looks
        looks[look] = None
        try:
            async with self.patience():
                with self._given(_Leave(math.inf, looks=True)):
                    await look.future
        finally:
            del looks[look]
            if over is not None:
                over.cancel()

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """A client waits here. Raises MockStuck when a handler runs, or time is frozen, for too long meanwhile."""
        if _in_handler():
            yield
            return
        patience = _Patience(self._holding, self.stuck_after)
        try:
            async with patience.limit:
                patience.look()
                yield
        except TimeoutError:
            if not patience.why:
                raise
            raise MockStuck(
                f"{patience.why} for {self.stuck_after:g} s of real time while a client waits: see stuck_after"
            ) from None
        finally:
            patience.timer.cancel()

    def idle(self) -> bool:
        """Called by the loop when nothing can run. True when something can now."""
        for turns in (self._first_turns, self._turns):
            while turns:
                turn = turns.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return True
        for looks in (self._first_looks, self._looks):
            seen = [look.future for look in looks if not look.future.done() and look.enough()]
            for future in seen:
                future.set_result(None)
            if seen:
                return True
        return self._go_on()

    def release(self) -> None:
        """Let nobody wait for time any more."""
        self.frozen = True

    @property
    def _duties(self) -> Duties:
        assert self.duties is not None, "a clock is given its duties before it runs"
        return self.duties

    def _go_on(self) -> bool:
        leaves = [leave for leave in self._leaves if leave.forced or not self.frozen]
        if not leaves or self._busy():
            return False
        if not self._polled:
            self._polled = True
            self._duties.due()
            return True
        if all(leave.looks for leave in leaves) and not self._goes_on():
            return False
        first = self._first()
        due = min(first, self._elapsed + self._duties.due())
        if due == math.inf or due > max(leave.limit for leave in leaves):
            return False
        self._elapsed = max(self._elapsed, due)
        self._polled = False
        self._fire()
        return True

    def _first(self) -> float:
        while self._timers and self._timers[0].future.done():
            heapq.heappop(self._timers)
        return self._timers[0].due if self._timers else math.inf

    def _fire(self) -> None:
        """Whatever is due at this instant, of the first kind that there is."""
        if self._first() > self._elapsed:
            return
        kind = self._timers[0].in_vain
        while self._first() <= self._elapsed and self._timers[0].in_vain is kind:
            heapq.heappop(self._timers).future.set_result(None)

    def _timer(self, seconds: float, *, in_vain: bool) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._timers, _Timer(self._elapsed + seconds, in_vain, next(self._number), future))
        return future

    @contextmanager
    def _given(self, leave: _Leave) -> Iterator[None]:
        if _in_handler() and not leave.forced:
            yield
            return
        self._leaves[leave] = None
        try:
            yield
        finally:
            del self._leaves[leave]

    @contextmanager
    def _work(self) -> Iterator[None]:
        self._working += 1
        try:
            yield
        finally:
            self._working -= 1

    def _goes_on(self) -> bool:
        """Executions do something when time moves."""
        return self._working > 0 or self._duties.goes_on()

    def _busy(self) -> bool:
        """A handler runs code that we cannot see into."""
        if self._duties.holding() > len(self._outside):
            return True
        # Only a handler whose lease was taken may wait for us and not be held: then counting does not tell.
        return self._duties.strays() and any(id(context) not in self._outside for context in self._duties.running())

    def _holding(self) -> list[str]:
        """What time waits for."""
        if self.frozen and not any(leave.forced for leave in self._leaves):
            return ["time was frozen (unfreeze() or advance() lets it go on)"]
        busy = [context for context in self._duties.running() if id(context) not in self._outside]
        return [f"the handler of {c.job!r} (execution {c.execution_id}, {c.task_id}) was running" for c in busy]


def _in_handler() -> bool:
    """Was this called by a handler, if by way of the client."""
    return current.get(None) is not None


class _Patience:
    """Looks again and again what time waits for, and ends the wait by `limit` when that has been the same for too long."""

    def __init__(self, holding: Callable[[], list[str]], seconds: float) -> None:
        self.limit = asyncio.timeout(None)
        self.why: str | None = None
        self._holding = holding
        self._seconds = seconds
        self._since: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        now = self._loop.time()
        self._since = {reason: self._since.get(reason, now) for reason in self._holding()}
        self.why = next((reason for reason, since in self._since.items() if now - since >= self._seconds), None)
        if self.why:
            self.limit.reschedule(now)
        self.timer = self._loop.call_later(self._seconds / LOOKS, self.look)
