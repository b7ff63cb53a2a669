"""Clients, connections, processes, threads and event loops."""

import asyncio
import gc
import os
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
import trio

from blaxel_jobs import ConnectionFailed, JobsClient, Settings, bl_job
from blaxel_jobs.flow import Op
from blaxel_jobs.transport import HttpSeam
from tests.pace import PATIENCE, timed, within
from tests.sdk.fakes import Echo, execution_view
from tests.sdk.sockets import listening

GET = Op("get_job_execution", "JobExecution", {"job": "my-job", "execution_id": "exec-1"})


def test_one_connection_serves_call_after_call():
    with listening() as server, JobsClient(server.url) as client:
        for _ in range(20):
            assert client.job("my-job").get_execution("exec-1").done
        assert server.connections == 1


def test_a_closed_client_opens_again():
    with listening() as server, JobsClient(server.url) as client:
        client.job("my-job").get_execution("exec-1")
        client.close()
        client.close()
        client.job("my-job").get_execution("exec-1")
        assert server.connections == 2


def test_threads_share_one_client():
    with listening() as server, JobsClient(server.url, max_connections=4) as client:
        job = client.job("my-job")
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda _: job.get_execution("exec-1").id, range(200)))
        assert found == ["exec-1"] * 200
        assert server.connections <= 4


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_k_02_asyncio_and_trio_run_the_same_calls(run: Any):
    with listening() as server:
        job = JobsClient(server.url).job("my-job")

        async def main() -> None:
            assert (await job.aget_execution("exec-1")).done
            assert (await job.await_for_execution("exec-1", max_wait=5)).status == "completed"
            started = anyio.current_time()
            await HttpSeam().asleep(0.01)
            assert anyio.current_time() - started >= 0.01

        run(main) if run is trio.run else run(main())


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_s1_32_a_second_event_loop_works_and_the_first_leaves_nothing_behind(run: Any):
    with listening() as server:
        job = JobsClient(server.url).job("my-job")

        async def main() -> None:
            for _ in range(3):
                assert (await job.aget_execution("exec-1")).done

        for _ in range(3):
            run(main) if run is trio.run else run(main())
        assert server.connections == 3
        assert not job._seam._link().connections._loops  # type: ignore[attr-defined]


def test_event_loops_in_several_threads_do_not_meet():
    with listening() as server:
        job = JobsClient(server.url).job("my-job")

        async def main() -> str:
            return (await asyncio.gather(*[job.aget_execution("exec-1") for _ in range(5)]))[0].id

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda _: asyncio.run(main()), range(8))) == ["exec-1"] * 8


def test_a_loop_that_was_only_closed_is_forgotten_with_its_client():
    echo = Echo(execution_view())
    seam = echo.seam()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(seam.aperform(GET))
    gone = weakref.ref(loop)
    loop.close()
    del loop
    asyncio.run(seam.aperform(GET))
    gc.collect()
    assert gone() is None


async def test_aclose_gives_the_connections_of_this_loop_back():
    echo = Echo(execution_view())
    async with JobsClient(seam=echo.seam()) as client:
        await client.job("my-job").aget_execution("exec-1")
        connections = client._seam._link().connections  # type: ignore[attr-defined]
        assert len(connections._loops) == 1
    assert not connections._loops
    await client.aclose()
    assert (await client.job("my-job").aget_execution("exec-1")).id == "exec-1"
    await client.aclose()


def test_a_client_with_another_seam_closes_without_one():
    class Bare:
        retries = 0

    client = JobsClient(seam=Bare())  # type: ignore[arg-type]
    client.close()
    asyncio.run(client.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_process_uses_connections_of_its_own():
    with listening() as server:
        job = JobsClient(server.url).job("my-job")
        job.get_execution("exec-1")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if job.get_execution("exec-1").done else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert job.get_execution("exec-1").done
        mine, childs, again = server.clients
        assert mine == again != childs


class Held:
    """Answers long polls only when `release` is set; counts those that are held."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.held = threading.Semaphore(0)

    def __call__(self, path: str, prefer: str | None) -> dict[str, Any]:
        if prefer in (None, "wait=0"):
            return execution_view(status="running")
        self.held.release()
        self.release.wait(PATIENCE)
        return execution_view(status="completed")


def test_long_polls_never_take_every_connection():
    held = Held()
    with listening(held) as server, JobsClient(server.url, max_connections=4) as client, ThreadPoolExecutor(8) as pool:
        job = client.job("my-job")
        waits = [pool.submit(job.wait_for_execution, "exec-1", 30, 0.1) for _ in range(8)]
        for _ in range(3):
            assert held.held.acquire(timeout=PATIENCE)
        assert job.get_execution("exec-1").status == "running"  # while the server still holds those that wait
        held.release.set()
        assert all(wait.result(PATIENCE).done for wait in waits)


def test_a_wait_ends_on_time_against_a_server_that_hangs():
    stop = threading.Event()

    def hang(_: str, __: str | None) -> dict[str, Any]:
        stop.wait(PATIENCE)
        return execution_view()

    with listening(hang) as server, JobsClient(server.url) as client:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            client.job("my-job").wait_for_execution("exec-1", max_wait=0.3)
        stop.set()
        assert time.monotonic() - started < PATIENCE / 2


def test_k_08_a_wait_of_one_second_takes_one_second():
    with listening(lambda *_: execution_view(status="running")) as server, JobsClient(server.url) as client:
        job = client.job("my-job")
        job.get_execution("exec-1")

        def wait() -> None:
            with pytest.raises(TimeoutError):
                job.wait_for_execution("exec-1", max_wait=1)

        assert within(1.1, lambda: timed(wait)) >= 1.0


def test_a_port_without_a_server_says_how_to_start_one():
    with listening() as server:
        url = server.url
    with pytest.raises(ConnectionFailed, match="blaxel-jobs serve"):
        JobsClient(url, connect_retries=0).job("my-job").get_execution("exec-1")


def test_proxies_are_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with listening() as server, JobsClient(server.url) as client:
        assert client.job("my-job").get_execution("exec-1").done


def test_bl_job_takes_the_server_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    with listening() as server:
        monkeypatch.setenv("BL_API_URL", server.url)
        job = bl_job("my-job")
        assert job.get_execution("exec-1").done
        job._seam.close()  # type: ignore[attr-defined]


def test_settings_are_read_at_the_first_call_and_once():
    read = []

    def settings() -> Settings:
        read.append(1)
        return Settings(base_url="http://jobs.test")

    seam = HttpSeam(settings, transport=Echo(execution_view()).seam()._transport)
    assert not read
    seam.perform(GET)
    seam.perform(GET)
    assert read == [1]
