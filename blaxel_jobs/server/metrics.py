"""The figures of the jobs, as Prometheus reads them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from ..core.tallies import BOUNDS, Distribution, Kind, Numbers
from ..words import JobStatus
from .exchange import Text

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
LABELS: Final = ("workspace", "job")

_COUNTERS: Final = {
    "created": ("blaxel_jobs_executions_created", "Executions that were created."),
    "completed": ("blaxel_jobs_executions_completed", "Executions that completed."),
    "failed": ("blaxel_jobs_executions_failed", "Executions that failed, each time that they did."),
    "cancelled": ("blaxel_jobs_executions_cancelled", "Executions that were cancelled."),
    "retried": ("blaxel_jobs_task_retries", "Times that a task was tried again after an error."),
    "recovered": ("blaxel_jobs_task_recoveries", "Times that a task was taken back from a worker that was lost."),
}
_HISTOGRAMS: Final[dict[Kind, tuple[str, str]]] = {
    "wait": ("blaxel_jobs_task_wait_seconds", "From when a task could run to when it did."),
    "run": ("blaxel_jobs_task_run_seconds", "From when a task was started to when it completed or failed."),
}
_OPEN: Final = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PAUSED)


class Figures(Protocol):
    """What the engine knows of a job."""

    @property
    def numbers(self) -> Numbers: ...
    @property
    def backlog(self) -> Mapping[JobStatus, int]: ...
    @property
    def oldest_pending(self) -> float | None: ...
    @property
    def queue(self) -> str: ...


def metrics(workspace: str, figures: Mapping[str, Figures]) -> Text:
    """The answer that shows the figures of each job of a workspace, by its name."""
    from prometheus_client import CollectorRegistry, generate_latest  # only here: it takes a while to load

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(workspace, figures))
    return Text(CONTENT_TYPE, generate_latest(registry))


class _Collector:
    """What a registry asks."""

    def __init__(self, workspace: str, figures: Mapping[str, Figures]) -> None:
        self._figures = [((workspace, job), each) for job, each in figures.items()]

    def collect(self) -> "Iterable[Metric]":
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()

    def _counters(self) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily

        for name, (metric, says) in _COUNTERS.items():
            counter = CounterMetricFamily(metric, says, labels=LABELS)
            for labels, each in self._figures:
                counter.add_metric(labels, each.numbers.get(name, 0))
            yield counter

    def _histograms(self) -> "Iterator[Metric]":
        from prometheus_client.core import HistogramMetricFamily

        for kind, (metric, says) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(metric, says, labels=LABELS)
            for labels, each in self._figures:
                took = Distribution.of(each.numbers, kind)
                buckets = [*zip(map(repr, BOUNDS), took.up_to(BOUNDS), strict=True), ("+Inf", took.count)]
                histogram.add_metric(labels, buckets, took.sum)
            yield histogram

    def _gauges(self) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        labelled = (*LABELS, "queue")
        backlog = GaugeMetricFamily("blaxel_jobs_backlog_tasks", "Tasks that have not ended.", labels=(*labelled, "status"))
        oldest = GaugeMetricFamily(
            "blaxel_jobs_oldest_pending_seconds", "How long the oldest pending task has been there; 0 without any.", labels=labelled
        )
        for labels, each in self._figures:
            oldest.add_metric((*labels, each.queue), each.oldest_pending or 0)
            for status in _OPEN:
                backlog.add_metric((*labels, each.queue, status), each.backlog.get(status, 0))
        yield backlog
        yield oldest
