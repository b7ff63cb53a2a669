"""What a worker held when it was lost goes to another: when, whose, and all of it (invariant 19)."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from blaxel_jobs import JobsClient
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.engine.boot import Boot
from blaxel_jobs.engine.claiming import TICK_LIMIT
from blaxel_jobs.engine.commands import Claim
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory
from tests.chaos.audit import runs
from tests.chaos.processes import Server
from tests.pace import PATIENCE, until, within

BY_DEFAULT = 15.0
"""Seconds within which another worker takes over, with the lease that a server has by default."""
Open = Callable[[], Engine]


@pytest.fixture
def open_engine(tmp_path: Path) -> Iterator[Open]:
    engines: list[Engine] = []

    def open_one() -> Engine:
        store = open_store(f"sqlite:///{tmp_path}/jobs.db")
        engines.append(Engine(store, clock=SystemClock(), new_id=id_factory(), rng=Random(0)))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()


def hold(engine: Engine, tasks: int, worker: str) -> str:
    """Have a worker of that name claim all tasks of a new execution; returns its id."""
    arguments = {"job": "job", "body": {"tasks": [{}] * tasks}}
    id = str(engine.call("create_job_execution", "default", arguments)["executionId"])
    assert len(engine.submit(Claim("default", None, tasks, worker, 60.0))) == tasks
    return id


def losses(engine: Engine, id: str) -> int:
    return len(engine.call("get_job_execution", "default", {"job": "job", "execution_id": id})["recoveries"])


def test_a_dead_boot_gives_everything_back_however_much_it_held(open_engine: Open) -> None:
    many = 2 * TICK_LIMIT + 1
    dead = open_engine()
    id = hold(dead, many, "embedded:1:dead")
    dead.close()
    next_boot = open_engine()
    leases = LocalLeases(next_boot, ["default"], "alive")
    leases.open()
    assert losses(next_boot, id) == many
    leases.close()


def test_a_worker_elsewhere_keeps_its_leases_when_this_server_starts_again(open_engine: Open) -> None:
    engine = open_engine()
    id = hold(engine, 1, "remote:1")
    leases = LocalLeases(engine, ["default"], "alive")
    leases.open()
    assert losses(engine, id) == 0
    leases.close()


def test_nobody_is_taken_for_dead_while_another_process_is_in(open_engine: Open) -> None:
    engine = open_engine()
    id = hold(engine, 1, "embedded:1:alive")
    other = Boot(engine.store.lock_path)
    with other.enter():
        pass
    leases = LocalLeases(engine, ["default"], "next")
    leases.open()
    assert losses(engine, id) == 0
    leases.close()
    other.leave()
    leases = LocalLeases(engine, ["default"], "last")
    leases.open()
    assert losses(engine, id) == 1
    leases.close()


@pytest.mark.slow
def test_another_server_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    """Both on one file all the time, so that only the lease tells; with the defaults of `serve`."""
    folders = (tmp_path / str(number) for number in count())
    print(f"taken over {within(BY_DEFAULT, lambda: take_over(next(folders)), tries=3):.1f} s after the kill")


def take_over(folder: Path) -> float:
    """How many seconds after the kill the other one ran it."""
    folder.mkdir()
    log = folder / "runs.log"
    with Server(folder) as killed, JobsClient(base_url=killed.url()) as sdk:
        id = sdk.job("patient").create_execution({"input": 0})
        until(log.exists, "it runs")
        with Server(folder) as other:
            url = other.url()
            killed.kill()
            killed_at = time.monotonic()
            until(lambda: (id, "task-0", 2) in set(runs(log)), "the other one runs it")
            took = time.monotonic() - killed_at
            with JobsClient(base_url=url) as rest:
                execution = rest.job("patient").wait_for_execution(id, max_wait=PATIENCE)
    assert execution.result == {"attempt": 2}
    assert [(lost.task, lost.attempt, lost.reason) for lost in execution.recoveries] == [("task-0", 1, "lease_expired")]
    return took
