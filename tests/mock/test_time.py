"""Virtual time: it moves when a client waits or looks, by as much as is needed, and never by itself."""

import math
import time
from typing import Any

import pytest

from blaxel_jobs import ConfigError, Execution, InvalidRequest, MockStuck, NotFinished, WaitTimeoutError, bl_job
from mock_server import MockServer
from tests.pace import within

MINUTE = {"duration": 60}


def create(*tasks: dict[str, Any], **options: Any) -> str:
    return bl_job("my-job").create_execution({"tasks": list(tasks), **options})


def wait(execution_id: str, **options: Any) -> Execution:
    return bl_job("my-job").wait_for_execution(execution_id, **options)


def status(execution_id: str) -> str:
    return bl_job("my-job").get_execution_status(execution_id)


@pytest.mark.row("S1-02", "S1-37")
def test_k_10_ten_tasks_of_a_minute_complete_in_milliseconds():
    with MockServer() as mock:
        wait(create({}))  # whatever is loaded at the first call

        def attempt() -> float:
            started, moment = time.perf_counter(), mock.now
            ended = wait(create(*[MINUTE] * 10), max_wait=180)
            took = time.perf_counter() - started
            assert ended.status == "completed"
            assert ended.stats["success"] == 10
            assert (mock.now - moment).total_seconds() == 60
            return took

        within(0.1, attempt)


def test_s1_12_tasks_run_side_by_side():
    with MockServer() as mock:
        ended = wait(create({"duration": 30}, {"duration": 60}))
        assert mock.monotonic() == 60
        times = [(task.metadata.started_at, task.metadata.completed_at) for task in ended.tasks]
        assert [(end - start).total_seconds() for start, end in times] == [30, 60]
        assert ended.ended_at == mock.now


@pytest.mark.parametrize("max_wait", [30, 31, 59, 0.25, 30.5])
def test_a_wait_ends_after_exactly_its_virtual_seconds(max_wait: float):
    with MockServer() as mock:
        execution_id = create(MINUTE)
        with pytest.raises(WaitTimeoutError) as caught:
            wait(execution_id, max_wait=max_wait)
        assert mock.monotonic() == pytest.approx(max_wait, abs=1e-9)
        assert caught.value.execution is not None
        assert caught.value.execution.status == "running"
        assert wait(execution_id).status == "completed"
        assert mock.monotonic() == 60


@pytest.mark.parametrize(("duration", "max_wait"), [(60, 60), (0.3, 0.5), (30.5, 30.9), (3, 180), (299.5, 360), (0, 1)])
def test_a_wait_ends_with_the_execution(duration: float, max_wait: float):
    with MockServer() as mock:
        assert wait(create({"duration": duration}), max_wait=max_wait).status == "completed"
        assert duration <= mock.monotonic() <= min(max_wait, duration + 0.5)


def test_a_look_sees_the_end():
    with MockServer() as mock:
        first, second = create(MINUTE), create({"duration": 3600}, {"fail": True})
        assert status(first) == "completed"
        assert mock.monotonic() == 3600
        assert status(second) == "failed"
        assert [execution.status for execution in bl_job("my-job").list_executions()] == ["failed", "completed"]
        assert mock.monotonic() == 3600


def test_what_asks_without_waiting_moves_no_time():
    with MockServer() as mock:
        execution = bl_job("my-job").trigger(MINUTE)
        with pytest.raises(WaitTimeoutError):
            wait(execution.id, max_wait=0)
        with pytest.raises(NotFinished):
            execution.get_result(max_wait=0)
        assert [one.status for one in mock.executions] == ["running"]
        assert mock.monotonic() == 0
        assert execution.get_result() is None
        assert mock.monotonic() == 60


@pytest.mark.row("S1-17", "K-10")
def test_s1_17_with_step_pending_running_and_the_end_are_all_seen():
    with MockServer(mode="step") as mock:
        long, failing = create(MINUTE, {"duration": 30}), create({"fail": True})
        assert [status(long) for _ in range(5)] == ["pending", "running", "running", "completed", "completed"]
        assert status(failing) == "failed"
        again = create({})
        seen = [bl_job("my-job").get_execution(again).status for _ in range(3)]
        assert seen == ["pending", "running", "completed"]
        assert mock.monotonic() == 60


def test_with_step_a_failure_is_seen_after_pending_and_running():
    with MockServer(mode="step"):
        execution_id = create({"fail": "no"})
        assert [status(execution_id) for _ in range(4)] == ["pending", "running", "failed", "failed"]


def test_with_step_a_list_sees_the_same_changes_and_a_wait_the_end():
    with MockServer(mode="step") as mock:
        execution_id = create(MINUTE)
        listed = [[one.status for one in bl_job("my-job").list_executions()] for _ in range(4)]
        assert listed == [["pending"], ["running"], ["completed"], ["completed"]]
        assert wait(create(MINUTE)).status == "completed"
        assert mock.monotonic() == 120
        assert status(execution_id) == "completed"


def test_an_idle_mock_stands_still():
    with MockServer() as mock:
        time.sleep(0.05)
        for _ in range(3):
            assert bl_job("my-job").list_executions() == []
        assert mock.monotonic() == 0


def test_a_year_is_not_lived_through_second_by_second():
    with MockServer() as mock:
        ended = wait(create({"duration": 86_400}, {"duration": 3600}), max_wait=math.inf)
        assert ended.status == "completed"
        assert ended.recoveries == []
        assert mock.monotonic() == 86_400
        assert status(create({"duration": 365 * 86_400})) == "completed"
        assert mock.monotonic() == 366 * 86_400


def test_advance_moves_time_and_does_what_is_due():
    with MockServer() as mock:
        execution_id = create({"duration": 30}, MINUTE)
        mock.advance(29)
        assert [one.stats["running"] for one in mock.executions] == [2]
        mock.advance(1)
        [now] = mock.executions
        assert (now.stats["running"], now.stats["success"]) == (1, 1)
        mock.advance(30)
        assert [one.status for one in mock.executions] == ["completed"]
        mock.advance(0)
        assert mock.monotonic() == 60
        assert wait(execution_id).done
        for bad in (-1, math.inf, math.nan, "1", True):
            with pytest.raises(InvalidRequest):
                mock.advance(bad)


async def test_advance_has_an_async_twin():
    async with MockServer() as mock:
        execution = await bl_job("my-job").atrigger(MINUTE)
        await mock.aadvance(60)
        assert (await execution.arefresh()).status == "completed"


def test_frozen_time_is_moved_by_advance_only():
    with MockServer(stuck_after=0.3) as mock:
        mock.freeze()
        execution_id = create(MINUTE)
        assert [status(execution_id) for _ in range(3)] == ["running"] * 3
        with pytest.raises(MockStuck, match="frozen"):
            wait(execution_id)
        assert mock.monotonic() == 0
        mock.advance(20)
        assert status(execution_id) == "running"
        mock.advance(40)
        assert status(execution_id) == "completed"
        mock.unfreeze()
        assert wait(create(MINUTE)).status == "completed"
        assert mock.monotonic() == 120


def test_what_hangs_is_waited_for_as_long_as_was_asked():
    with MockServer() as mock:
        execution_id = create({"hang": True}, {"duration": 5})
        with pytest.raises(WaitTimeoutError):
            wait(execution_id, max_wait=360)
        assert mock.monotonic() == 360
        assert status(execution_id) == "running"
        assert mock.monotonic() == 360


def test_what_hangs_can_be_cancelled():
    with MockServer() as mock:
        execution_id = create({"hang": True}, {"duration": 100})
        job = bl_job("my-job")
        job.cancel_execution(execution_id)
        ended = wait(execution_id)
        assert (ended.status, ended.stats["cancelled"]) == ("cancelled", 2)
        assert mock.monotonic() == 0
        assert wait(create({"duration": 1})).status == "completed"
        assert mock.monotonic() == 1


def test_time_begins_where_it_is_told():
    with MockServer() as mock:
        assert mock.now.isoformat() == "2030-01-01T00:00:00+00:00"
        assert bl_job("my-job").trigger().created_at == mock.now
    with MockServer(start=0.0) as mock:
        assert mock.now.year == 1970


@pytest.mark.parametrize("options", [
    {"clock": "fast"}, {"clock": "scale:0"}, {"clock": "scale:-1"}, {"mode": "jump"}, {"clock": "real", "mode": "step"},
])  # fmt: skip
def test_what_a_mock_cannot_be(options: dict[str, Any]):
    with pytest.raises(ConfigError):
        MockServer(**options)


def test_a_scaled_clock_runs_by_itself():
    with MockServer(clock="scale:600") as mock:
        started = time.monotonic()
        ended = wait(create(MINUTE, {"duration": 30}))
        assert ended.status == "completed"
        assert 0.1 <= time.monotonic() - started < 30
        assert mock.monotonic() >= 60
        with pytest.raises(ConfigError):
            mock.advance(1)
        with pytest.raises(ConfigError):
            mock.freeze()


def test_s1_03_a_real_clock_is_real():
    with MockServer(clock="real"):
        started = time.monotonic()
        assert wait(create({"duration": 0.2})).status == "completed"
        assert 0.2 <= time.monotonic() - started < 30
