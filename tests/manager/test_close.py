"""JobManager ends well: whoever closes it, however often, from wherever, and whatever is called after."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobManager, JobsError, StoreError, define_job
from blaxel_jobs.core.reading import MAX_BODY
from blaxel_jobs.define import JobDef
from blaxel_jobs.errors import InvalidRequest, TooLarge, WouldDeadlock
from blaxel_jobs.stores import MemoryJobStore, open_store
from tests.pace import PATIENCE, until

ROOT = Path(__file__).parents[2]


@define_job("echo")
def echo(context: Any, payload: Any) -> Any:
    return payload


class Gated:
    """A job whose handler says that it runs, and ends when it may."""

    def __init__(self) -> None:
        self.started, self.go_on = threading.Event(), threading.Event()
        self.job: JobDef[Any] = define_job("gated", run=self._run)

    def _run(self) -> str:
        self.started.set()
        assert self.go_on.wait(PATIENCE)
        return "ended"


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db"


def test_a_forked_child_leaves_the_manager_alone(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.manager.forking", url], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    reading, creating, closing = said["child"]
    assert "made before a fork" in reading
    assert "made before a fork" in creating
    assert closing == "none"
    assert (said["status"], said["events"]) == ("completed", ["created", "task.started", "task.completed"])


def test_within_with_what_is_registered_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """As `async with` does; a manager that is not entered waits for the first call that lets something run."""
    url = f"sqlite:///{tmp_path}/jobs.db"
    with JobManager(url, worker=False) as manager:
        ids = [manager.register(echo).trigger(number).id for number in range(2)]
    with JobManager(url, worker=False) as manager, JobManager(url) as worker:
        worker.register(echo)
        until(lambda: all(manager.get_execution(id).done for id in ids), "what was left is done")


def test_in_process_bodies_have_the_limits_of_http(url: str) -> None:
    deep: Any = 0
    for _ in range(62):
        deep = [deep]
    with JobManager(url) as manager:
        job = manager.register(echo)
        with pytest.raises(TooLarge):
            job.trigger("x" * MAX_BODY)
        with pytest.raises(InvalidRequest, match="nested"):
            job.trigger([[deep]])
        assert job.trigger("x" * 500_000).wait_done(PATIENCE).status == "completed"
        assert job.trigger([deep]).wait_done(PATIENCE).status == "completed"
        execution = job.trigger(1)
        with pytest.raises(TooLarge):
            execution.send_event("go", "x" * MAX_BODY)


def test_two_that_close_at_once_both_wait_for_what_runs(tmp_path: Path) -> None:
    url, gated = f"sqlite:///{tmp_path}/jobs.db", Gated()
    manager = JobManager(url, grace=10)
    manager.register(gated.job)
    execution = manager.trigger("gated")
    assert gated.started.wait(PATIENCE)
    closers = [threading.Thread(target=manager.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    assert not any(closer.join(0.1) or not closer.is_alive() for closer in closers)
    gated.go_on.set()
    for closer in closers:
        closer.join(PATIENCE)
    with JobManager(url, worker=False) as reader:
        assert reader.job("gated").get_execution(execution.id).result == "ended"


async def test_two_that_close_at_once_in_a_loop_both_wait_for_what_runs(tmp_path: Path) -> None:
    url, gated = f"sqlite:///{tmp_path}/jobs.db", Gated()
    async with JobManager(url, grace=10) as manager:
        manager.register(gated.job)
        execution = await manager.atrigger("gated")
        await asyncio.to_thread(gated.started.wait, 10)
        closers = [asyncio.create_task(manager.aclose()), asyncio.create_task(asyncio.to_thread(manager.close))]
        _, waiting = await asyncio.wait(closers, timeout=0.2)
        assert len(waiting) == 2
        gated.go_on.set()
        await asyncio.gather(*closers)
    with JobManager(url, worker=False) as reader:
        assert reader.job("gated").get_execution(execution.id).result == "ended"


def test_what_is_closed_takes_and_tells_nothing(url: str) -> None:
    manager = JobManager(url)
    job = manager.register(echo)
    execution = job.trigger(1)
    assert execution.get_result(PATIENCE) == 1
    manager.close()
    for call in (
        job.trigger,
        execution.refresh,
        execution.wait_done,
        execution.cancel,
        job.list_executions,
        lambda: manager.register(echo),
        lambda: list(execution.watch()),
    ):
        with pytest.raises(StoreError, match="closed"):
            call()
    assert not [thread for thread in threading.enumerate() if thread.name == "blaxel-jobs-worker"]


def test_a_wait_ends_when_its_manager_is_closed(url: str) -> None:
    manager = JobManager(url, worker=False)
    execution = manager.register(echo).trigger(1)
    raised: list[Exception] = []

    def wait() -> None:
        try:
            execution.wait_done(60)
        except JobsError as error:
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    keys = manager._engine.waiters.keys
    while not keys():
        threading.Event().wait(0.001)
    manager.close()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert [type(error) for error in raised] == [StoreError]


def test_a_store_that_was_given_stays_open(url: str) -> None:
    store = open_store(url)
    with JobManager(store) as first:
        execution = first.register(echo).trigger("first")
        assert execution.get_result(PATIENCE) == "first"
    with JobManager(store) as second:
        second.register(echo)
        assert second.job("echo").get_execution(execution.id).result == "first"
        assert second.trigger("echo", "second").get_result(PATIENCE) == "second"
    store.close()


def test_a_memory_store_has_one_manager_at_a_time() -> None:
    store = MemoryJobStore()
    with JobManager(store), pytest.raises(StoreError, match="another engine"):
        JobManager(store)
    JobManager(store).close()


def test_sqlite_stores_have_any_number_of_managers(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/jobs.db")
    first, second = JobManager(store, worker=False), JobManager(store)
    for manager in (first, second):
        manager.register(echo)
    assert second.trigger("echo", 1).get_result(PATIENCE) == 1
    assert first.trigger("echo", 2).get_result(PATIENCE) == 2
    first.close()
    assert second.trigger("echo", 3).get_result(PATIENCE) == 3
    second.close()
    store.close()


def closing_handlers(manager: Callable[[], JobManager]) -> list[JobDef[Any]]:
    async def sync_close() -> None:
        manager().close()

    async def async_close() -> None:
        await manager().aclose()

    def threaded_close() -> None:
        manager().close()

    return [define_job(run.__name__, run=run) for run in (sync_close, async_close, threaded_close)]


@pytest.mark.parametrize("name", ["sync_close", "async_close", "threaded_close"])
def test_a_handler_cannot_close_what_runs_it(url: str, name: str) -> None:
    with JobManager(url, grace=1) as manager:
        manager.register(echo, *closing_handlers(lambda: manager))
        execution = manager.trigger(name).wait_done(PATIENCE)
        assert execution.error is not None
        assert (execution.status, execution.error.type) == ("failed", "WouldDeadlock")
        assert manager.trigger("echo", 1).get_result(PATIENCE) == 1


@pytest.mark.parametrize("name", ["sync_close", "async_close", "threaded_close"])
async def test_a_handler_in_the_caller_s_loop_cannot_close_what_runs_it(url: str, name: str) -> None:
    async with JobManager(url, grace=1) as manager:
        manager.register(echo, *closing_handlers(lambda: manager))
        execution = await (await manager.atrigger(name)).await_done(PATIENCE)
        assert execution.error is not None
        assert (execution.status, execution.error.type) == ("failed", "WouldDeadlock")
        assert await (await manager.atrigger("echo", 1)).aget_result(PATIENCE) == 1


async def test_the_worker_s_loop_is_not_blocked(url: str) -> None:
    async with JobManager(url, grace=1) as manager:
        job = manager.register(echo)
        execution = job.trigger(1)
        for call in (execution.wait_done, execution.get_result, lambda: job.wait_for_execution(execution.id), manager.close):
            with pytest.raises(WouldDeadlock):
                call()
        assert await execution.aget_result(PATIENCE) == 1
        assert execution.wait_done(0).done
        assert await asyncio.to_thread(execution.get_result) == 1


def test_an_async_handler_that_waits_in_its_thread_is_told(url: str) -> None:
    @define_job("outer")
    async def outer() -> Any:
        return manager.trigger("echo", 1).get_result(PATIENCE)

    with JobManager(url, grace=1) as manager:
        manager.register(echo, outer)
        execution = manager.trigger("outer").wait_done(PATIENCE)
        assert execution.error is not None
        assert execution.error.type == "WouldDeadlock"


def test_a_sync_handler_may_wait(url: str) -> None:
    @define_job("outer")
    def outer() -> Any:
        return manager.trigger("echo", 1).get_result(PATIENCE)

    with JobManager(url, grace=1) as manager:
        manager.register(echo, outer)
        assert manager.trigger("outer").get_result(PATIENCE) == 1


def test_a_closed_manager_is_not_entered(url: str) -> None:
    manager = JobManager(url)
    manager.close()
    with pytest.raises(StoreError, match="closed"), manager:
        pass

    async def enter() -> None:
        async with manager:
            pass

    with pytest.raises(StoreError, match="closed"):
        asyncio.run(enter())
