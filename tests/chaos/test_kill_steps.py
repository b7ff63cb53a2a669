"""kill -9 at random points of handlers with steps: of the server with the worker in it, of a worker elsewhere, and of the server
that it works for. Invariants 2, 3, 4, 9 and 10."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple, Self

import msgspec
import pytest

from blaxel_jobs import JobsClient
from tests.chaos.audit import check_store, unfinished
from tests.chaos.processes import Server, seeded
from tests.chaos.stepping import LOG, STEPS
from tests.pace import until
from tests.remote.processes import Worker

JOBS = ("embedded", "embedded-in-thread", "remote", "remote-in-thread")
EACH = 5
"""Executions of each job that are added before a kill."""
LEASE = "2"
"""Seconds. What a killed worker held waits so long."""
NO_END = 1_000_000


class Line(NamedTuple):
    """What a handler wrote down."""

    kind: str
    where: str
    id: str
    step: str
    token: str


def lines(folder: Path, offset: int = 0) -> Iterator[Line]:
    """The whole lines of the log, from this byte of it on."""
    path = folder / LOG
    if path.exists():
        with path.open("rb") as file:
            file.seek(offset)
            for line in file.read().decode().split("\n")[:-1]:
                yield Line(*line.split(" "))


class Scene:
    """A server with a worker in it, a worker elsewhere, and work for both that never ends."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.ids: list[str] = []
        self._folder = folder
        self._rng = rng
        self._open = ExitStack()
        self._server = self._new_server(0)
        self._port, self._url = self._server.port(), self._server.url()
        self._client = self._open.enter_context(JobsClient(base_url=self._url))
        self._worker = self._new_worker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def kill(self, victim: str) -> None:
        """At a random moment of its work; and start it again."""
        self._add_work()
        before = (self._folder / LOG).stat().st_size if (self._folder / LOG).exists() else 0
        wanted = self._rng.randrange(1, EACH * STEPS)
        until(lambda: sum(line.where == victim for line in lines(self._folder, before)) >= wanted, f"the {victim} works")
        if victim == "server":
            self._server.kill()
            self._server = self._new_server(self._port)
            self._server.url()
        else:
            self._worker.kill()
            self._worker = self._new_worker()

    def finish(self) -> None:
        """Everything ends, and both processes do so in good order."""
        until(lambda: unfinished(self._folder / "jobs.db") == 0, "all executions end")
        self._worker.terminate()
        self._server.terminate()

    def _add_work(self) -> None:
        batch = self._client.create_batch([{"job": job, "payload": None} for job in JOBS * EACH])
        self.ids += [execution.id for execution in batch.executions]

    def _new_server(self, port: int) -> Server:
        options = ("--lease", LEASE, "--max-recoveries", str(NO_END), "--slots", "6")
        return self._open.enter_context(Server(self._folder, *options, port=port, module="tests.chaos.stepping"))

    def _new_worker(self) -> Worker:
        return self._open.enter_context(
            Worker(self._folder, self._url, "--slots", "6", module="tests.chaos.stepping_elsewhere", ready=False)
        )


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "points", [10, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=lambda points: f"{points}-points"
)
def test_no_step_runs_again_after_its_checkpoint_was_acknowledged(points: int, tmp_path: Path) -> None:
    rng = seeded("kill steps")
    victims = ["server", "worker"] * (points // 2)
    rng.shuffle(victims)
    with Scene(tmp_path, rng) as scene:
        for victim in victims:
            scene.kill(victim)
        scene.finish()
    found = check_store(tmp_path / "jobs.db", NO_END)
    assert found.keys() == set(scene.ids), "executions are lost"
    acked, again = _check_steps(tmp_path)
    for id, history in found.items():
        assert history.execution.status == "completed", f"{id}: {history.execution.error}"
        result = msgspec.json.decode(history.tasks[0].result or "null")
        assert result == [acked[id, str(step)] for step in range(STEPS)], f"{id} ended with other values than its steps had"
    lost = Counter(recovery.reason for history in found.values() for recovery in history.execution.recoveries)
    print(f"{points} kills, {len(found)} executions: taken back {dict(lost)}, steps begun again {again}, none of them acknowledged")
    assert lost["worker_dead"] > 0
    assert lost["lease_expired"] > 0


def _check_steps(folder: Path) -> tuple[dict[tuple[str, str], str], int]:
    """The value with which each step was acknowledged; it never ran after that. And how many runs were not the first of their
    step."""
    acked: dict[tuple[str, str], str] = {}
    made: dict[tuple[str, str], list[str]] = {}
    for line in lines(folder):
        step = (line.id, line.step)
        if line.kind == "ran":
            assert step not in acked, f"{step} ran again after it was acknowledged"
            made.setdefault(step, []).append(line.token)
        else:
            assert acked.setdefault(step, line.token) == line.token, f"{step} came back with another value"
            assert line.token in made[step], f"{step} came back with a value that no run of it made"
    return acked, sum(len(tokens) - 1 for tokens in made.values())


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("most", [2, pytest.param(5, marks=pytest.mark.soak)], ids=lambda most: f"{most}-recoveries")
def test_a_task_is_lost_so_often_and_fails_the_next_time(most: int, tmp_path: Path) -> None:
    """Without a retry to its name: a loss is no error."""
    options = ("--lease", "60", "--max-recoveries", str(most))

    def began(id: str, attempt: int) -> bool:
        return any((line.id, line.step) == (id, str(attempt)) for line in lines(tmp_path))

    with _stubborn_server(tmp_path, options) as server, JobsClient(base_url=server.url()) as client:
        port = server.port()
        ids = [client.job("stubborn").trigger({"hang": most + more}, max_retries=0).id for more in (0, 1)]
        until(lambda: all(began(id, 1) for id in ids), "both run")
    for attempt in range(2, most + 1):
        with _stubborn_server(tmp_path, options, port) as server:
            until(partial(_all, began, ids, attempt), f"attempt {attempt} of both runs")
    with _stubborn_server(tmp_path, options, port) as server, JobsClient(base_url=server.url()) as client:
        survivor = client.job("stubborn").wait_for_execution(ids[0], max_wait=60)
        until(partial(began, ids[1], most + 1), "the last attempt runs")
    with _stubborn_server(tmp_path, options, port) as server, JobsClient(base_url=server.url()) as client:
        failed = client.job("stubborn").wait_for_execution(ids[1], max_wait=60)
    assert (survivor.status, survivor.result, len(survivor.recoveries)) == ("completed", most + 1, most)
    assert (failed.status, failed.error.kind, len(failed.recoveries)) == ("failed", "worker_lost", most + 1)
    assert not began(ids[1], most + 2)


def _stubborn_server(folder: Path, options: tuple[str, ...], port: int = 0) -> Server:
    """Killed when its block ends."""
    return Server(folder, *options, port=port, module="tests.chaos.stepping")


def _all(began: Callable[[str, int], bool], ids: list[str], attempt: int) -> bool:
    return all(began(id, attempt) for id in ids)
