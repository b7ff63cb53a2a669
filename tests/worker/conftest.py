"""A worker over the port of the tests."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.system import SystemClock
from blaxel_jobs.worker import Worker

from .fake_leases import FakeLeases, FakeTask


class Bench:
    """One port, and any number of workers."""

    def __init__(self) -> None:
        self.leases = FakeLeases()
        self.workers: list[Worker] = []

    def hire(self, *jobs: JobDef[Any, Any], **options: Any) -> Worker:
        worker = Worker(self.leases, jobs, clock=SystemClock(), rng=Random(0), **options)
        self.workers.append(worker)
        worker.start()
        return worker

    def begin(self, handler: Callable[..., Any] | JobDef[Any, Any], payload: Any = None, **options: Any) -> FakeTask:
        """A task of this handler, with a worker for it."""
        job = handler if isinstance(handler, JobDef) else define_job("job", run=handler)
        if job.name not in self.leases.registered:
            self.hire(job)
        return self.leases.add(job.name, payload, **options)

    def run(self, handler: Callable[..., Any] | JobDef[Any, Any], payload: Any = None, **options: Any) -> FakeTask:
        """The same, until it has ended."""
        return self.leases.wait(self.begin(handler, payload, **options))


@pytest.fixture
def make_bench() -> Iterator[Callable[[], Bench]]:
    """Makes benches, for tests that take more than one try. Their workers are stopped at the end."""
    benches: list[Bench] = []

    def make() -> Bench:
        benches.append(Bench())
        return benches[-1]

    yield make
    for bench in benches:
        for worker in bench.workers:
            worker.stop(grace=1)


@pytest.fixture
def bench(make_bench: Callable[[], Bench]) -> Bench:
    return make_bench()
