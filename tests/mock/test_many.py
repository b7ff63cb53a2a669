"""Waiting for many at once, in virtual time."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from blaxel_jobs import JobsClient, WaitTimeoutError
from blaxel_jobs.jobs import Job
from mock_server import MockServer
from tests.pace import timed, within


@pytest.fixture(params=["in process", "over HTTP"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[MockServer, Job]]:
    with MockServer(live=request.param == "over HTTP") as mock, JobsClient(mock.url) as client:
        yield mock, client.job("my-job")


def create(job: Job, *durations: float) -> list[str]:
    return [job.create_execution({"tasks": [{"duration": duration}]}) for duration in durations]


def test_all_of_them(place: tuple[MockServer, Job]):
    mock, job = place
    ended = job.wait_for_executions(create(job, 60, 3600, 5), max_wait=4000)
    assert [one.status for one in ended] == ["completed"] * 3
    assert 3600 <= mock.monotonic() <= 3603  # not each after the other


def test_each_as_it_ends(place: tuple[MockServer, Job]):
    _, job = place
    ids = create(job, 60, 30, 90)
    assert [one.id for one in job.as_completed(ids)] == [ids[1], ids[0], ids[2]]


async def test_each_as_it_ends_in_a_loop(place: tuple[MockServer, Job]):
    _, job = place
    ids = create(job, 60, 30, 90)
    assert [one.id async for one in job.as_completed(ids)] == [ids[1], ids[0], ids[2]]
    assert [one.status for one in await job.await_for_executions(ids)] == ["completed"] * 3


def test_the_deadline_is_in_the_mocks_time(place: tuple[MockServer, Job]):
    mock, job = place
    ids = create(job, 60, 5)
    began = time.monotonic()
    with pytest.raises(WaitTimeoutError):
        job.wait_for_executions(ids, max_wait=30)
    took = time.monotonic() - began  # counts, too, over HTTP
    assert 29 - took <= mock.monotonic() <= 30.1
    assert [one.status for one in job.get_execution_statuses(ids)] == ["running", "completed"]


def test_every_change_is_seen(place: tuple[MockServer, Job]):
    _, job = place
    execution_id = job.create_execution({"tasks": [{"duration": 60}, {"duration": 30}]})
    seen: list[Any] = [(update.status, update.stats["success"]) for update in job.watch(execution_id)]
    assert seen == [("running", 0), ("running", 1), ("completed", 2)]


def test_two_hundred_executions_of_ten_tasks_of_a_minute():
    def all_of_them() -> None:
        with MockServer() as mock, JobsClient() as client:
            job = client.job("my-job")
            ids = [job.create_execution({"tasks": [{"duration": 60}] * 10}) for _ in range(200)]
            assert [job.wait_for_execution(id).status for id in ids] == ["completed"] * 200
            assert 60 <= mock.monotonic() <= 63

    within(2.0, lambda: timed(all_of_them), tries=5)
