"""The verbs of many executions, wherever they run: over HTTP and in process."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blaxel_jobs import Execution, JobManager, JobsClient, NotFound, WaitTimeoutError
from blaxel_jobs.jobs import Jobs
from tests.pace import PATIENCE, timed, within
from tests.serving import serving


@pytest.fixture(scope="module", params=["http-memory", "http-sqlite", "process-memory", "process-sqlite"])
def jobs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Jobs whose tasks are simulated."""
    folder: Path = tmp_path_factory.mktemp("many")
    where, _, kind = request.param.partition("-")
    store = "memory:" if kind == "memory" else f"sqlite:///{folder}/jobs.db"
    if where == "process":
        with JobManager(store, simulate=True, slots=100) as manager:
            yield manager
        return
    with serving(folder, store, "--simulate", "--slots", "100") as server, JobsClient(server.url) as client:
        yield client


def begin(jobs: Jobs, *durations: float) -> list[str]:
    return [jobs.trigger("my-job", {"duration": seconds}).id for seconds in durations]


def test_many_are_waited_for(jobs: Jobs):
    ids = begin(jobs, 0.2, 0, 0.1)
    assert [(one.id, one.status, one.job) for one in jobs.wait_for_executions(ids)] == [(id, "completed", "my-job") for id in ids]


async def test_many_are_awaited(jobs: Jobs):
    ids = [(await jobs.atrigger("my-job", {"duration": seconds})).id for seconds in (0.2, 0, 0.1)]
    assert [one.id for one in await jobs.job("my-job").await_for_executions(ids)] == ids


def test_they_come_as_they_end(jobs: Jobs):
    slow, quick = begin(jobs, 0.6, 0.1)
    assert [one.id for one in jobs.as_completed([slow, quick])] == [quick, slow]


async def test_they_come_as_they_end_to_a_task(jobs: Jobs):
    slow, quick = begin(jobs, 0.6, 0.1)
    assert [one.id async for one in jobs.job("my-job").as_completed([slow, quick])] == [quick, slow]


def test_a_watch_ends_with_the_end(jobs: Jobs):
    execution = jobs.trigger("my-job", {"duration": 0.2})
    seen = [update.status for update in execution.watch()]
    assert seen == [status for status in ("pending", "running", "completed") if status in seen]
    assert seen[-2:] == ["running", "completed"]
    assert execution.done
    assert [update.status for update in jobs.watch(execution.id)] == ["completed"]


def test_a_result_is_read_from_what_came(jobs: Jobs):
    id = jobs.trigger("my-job", {"duration": 0, "output": {"a": 1}}).id
    (ended,) = jobs.as_completed([id])
    assert ended.get_result() == ended.refresh().result


def test_statuses_of_many(jobs: Jobs):
    (id,) = begin(jobs, 0)
    jobs.wait_for_executions([id])
    found = jobs.get_execution_statuses([id, "nope", id])
    assert [(one.id, one.status, one.done) for one in found] == [
        (id, "completed", True),
        ("nope", "unknown", True),
        (id, "completed", True),
    ]
    assert jobs.job("other").get_execution_statuses([id])[0].status == "unknown"


def test_an_unknown_one_is_not_found(jobs: Jobs):
    (id,) = begin(jobs, 0)
    with pytest.raises(NotFound, match="nope"):
        jobs.wait_for_executions([id, "nope"])
    with pytest.raises(NotFound):
        list(jobs.job("other").watch(id))


def test_k_08_the_deadline_of_many_is_kept(jobs: Jobs):
    ids = begin(jobs, 60, 0)

    def wait() -> None:
        with pytest.raises(WaitTimeoutError, match=f"1 of 2 executions .* {ids[0]}"):
            jobs.wait_for_executions(ids, max_wait=0.5)

    assert within(0.6, lambda: timed(wait)) >= 0.5
    jobs.job("my-job").cancel_execution(ids[0])


def test_threads_and_loops_wait_side_by_side_and_leave_no_thread(jobs: Jobs):
    ids = begin(jobs, *[0.2] * 8)

    def in_a_loop(id: str) -> list[Execution]:
        return asyncio.run(jobs.await_for_executions([id]))

    with ThreadPoolExecutor(8) as pool:
        waits = [pool.submit(jobs.wait_for_executions, [id]) for id in ids[:4]]
        waits += [pool.submit(in_a_loop, id) for id in ids[4:]]
        assert [wait.result(PATIENCE)[0].id for wait in waits] == ids
    assert not [thread for thread in threading.enumerate() if thread.name == "blaxel-jobs-stream"]
