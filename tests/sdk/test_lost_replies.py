"""A create is done once, however many of its answers are lost: against the real app, in process."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from blaxel_jobs import ConnectionFailed, JobsClient, Settings
from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import create_app
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng
from tests.sdk.fakes import NoSleep

URL = "http://127.0.0.1:8080"
MANY = 1000


class Losing(httpx.ASGITransport):
    """The app does what it is asked, but the first answers to each create never arrive."""

    def __init__(self, engine: Engine, times: int) -> None:
        super().__init__(create_app(engine, version="1", new_id=new_key))
        self.times = times
        self.tries: dict[str, int] = {}
        self.looks = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method != "POST":
            self.looks += 1
            return response
        key = request.headers["Idempotency-Key"]
        self.tries[key] = self.tries.get(key, 0) + 1
        if self.tries[key] <= self.times:
            raise httpx.ReadError("the reply is lost")
        return response


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    store = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}")
    engine = Engine(store, clock=SystemClock(), new_id=id_factory(), rng=rng)
    yield engine
    engine.close()


def made(engine: Engine) -> set[str]:
    """The ids of all executions."""
    found: set[str] = set()
    cursor = None
    while True:
        page = engine.call(
            "list_job_executions", "default", {"job": "my-job", "limit": 1000, **({"cursor": cursor} if cursor else {})}
        )
        found |= {row["metadata"]["id"] for row in page["data"]}
        cursor = page["meta"].get("nextCursor")
        if not cursor:
            return found


@pytest.mark.parametrize("times", [1, 2])
async def test_a_thousand_creates_whose_replies_are_lost_make_a_thousand_executions(engine: Engine, times: int):
    losing = Losing(engine, times)
    job = JobsClient(seam=NoSleep(Settings(base_url=URL), transport=losing)).job("my-job")
    begun = itertools.count()
    ids: list[str] = []

    async def create() -> None:
        while (n := next(begun)) < MANY:
            ids.append(await job.acreate_execution({"tasks": [{"n": n}]}))

    await asyncio.gather(*[create() for _ in range(20)])
    assert len(ids) == len(set(ids)) == MANY
    assert made(engine) == set(ids)
    assert set(losing.tries.values()) == {times + 1}
    assert losing.looks <= 20, "once an answer has told whose server it is, nobody asks again"


async def test_replies_that_are_always_lost_are_an_error_and_one_execution(engine: Engine):
    losing = Losing(engine, 99)
    job = JobsClient(seam=NoSleep(Settings(base_url=URL), transport=losing)).job("my-job")
    with pytest.raises(ConnectionFailed, match="the reply is lost"):
        await job.acreate_execution({"tasks": [{}]})
    assert len(made(engine)) == 1
    assert set(losing.tries.values()) == {3}
