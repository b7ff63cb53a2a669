import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs.define import JobDef
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.server.app import App, create_app
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng
from blaxel_jobs.worker import Worker
from mock_server.asked import Asked
from mock_server.strict import Strict
from tests.pace import PATIENCE
from tests.server.contract import check_answer
from tests.serving import live

URL = "http://127.0.0.1:8080"

MakeApp = Callable[..., App]


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    store = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'jobs.db'}")
    engine = Engine(store, clock=SystemClock(), new_id=id_factory(), rng=rng)
    yield engine
    engine.close()


@pytest.fixture
def make_app(engine: Engine) -> MakeApp:
    def make(**options: Any) -> App:
        return create_app(engine, version="1.2.3", new_id=new_key, **options)

    return make


def _breach(asked: Asked, why: str) -> None:
    raise AssertionError(f"{asked.method} {asked.path}: {why}")


async def _judge(response: httpx.Response) -> None:
    await response.aread()
    check_answer(response)


def client_of(app: App, **options: Any) -> httpx.AsyncClient:
    """A client in process; every answer is held against the contract."""
    transport = httpx.ASGITransport(app=Strict(app, _breach))
    return httpx.AsyncClient(transport=transport, base_url=URL, event_hooks={"response": [_judge]}, **options)


@pytest.fixture
async def client(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(), headers={"Jobs-Contract": "1"}) as client:
        yield client


@pytest.fixture
def work(engine: Engine) -> Iterator[Callable[[JobDef[Any]], None]]:
    """Starts workers; they are stopped at the end."""
    workers: list[Worker] = []

    def start(*jobs: JobDef[Any]) -> None:
        worker = Worker(LocalLeases(engine, ["default"], new_key()), jobs, clock=SystemClock())
        worker.start()
        workers.append(worker)

    yield start
    for worker in workers:
        worker.stop(0)


@pytest.fixture
def live_url(make_app: MakeApp) -> Iterator[str]:
    with live(make_app()) as url:
        yield url


def raw(url: str, sent: bytes, *, until_closed: bool = True) -> bytes:
    """What a server answers to these bytes, until it closes the connection."""
    parts = httpx.URL(url)
    answer = b""
    with socket.create_connection((parts.host, parts.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        while until_closed or b"\r\n\r\n" not in answer:
            received = connection.recv(65536)
            if not received:
                break
            answer += received
    return answer
