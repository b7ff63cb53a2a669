from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blaxel_jobs.core.records import Leased
from blaxel_jobs.core.reports import Answer, Report
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.engine.recovery import tick
from blaxel_jobs.stores import JobStore, open_store
from tests.clocks import ManualClock

WORKSPACE = "default"


class Harness:
    """An engine on a clock that stands still, and short words for what tests do with it."""

    def __init__(self, store: str | JobStore, clock: Any = None, **options: Any) -> None:
        self.clock = clock or ManualClock()
        store = open_store(store) if isinstance(store, str) else store
        ids = count(1)
        self.engine = Engine(store, clock=self.clock, new_id=lambda: f"e{next(ids)}", rng=Random(0), **options)

    def create(self, job: str = "job", workspace: str = WORKSPACE, key: str | None = None, **body: Any) -> dict[str, Any]:
        arguments = {"job": job, "body": body or {"input": None}, "idempotency_key": key}
        return self.engine.call("create_job_execution", workspace, arguments)

    def get(self, id: str, job: str = "job", workspace: str = WORKSPACE) -> dict[str, Any]:
        return self.engine.call("get_job_execution", workspace, {"job": job, "execution_id": id})

    def cancel(self, id: str, job: str = "job") -> dict[str, Any]:
        return self.engine.call("cancel_job_execution", WORKSPACE, {"job": job, "execution_id": id})

    def do(self, verb: str, id: str, **arguments: Any) -> Any:
        """One of the verbs on executions, such as `pause`."""
        return self.engine.call(f"{verb}_execution", WORKSPACE, {"execution_id": id, **arguments})

    def send(self, id: str, name: str, event_id: str | None = None) -> str:
        body = {"name": name, **({} if event_id is None else {"id": event_id})}
        return str(self.engine.call("send_execution_event", WORKSPACE, {"execution_id": id, "body": body})["disposition"])

    def define(self, job: str = "job", **body: Any) -> None:
        self.engine.call("put_job", WORKSPACE, {"job": job, "body": body})

    def tell(self, leased: Leased, report: Report) -> Answer:
        answer: Answer = self.engine.submit(Tell(leased.lease, report))
        return answer

    def pass_time(self, seconds: float) -> None:
        """And do what is due then."""
        self.clock.advance(seconds)
        tick(self.engine)

    def waits(self, *ids: str) -> list[Any]:
        """What each of these waits for, by its record."""
        found = {each.id: each for each in self.engine.store.get(WORKSPACE, ids)}
        return [found[id].waiting_for for id in ids]

    def events(self, id: str, job: str = "job") -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = self.engine.call("list_job_execution_events", WORKSPACE, {"job": job, "execution_id": id})[
            "data"
        ]
        return data

    def claim(self, limit: int = 100, worker: str = "w1", lease: float = 10.0, workspace: str = WORKSPACE) -> list[Leased]:
        leased: list[Leased] = self.engine.submit(Claim(workspace, None, limit, worker, lease))
        return leased


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def make(store_url: str) -> Iterator[Callable[..., Harness]]:
    made: list[Harness] = []

    def make_harness(**options: Any) -> Harness:
        made.append(Harness(store_url, **options))
        return made[-1]

    yield make_harness
    for harness in made:
        harness.engine.close()


@pytest.fixture
def harness(make: Callable[..., Harness]) -> Harness:
    return make()
