"""Durable sleeps, waits for events, pauses: the handler unwinds, or waits in place, and goes on from what is stored."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from blaxel_jobs.core.reports import Awaited, Completed, Released, Slept
from blaxel_jobs.define import define_job
from blaxel_jobs.worker import AsyncTaskContext, Suspended, TaskContext
from tests.pace import PATIENCE, scaled, until

from .conftest import Bench
from .fake_leases import FakeTask

SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def both(sync: Callable[..., Any], asynchronous: Callable[..., Any]) -> Any:
    return pytest.mark.parametrize("handler", [pytest.param(sync, id="thread"), pytest.param(asynchronous, id="loop")])


def sleeps(context: TaskContext, seconds: float) -> str:
    try:
        context.run("before", SEEN.append, "before")
        context.sleep("nap", seconds)
        return "rested"
    finally:
        SEEN.append("finally")


async def asleeps(context: AsyncTaskContext, seconds: float) -> str:
    try:
        await context.run("before", SEEN.append, "before")
        await context.sleep("nap", seconds)
        return "rested"
    finally:
        SEEN.append("finally")


@both(sleeps, asleeps)
def test_a_short_sleep_is_slept_in_place(bench: Bench, handler: Callable[..., Any]) -> None:
    began = time.monotonic()
    task = bench.run(handler, 0.1)
    assert time.monotonic() - began >= 0.1
    assert (task.result, task.claims, task.kinds) == ("rested", 1, ["Stepped", "Slept", "Completed"])
    assert SEEN == ["before", "finally"]


@both(sleeps, asleeps)
def test_a_long_sleep_gives_the_task_up_and_its_slot(bench: Bench, handler: Callable[..., Any]) -> None:
    bench.leases.in_place = 0.05
    bench.hire(define_job("job", run=handler), slots=1)

    def attempt(seconds: float) -> None:
        SEEN.clear()
        began = time.monotonic()
        task = bench.leases.add("job", seconds)
        bench.leases.wait(task, lambda task: task.status == "pending" and task.claims == 1)
        assert bench.run(handler, 0).result == "rested"
        assert task.status == "pending"
        bench.leases.wait(task)
        assert time.monotonic() - began >= seconds
        assert (task.result, task.claims, task.attempt) == ("rested", 2, 1)
        assert task.kinds == ["Stepped", "Slept", "Completed"]
        assert task.refused == []
        assert SEEN == ["before", "finally", "before", "finally", "finally"]

    scaled(attempt, 0.3, 2.0, 10.0)


@both(sleeps, asleeps)
def test_a_task_that_was_given_up_when_its_reply_was_rubbish_is_not_taken_for_lost(
    bench: Bench, handler: Callable[..., Any]
) -> None:
    bench.leases.in_place, bench.leases.heartbeat_every = 0.0, PATIENCE

    def garble(task: FakeTask, report: Any) -> None:
        if isinstance(report, Slept) and not any(isinstance(each, Slept) for each in task.reports):
            bench.leases.garbled = 1

    raised = []

    def watched(context: TaskContext) -> Any:
        try:
            return handler(context, 0.01)
        except BaseException as error:
            raised.append(type(error))
            raise

    async def awatched(context: AsyncTaskContext) -> Any:
        try:
            return await handler(context, 0.01)
        except BaseException as error:
            raised.append(type(error))
            raise

    bench.leases.before_report = garble
    task = bench.run(awatched if asyncio.iscoroutinefunction(handler) else watched)
    bench.leases.wait(task, lambda task: len(task.refused) > 0)
    bench.workers[0].stop(grace=PATIENCE)
    assert (task.result, task.kinds) == ("rested", ["Stepped", "Slept", "Completed"])
    assert raised == [Suspended]
    assert [type(report) for report in task.refused] == [Slept]


@both(sleeps, asleeps)
def test_a_sleep_that_was_cut_short_goes_on_where_it_was(bench: Bench, handler: Callable[..., Any]) -> None:
    half = bench.run(handler, 60, steps={"nap": ("sleep", None, time.monotonic() + 0.5)})
    assert half.kinds == ["Stepped", "Slept", "Completed"]
    over = bench.run(handler, 60, steps={"nap": ("sleep", None, 0.0)})
    assert over.kinds == ["Stepped", "Completed"]


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), "1", True])
def test_a_sleep_is_a_finite_number_of_seconds(bench: Bench, seconds: Any) -> None:
    failure = bench.run(lambda context: context.sleep("nap", seconds)).failed.failure
    assert (failure.type, "finite number of seconds" in failure.message) == ("ValueError", True)


def waits(context: TaskContext, timeout: float | None) -> Any:
    try:
        return context.wait_for_event("approved", timeout)
    except TimeoutError as error:
        return [type(error).__name__, str(error)]


async def awaits(context: AsyncTaskContext, timeout: float | None) -> Any:
    try:
        return await context.wait_for_event("approved", timeout=timeout)
    except TimeoutError as error:
        return [type(error).__name__, str(error)]


@both(waits, awaits)
def test_an_event_is_waited_for_without_a_worker(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.begin(handler, None)
    bench.leases.wait(task, lambda task: task.awaiting == "approved")
    bench.leases.send(task, "approved", {"by": "ann"})
    assert bench.leases.wait(task).result == {"by": "ann"}
    assert (task.claims, task.attempt, task.kinds) == (2, 1, ["Awaited", "Completed"])


@both(waits, awaits)
def test_an_event_that_was_sent_before_is_there_at_once(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler, None, signals=[("other", "1"), ("approved", "null")])
    assert (task.result, task.claims) == (None, 1)


@both(waits, awaits)
def test_an_event_that_does_not_come_is_a_timeout(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler, 0.05)
    assert task.result == ["StepTimeout", "the event 'approved' did not come in time"]
    assert task.claims == 2


def test_a_timeout_that_leaves_the_handler_is_final(bench: Bench) -> None:
    task = bench.run(lambda context: context.wait_for_event("never", 0.01), max_retries=3)
    assert (task.failed.failure.kind, task.attempt) == ("timeout", 1)


async def asleeps_beside(context: AsyncTaskContext, unit: float) -> list[str]:
    """Two sleeps, a step after each."""

    async def branch(name: str, seconds: float) -> str:
        await context.sleep(name, seconds)
        SEEN.append((name, time.monotonic()))
        return await context.run(f"after-{name}", lambda: name)

    return list(await asyncio.gather(branch("long", 2 * unit), branch("short", unit)))


def test_sleeps_beside_each_other_end_each_in_its_time(bench: Bench) -> None:
    bench.leases.in_place = 0.02
    bench.hire(define_job("job", run=asleeps_beside))

    def attempt(unit: float) -> None:
        SEEN.clear()
        began = time.monotonic()
        task = bench.leases.wait(bench.leases.add("job", unit))
        assert task.result == ["long", "short"]
        ended = {name: (at - began) / unit for name, at in reversed(SEEN)}
        assert 1 <= ended["short"] < 1.75
        assert 2 <= ended["long"] < 3
        assert task.claims == 3

    scaled(attempt, 0.2, 1.0, 5.0)


def test_a_suspension_waits_for_the_steps_that_run_beside_it(bench: Bench) -> None:
    bench.leases.in_place = 0.01
    gate = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def slow() -> str:
        loops.append(asyncio.get_running_loop())
        SEEN.append("slow")
        await gate.wait()
        return "kept"

    async def handler(context: AsyncTaskContext) -> list[Any]:
        return list(await asyncio.gather(context.run("slow", slow), context.sleep("nap", 0.2), context.wait_for_event("go")))

    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: {"Slept", "Awaited"} <= {*task.kinds} and bool(SEEN))
    assert task.status == "running"
    loops[0].call_soon_threadsafe(gate.set)
    bench.leases.wait(task, lambda task: task.awaiting == "go")
    bench.leases.send(task, "go", 1)
    assert bench.leases.wait(task).result == ["kept", None, 1]
    assert SEEN == ["slow"]
    assert task.refused == []


async def first_of_two(context: AsyncTaskContext) -> str:
    """The first event that comes decides; a reminder is due meanwhile."""

    async def branch(name: str) -> str:
        await context.wait_for_event(name)
        return name

    async def remind() -> str:
        await context.sleep("reminder", 60)
        return "nobody"

    branches = [asyncio.ensure_future(each) for each in (branch("approved"), branch("rejected"), remind())]
    try:
        done, _ = await asyncio.wait(branches, return_when=asyncio.FIRST_COMPLETED)
        return await done.pop()
    finally:
        for each in branches:
            each.cancel()


@pytest.mark.parametrize("event", ["approved", "rejected"])
def test_whichever_event_comes_first_wakes_the_task(bench: Bench, event: str) -> None:
    bench.leases.in_place = 0.01
    task = bench.begin(first_of_two)
    bench.leases.wait(task, lambda task: task.status == "pending" and task.claims == 1)
    bench.leases.send(task, event, None)
    assert bench.leases.wait(task).result == event
    assert task.claims == 2


@pytest.mark.parametrize("tidy", [True, False])
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.3])
def test_a_wait_that_has_lost_a_race_suspends_nothing_any_more(bench: Bench, seconds: float, tidy: bool) -> None:
    """Also when the handler begins anew, and what it has raced is over from the start; and though nobody gives the wait up."""
    bench.leases.in_place = 0.1

    async def races(context: AsyncTaskContext) -> str:
        waiting = asyncio.ensure_future(context.wait_for_event("never"))
        await asyncio.wait([waiting, asyncio.ensure_future(context.sleep("nap", seconds))], return_when=asyncio.FIRST_COMPLETED)
        if tidy:
            waiting.cancel()
        else:
            context.log.info("and that is all")  # it is told before the result
        return "rested"

    task = bench.run(races)
    assert task.result == "rested"
    assert task.claims == (2 if seconds > 0.1 else 1)
    assert task.refused == []


def test_a_wait_is_over_in_time_though_a_step_runs_beside_it(bench: Bench) -> None:
    gate = asyncio.Event()

    async def waits(context: AsyncTaskContext) -> str:
        try:
            await context.wait_for_event("never", timeout=0.05)
        except TimeoutError:
            gate.set()  # only now does the step end
        return "over"

    async def handler(context: AsyncTaskContext) -> list[Any]:
        return list(await asyncio.gather(context.run("slow", gate.wait), waits(context)))

    task = bench.run(handler)
    assert (task.result, task.claims) == ([True, "over"], 1)


def test_a_sleep_within_a_step_does_not_wait_for_that_step(bench: Bench) -> None:
    bench.leases.in_place = 0.01

    def handler(context: TaskContext) -> str:
        def step() -> str:
            SEEN.append("step")
            context.sleep("nap", 0.1)
            return "slept"

        return context.run("outer", step)

    task = bench.run(handler)
    assert (task.result, SEEN, task.claims) == ("slept", ["step", "step"], 2)


ENOUGH = threading.Event()


def steps_on(context: TaskContext) -> int:
    for number in itertools.count():
        context.run(f"s{number}", SEEN.append, number)
        if ENOUGH.is_set():
            break
    return len(SEEN)


async def asteps_on(context: AsyncTaskContext) -> int:
    for number in itertools.count():
        await context.run(f"s{number}", SEEN.append, number)
        if ENOUGH.is_set():
            break
    return len(SEEN)


@both(steps_on, asteps_on)
def test_a_pause_unwinds_the_handler_at_its_next_verb_and_gives_the_task_back(bench: Bench, handler: Callable[..., Any]) -> None:
    ENOUGH.clear()
    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: len(task.reports) > 3)
    bench.leases.pause(task)
    bench.leases.wait(task, lambda task: task.status == "pending")
    assert isinstance(task.reports[-1], Released)
    done = len(SEEN)
    assert done == len(task.reports) - 1
    bench.leases.resume(task)
    bench.leases.wait(task, lambda task: len(task.reports) > done + 3)
    ENOUGH.set()
    assert bench.leases.wait(task).result == len(SEEN) > done
    assert list(range(len(SEEN))) == SEEN
    assert (task.claims, task.attempt) == (2, 1)


@both(sleeps, asleeps)
@pytest.mark.parametrize("tell", [True, False], ids=["told", "by-heartbeat"])
def test_a_pause_wakes_a_sleep_in_place(bench: Bench, handler: Callable[..., Any], tell: bool) -> None:
    bench.leases.in_place = 100
    task = bench.begin(handler, 50)
    bench.leases.wait(task, lambda task: "Slept" in task.kinds)
    began = time.monotonic()
    bench.leases.pause(task, tell=tell)
    bench.leases.wait(task, lambda task: task.status == "pending")
    assert time.monotonic() - began < PATIENCE / 2
    assert SEEN == ["before", "finally"]
    assert task.kinds == ["Stepped", "Slept", "Released"]


def tries(context: TaskContext) -> None:
    context.options(max_retries=5, retry_delay=50).run("s", SEEN.remove, "missing")


async def atries(context: AsyncTaskContext) -> None:
    await context.options(max_retries=5, retry_delay=50).run("s", SEEN.remove, "missing")


@both(tries, atries)
def test_a_pause_wakes_a_step_that_waits_for_its_next_try(bench: Bench, handler: Callable[..., Any]) -> None:
    bench.hire(define_job("job", run=handler))
    task = bench.leases.add("job")
    bench.leases.wait(task, lambda task: task.status == "running")
    bench.leases.pause(task)
    bench.leases.wait(task, lambda task: task.status == "pending" and bool(task.reports))
    assert task.kinds == ["Released"]


def ends_anyway(context: TaskContext) -> str:
    SEEN.append("running")
    while not GATE.wait(0.01):
        pass
    return "ended"


GATE = threading.Event()


def test_a_paused_handler_that_ends_without_another_verb_counts(bench: Bench) -> None:
    GATE.clear()
    task = bench.begin(ends_anyway)
    bench.leases.wait(task, lambda task: task.status == "running")
    bench.leases.pause(task)
    GATE.set()
    assert bench.leases.wait(task).result == "ended"


@both(sleeps, asleeps)
def test_a_cancel_wakes_a_sleep_in_place(bench: Bench, handler: Callable[..., Any]) -> None:
    bench.leases.in_place = 100
    task = bench.begin(handler, 50)
    bench.leases.wait(task, lambda task: "Slept" in task.kinds)
    bench.leases.take_away(task)
    until(lambda: not bench.workers[0].running)
    assert SEEN == ["before", "finally"]
    assert (task.kinds, task.refused) == (["Stepped", "Slept"], [])


@both(sleeps, asleeps)
def test_a_worker_that_stops_wakes_a_sleep_in_place_and_gives_the_task_back(bench: Bench, handler: Callable[..., Any]) -> None:
    bench.leases.in_place = 100
    task = bench.begin(handler, 50)
    bench.leases.wait(task, lambda task: "Slept" in task.kinds)
    began = time.monotonic()
    bench.workers[0].stop(grace=0.05)
    assert time.monotonic() - began < PATIENCE / 2
    until(lambda: "finally" in SEEN)  # a thread unwinds by itself
    assert task.kinds == ["Stepped", "Slept", "Released"]


def test_what_unwinds_is_no_exception() -> None:
    assert not issubclass(Suspended, Exception)


def careless(context: TaskContext) -> str:
    try:
        context.sleep("nap", 0.1)
    except Exception:
        SEEN.append("swallowed")
    return "rested"


def test_an_except_exception_does_not_swallow_a_suspension(bench: Bench) -> None:
    bench.leases.in_place = 0.01
    assert (bench.run(careless).result, SEEN) == ("rested", [])


async def in_a_group(context: AsyncTaskContext) -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(context.sleep("nap", 0.1))
        group.create_task(context.run("s", lambda: 1))
    return "rested"


def test_a_suspension_within_a_task_group(bench: Bench) -> None:
    bench.leases.in_place = 0.01
    task = bench.run(in_a_group)
    assert (task.result, task.claims) == ("rested", 2)


def test_a_suspended_handler_is_not_cancelled_while_it_cleans_up(bench: Bench) -> None:
    bench.leases.in_place = 0.01
    bench.leases.heartbeat_every = 0.01

    async def handler(context: AsyncTaskContext) -> str:
        try:
            await context.sleep("nap", 0.3)
        finally:
            await asyncio.sleep(0.1)
            SEEN.append("cleaned up")
        return "rested"

    task = bench.run(handler)
    assert (task.result, SEEN) == ("rested", ["cleaned up", "cleaned up"])


@pytest.mark.parametrize("is_async", [False, True])
def test_the_time_of_an_execution_that_is_up_stops_its_handler(bench: Bench, is_async: bool) -> None:
    gate = threading.Event()

    def hangs(context: TaskContext) -> None:
        while not context.cancelled:
            time.sleep(0.001)
        SEEN.append("ended")
        gate.wait(PATIENCE)

    async def ahangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            SEEN.append("ended")

    worker = bench.hire(define_job("job", run=ahangs if is_async else hangs), slots=1)
    task = bench.leases.add("job", timeout=0.1)
    until(lambda: SEEN, "the handler is told")
    until(lambda: not worker.holding, "the lease is let go")
    assert task.reports == []
    assert worker.running == (0 if is_async else 1)
    gate.set()
    until(lambda: not worker.running, "the handler has ended")
    assert (task.reports, task.status) == ([], "running")


def test_the_time_of_an_execution_that_is_paused_stands_still(make_bench: Callable[[], Bench]) -> None:
    def attempt(timeout: float) -> None:
        def handler(context: TaskContext) -> str:
            time.sleep(2 * timeout)
            return "ended"

        bench = make_bench()
        task = bench.begin(handler, timeout=timeout)
        bench.leases.wait(task, lambda task: task.status == "running")
        bench.leases.pause(task)
        assert bench.leases.wait(task).result == "ended"

    scaled(attempt, 0.1, 1.0, 5.0)


def test_reports_are_what_the_contract_says(bench: Bench) -> None:
    bench.leases.in_place = 3.0

    def handler(context: TaskContext) -> None:
        context.sleep("nap", 0.01)
        context.wait_for_event("go", timeout=9)

    task: FakeTask = bench.run(handler, signals=[("go", "1")])
    assert task.reports == [Slept("nap", 0.01, 3.0), Awaited("go", 9), Completed("null")]


@both(steps_on, asteps_on)
def test_a_worker_that_stops_at_the_next_step_gives_the_task_back_there(bench: Bench, handler: Callable[..., Any]) -> None:
    ENOUGH.clear()
    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: len(task.reports) > 3)
    bench.workers[0].stop(grace=10, at_next_step=True)
    assert isinstance(task.reports[-1], Released)
    assert len(SEEN) == len(task.reports) - 1
