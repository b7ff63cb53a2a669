"""What comes by itself with time: leases of lost workers end, waits are over, executions are out of time.

Leases end at a time of the wall clock, since processes share them; and wall clocks are set, and go on while a laptop sleeps.
Whoever lives moves its leases with the next heartbeat. So after a jump nothing is taken back for the length of a lease; and what
was written before the clock was set back, and has not moved since, ends as much earlier as the clock went back.
"""

import logging
import math
from typing import TYPE_CHECKING, Final

from ..core.ports import Clock
from ..core.records import LeaseRef
from ..words import JobStatus
from .commands import Extend, Tick, Ticked
from .loops import Loop

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("blaxel_jobs.engine")

JUMP: Final = 1.0
"""Seconds between two looks by which the wall clock has been set; what is less, a lease has room for."""
_ALL: Final = 2**31
_Ends = dict[LeaseRef, tuple[float, float]]
"""Of a lease: the end as it is written, and as it is by the clock of today."""


class Timers(Loop):
    """Does what is due."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._wall = _Wall(engine.clock)
        self._jump = 0.0
        self._quiet_until = -math.inf
        self._set_back: _Ends = {}
        """Leases that were written before the wall clock was set back."""

    def poll(self, now: float) -> float:
        engine, monotonic = self._engine, self._engine.clock.monotonic()
        self._jump += self._wall.jump()
        if self._jump:
            log.warning("the clock was set by %+.1f s: workers get %.1f s for a heartbeat", self._jump, engine.lease)
            self._quiet_until = monotonic + engine.lease
            self._keep_ends(self._jump)
            self._jump = 0.0
        if monotonic < self._quiet_until:
            return self._quiet_until - monotonic
        self._end(now)
        due = engine.store.next_due()
        if due is not None and due <= now:
            if tick(engine).more:
                return 0.0
            due = engine.store.next_due()
        ends = [end for _, end in self._set_back.values()]
        return min([math.inf if due is None else due, *ends]) - now

    def _keep_ends(self, jump: float) -> None:
        """Note when the leases of today end by a clock that was set."""
        known, written = self._set_back, self._written()
        if jump > 0:  # what is written since then ends where it says, or sooner than it says
            written = {lease: end for lease, end in written.items() if lease in known}
        self._set_back = {
            lease: (end, (known[lease][1] if lease in known and known[lease][0] == end else end) + jump)
            for lease, end in written.items()
        }

    def _end(self, now: float) -> None:
        """End those of before that are over and have not moved."""
        over = {lease: written for lease, (written, end) in self._set_back.items() if end <= now}
        if over:
            ends = self._written()
            self._engine.submit(Extend(tuple(lease for lease, end in over.items() if ends.get(lease) == end), 0.0))
            self._set_back = {lease: end for lease, end in self._set_back.items() if lease not in over}

    def _written(self) -> dict[LeaseRef, float]:
        """All leases that there are, and their ends."""
        with self._engine.store.begin() as transaction:
            due = transaction.due(math.inf, None, _ALL)
            return {task.lease: task.due_at or math.inf for task, _ in due if task.status is JobStatus.RUNNING}


class _Wall:
    """What the wall clock is ahead of the monotonic one: between two bounds, since it takes a moment to read both."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._least, self._most = self._read()

    def jump(self) -> float:
        """By how many seconds the wall clock was set since the last time; 0 when by less than JUMP."""
        before, self._least, self._most = (self._least, self._most), *self._read()
        if self._least - before[1] > JUMP:
            return self._least - before[1]
        if before[0] - self._most > JUMP:
            return self._most - before[0]
        return 0.0

    def _read(self) -> tuple[float, float]:
        began = self._clock.monotonic()
        now = self._clock.now()
        return now - self._clock.monotonic(), now - began


def tick(engine: "Engine", dead: str | None = None) -> Ticked:
    """Do what is due now, and take back what dead workers hold: those whose name begins so."""
    ticked: Ticked = engine.submit(Tick(dead))
    if ticked.recovered:
        log.warning("took %d tasks back from lost workers", ticked.recovered)
    return ticked
