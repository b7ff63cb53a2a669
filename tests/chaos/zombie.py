"""Workers for tests that freeze them: `python -m tests.chaos.zombie STORE LEASE HEARTBEAT manager|worker`.

Creates one execution of the job "gated", writes its id, runs it, and ends in good order at the end of its input. As `manager` it
is a JobManager. As `worker` it is the engine and a worker with a heartbeat of any length, such as one that never comes.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blaxel_jobs import JobManager, Settings
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, rng
from blaxel_jobs.worker import Worker
from tests.chaos.work import gated

Create = Callable[[], str]


@contextmanager
def manager(store: str, lease: float, heartbeat: float) -> Iterator[Create]:
    with JobManager(store, settings=Settings(lease=lease, heartbeat=heartbeat)) as manager:
        job = manager.register(gated)
        yield lambda: job.trigger().id


@contextmanager
def worker(store: str, lease: float, heartbeat: float) -> Iterator[Create]:
    clock = SystemClock()
    engine = Engine(open_store(store), clock=clock, new_id=id_factory(), rng=rng, lease=lease, heartbeat=heartbeat)
    worker = Worker(LocalLeases(engine, ["default"], "zombie"), [gated], clock=clock)
    worker.start()
    arguments = {"job": gated.name, "body": {"input": None}}
    yield lambda: str(engine.call("create_job_execution", "default", arguments)["executionId"])
    worker.stop()
    engine.close()


def main(path: str, lease: str, heartbeat: str, kind: str) -> None:
    with {"manager": manager, "worker": worker}[kind](f"sqlite:///{path}", float(lease), float(heartbeat)) as create:
        print(create(), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
