"""Waiting for many at once, in virtual time."""

from collections.abc import Iterator
from typing import Any

import pytest

from blaxel_jobs import JobsClient, WaitTimeoutError
from blaxel_jobs.jobs import Job
from mock_server import MockServer


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
    assert 3600 <= mock.monotonic() <= 3603


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
    with pytest.raises(WaitTimeoutError):
        job.wait_for_executions(ids, max_wait=30)
    assert 29 <= mock.monotonic() <= 30.1  # over HTTP what the requests themselves take counts too
    assert [one.status for one in job.get_execution_statuses(ids)] == ["running", "completed"]


def test_every_change_is_seen(place: tuple[MockServer, Job]):
    _, job = place
    execution_id = job.create_execution({"tasks": [{"duration": 60}, {"duration": 30}]})
    seen: list[Any] = [(update.status, update.stats["success"]) for update in job.watch(execution_id)]
    assert seen == [("running", 0), ("running", 1), ("completed", 2)]
