"""Waiting, on a clock of its own: no test here sleeps."""

import asyncio
import math

import pytest

from blaxel_jobs import ConnectionFailed, ExecutionFailed, InvalidRequest, NotFound, TooManyRequests, Unavailable, WaitTimeoutError
from blaxel_jobs.errors import ServerError, Unauthorized
from blaxel_jobs.jobs import Job
from tests.sdk.fakes import ClockSeam, Server

START = 1000.0


def job_on(server: Server, **options: float) -> tuple[Job, ClockSeam]:
    seam = ClockSeam(server, **options)  # type: ignore[arg-type]
    return Job("my-job", seam), seam


def waited(seam: ClockSeam) -> float:
    return seam.now - START


def test_a_long_poll_returns_as_soon_as_it_is_done():
    job, seam = job_on(Server(done_after=12.0))
    assert job.wait_for_execution("exec-1").status == "completed"
    assert waited(seam) == pytest.approx(12.0, abs=0.02)
    assert len(seam.ops) == 1


def test_a_long_wait_is_one_request_in_thirty_seconds():
    job, seam = job_on(Server(done_after=299.5))
    job.wait_for_execution("exec-1", max_wait=360)
    assert len(seam.ops) == 10
    assert [op.arguments["prefer"] for _, op in seam.ops] == ["wait=30"] * 10


@pytest.mark.parametrize("long_poll", [True, False])
@pytest.mark.parametrize("max_wait", [0.3, 1, 2.5, 30, 31.7, 180])
@pytest.mark.parametrize("interval", [0.01, 3, 60])
def test_the_deadline_is_kept_and_looked_at(max_wait: float, interval: float, long_poll: bool):
    job, seam = job_on(Server(long_poll=long_poll))
    with pytest.raises(WaitTimeoutError):
        job.wait_for_execution("exec-1", max_wait=max_wait, interval=interval)
    assert max_wait <= waited(seam) <= max_wait + 0.1
    last_look, last = seam.ops[-1]
    answered = last_look - START + int(last.arguments.get("prefer", "wait=0")[5:]) * long_poll
    assert answered == pytest.approx(max_wait, abs=0.05)


def test_an_execution_that_ends_just_before_the_deadline_is_seen():
    job, _ = job_on(Server(done_after=9.99, long_poll=False))
    assert job.wait_for_execution("exec-1", max_wait=10, interval=7).done


def test_s1_27_without_long_polls_the_gaps_start_small_and_never_exceed_the_interval():
    job, seam = job_on(Server(done_after=60, long_poll=False))
    job.wait_for_execution("exec-1", max_wait=100, interval=2)
    assert seam.sleeps[0] == pytest.approx(0.05)
    assert max(seam.sleeps) == pytest.approx(2)
    assert seam.sleeps == sorted(seam.sleeps)
    assert len(seam.ops) < 45


def test_the_last_second_is_polled_in_steps_that_start_small():
    job, seam = job_on(Server(done_after=30.5))
    job.wait_for_execution("exec-1", max_wait=30.9, interval=3)
    assert seam.sleeps[0] == pytest.approx(0.05)
    assert 30.5 <= waited(seam) <= 30.8


def test_a_server_that_stops_holding_long_polls_is_not_asked_in_a_hurry():
    job, seam = job_on(Server(done_after=20, long_poll=False, latency=0.2))
    job.wait_for_execution("exec-1", max_wait=60, interval=3)
    assert len(seam.ops) < 20


@pytest.mark.parametrize("error", [Unavailable(), ServerError(), ConnectionFailed("reset"), TooManyRequests()])
def test_what_passes_is_survived(error: Exception):
    job, seam = job_on(Server(done_after=15, failing=((0, 10, error),)))
    assert job.wait_for_execution("exec-1", max_wait=60).status == "completed"
    assert all(pause <= 8 for pause in seam.sleeps)
    assert waited(seam) < 20


def test_a_broken_connection_in_the_middle_of_a_long_poll_is_survived():
    class Cut(Server):
        def __call__(self, op, seam):
            if len(seam.ops) == 2:
                seam.now += 7
                raise ConnectionFailed("cut")
            return super().__call__(op, seam)

    job, _ = job_on(Cut(done_after=50))
    assert job.wait_for_execution("exec-1", max_wait=60).status == "completed"


def test_retry_after_is_honoured_up_to_the_deadline():
    job, seam = job_on(Server(done_after=25, failing=((0, 20, Unavailable(retry_after=21)),)))
    assert job.wait_for_execution("exec-1", max_wait=60).done
    assert seam.sleeps == [21]
    job, seam = job_on(Server(failing=((0, 5, Unavailable(retry_after=50)),)))
    with pytest.raises(WaitTimeoutError):
        job.wait_for_execution("exec-1", max_wait=5)
    assert waited(seam) <= 5.1


def test_failures_until_the_deadline_end_in_a_timeout_that_names_them():
    job, seam = job_on(Server(failing=((0, math.inf, Unavailable("the store is away")),)))
    with pytest.raises(WaitTimeoutError, match="could not be read.*the store is away") as caught:
        job.wait_for_execution("exec-1", max_wait=20)
    assert isinstance(caught.value.__cause__, Unavailable)
    assert caught.value.execution is None
    assert 20 <= waited(seam) <= 20.1


@pytest.mark.parametrize("error", [NotFound(), Unauthorized()])
def test_other_errors_end_the_wait_at_once(error: Exception):
    job, seam = job_on(Server(failing=((0, math.inf, error),)))
    with pytest.raises(type(error)):
        job.wait_for_execution("exec-1")
    assert len(seam.ops) == 1


@pytest.mark.parametrize("max_wait", [1, 5, 45])
def test_a_server_that_hangs_does_not_hold_the_caller(max_wait: float):
    job, seam = job_on(Server(latency=math.inf))
    with pytest.raises(WaitTimeoutError):
        job.wait_for_execution("exec-1", max_wait=max_wait)
    assert waited(seam) <= max_wait + 0.101


def test_a_slow_line_still_gets_its_last_look():
    job, _ = job_on(Server(done_after=9.6, latency=0.4, long_poll=False))
    assert job.wait_for_execution("exec-1", max_wait=10, interval=3).done


def test_s1_28_a_timeout_says_what_happened_and_what_goes_on():
    job, _ = job_on(Server())
    with pytest.raises(TimeoutError) as caught:
        job.wait_for_execution("exec-1", max_wait=2)
    text = str(caught.value)
    assert "exec-1" in text
    assert "2.0 s" in text
    assert "'running'" in text
    assert "It goes on" in text
    assert isinstance(caught.value, WaitTimeoutError)
    assert caught.value.execution is not None
    assert caught.value.execution.status == "running"


def test_s1_30_a_failed_execution_is_returned():
    job, _ = job_on(Server(done_after=1, status="failed"))
    assert job.wait_for_execution("exec-1").status == "failed"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_raise_on_failure_raises_with_the_execution(status: str):
    job, _ = job_on(Server(done_after=1, status=status))
    with pytest.raises(ExecutionFailed, match=f"exec-1 {status}") as caught:
        job.wait_for_execution("exec-1", raise_on_failure=True)
    assert caught.value.execution is not None
    assert caught.value.execution.status == status


def test_max_wait_zero_is_one_look():
    job, seam = job_on(Server())
    with pytest.raises(WaitTimeoutError):
        job.wait_for_execution("exec-1", max_wait=0)
    assert len(seam.ops) == 1
    assert seam.ops[0][1].arguments["prefer"] == "wait=0"
    job, seam = job_on(Server(done_after=0))
    assert job.wait_for_execution("exec-1", max_wait=0).done


def test_an_infinite_wait_lasts_until_the_end():
    job, seam = job_on(Server(done_after=100_000))
    assert job.wait_for_execution("exec-1", max_wait=math.inf).done
    assert waited(seam) == pytest.approx(100_000, abs=1)


@pytest.mark.parametrize("max_wait", [-1, math.nan, "5", None, True])
def test_a_bad_max_wait_is_refused(max_wait: float):
    job, seam = job_on(Server())
    with pytest.raises(InvalidRequest) as caught:
        job.wait_for_execution("exec-1", max_wait=max_wait)
    assert caught.value.path == "max_wait"
    assert not seam.ops


@pytest.mark.parametrize("interval", [-0.1, math.nan, math.inf, "3"])
def test_a_bad_interval_is_refused(interval: float):
    job, seam = job_on(Server())
    with pytest.raises(InvalidRequest) as caught:
        job.wait_for_execution("exec-1", interval=interval)
    assert caught.value.path == "interval"
    assert not seam.ops


def test_an_interval_of_zero_does_not_spin():
    job, seam = job_on(Server(long_poll=False, latency=0.0))
    with pytest.raises(WaitTimeoutError):
        job.wait_for_execution("exec-1", max_wait=1, interval=0)
    assert len(seam.ops) <= 102


async def test_s1_26_cancelling_the_wait_leaves_the_execution_alone():
    looked = asyncio.Event()

    class Held(ClockSeam):
        async def aperform(self, op):
            self.ops.append((self.now, op))
            looked.set()
            await asyncio.Event().wait()

    seam = Held(Server())
    waiting = asyncio.create_task(Job("my-job", seam).await_for_execution("exec-1"))
    await looked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert {op.id for _, op in seam.ops} == {"get_job_execution"}


def test_a_keyboard_interrupt_ends_the_wait_and_sends_nothing():
    class Interrupted(Server):
        def __call__(self, op, seam):
            raise KeyboardInterrupt

    job, seam = job_on(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        job.wait_for_execution("exec-1")
    assert len(seam.ops) == 1


async def test_the_async_wait_is_the_same_wait():
    job, seam = job_on(Server(done_after=70, failing=((5, 12, Unavailable()),)))
    await job.await_for_execution("exec-1", max_wait=100, interval=2)
    asynchronous = [(at, op) for at, op in seam.ops]
    job, seam = job_on(Server(done_after=70, failing=((5, 12, Unavailable()),)))
    job.wait_for_execution("exec-1", max_wait=100, interval=2)
    assert asynchronous == seam.ops


def test_the_first_look_has_a_second_to_connect_however_short_the_wait():
    job, _ = job_on(Server(done_after=0, latency=0.6))
    assert job.wait_for_execution("exec-1", max_wait=0.05).done
