"""RemoteWorker: a worker over HTTP as an object of a program."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blaxel_jobs import JobsClient, define_job
from blaxel_jobs.config import Settings
from blaxel_jobs.engine import Engine
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.remote import RemoteWorker, run_worker
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, rng
from tests.pace import PATIENCE
from tests.serving import live_engine


@define_job("where")
async def where(context: Any) -> Any:
    return {"thread": threading.get_ident(), "loop": id(asyncio.get_running_loop())}


@define_job("keeps")
def keeps(context: Any, payload: str) -> Any:
    ref = context.artifacts.put(payload.encode())
    context.progress(1, 2, "half")
    context.log.info("kept", size=len(payload))
    return [ref, context.artifacts.get(ref).decode()]


@define_job("sleepy", queue="slow")
async def sleepy(context: Any) -> str:
    await context.sleep("nap", 0.05)
    return str(await context.wait_for_event("wake"))


@define_job("fails", max_retries=1, retry_delay=0.01)
def fails(context: Any) -> int:
    if context.attempt == 1:
        raise ValueError("not at first")
    return int(context.attempt)


JOBS = [where, keeps, sleepy, fails]


class Server(NamedTuple):
    url: str
    client: JobsClient


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    engine = Engine(open_store(f"sqlite:///{tmp_path / 'jobs.db'}"), clock=SystemClock(), new_id=id_factory(), rng=rng, lease=2.0)
    engine.start()
    with live_engine(engine) as url, JobsClient(base_url=url) as client:
        yield Server(url, client)
    engine.close()


def worker(server: Server, **options: Any) -> RemoteWorker:
    return RemoteWorker(JOBS, settings=Settings(base_url=server.url), **options)


def test_a_worker_in_a_thread_of_its_own(server: Server) -> None:
    hooks: list[str] = []
    with worker(server, on_start=lambda: hooks.append("start"), on_stop=lambda: hooks.append("stop")):
        result = server.client.job("where").trigger().wait_done(PATIENCE).result
        assert result["thread"] != threading.get_ident()
        execution = server.client.job("fails").trigger().wait_done(PATIENCE)
        assert (execution.result, execution.tasks[0].attempts) == (2, 2)
    assert hooks == ["start", "stop"]


async def test_a_worker_in_the_loop_of_its_caller(server: Server) -> None:
    async with worker(server):
        execution = await server.client.job("where").atrigger()
        await execution.await_done(PATIENCE)
    assert execution.result == {"thread": threading.get_ident(), "loop": id(asyncio.get_running_loop())}


def test_what_a_context_does_reaches_the_server(server: Server) -> None:
    with worker(server):
        execution = server.client.job("keeps").trigger("some text").wait_done(PATIENCE)
    ref, text = execution.result
    assert (ref.partition(":")[0], text) == ("artifact", "some text")
    assert execution.progress.message == "half"


def test_a_task_that_waits_is_followed_up_by_the_event(server: Server) -> None:
    with worker(server, queues=["slow"]) as slow:
        assert slow.jobs == ["sleepy"]
        execution = server.client.job("sleepy").trigger()
        execution.send_event("wake", "up")
        assert execution.wait_done(PATIENCE).result == "up"


def test_a_worker_that_cannot_start_does_not(server: Server) -> None:
    def broken() -> None:
        raise RuntimeError("no pool")

    with pytest.raises(RuntimeError, match="no pool"), worker(server, on_start=broken):
        raise AssertionError("it serves")


def test_the_signals_are_for_the_main_thread() -> None:
    raised: list[Exception] = []

    def run() -> None:
        try:
            run_worker(JOBS, base_url="http://127.0.0.1:9")
        except ConfigError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


@pytest.mark.parametrize(("jobs", "queues"), [([], None), (JOBS, ["no-such"])])
def test_a_worker_without_a_job_is_a_mistake(jobs: Any, queues: Any) -> None:
    with pytest.raises(ConfigError):
        RemoteWorker(jobs, base_url="http://127.0.0.1:9", queues=queues)


def test_a_worker_that_is_stopped_while_its_server_is_away_ends_soon(tmp_path: Path) -> None:
    began, ending = threading.Event(), threading.Event()

    @define_job("holds")
    def holds(context: Any) -> None:
        began.set()
        assert ending.wait(PATIENCE)

    engine = Engine(open_store("memory:"), clock=SystemClock(), new_id=id_factory(), rng=rng)
    with live_engine(engine) as url:
        remote = RemoteWorker([holds], base_url=url)
        remote.start()
        with JobsClient(base_url=url) as client:
            client.job("holds").trigger()
            assert began.wait(PATIENCE)
    ending.set()  # what it returns has nobody to go to
    stopped = threading.Thread(target=remote.stop, args=(0.2,))
    stopped.start()
    stopped.join(PATIENCE)
    assert not stopped.is_alive()
    engine.close()
