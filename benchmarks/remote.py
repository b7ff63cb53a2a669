"""A worker in a process of its own, over HTTP: how soon it picks a new execution up, and how fast it drains no-ops."""

import statistics
import time

from blaxel_jobs import Batch, JobsClient

from . import handlers
from .anchors import W, commits_around, per_second
from .processes import remote_worker, server
from .report import Bar, Measured, Topic, percentile, rate
from .scratch import Scratch
from .worker import PATIENCE

PICKUP = Bar("remote worker: pickup p50 from the answer of create over HTTP", "ms", 10, 5)
PICKUP_P99 = Bar("remote worker: pickup p99", "ms")
DRAIN_8 = Bar("remote worker: drain no-op, async handlers, 8 slots", "W", more_is_better=True)
DRAIN_64 = Bar("remote worker: drain no-op, async handlers, 64 slots", "W", more_is_better=True)


def pickup(scratch: Scratch) -> Measured:
    """To the first line of the handler, for an idle worker. All processes read the same clock; 0 when the handler was first."""
    taken = []
    with server(scratch, "sqlite") as (url, _), remote_worker(scratch, url), JobsClient(base_url=url) as jobs:
        for _ in range(scratch.size(200, 5)):
            execution = jobs.trigger(handlers.stamp)
            answered = time.perf_counter()
            taken.append(1000 * max(0.0, execution.get_result(PATIENCE) - answered))
            time.sleep(0.005)  # the worker waits again
    return Measured({PICKUP: statistics.median(taken), PICKUP_P99: percentile(taken, 0.99)}, {"slowest, ms": max(taken)})


def _drain(scratch: Scratch, bar: Bar, slots: int) -> Measured:
    """All wait before the worker starts; from the first start to the last end, as the server has them."""
    count = scratch.size(3000, 100)
    with server(scratch, "sqlite") as (url, _), JobsClient(base_url=url) as jobs, commits_around(scratch) as bare:
        batch = jobs.job(handlers.noop).trigger_many([None] * count)
        with remote_worker(scratch, url, "--slots", str(slots)):
            batch.wait_done(PATIENCE)
        ours = rate(count, _seconds(jobs, batch))
    anchor = per_second(bare)
    return Measured({bar: ours / anchor}, {W: anchor, "executions/s": ours})


def _seconds(jobs: JobsClient, batch: "Batch[None]") -> float:
    ended = list(jobs.list_executions(batch=batch.id, limit=1000).auto_paging_iter())
    assert len(ended) == len(batch) and all(execution.status == "completed" for execution in ended), "a result was not kept"
    starts = [execution.started_at for execution in ended if execution.started_at]
    ends = [execution.ended_at for execution in ended if execution.ended_at]
    return (max(ends) - min(starts)).total_seconds()


def drain_8(scratch: Scratch) -> Measured:
    return _drain(scratch, DRAIN_8, 8)


def drain_64(scratch: Scratch) -> Measured:
    return _drain(scratch, DRAIN_64, 64)


TOPICS = (
    Topic("remote-pickup", (PICKUP, PICKUP_P99), pickup),
    Topic("remote-drain-8", (DRAIN_8,), drain_8),
    Topic("remote-drain-64", (DRAIN_64,), drain_64),
)
