"""Counting what happens, by job and minute, so that nobody has to look through what has ended.

In a store that processes share, the counts are rows of this server, written in the commit that they count. Each is written whole:
nothing is read to add to it, and a commit costs one small row. What is at rest is added up now and then.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from ..core.tallies import Numbers, add, add_duration, total
from ..stores.base import Tally
from ..words import FailureKind, JobStatus
from .commands import FoldTallies
from .effects import Told
from .loops import Loop

if TYPE_CHECKING:
    from .engine import Engine

KEPT: Final = 5
"""Minutes that are kept apart, for the throughput; also how often those before are added up."""
PATIENCE: Final = 60
"""Minutes after which a server is not expected to write a row any more, however late its clock is."""
EVER: Final = 2**31 - 1
"""After the last minute."""

_ENDS: Final = {JobStatus.COMPLETED: "completed", JobStatus.FAILED: "failed", JobStatus.CANCELLED: "cancelled"}
_TRIES: Final = {"task.retrying": "retried", "task.recovered": "recovered"}
_TASK_ENDS: Final = frozenset({"task.completed", "task.failed"})
_PARTS: Final = {"created": "created", "task.started": "task.started"} | dict.fromkeys([*_TRIES, *_TASK_ENDS, "retried"], "ended")


class Counting(Protocol):
    """Counts what this server commits. Called by one thread at a time, but for `rows`."""

    def count(self, told: Iterable[Told], now: float) -> list[Tally]:
        """The rows that these events change, as they will be, to be written in the same commit."""
        ...

    def keep(self, tallies: Iterable[Tally]) -> None:
        """What `count` answered, for the last commit, is written. Called after each commit."""
        ...

    def note(self, told: Iterable[Told], now: float) -> None:
        """These events are committed."""
        ...

    def rows(self) -> list[Tally]:
        """What is in no store yet."""
        ...


_Rows = dict[tuple[str, str], Numbers]
"""By workspace and job."""
_Parts = dict[tuple[str, str, str], Numbers]
"""By workspace, job and part of the numbers."""


def new_counting(server: str, *, shared: bool) -> Counting:
    """For a server of this name, which no other has or had; on a store that others read, or on one of its own."""
    return InStore(server) if shared else InMemory(server)


class InStore:
    """Rows in the store: of each job one for creates, one for starts and one for ends, so that a commit writes but a small one.

    A row is written again as long as its minute lasts. When the clock was set back, or it is not known whether a commit came to
    pass, rows of a new era are begun instead, and those of before stay as they are: either way everything is counted once.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._era = 0
        self._minute = 0
        self._rows = _Parts()
        """Those of this minute, as committed."""
        self._changed = _Parts()
        """Those that were handed out to be written, until they are."""

    def count(self, told: Iterable[Told], now: float) -> list[Tally]:
        minute = int(now // 60)
        if self._changed or minute < self._minute:
            self._era += 1
            self._rows = _Parts()
        elif minute > self._minute:
            self._rows = _Parts()
        self._minute = minute
        changed = self._changed = _Parts()
        for each in told:
            part = _part(each)
            if part is not None:
                key = (each.execution.workspace, each.execution.job, part)
                numbers = changed.get(key)
                if numbers is None:
                    known = self._rows.get(key)
                    numbers = changed[key] = {} if known is None else known.copy()
                _add(numbers, each)
        return [
            Tally(workspace, job, f"{self._server}/{self._era}/{part}", minute, numbers)
            for (workspace, job, part), numbers in changed.items()
        ]

    def keep(self, tallies: Iterable[Tally]) -> None:
        if tallies:
            self._rows |= self._changed
            self._changed = _Parts()

    def note(self, told: Iterable[Told], now: float) -> None:
        pass

    def rows(self) -> list[Tally]:
        return []


class InMemory:
    """Rows here, for a store that this process has for itself: it gets them at the end."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._minute = -1
        self._current: _Rows = {}
        """Those of this minute."""
        self._parts: tuple[tuple[int, _Rows], ...] = ()
        """All before, the last minute, and this one: replaced together, since others read them."""

    def count(self, told: Iterable[Told], now: float) -> list[Tally]:
        return []

    def keep(self, tallies: Iterable[Tally]) -> None:
        pass

    def note(self, told: Iterable[Told], now: float) -> None:
        minute = int(now // 60)
        if minute != self._minute:
            self._turn(minute)
        rows = self._current
        for each in told:
            if each.event.type in _PARTS or each.ends:
                execution = each.execution
                key = (execution.workspace, execution.job)
                numbers = rows.get(key)
                if numbers is None:
                    numbers = rows[key] = {}
                _add(numbers, each)

    def rows(self) -> list[Tally]:
        # `list` and `dict` copy without letting another thread in; a comprehension would not.
        return [
            Tally(workspace, job, self._server, minute, dict(numbers))
            for minute, rows in self._parts
            for (workspace, job), numbers in list(rows.items())
        ]

    def _turn(self, minute: int) -> None:
        past: dict[tuple[str, str], list[Numbers]] = {}
        for _, rows in self._parts[:-1]:
            for key, numbers in rows.items():
                past.setdefault(key, []).append(numbers)
        before = {key: total(parts) for key, parts in past.items()}
        self._minute, self._current = minute, {}
        self._parts = ((0, before), *self._parts[-1:], (minute, self._current))


def _part(told: Told) -> str | None:
    """Which numbers an event changes, None for one that is not counted."""
    return _PARTS.get(told.event.type) or ("ended" if told.ends else None)


def _add(numbers: Numbers, told: Told) -> None:
    kind = told.event.type
    if kind == "created":
        numbers[kind] = numbers.get(kind, 0) + 1
    elif kind == "task.started":
        if told.seconds is not None:
            add_duration(numbers, "wait", told.seconds)
    else:
        if kind in _TRIES:
            add(numbers, _TRIES[kind])
        elif kind == "retried" and told.event.data is not None:
            add(numbers, "retried", msgspec.json.decode(told.event.data)["tasks"])
        elif kind in _TASK_ENDS and told.seconds is not None:
            add_duration(numbers, "run", told.seconds)
            if told.event.error is not None and told.event.error.kind is FailureKind.WORKER_LOST:
                add(numbers, "recovered")
        if told.ends:
            add(numbers, _ENDS[told.execution.status])


def fold(tallies: Iterable[Tally], before: int) -> list[Tally]:
    """The same numbers in fewer rows: one for each job of all that no server writes any more, of the minutes before this one."""
    tallies = list(tallies)
    last: dict[str, tuple[int, int]] = {}
    for tally in tallies:
        server, at = _written(tally)
        last[server] = max(at, last.get(server, at))
    at_rest: dict[tuple[str, str], list[Numbers]] = {}
    others: list[Tally] = []
    for tally in tallies:
        server, at = _written(tally)
        if tally.minute < before - PATIENCE or (tally.minute < before and at < last[server]):
            at_rest.setdefault((tally.workspace, tally.job), []).append(tally.numbers)
        else:
            others.append(tally)
    return [Tally(workspace, job, "", 0, total(parts)) for (workspace, job), parts in at_rest.items()] + others


def _written(tally: Tally) -> tuple[str, tuple[int, int]]:
    """By which server, and when in the order in which that writes."""
    server, _, rest = tally.server.partition("/")
    era = rest.partition("/")[0]
    return server, (int(era) if era.isdecimal() else 0, tally.minute)


class Folding(Loop):
    """Adds up the minutes that need not be kept apart any more."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._next = -math.inf

    def poll(self, now: float) -> float:
        if not self._engine.store.shared:
            return math.inf
        if not now < self._next <= now + 60 * KEPT:  # it is over, or the clock was set back
            before = int(now // 60) - KEPT
            tallies = self._engine.store.tallies()
            if len(fold(tallies, before)) < len(tallies):
                self._engine.submit(FoldTallies(before))
            self._next = now + 60 * KEPT
        return self._next - now
