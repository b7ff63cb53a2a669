"""Numbers about jobs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from ...core.reading import check_job
from ...core.tallies import Numbers, total
from ...core.views import job_stats_view
from ...stores.base import Tally
from ...words import JobStatus
from .asking import Read, Verb

if TYPE_CHECKING:
    from ..engine import Engine


class Figures(Struct, frozen=True):
    """What is known of a job: what was counted, and what its store has now."""

    numbers: Numbers
    per_second: float
    """Executions that ended, over the last minute."""
    backlog: Mapping[JobStatus, int]
    """Tasks that have not ended, by their status."""
    oldest_pending: float | None
    """Seconds for which the oldest pending one has been there."""
    queue: str


def get_stats(engine: "Engine", workspace: str, *, job: str | None = None) -> Verb:
    if job is not None:
        check_job(job)
    figures: dict[str, Figures] = yield Read(lambda: read_figures(engine, workspace, job))
    return {
        "jobs": {
            name: job_stats_view(each.numbers, each.per_second, each.backlog, each.oldest_pending, each.queue)
            for name, each in figures.items()
        }
    }


def get_metrics(engine: "Engine", workspace: str) -> Verb:
    """The Figures of each job, by its name: what is shown of them is the server's."""
    figures: dict[str, Figures] = yield Read(lambda: read_figures(engine, workspace))
    return figures


def read_figures(engine: "Engine", workspace: str, job: str | None = None) -> dict[str, Figures]:
    """Of every job of a workspace that is defined, or that something was seen of; or of this one."""
    now = engine.clock.now()
    tallies: dict[str, list[Tally]] = {}
    for tally in [*engine.store.tallies(), *engine.counting.rows()]:
        if tally.workspace == workspace and job in (None, tally.job):
            tallies.setdefault(tally.job, []).append(tally)
    backlogs: dict[str, dict[JobStatus, int]] = {}
    oldest: dict[str, float] = {}
    for backlog in engine.store.backlog():
        if backlog.workspace == workspace and job in (None, backlog.job):
            backlogs.setdefault(backlog.job, {})[backlog.status] = backlog.count
            if backlog.status is JobStatus.PENDING:
                oldest[backlog.job] = max(0.0, now - backlog.oldest)
    queues = {each.job: each.queue for each in engine.definitions.of(workspace) if job in (None, each.job)}
    return {
        name: Figures(
            total(tally.numbers for tally in tallies.get(name, ())), _per_second(tallies.get(name, ()), now),
            backlogs.get(name, {}), oldest.get(name), queues.get(name, "default"),
        )
        for name in sorted({*tallies, *backlogs, *queues})
    }  # fmt: skip


def _per_second(tallies: Iterable[Tally], now: float) -> float:
    """Executions that ended within the last minute, for each of its seconds: of the minute before this one, as much as reaches
    into it."""
    return sum(_ended(tally) * _within_a_minute(tally.minute, now) for tally in tallies) / 60


def _ended(tally: Tally) -> float:
    return sum(tally.numbers.get(name, 0) for name in ("completed", "failed", "cancelled"))


def _within_a_minute(minute: int, now: float) -> float:
    """Which share of this minute lies less than a minute back; none of one that a clock wrote that was set back since."""
    return min(1.0, max(0.0, minute + 2 - now / 60)) if minute <= now / 60 + 1 else 0.0
