"""Waiting for one execution, without I/O: long polls where the server has them, else looks with growing pauses."""

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from .errors import InvalidRequest, JobsError, WaitTimeoutError
from .flow import LOOK, PASSING, Flow, Seam, Sleep, backoff, checked_id
from .verbs import get_execution, get_op
from .words import WaitingFor

if TYPE_CHECKING:
    from .client.models import JobExecution

T = TypeVar("T")

LONGEST_POLL: Final = 30
FIRST_PAUSE: Final = 0.05
SLACK: Final = 0.02
"""A whole second that is this short of a second still counts as one: the answer comes that much after the deadline."""
GRACE: Final = 0.1
"""Seconds after the deadline in which an answer is still taken; two round trips, where those are longer."""


def wait_for_execution(
    seam: Seam, job: str | None, execution_id: str, max_wait: float, interval: float, read: "Callable[[JobExecution], T]"
) -> Flow[T]:
    """The execution once it is done, through `read`. Raises WaitTimeoutError with the last one seen after `max_wait` seconds.

    The server holds the answer until then where it can (a long poll). Where it does not, pauses grow from 0.05 s to `interval`.
    What may pass (no connection, 408, 429, 5xx) is survived until the deadline.
    """
    check_wait(max_wait, interval)
    if max_wait == 0:
        model = yield from get_execution(seam, job, execution_id, LOOK)
        if model.done:
            return read(model)
        raise _timeout(execution_id, 0.0, read(model), None)
    now = seam.monotonic()
    wait = _Wait(seam, job, checked_id(execution_id), now + max_wait, max(interval, 0.01))
    while not (yield from wait.look(now)):
        now = seam.monotonic()
        left = wait.deadline - now
        if left <= 0:
            seen = None if wait.model is None else read(wait.model)
            raise _timeout(execution_id, max_wait - left, seen, wait.error) from wait.error
        if wait.pause > 0:
            yield Sleep(min(wait.pause, left))
            now = seam.monotonic()
    return read(wait.model)  # type: ignore[arg-type]


@attrs.define
class _Wait:
    """What a wait knows between two looks."""

    seam: Seam
    job: str | None
    """None: the execution may be of any job."""
    execution_id: str
    deadline: float
    interval: float
    model: "JobExecution | None" = None
    error: JobsError | None = None
    """Why the last look failed, if it did."""
    pause: float = 0.0
    """Seconds until the next look."""
    step: float = FIRST_PAUSE
    failures: int = 0
    round_trip: float = 0.0
    """Seconds of the longest answer that was not held."""

    def look(self, now: float) -> Flow[bool]:
        """Ask once. True when the execution is done; else `pause` is set."""
        left = max(self.deadline - now, 0.0)
        hold = int(min(LONGEST_POLL, left + SLACK)) if not self.seam.peer.is_platform else 0
        op = get_op(self.seam, self.job, self.execution_id, f"wait={hold}")
        # Until something was seen, a slow first connection is not cut off by a short wait.
        grace = max(GRACE, 2 * self.round_trip) if self.model else max(GRACE, 1.0 - left)
        try:
            model: JobExecution = yield attrs.evolve(op, timeout=left + grace)
        except PASSING as error:
            self.error = error
            self.pause = backoff(self.seam, error, self.failures)
            self.failures += 1
            return False
        self.model, self.error, self.failures = model, None, 0
        took = self.seam.monotonic() - now
        if hold >= 1 and took >= hold / 2:
            self.pause, self.step = 0.0, FIRST_PAUSE
        else:
            self.round_trip = max(self.round_trip, took)
            # Many that wait do not all ask at the same moment.
            self.pause = min(self.step, self.interval) * (0.75 + 0.25 * self.seam.random())
            self.step = min(self.step * 1.5, self.interval)
        return model.done


def check_wait(max_wait: float, interval: float) -> None:
    """Raise InvalidRequest unless both are seconds, 0 or more. An infinite `max_wait` waits until the end."""
    for name, seconds, most in (("max_wait", max_wait, math.inf), ("interval", interval, sys.float_info.max)):
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= most:
            raise InvalidRequest(f"{name} takes seconds, 0 or more, not {seconds!r}", path=name)


_SAID: Final[dict[str, str]] = {
    WaitingFor.START: "its start",
    WaitingFor.TIME: "its time",
    WaitingFor.EVENT: "an event",
    WaitingFor.DEPENDENCIES: "its dependencies",
    WaitingFor.CONCURRENCY: "others of its job or key",
    WaitingFor.RETRY: "its next try",
    WaitingFor.WORKER: "a worker that serves its job and has a free slot",
}


def said(waiting_for: str) -> str:
    """What an execution waits for, as people are told."""
    return _SAID.get(waiting_for, waiting_for)


def _timeout(execution_id: str, waited: float, seen: Any, error: JobsError | None) -> WaitTimeoutError:
    last = f"its status was {seen.status!r}" if seen is not None else "its status could not be read"
    reason = getattr(seen, "waiting_for", None)
    if reason:
        last += f", and it waits for {said(reason)}"
    because = f" (the last look failed: {error})" if error is not None else ""
    goes_on = " It goes on; wait again or cancel it." if seen is not None else ""
    return WaitTimeoutError(
        f"execution {execution_id} had not ended after {waited:.1f} s: {last}{because}.{goes_on}",
        execution=seen,
    )
