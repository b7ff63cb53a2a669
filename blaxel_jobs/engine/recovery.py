"""Recovery: what a lost worker held goes to another one. Only leases that ran out, or whose worker is known to be dead."""

import logging
import math
from typing import TYPE_CHECKING

from .batch import RECOVER_LIMIT
from .commands import Recover
from .loops import Loop

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("blaxel_jobs.engine")


class Recovery(Loop):
    """Takes back the tasks of expired leases."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def poll(self, now: float) -> float:
        expiry = self._engine.store.next_expiry()
        if expiry is not None and expiry <= now:
            if recover(self._engine) == RECOVER_LIMIT:
                return 0.0
            expiry = self._engine.store.next_expiry()
        return math.inf if expiry is None else expiry - now


def recover(engine: "Engine", dead_workers: tuple[str, ...] = ()) -> int:
    """Take back expired leases and all those of dead workers; returns how many tasks."""
    taken: int = engine.submit(Recover(dead_workers))
    if taken:
        log.warning("took %d tasks back from lost workers", taken)
    return taken
