"""Who reaches a mock, and how: every client of the process, from any thread or loop, and nothing else is reached meanwhile."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import trio

from blaxel_jobs import (
    ConfigError,
    ConnectionFailed,
    CreateJobExecutionRequest,
    InvalidRequest,
    JobsClient,
    Settings,
    WaitTimeoutError,
    bl_job,
    configure,
)
from blaxel_jobs.transport import HttpSeam
from mock_server import MockServer
from tests.sdk.fakes import Echo, execution_view

Runner = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
RUNNERS = [pytest.param(lambda main: asyncio.run(main()), id="asyncio"), pytest.param(trio.run, id="trio")]


async def work() -> list[str]:
    job = bl_job("my-job")
    execution_id = await job.acreate_execution(CreateJobExecutionRequest(tasks=[{"duration": 60}, {"duration": 30}]))
    with pytest.raises(WaitTimeoutError):
        await job.await_for_execution(execution_id, max_wait=29)
    return [(await job.await_for_execution(execution_id, max_wait=180)).status, await job.aget_execution_status(execution_id)]


@pytest.mark.row("S1-13", "K-02", "S1-32")
@pytest.mark.parametrize("run", RUNNERS)
def test_k_02_asyncio_and_trio_reach_the_mock_in_one_loop_after_another(run: Runner):
    with MockServer() as mock:
        assert run(work) == ["completed"] * 2
        assert run(work) == ["completed"] * 2
        assert mock.monotonic() == 120


@pytest.mark.parametrize("run", RUNNERS)
def test_a_mock_entered_in_a_loop(run: Runner):
    async def main() -> float:
        async with MockServer() as mock:
            assert await work() == ["completed"] * 2
            await mock.asleep(5)
            return mock.monotonic()

    assert run(main) == 65
    assert run(main) == 65


@pytest.mark.parametrize("run", RUNNERS)
def test_cancelling_an_async_wait_leaves_the_execution_alone(run: Runner):
    import anyio

    async def main() -> str:
        job = bl_job("my-job")
        execution = await job.atrigger({"duration": 60})
        with anyio.move_on_after(0.05) as scope:
            await execution.await_done()
        assert scope.cancelled_caught
        mock.unfreeze()
        return (await execution.await_done()).status

    with MockServer() as mock:
        mock.freeze()
        assert run(main) == "completed"


def test_many_threads_use_one_mock():
    with MockServer() as mock, ThreadPoolExecutor(16) as pool:
        job = bl_job("my-job")

        def one(number: int) -> str:
            execution_id = job.create_execution({"tasks": [{"duration": number}]})
            return job.wait_for_execution(execution_id, max_wait=360).status

        assert list(pool.map(one, range(200))) == ["completed"] * 200
        assert len(mock.executions) == 200


async def one(seconds: float) -> str:
    job = bl_job("my-job")
    execution_id = await job.acreate_execution({"tasks": [{"duration": seconds}]})
    return (await job.await_for_execution(execution_id, max_wait=600)).status


async def test_many_tasks_of_a_loop_use_one_mock():
    async with MockServer():
        assert await asyncio.gather(*[one(number % 50) for number in range(200)]) == ["completed"] * 200


def test_threads_and_loops_at_once():
    with MockServer():
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda: results.append(asyncio.run(one(60)))),
            threading.Thread(target=lambda: results.append(trio.run(one, 60))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert results == ["completed"] * 2


class Trap:
    """Counts who connects."""

    def __init__(self) -> None:
        self.calls = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.calls += 1
            connection.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def trap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    """A server that everything points to, and no name can be looked up."""
    trap = Trap()
    lookups: list[Any] = []

    def no_lookup(host: Any, *arguments: Any, **options: Any) -> Any:
        lookups.append(host)
        raise OSError(f"{host} was looked up")

    monkeypatch.setenv("BL_API_KEY", "secret")
    monkeypatch.setenv("BL_API_URL", trap.url)
    monkeypatch.setattr(socket, "getaddrinfo", no_lookup)
    yield trap
    trap.close()
    assert lookups == []


@pytest.mark.parametrize("run", RUNNERS)
def test_nothing_reaches_another_server(trap: Trap, run: Runner, monkeypatch: pytest.MonkeyPatch):
    before = bl_job("my-job")
    clients = [JobsClient(), JobsClient(trap.url, api_key="k"), JobsClient("https://api.blaxel.ai/v0")]
    with MockServer() as mock:
        for job in (before, bl_job("my-job"), *[client.job("my-job") for client in clients]):
            assert job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60}]})).status == "completed"
        assert run(work) == ["completed"] * 2
        monkeypatch.delenv("BL_API_URL")  # a key alone means the platform
        assert run(work) == ["completed"] * 2
        configure(base_url=trap.url)
        try:
            assert run(work) == ["completed"] * 2
        finally:
            configure(base_url=None)
        assert len(mock.executions) == 8
    assert trap.calls == 0


def test_afterwards_clients_speak_to_their_own_servers_again():
    echo = Echo(execution_view(status="completed"))
    job = bl_job("my-job")
    with MockServer() as mock:
        execution_id = job.create_execution({"tasks": [{}]})
        handle = mock.job("my-job")
        assert JobsClient(seam=echo.seam()).job("my-job").get_execution("exec-1").done  # a transport of one's own stays in place
    assert JobsClient(seam=echo.seam()).job("my-job").get_execution("exec-1").done
    with pytest.raises(ConnectionFailed, match="no server answers"):
        JobsClient("http://127.0.0.1:9", connect_retries=0).job("my-job").get_execution(execution_id)
    with pytest.raises(ConnectionFailed, match="has ended"):
        handle.get_execution(execution_id)


def test_the_innermost_mock_answers():
    with MockServer() as outer:
        first = bl_job("my-job").create_execution({"tasks": [{}]})
        with MockServer(seed=1) as inner:
            second = bl_job("my-job").create_execution({"tasks": [{}]})
            third = outer.job("my-job").create_execution({"tasks": [{}]})
            assert [one.id for one in inner.executions] == [second]
            assert [one.id for one in outer.executions] == [third, first]
        assert bl_job("my-job").get_execution(third).status == "completed"


def test_mocks_may_end_in_any_order():
    first, second = MockServer(), MockServer()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    execution_id = bl_job("my-job").create_execution({"tasks": [{}]})
    assert [one.id for one in second.executions] == [execution_id]
    second.__exit__(None, None, None)


def test_a_mock_is_entered_once():
    with MockServer() as mock, pytest.raises(ConfigError, match="entered before"):
        mock.__enter__()


def test_a_mock_that_was_not_entered_says_so():
    mock = MockServer()
    for use in (lambda: mock.executions, lambda: mock.advance(1), mock.freeze, lambda: mock.job("my-job").trigger()):
        with pytest.raises(ConfigError, match="with MockServer"):
            use()


def test_sleeping_in_the_mocks_time():
    with MockServer() as mock:
        execution = bl_job("my-job").trigger({"duration": 60})
        mock.sleep(59.5)
        assert [one.status for one in mock.executions] == ["running"]
        mock.sleep(0.5)
        assert [one.status for one in mock.executions] == ["completed"]
        assert execution.refresh().ended_at == mock.now


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("live", [True, False])
def test_a_forked_child_reaches_a_live_mock_only(live: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BL_API_KEY", "secret")
    with MockServer(live=live) as mock:
        if live:
            monkeypatch.setenv("BL_API_URL", str(mock.url))
        child = os.fork()
        if child == 0:
            try:
                job = bl_job("my-job")
                done = job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60}]})).done
                os._exit(0 if done else 1)
            except ConfigError as error:
                os._exit(3 if "MockServer(live=True)" in str(error) else 4)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if live else 3)
        assert len(mock.executions) == live


def test_errors_are_those_of_the_product():
    with MockServer():
        job = bl_job("my-job")
        with pytest.raises(LookupError):
            job.get_execution("nope")
        with pytest.raises(InvalidRequest, match="duration") as caught:
            job.create_execution({"tasks": [{"duration": -1}]})
        assert caught.value.path == "tasks[0].duration"
        assert caught.value.request_id


def test_a_seam_with_a_transport_of_its_own_is_left_alone():
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json=execution_view(status="completed"))

    seam = HttpSeam(Settings(base_url="http://jobs.test"), transport=httpx.MockTransport(answer))
    with MockServer() as mock:
        assert JobsClient(seam=seam).job("my-job").get_execution("exec-1").done
        assert mock.executions == []
    assert seen == ["http://jobs.test/v0/jobs/my-job/executions/exec-1"]


def test_who_waits_when_it_ends_is_told():
    told: list[BaseException] = []
    begun = threading.Event()

    def wait() -> None:
        execution = bl_job("my-job").trigger({"duration": 60})
        begun.set()
        try:
            execution.wait_done()
        except BaseException as error:
            told.append(error)

    mock = MockServer()
    mock.__enter__()
    mock.freeze()
    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(5)
    handle = mock.job("my-job")
    mock.__exit__(None, None, None)
    waiting.join(10)
    assert not waiting.is_alive()
    assert isinstance(told[0], WaitTimeoutError | ConnectionFailed)
    with pytest.raises(ConnectionFailed, match="has ended"):
        handle.trigger()
