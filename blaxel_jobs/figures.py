"""Figures of a job: what became of its executions, how long its tasks waited and ran, what is still to do."""

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .client.models import Backlog, Distribution, JobStats


@attrs.frozen
class Spread:
    """How durations are spread, in milliseconds. None where there was none."""

    count: int = 0
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@attrs.frozen
class Figures:
    """Figures of one job. `created`, `completed`, `failed`, `cancelled` count executions since the store was made; `pending`,
    `running`, `paused` count the tasks that are left in it."""

    created: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    """How many times a task was put back to be tried again after an error, by its policy or by `retry`."""
    recovered: int = 0
    """How many times a task was lost with its worker, also where it failed by that."""
    failure_rate: float = 0.0
    """Failed of those that completed or failed, 0 to 1."""
    per_second: float = 0.0
    """Executions that ended, for each second of the last minute."""
    wait_ms: Spread = Spread()
    """From when a task could run to when it did."""
    run_ms: Spread = Spread()
    """From when a task was started to when it ended."""
    pending: int = 0
    running: int = 0
    paused: int = 0
    oldest_pending: float | None = None
    """Seconds for which the oldest pending one has been there."""
    queue: str = "default"


def read_figures(model: "JobStats") -> Figures:
    """The same without what the wire leaves out."""
    backlog: Backlog = model.backlog
    oldest = backlog.oldest_pending_ms
    return Figures(
        created=model.created, completed=model.completed, failed=model.failed, cancelled=model.cancelled, retried=model.retried,
        recovered=model.recovered, failure_rate=model.failure_rate, per_second=model.throughput.per_second,
        wait_ms=_spread(model.wait), run_ms=_spread(model.run), pending=backlog.pending, running=backlog.running,
        paused=backlog.paused, oldest_pending=oldest / 1000 if isinstance(oldest, int | float) else None, queue=model.queue,
    )  # fmt: skip


def _spread(model: "Distribution") -> Spread:
    numbers = (model.mean, model.p50, model.p95, model.p99)
    return Spread(model.count, *[number if isinstance(number, int | float) else None for number in numbers])
