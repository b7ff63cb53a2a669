"""Handlers of the user's own: their code runs in real time, and virtual time stands still meanwhile."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from blaxel_jobs import ConfigError, JobDef, JobsClient, MockStuck, WaitTimeoutError, bl_job, define_job
from mock_server import MockServer
from tests.pace import PATIENCE


@define_job("sync-words")
def sync_words(context, payload):
    time.sleep(0.02)
    return {"words": len(payload["text"].split()), "task": context.task_id}


@define_job("async-words")
async def async_words(context, payload):
    await asyncio.sleep(0.02)
    return {"words": len(payload["text"].split()), "task": context.task_id}


@define_job("fails")
def fails():
    raise RuntimeError("no")


@contextmanager
def echo_port() -> Iterator[int]:
    """A real server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.sendall(connection.recv(100))

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("job", [sync_words, async_words])
@pytest.mark.parametrize("mode", ["settle", "step"])
def test_a_handler_runs_in_real_time_at_one_virtual_instant(job: JobDef[Any], mode: str):
    with MockServer(jobs=[job], mode=mode) as mock:
        execution = bl_job(job.name).trigger({"text": "to be or not to be"})
        assert execution.get_result() == {"words": 6, "task": "task-0"}
        assert mock.monotonic() == 0
        assert bl_job("other").trigger({"duration": 5}).wait_done().status == "completed"
        assert mock.monotonic() == 5


def test_a_look_waits_for_handlers_that_run():
    with MockServer(jobs=[sync_words, async_words]):
        for name in ("sync-words", "async-words"):
            execution_id = bl_job(name).create_execution({"tasks": [{"text": "a"}, {"text": "a b"}]})
            assert bl_job(name).get_execution_status(execution_id) == "completed"


def test_with_step_a_handler_is_seen_running():
    with MockServer(jobs=[async_words], mode="step"):
        job = bl_job("async-words")
        execution_id = job.create_execution({"tasks": [{"text": "a"}]})
        assert [job.get_execution_status(execution_id) for _ in range(3)] == ["pending", "running", "completed"]


def test_a_failure_has_the_handlers_own_trace():
    with MockServer(jobs=[fails]):
        failed = bl_job("fails").trigger().wait_done()
        assert failed.status == "failed"
        assert (failed.error.type, failed.error.message) == ("RuntimeError", "no")
        assert "test_handlers.py" in failed.error.trace
        assert "mock_server" not in failed.error.trace


def test_sync_handlers_run_one_at_a_time_in_their_order():
    running, most, order = [], [], []

    def handle(context: Any) -> None:
        running.append(context.index)
        most.append(len(running))
        order.append(context.index)
        time.sleep(0.002)
        running.remove(context.index)

    with MockServer(jobs=[define_job("one", run=handle)]):
        ended = bl_job("one").wait_for_execution(bl_job("one").create_execution({"tasks": [{}] * 20}))
        assert ended.status == "completed"
        assert max(most) == 1
        assert order == list(range(20))


def test_real_io_within_handlers():
    def fetch(context: Any, payload: Any) -> str:
        with socket.create_connection(("127.0.0.1", payload["port"])) as connection:
            connection.sendall(b"sync")
            return connection.recv(100).decode()

    async def afetch(context: Any, payload: Any) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", payload["port"])
        writer.write(b"async")
        text = (await reader.read(100)).decode()
        writer.close()
        await writer.wait_closed()
        return text

    with echo_port() as port, MockServer(jobs=[define_job("fetch", run=fetch), define_job("afetch", run=afetch)]) as mock:
        for name, text in (("fetch", "sync"), ("afetch", "async")):
            execution = bl_job(name).wait_for_execution(bl_job(name).create_execution({"tasks": [{"port": port}] * 5}))
            assert execution.results == [text] * 5
        assert mock.monotonic() == 0


def test_handlers_may_use_the_client_themselves():
    def parent(context: Any, payload: Any) -> list[Any]:
        child = bl_job("child")
        ids = [child.create_execution({"tasks": [{"duration": 60}]}) for _ in range(3)]
        words = bl_job("sync-words").trigger({"text": "a b c"}).get_result()
        return [*[child.wait_for_execution(id).status for id in ids], words["words"]]

    async def aparent(context: Any, payload: Any) -> list[str]:
        child = bl_job("child")
        made = await asyncio.gather(*[child.atrigger({"duration": 60 * n}) for n in (1, 2, 3)])
        return [one.status for one in await asyncio.gather(*[one.await_done() for one in made])]

    with MockServer(jobs=[define_job("parent", run=parent), define_job("aparent", run=aparent), sync_words]) as mock:
        assert bl_job("parent").trigger().get_result() == ["completed"] * 3 + [3]
        assert mock.monotonic() == 60
        assert bl_job("aparent").trigger().get_result() == ["completed"] * 3
        assert mock.monotonic() == 240


def test_a_handler_that_waits_or_looks_moves_no_time_until_a_client_does():
    async def waits() -> str:
        child = await bl_job("child").atrigger({"duration": 60})
        return (await child.await_done()).status

    async def looks() -> list[str]:
        child = await bl_job("child").atrigger({"duration": 60})
        return [await bl_job("child").aget_execution_status(child.id) for _ in range(2)]

    def sleeps() -> str:
        child = bl_job("child").trigger({"duration": 60})
        mock.sleep(30)
        with pytest.raises(WaitTimeoutError):
            child.wait_done(max_wait=29.5)
        return child.wait_done(max_wait=1).status

    jobs = [define_job("waits", run=waits), define_job("looks", run=looks), define_job("sleeps", run=sleeps)]
    with MockServer(jobs=jobs) as mock:
        for job, result in (("waits", "completed"), ("looks", ["completed"] * 2), ("sleeps", "completed")):
            began = mock.monotonic()
            parent = bl_job(job).trigger()
            time.sleep(0.03)
            assert mock.monotonic() == began
            with pytest.raises(WaitTimeoutError):
                parent.wait_done(max_wait=59)
            assert mock.monotonic() == began + 59
            assert parent.refresh().result == result
            assert began + 60 <= mock.monotonic() <= began + 60.5


def test_time_stands_still_while_another_handler_runs():
    release = threading.Event()

    async def slow() -> None:
        while not release.is_set():
            await asyncio.sleep(0.005)

    with MockServer(jobs=[define_job("slow", run=slow)]) as mock:
        running = bl_job("slow").trigger()
        minute = bl_job("minute").trigger({"duration": 60})
        results: list[Any] = []
        waiting = threading.Thread(target=lambda: results.append(minute.wait_done().status))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        assert mock.monotonic() == 0
        release.set()
        waiting.join(PATIENCE)
        assert results == ["completed"]
        assert mock.monotonic() == 60
        assert running.refresh().status == "completed"


@contextmanager
def stuck_handlers() -> Iterator[dict[str, Callable[..., Any]]]:
    release = threading.Event()

    def sync_hang() -> None:
        release.wait(PATIENCE)

    async def async_hang() -> None:
        while not release.is_set():
            await asyncio.sleep(0.01)

    try:
        yield {"sync-hang": sync_hang, "async-hang": async_hang}
    finally:
        release.set()


@pytest.mark.parametrize("name", ["sync-hang", "async-hang"])
@pytest.mark.parametrize("look", ["get_execution_status", "get_execution", "wait_for_execution"])
def test_a_handler_that_does_not_return_is_named(name: str, look: str):
    with stuck_handlers() as handlers, MockServer(jobs=[define_job(name, run=handlers[name])], stuck_after=0.2) as mock:
        execution_id = bl_job(name).create_execution({"tasks": [{}]})
        started = time.monotonic()
        with pytest.raises(MockStuck, match=f"'{name}'.*0.2 s"):
            getattr(bl_job(name), look)(execution_id)
        assert time.monotonic() - started < PATIENCE / 2
        with pytest.raises(MockStuck, match=name):
            mock.advance(1)


async def test_a_handler_that_does_not_return_is_named_to_async_callers():
    with stuck_handlers() as handlers:
        async with MockServer(jobs=[define_job("stuck", run=handlers["sync-hang"])], stuck_after=0.2):
            execution = await bl_job("stuck").atrigger()
            with pytest.raises(MockStuck, match="'stuck'"):
                await execution.await_done()


def test_a_handler_that_does_not_return_is_named_over_http():
    with (
        stuck_handlers() as handlers,
        MockServer(jobs=[define_job("stuck", run=handlers["async-hang"])], stuck_after=0.2, live=True) as mock,
        JobsClient(mock.url) as client,
    ):
        execution = client.job("stuck").trigger()
        with pytest.raises(MockStuck, match="'stuck'") as caught:
            execution.wait_done()
        assert caught.value.status_code == 409


def test_an_async_handler_that_blocks_its_loop_is_noticed():
    release = threading.Event()

    async def block() -> None:
        release.wait(PATIENCE)

    with MockServer(jobs=[define_job("block", run=block)], stuck_after=0.2):
        try:
            with pytest.raises(MockStuck, match="blocked its loop"):
                bl_job("block").wait_for_execution(bl_job("block").create_execution({"tasks": [{}]}))
        finally:
            release.set()


def test_an_async_handler_that_calls_the_sync_client_is_told():
    async def wrong() -> None:
        bl_job("other").trigger()

    with MockServer(jobs=[define_job("wrong", run=wrong)]):
        ended = bl_job("wrong").trigger().wait_done()
        assert ended.error.type == "MockStuck"
        assert "await its twin" in ended.error.message


def test_handlers_that_still_run_at_the_end_do_not_hold_it_up():
    with stuck_handlers() as handlers:
        started = time.monotonic()
        with MockServer(jobs=[define_job(name, run=run) for name, run in handlers.items()]):
            for name in handlers:
                bl_job(name).create_execution({"tasks": [{}] * 3})
        assert time.monotonic() - started < PATIENCE / 2


def test_a_cancelled_sync_handler_does_not_hold_up_time():
    with stuck_handlers() as handlers, MockServer(jobs=[define_job("stuck", run=handlers["sync-hang"])], stuck_after=2) as mock:
        stuck = bl_job("stuck").trigger()
        stuck.cancel()
        assert bl_job("other").trigger({"duration": 60}).wait_done().status == "completed"
        assert mock.monotonic() == 60
        assert stuck.refresh().status == "cancelled"


def test_registering_while_it_runs():
    with MockServer() as mock:
        assert bl_job("sync-words").trigger({"output": 1}).get_result() == 1
        mock.register(sync_words)
        mock.register(sync_words)
        assert bl_job("sync-words").trigger({"text": "a"}).get_result()["words"] == 1
        with pytest.raises(ConfigError, match="sync-words"):
            mock.register(define_job("sync-words", run=fails.run))


def test_without_simulation_an_unknown_job_waits_for_a_worker():
    with MockServer(jobs=[sync_words], simulate=False) as mock:
        execution = bl_job("unknown").trigger()
        assert execution.refresh().waiting_for == "worker"
        assert bl_job("sync-words").trigger({"text": "a"}).get_result()["words"] == 1
        mock.advance(3600)
        with MockServer(mode="step"):
            assert bl_job("my-job").trigger().waiting_for is None
