"""Following many executions, on a clock and with streams that the test scripts: no test here sleeps."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import attrs
import pytest
import trio

from blaxel_jobs import (
    ConnectionFailed,
    ExecutionFailed,
    InvalidRequest,
    JobsClient,
    NotFound,
    NotLoaded,
    Unavailable,
    WaitTimeoutError,
)
from blaxel_jobs.client.models import ExecutionUpdate, ExecutionUpdateList
from blaxel_jobs.errors import MethodNotAllowed, Unauthorized
from blaxel_jobs.execution import Execution
from blaxel_jobs.flow import Op
from tests.pace import within
from tests.sdk.fakes import ClockSeam, execution

START = 1000.0


def update(id: str, status: str = "completed", job: str = "my-job", **stats: int) -> ExecutionUpdate:
    done = status in ("completed", "failed", "cancelled", "unknown")
    counts = {**dict.fromkeys(("total", "success", "failure", "running", "retried", "cancelled"), 0), **stats}
    return ExecutionUpdate.from_dict({"id": id, "status": status, "done": done, "job": job, "stats": counts})


def unknown(id: str) -> ExecutionUpdate:
    return ExecutionUpdate.from_dict({"id": id, "status": "unknown", "done": True})


@attrs.frozen
class Hangs:
    """A stream that brings nothing more."""


class Script(ClockSeam):
    """Each stream is one of `streams`: batches, seconds that pass, errors, and then its end. `now` answers bulk status and get."""

    def __init__(self, *streams: list[Any], now: dict[str, str] | None = None, refuses: tuple[str, ...] = ()) -> None:
        super().__init__(self._look)
        self.streams = list(streams)
        self.statuses = now or {}
        self.refuses = refuses
        self.opened: list[list[str]] = []
        self.closed = 0

    @property
    def asked(self) -> list[str]:
        return [op.id for _, op in self.ops]

    async def astream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        self.opened.append(op.arguments["body"].ids)
        if "watch_executions" in self.refuses:
            raise NotFound
        try:
            for step in self.streams.pop(0) if self.streams else [Unavailable()]:
                if isinstance(step, Exception):
                    raise step
                elif isinstance(step, int | float):
                    self.now += step
                elif isinstance(step, Hangs):
                    await anyio.sleep(math.inf)
                else:
                    yield step
        finally:
            self.closed += 1

    def _look(self, op: Op, _: ClockSeam) -> Any:
        if op.id in self.refuses:
            raise MethodNotAllowed
        if op.id == "get_execution_statuses":
            ids = op.arguments["body"].ids
            return ExecutionUpdateList([update(id, self.statuses[id]) if id in self.statuses else unknown(id) for id in ids])
        if op.arguments["execution_id"] not in self.statuses:
            raise NotFound
        return execution(self.statuses[op.arguments["execution_id"]], execution_id=op.arguments["execution_id"])


def jobs_of(*streams: list[Any], **more: Any) -> tuple[JobsClient, Script]:
    seam = Script(*streams, **more)
    return JobsClient(seam=seam), seam


@pytest.fixture(params=["sync", "async"])
def wait(request: pytest.FixtureRequest) -> Any:
    """`wait_for_executions`, or its twin run by asyncio."""
    if request.param == "sync":
        return lambda jobs, *given, **named: jobs.wait_for_executions(*given, **named)
    return lambda jobs, *given, **named: asyncio.run(jobs.await_for_executions(*given, **named))


def test_all_come_back_in_the_order_of_their_ids(wait: Any):
    jobs, seam = jobs_of(
        [[update("a", "running"), update("b"), update("c", "pending")], [], [update("c", "failed")], [update("a")]]
    )
    ended = wait(jobs, ["a", "b", "c", "b"])
    assert [(one.id, one.status, one.done) for one in ended] == [
        ("a", "completed", True), ("b", "completed", True), ("c", "failed", True), ("b", "completed", True),
    ]  # fmt: skip
    assert seam.opened == [["a", "b", "c"]]
    assert not seam.ops
    assert seam.closed == 1


def test_nothing_to_wait_for_is_no_request(wait: Any):
    jobs, seam = jobs_of()
    assert wait(jobs, []) == []
    assert not seam.opened


def test_they_are_given_as_they_end():
    jobs, seam = jobs_of([[update("a", "running"), update("b", "running")], [update("b")], [update("a")]])
    assert [one.id for one in jobs.job("my-job").as_completed(["a", "b"])] == ["b", "a"]
    assert seam.opened == [["a", "b"]]


async def test_they_are_given_as_they_end_to_async_for_too():
    jobs, seam = jobs_of([[update("a", "running"), update("b", "running")], [update("b")], [update("a")]])
    assert [one.id async for one in jobs.as_completed(["a", "b"])] == ["b", "a"]
    assert seam.closed == 1


def test_k_02_trio_waits_for_many():
    jobs, _ = jobs_of([[update("a"), update("b", "running")], [update("b")]])
    assert [one.id for one in trio.run(jobs.await_for_executions, ["b", "a"])] == ["b", "a"]


def test_an_ended_execution_says_what_an_update_says_and_loads_the_rest():
    jobs, seam = jobs_of([[update("a", "failed", total=3, failure=1)]], now={"a": "failed"})
    (one,) = jobs.as_completed(["a"])
    assert isinstance(one, Execution)
    assert (one.id, one.job, one.status, one.done, one.waiting_for) == ("a", "my-job", "failed", True, None)
    assert (one.stats["total"], one.stats["failure"]) == (3, 1)
    assert repr(one) == "<Execution a of my-job: failed>"
    for field in ("metadata", "spec", "error", "recoveries", "created_at", "ended_at", "name", "tags", "result", "tasks", "input"):
        with pytest.raises(NotLoaded, match="of execution a was not read"):
            getattr(one, field)
    with pytest.raises(NotLoaded):
        one.to_dict()
    assert one.refresh().created_at.year == 2026
    assert seam.asked == ["get_job_execution"]


def test_raise_on_failure_raises_with_the_reason(wait: Any):
    jobs, seam = jobs_of([[update("a"), update("b", "failed"), update("c", "running")]], now={"b": "failed"})
    with pytest.raises(ExecutionFailed, match="execution b failed") as caught:
        wait(jobs, ["a", "b", "c"], raise_on_failure=True)
    assert caught.value.execution.created_at
    assert seam.closed == 1


def test_an_unknown_id_is_not_found(wait: Any):
    jobs, seam = jobs_of([[update("a", "running"), unknown("nope")]])
    with pytest.raises(NotFound, match="'nope'") as caught:
        wait(jobs, ["a", "nope"])
    assert caught.value.path == "executionId"
    assert len(seam.opened) == 1


def test_a_job_knows_its_own_only():
    jobs, _ = jobs_of([[update("a", job="other")]], [[update("a", job="other")]], now={"a": "completed"})
    with pytest.raises(NotFound, match="of the job 'my-job'"):
        jobs.job("my-job").wait_for_executions(["a"])
    assert jobs.wait_for_executions(["a"])[0].job == "other"


@pytest.mark.parametrize("ids", ["exec-1", [""], [None], ["a", 5], [".."]])
def test_what_is_no_id_is_refused_before_anything_is_sent(ids: Any):
    jobs, seam = jobs_of()
    for call in (jobs.wait_for_executions, jobs.as_completed, jobs.get_execution_statuses):
        with pytest.raises(InvalidRequest):
            call(ids)
    assert not seam.opened
    assert not seam.ops


@pytest.mark.parametrize("max_wait", [-1, math.nan, "5", None])
def test_a_bad_max_wait_is_refused_at_once(max_wait: Any):
    jobs, _ = jobs_of()
    with pytest.raises(InvalidRequest) as caught:
        jobs.as_completed(["a"], max_wait)
    assert caught.value.path == "max_wait"


# Streams that break


def test_a_broken_stream_is_opened_again_for_those_that_are_left(wait: Any):
    jobs, seam = jobs_of(
        [[update("a"), update("b", "running")], ConnectionFailed("cut")], [[update("b", "running")], [update("b")]],
        now={"a": "completed", "b": "running"},
    )  # fmt: skip
    assert [one.id for one in wait(jobs, ["a", "b"])] == ["a", "b"]
    assert seam.opened == [["a", "b"], ["b"]]
    assert seam.asked == ["get_execution_statuses"], "one look in between"
    assert seam.closed == 2


def test_nothing_is_given_twice():
    running, again = update("a", "running", running=1), update("a", "running", running=2)
    jobs, _ = jobs_of([[running, running], ConnectionFailed("cut")], [[running], [again], [update("a")]], now={"a": "running"})
    seen = [(one.status, one.stats["running"]) for one in jobs.watch("a")]
    assert seen == [("running", 1), ("running", 0), ("running", 1), ("running", 2), ("completed", 0)]


def test_a_stream_that_the_server_ends_is_opened_again_at_once_and_then_slower():
    ends = [[update("a", "running")]]
    jobs, seam = jobs_of(*[ends] * 9, [[update("a")]])
    assert jobs.wait_for_executions(["a"])[0].done
    assert seam.sleeps == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0]
    assert not seam.ops


@pytest.mark.parametrize("error", [Unavailable(), ConnectionFailed("refused"), Unavailable(retry_after=2)])
def test_what_passes_is_survived(error: Exception, wait: Any):
    jobs, seam = jobs_of([error], [error], [error], [[update("a")]], now={"a": "running"})
    assert wait(jobs, ["a"])[0].done
    assert len(seam.opened) == 4
    assert seam.sleeps == ([2, 2, 2] if error.__dict__.get("retry_after") else [0.5, 0.5, 0.5])


def test_what_ended_while_there_was_no_stream_is_seen_by_a_look(wait: Any):
    jobs, seam = jobs_of([ConnectionFailed("cut")], now={"a": "completed"})
    assert wait(jobs, ["a"])[0].done
    assert len(seam.opened) == 1


def test_other_errors_end_the_wait_at_once(wait: Any):
    jobs, seam = jobs_of([Unauthorized()])
    with pytest.raises(Unauthorized):
        wait(jobs, ["a"])
    assert len(seam.opened) == 1


# Deadlines


def test_the_deadline_is_kept_and_says_who_is_missing(wait: Any):
    now = {**dict.fromkeys("abde", "running"), "c": "completed"}
    jobs, seam = jobs_of([[update(id, "running") for id in "abcde"], [update("c")], 10, []], now=now)
    with pytest.raises(WaitTimeoutError, match=r"4 of 5 executions had not ended after 10\.0 s: a, b, d and 1 more\. They go on"):
        wait(jobs, list("abcde"), max_wait=10)
    assert seam.now == START + 10
    assert seam.asked == ["get_execution_statuses"], "one last look"


def test_what_ended_just_before_the_deadline_is_seen_by_the_last_look(wait: Any):
    jobs, _ = jobs_of([[update("a", "running")], 10, []], now={"a": "completed"})
    assert wait(jobs, ["a"], max_wait=10)[0].done


def test_who_takes_his_time_still_gets_what_came_meanwhile():
    jobs, seam = jobs_of([[update("a"), update("b", "running")], [update("b")]], now={"b": "completed"})
    given = []
    for one in jobs.as_completed(["a", "b"], max_wait=10):
        given.append(one.id)
        seam.now += 100
    assert given == ["a", "b"]


def test_max_wait_zero_is_one_look(wait: Any):
    jobs, seam = jobs_of(now={"a": "running", "b": "completed"})
    with pytest.raises(WaitTimeoutError, match="1 of 2"):
        wait(jobs, ["a", "b"], max_wait=0)
    assert wait(jobs, ["b"], max_wait=0)[0].done
    assert seam.asked == ["get_execution_statuses"] * 2
    assert not seam.opened


def test_failures_until_the_deadline_end_in_a_timeout_that_names_them(wait: Any):
    jobs, seam = jobs_of(refuses=())
    seam.answer = lambda op, seam: (_ for _ in ()).throw(Unavailable("the store is away"))
    with pytest.raises(WaitTimeoutError, match="the store is away") as caught:
        wait(jobs, ["a"], max_wait=20)
    assert isinstance(caught.value.__cause__, Unavailable)
    assert START + 20 <= seam.now <= START + 20.1


def test_a_watch_does_not_bear_an_absent_server_for_ever():
    jobs, seam = jobs_of()
    seam.answer = lambda op, seam: (_ for _ in ()).throw(ConnectionFailed("refused"))
    with pytest.raises((Unavailable, ConnectionFailed)):
        list(jobs.watch("a"))
    assert START + 60 < seam.now < START + 70


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_a_silent_stream_ends_on_time(run: Any):
    async def main() -> float:
        jobs, _ = jobs_of([[update("a", "running")], Hangs()], now={"a": "running"})
        jobs._seam.monotonic = time.monotonic  # type: ignore[method-assign]
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError):
            await jobs.await_for_executions(["a"], max_wait=0.2)
        return time.monotonic() - began

    assert within(0.3, lambda: run(main) if run is trio.run else run(main())) >= 0.2


def test_a_silent_stream_ends_on_time_for_a_thread():
    def attempt() -> float:
        jobs, seam = jobs_of([[update("a", "running")], Hangs()], now={"a": "running"})
        seam.monotonic = time.monotonic  # type: ignore[method-assign]
        began = time.monotonic()
        with pytest.raises(WaitTimeoutError):
            jobs.wait_for_executions(["a"], max_wait=0.2)
        took = time.monotonic() - began
        assert seam.closed == 1
        return took

    assert within(0.3, attempt) >= 0.2


# Cancelling


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
def test_cancelling_ends_a_wait_at_once_and_closes_its_stream(run: Any):
    async def main() -> float:
        jobs, seam = jobs_of([[update("a", "running")], Hangs()])
        async with anyio.create_task_group() as group:
            group.start_soon(jobs.await_for_executions, ["a"])
            while not seam.opened:
                await anyio.sleep(0.001)
            await anyio.sleep(0.01)
            began = time.monotonic()
            group.cancel_scope.cancel()
        took = time.monotonic() - began
        assert seam.closed == 1
        assert not seam.ops
        return took

    within(0.05, lambda: run(main) if run is trio.run else run(main()))


def test_leaving_the_loop_closes_the_stream():
    jobs, seam = jobs_of([[update("a"), update("b", "running")], Hangs()])
    for one in jobs.as_completed(["a", "b"]):
        assert one.id == "a"
        break
    assert seam.closed == 1


# Without a stream


def test_without_the_route_statuses_are_asked_for_in_bulk(wait: Any):
    jobs, seam = jobs_of(now={"a": "running", "b": "completed"}, refuses=("watch_executions",))
    looks = iter(["running"] * 4 + ["completed"] * 2)
    plain = seam.answer

    def answer(op: Op, _: ClockSeam) -> Any:
        seam.statuses["a"] = next(looks)
        return plain(op, seam)

    seam.answer = answer
    assert [one.status for one in wait(jobs, ["a", "b"])] == ["completed", "completed"]
    assert len(seam.opened) == 1
    assert seam.asked == ["get_execution_statuses"] * 5
    assert seam.sleeps == pytest.approx([0.05, 0.075, 0.1125, 0.16875])
    assert wait(jobs, ["b"])[0].done
    assert len(seam.opened) == 1, "that there is no such route is remembered"


def test_without_either_route_each_is_looked_at():
    refuses = ("watch_executions", "get_execution_statuses")
    jobs, seam = jobs_of(now={"a": "completed", "b": "completed"}, refuses=refuses)
    assert [one.id for one in jobs.job("my-job").wait_for_executions(["b", "a"])] == ["b", "a"]
    assert seam.asked == ["get_execution_statuses", "get_job_execution", "get_job_execution"]


# Many


def test_five_thousand_are_one_request(wait: Any):
    ids = [f"e{n}" for n in range(5000)]
    batches = [[update(id, "running") for id in ids], *[[update(id)] for id in reversed(ids)]]
    jobs, seam = jobs_of(batches)
    assert [one.id for one in wait(jobs, ids)] == ids
    assert len(seam.opened) == 1
    assert not seam.ops


def test_more_than_ten_thousand_are_several_streams_at_once(wait: Any):
    ids = [f"e{n}" for n in range(25_000)]
    chunks = [ids[:10_000], ids[10_000:20_000], ids[20_000:]]
    jobs, seam = jobs_of(*[[[update(id) for id in chunk]] for chunk in chunks])
    assert [one.id for one in wait(jobs, ids)] == ids
    assert seam.opened == chunks


def test_statuses_of_many_are_asked_for_in_bulk():
    ids = [f"e{n}" for n in range(10_500)]
    jobs, seam = jobs_of(now=dict.fromkeys(ids[:-1], "running"))
    statuses = jobs.get_execution_statuses(ids)
    assert [one.id for one in statuses] == ids
    assert {one.status for one in statuses[:-1]} == {"running"}
    assert (statuses[-1].status, statuses[-1].job, statuses[-1].done) == ("unknown", None, True)
    assert [len(op.arguments["body"].ids) for _, op in seam.ops] == [10_000, 500]


async def test_async_statuses_are_the_same():
    jobs, _ = jobs_of(now={"a": "running"})
    found = await jobs.job("my-job").aget_execution_statuses(["a", "nope"])
    assert [(one.id, one.status) for one in found] == [("a", "running"), ("nope", "unknown")]


# One


def test_watching_brings_the_execution_up_to_date():
    seam = Script(
        [[update("exec-1", "pending")], [update("exec-1", "running", running=1)], [update("exec-1", "failed", failure=1)]]
    )
    one = Execution(seam, execution("pending"), whole=True)
    seen = [(update.status, one.status, one.done) for update in one.watch()]
    assert seen == [("pending", "pending", False), ("running", "running", False), ("failed", "failed", True)]
    assert one.stats["failure"] == 1
    assert one.created_at.year == 2026, "that does not change"
    with pytest.raises(NotLoaded, match="was not read since it is failed"):
        _ = one.error
    with pytest.raises(NotLoaded):
        _ = one.tasks
    seam.statuses["exec-1"] = "failed"
    assert one.refresh().error is None


async def test_watching_in_a_task():
    jobs, seam = jobs_of([[update("a", "running")], [], [update("a")]])
    assert [one.status async for one in jobs.job("my-job").watch("a")] == ["running", "completed"]
    assert seam.closed == 1
