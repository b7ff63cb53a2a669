"""Lost workers, in virtual time: a simulated task that exits takes its worker with it, but not the test's process."""

import pytest

from blaxel_jobs import WaitTimeoutError, bl_job
from mock_server import MockServer


@pytest.mark.parametrize("mode", ["settle", "step"])
def test_a_worker_that_dies_is_recovered_from_until_too_often(mode: str):
    with MockServer(mode=mode) as mock:
        ended = bl_job("my-job").trigger({"exit": 1}).wait_done()
        assert ended.status == "failed"
        assert ended.error.kind == "worker_lost"
        assert len(ended.recoveries) == 6
        assert {recovery.reason for recovery in ended.recoveries} == {"lease_expired"}
        assert mock.monotonic() == pytest.approx(60, abs=1e-3)


def test_recovery_takes_as_long_as_a_lease():
    with MockServer() as mock:
        execution = bl_job("my-job").trigger({"duration": 100, "exit": 1})
        with pytest.raises(WaitTimeoutError):
            execution.wait_done(max_wait=109)
        assert execution.recoveries == []
        mock.advance(1.001)
        [now] = mock.executions
        [recovery] = now.recoveries
        assert (recovery.at - now.created_at).total_seconds() == pytest.approx(110, abs=1e-3)


def test_a_look_goes_on_through_recoveries():
    with MockServer():
        execution = bl_job("my-job").trigger({"exit": 1})
        assert execution.refresh().status == "failed"
        assert len(execution.recoveries) == 6


def test_tasks_of_a_worker_that_lives_are_never_recovered():
    with MockServer() as mock:
        job = bl_job("my-job")
        long = job.create_execution({"tasks": [{"duration": 3600}, {"hang": True}]})
        dying = job.create_execution({"tasks": [{"exit": 1}, {"duration": 1}]})
        assert job.wait_for_execution(dying).status == "failed"
        mock.advance(4000)
        found = job.get_execution(long)
        assert (found.status, found.recoveries, found.stats["success"]) == ("running", [], 1)


def test_cancelling_what_waits_for_its_recovery():
    with MockServer() as mock:
        execution = bl_job("my-job").trigger({"exit": 1})
        execution.cancel()
        assert execution.refresh().status == "cancelled"
        assert mock.monotonic() == 0
