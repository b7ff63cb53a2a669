"""Recovery: what a lost worker held goes to another one. Only leases that ran out, or whose worker is known to be dead."""

import logging
from typing import TYPE_CHECKING, Final

from .batch import RECOVER_LIMIT
from .commands import Recover
from .loops import Loop

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("blaxel_jobs.engine")

LONGEST: Final = 1.0
"""Seconds between two looks at the most: a lease that another process made can run out first."""


class Recovery(Loop):
    """Takes back the tasks of expired leases."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def poll(self, now: float) -> float:
        expiry = self._engine.store.next_expiry()
        if expiry is None or expiry > now:
            return LONGEST if expiry is None else min(LONGEST, expiry - now)
        taken = recover(self._engine)
        return 0.0 if taken == RECOVER_LIMIT else LONGEST


def recover(engine: "Engine", dead_workers: tuple[str, ...] = ()) -> int:
    """Take back expired leases and all those of dead workers; returns how many tasks."""
    taken: int = engine.submit(Recover(dead_workers))
    if taken:
        log.warning("took %d tasks back from lost workers", taken)
    return taken
