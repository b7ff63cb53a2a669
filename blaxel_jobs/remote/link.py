"""Whether the server answers, as all calls of a worker see it together."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from ..core.ports import Rng
from ..errors import ConnectionFailed, RequestError, RequestTooSlow, TooManyRequests

log = logging.getLogger("blaxel_jobs.worker")

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries while the server does not answer."""
_PASSING: Final = frozenset({RequestTooSlow.status_code, TooManyRequests.status_code, 502, 503, 504})


def is_passing(error: Exception) -> bool:
    """The same call may be taken later: the server is out of reach, or says itself that it cannot do anything now."""
    return isinstance(error, ConnectionFailed) or (isinstance(error, RequestError) and error.status_code in _PASSING)


class Link:
    """Says once that the server does not answer, and once that it does again. Used from any thread."""

    def __init__(self, base_url: str, monotonic: Callable[[], float], rng: Rng) -> None:
        self._base_url = base_url
        self._monotonic = monotonic
        self._rng = rng
        self._lock = threading.Lock()
        self._down_since: float | None = None
        self.breaks = 0
        """How often it has stopped to answer. Who answers after that may be another server, with nothing in memory of us."""

    @property
    def is_down(self) -> bool:
        return self._down_since is not None

    def failed(self, error: Exception) -> None:
        """A call ended in an error that passes, or that only the server's side can mend."""
        with self._lock:
            if self._down_since is not None:
                return
            self._down_since = self._monotonic()
            self.breaks += 1
        log.warning("waiting for the server at %s: %s", self._base_url, error)

    def answered(self) -> None:
        """A call was answered."""
        if self._down_since is None:
            return
        with self._lock:
            since, self._down_since = self._down_since, None
        if since is not None:
            log.warning("the server at %s answers again, after %.1f s", self._base_url, self._monotonic() - since)

    def pauses(self) -> "Pauses":
        """For one call that is tried again and again."""
        return Pauses(self._rng)


class Pauses:
    """How long to wait before each next try: twice as long each time, and not the same for everybody."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._next = FIRST_PAUSE

    def after(self, error: Exception) -> float:
        """Seconds; not less than the server asked for."""
        pause, self._next = self._next * (0.5 + self._rng.random() / 2), min(2 * self._next, LONGEST_PAUSE)
        asked = getattr(error, "retry_after", None)
        return max(pause, min(asked, LONGEST_PAUSE)) if asked else pause
