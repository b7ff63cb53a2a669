"""What is sent again, when, and with which key."""

from typing import Any

import pytest

from blaxel_jobs import ConnectionFailed, NotFound, RequestError, TooManyRequests, Unavailable
from blaxel_jobs.client import models
from blaxel_jobs.errors import ContractError, IdempotencyConflict, InvalidRequest, RequestTooSlow, ServerError
from blaxel_jobs.flow import Op
from blaxel_jobs.jobs import Job
from tests.sdk.fakes import ClockSeam, created_view, execution

PASSING = [ConnectionFailed("reset"), RequestTooSlow(), TooManyRequests(), ServerError(), Unavailable()]
LASTING = [NotFound(), InvalidRequest(), IdempotencyConflict(), ContractError("not JSON"), RequestError()]


class Failing:
    """Fails so many times with `error`, then answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error = error
        self.times = times

    def __call__(self, op: Op, _: ClockSeam) -> Any:
        if self.times > 0:
            self.times -= 1
            raise self.error
        return models.CreateJobExecutionOutput.from_dict(created_view()) if "create" in op.id else execution()


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_tried_three_times(error: Exception):
    seam = ClockSeam(Failing(error, 2))
    assert Job("my-job", seam).get_execution("exec-1").id == "exec-1"
    assert seam.sleeps == [0.5, 1.0]
    seam = ClockSeam(Failing(error, 3))
    with pytest.raises(type(error)):
        Job("my-job", seam).get_execution("exec-1")
    assert len(seam.ops) == 3


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_stays_is_raised_at_once(error: Exception):
    seam = ClockSeam(Failing(error, 1))
    with pytest.raises(type(error)):
        Job("my-job", seam).get_execution("exec-1")
    assert not seam.sleeps


def test_the_backoff_doubles_to_eight_seconds():
    seam = ClockSeam(Failing(Unavailable(), 7), retries=7)
    Job("my-job", seam).get_execution("exec-1")
    assert seam.sleeps == [0.5, 1, 2, 4, 8, 8, 8]


def test_the_backoff_is_full_jitter():
    seam = ClockSeam(Failing(Unavailable(), 2), randomness=0.25)
    Job("my-job", seam).get_execution("exec-1")
    assert seam.sleeps == [0.125, 0.25]


@pytest.mark.parametrize(("asked", "slept"), [(3.0, 3.0), (60.0, 60.0), (3600.0, 60.0)])
def test_retry_after_is_honoured_up_to_a_minute(asked: float, slept: float):
    seam = ClockSeam(Failing(TooManyRequests(retry_after=asked), 1))
    Job("my-job", seam).get_execution("exec-1")
    assert seam.sleeps == [slept]


def test_a_create_is_sent_again_with_the_same_key():
    seam = ClockSeam(Failing(ConnectionFailed("reset"), 2))
    job = Job("my-job", seam)
    job.create_execution({"tasks": [{}]})
    assert [op.arguments["idempotency_key"] for _, op in seam.ops] == ["key-1"] * 3
    job.create_execution({"tasks": [{}]})
    assert seam.ops[-1][1].arguments["idempotency_key"] == "key-2"


@pytest.mark.parametrize("by_option", [True, False])
def test_a_key_of_the_callers_is_the_only_one(by_option: bool):
    seam = ClockSeam(Failing(ConnectionFailed("reset"), 1))
    job = Job("my-job", seam)
    if by_option:
        job.create_execution({"tasks": [{}]}, idempotency_key="mine")
    else:
        job.create_execution({"tasks": [{}], "idempotencyKey": "mine"})
    assert seam.keys == 0
    assert [op.arguments["body"].idempotency_key for _, op in seam.ops] == ["mine", "mine"]
    assert all("idempotency_key" not in op.arguments for _, op in seam.ops)


def test_no_retries_means_one_try():
    seam = ClockSeam(Failing(Unavailable(), 1), retries=0)
    with pytest.raises(Unavailable):
        Job("my-job", seam).get_execution("exec-1")
    assert len(seam.ops) == 1


async def test_async_calls_are_retried_alike():
    seam = ClockSeam(Failing(Unavailable(), 2))
    await Job("my-job", seam).acreate_execution({"tasks": [{}]})
    assert seam.sleeps == [0.5, 1.0]
    assert [op.arguments["idempotency_key"] for _, op in seam.ops] == ["key-1"] * 3
