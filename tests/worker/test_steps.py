"""Steps: run once, stored, replayed; tried again by themselves; in threads and in the event loop."""

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random
from typing import Any

import attrs
import pytest

from blaxel_jobs.core.reports import Released, Stepped
from blaxel_jobs.define import define_job
from blaxel_jobs.errors import LeaseLost, PermanentError, RetryAfter, StepTimeout
from blaxel_jobs.worker import AsyncTaskContext, TaskContext
from blaxel_jobs.worker.steps import Options
from tests.pace import PATIENCE, until

from .conftest import Bench


def both(sync: Callable[..., Any], asynchronous: Callable[..., Any]) -> Any:
    return pytest.mark.parametrize("handler", [pytest.param(sync, id="thread"), pytest.param(asynchronous, id="loop")])


class Color(Enum):
    RED = "red"


@attrs.define
class User:
    name: str
    color: Color
    since: datetime
    pair: tuple[int, int]


CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def fetch(name: str, *, shout: bool = False) -> User:
    CALLS.append(name)
    return User(name.upper() if shout else name, Color.RED, datetime(2030, 1, 1, tzinfo=UTC), (1, 2))


async def afetch(name: str, *, shout: bool = False) -> User:
    await asyncio.sleep(0)
    return fetch(name, shout=shout)


def two_steps(context: TaskContext, payload: Any) -> list[str]:
    user = context.run("fetch", fetch, payload, shout=True)
    greeting = context.run("greet", lambda: f"hello {user.name}")
    return [greeting, type(user).__name__, str(user.color), str(user.pair)]


async def atwo_steps(context: AsyncTaskContext, payload: Any) -> list[str]:
    user = await context.run("fetch", afetch, payload, shout=True)
    greeting = await context.run("greet", lambda: f"hello {user.name}")
    return [greeting, type(user).__name__, str(user.color), str(user.pair)]


@both(two_steps, atwo_steps)
def test_s2_09_s2_10_a_step_runs_with_its_arguments_and_is_stored(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler, "ann")
    assert task.result == ["hello ANN", "User", "Color.RED", "(1, 2)"]
    assert task.kinds == ["Stepped", "Stepped", "Completed"]
    assert task.steps["greet"][1] == '"hello ANN"'
    assert CALLS == ["ann"]


@both(two_steps, atwo_steps)
def test_s2_11_s2_12_a_stored_step_is_replayed_to_the_same_value(bench: Bench, handler: Callable[..., Any]) -> None:
    stored = bench.run(handler, "ann").steps["fetch"]
    CALLS.clear()
    task = bench.run(handler, "ann", steps={"fetch": stored})
    assert task.result == ["hello ANN", "User", "Color.RED", "(1, 2)"]
    assert CALLS == []
    assert task.kinds == ["Stepped", "Completed"]


def same_name(context: TaskContext) -> None:
    context.run("a", int)
    context.run("a", int)


async def asame_name(context: AsyncTaskContext) -> None:
    await context.run("a", int)
    await context.sleep("a", 0)


@both(same_name, asame_name)
def test_s2_13_a_second_use_of_a_name_is_refused(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler, max_retries=3)
    assert (task.failed.failure.type, task.failed.failure.kind, task.attempt) == ("DuplicateStep", "permanent", 1)
    assert "'a'" in task.failed.failure.message


def test_a_name_that_something_else_was_stored_under_is_refused(bench: Bench) -> None:
    task = bench.run(same_name, steps={"a": ("sleep", None, 0.0)})
    assert "stored by something else (sleep)" in task.failed.failure.message


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", 3, None])
def test_a_step_has_a_name(bench: Bench, name: Any) -> None:
    failure = bench.run(lambda context: context.run(name, int)).failed.failure
    assert failure.type == "ValueError"
    assert "step's name" in failure.message


def raises(context: TaskContext) -> None:
    context.run("bad", CALLS.remove, "missing")


async def araises(context: AsyncTaskContext) -> None:
    await context.run("bad", CALLS.remove, "missing")


@both(raises, araises)
def test_s2_21_a_step_that_raises_raises_in_the_handler(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler)
    failure = task.failed.failure
    assert (failure.kind, failure.type, task.kinds) == ("error", "ValueError", ["Failed"])
    assert "test_steps.py" in str(failure.trace)
    assert "blaxel_jobs/worker" not in str(failure.trace)


def catches(context: TaskContext) -> str:
    try:
        context.run("bad", CALLS.remove, "missing")
    except ValueError:
        return context.run("instead", lambda: "caught")
    return "not raised"


async def acatches(context: AsyncTaskContext) -> str:
    try:
        await context.run("bad", CALLS.remove, "missing")
    except ValueError:
        return await context.run("instead", lambda: "caught")
    return "not raised"


@both(catches, acatches)
def test_a_handler_may_catch_what_a_step_raises(bench: Bench, handler: Callable[..., Any]) -> None:
    assert bench.run(handler).result == "caught"


@pytest.mark.parametrize(
    ("value", "place"), [({1}, "the value is a set"), ({"a": [object()]}, r"value.a[0]"), ("x" * 1_048_577, "1 MB")]
)
def test_a_value_that_cannot_be_kept_fails_the_task_for_good(bench: Bench, value: Any, place: str) -> None:
    task = bench.run(lambda context: context.options(max_retries=3, retry_delay=0).run("s", lambda: value), max_retries=3)
    failure = task.failed.failure
    assert (failure.kind, task.attempt, task.steps) == ("not_serializable", 1, {})
    assert place in failure.message
    assert "'s'" in failure.message


def times_out_of(times: int, error: Exception) -> Callable[[], int]:
    def flaky() -> int:
        CALLS.append(time.monotonic())
        if len(CALLS) <= times:
            raise error
        return len(CALLS)

    return flaky


def retried(context: TaskContext, payload: Any) -> int:
    return context.options(max_retries=2, retry_delay=0.05).run("flaky", times_out_of(payload, OSError("no")))


async def aretried(context: AsyncTaskContext, payload: Any) -> int:
    flaky = times_out_of(payload, OSError("no"))

    async def step() -> int:
        return flaky()

    return await context.options(max_retries=2, retry_delay=0.05).run("flaky", step)


@both(retried, aretried)
def test_a_step_has_retries_of_its_own(bench: Bench, handler: Callable[..., Any]) -> None:
    task = bench.run(handler, 2)
    assert (task.result, task.attempt, task.kinds) == (3, 1, ["Stepped", "Completed"])
    gaps = [after - before for before, after in itertools.pairwise(CALLS)]
    assert all(gap >= 0.05 for gap in gaps)
    CALLS.clear()
    assert bench.run(handler, 3).failed.failure.type == "OSError"
    assert len(CALLS) == 3


@pytest.mark.parametrize(
    ("error", "kind", "retry_after"),
    [(PermanentError("never"), "permanent", None), (RetryAfter(7), "error", 7.0), (OSError("no"), "error", None)],
)
def test_what_a_step_or_handler_raises_says_how_it_is_retried(
    bench: Bench, error: Exception, kind: str, retry_after: float | None
) -> None:
    for handler in (lambda context: context.run("s", times_out_of(9, error)), times_out_of(9, error)):
        CALLS.clear()
        failed = bench.run(define_job(f"job-{id(handler)}", run=handler)).failed
        assert (failed.failure.kind, failed.retry_after) == (kind, retry_after)
        assert len(CALLS) == 1


def test_a_permanent_error_ends_a_step_s_own_retries_and_retry_after_delays_them(bench: Bench) -> None:
    permanent = bench.run(lambda context: context.options(max_retries=5, retry_delay=0).run("s", times_out_of(9, PermanentError())))
    assert (permanent.failed.failure.kind, len(CALLS)) == ("permanent", 1)
    CALLS.clear()

    @define_job("later")
    def later(context: TaskContext) -> int:
        return context.options(max_retries=1, retry_delay=60).run("s", times_out_of(1, RetryAfter(0.1)))

    assert bench.run(later).result == 2
    assert 0.1 <= CALLS[1] - CALLS[0] < 1


def test_retries_of_a_step_back_off_with_full_jitter() -> None:
    options, rng = Options(max_retries=20), Random(0)
    for failed in range(1, 21):
        bound = min(300.0, 2.0 ** (failed - 1))
        delays = [options.delay(failed, OSError(), rng) for _ in range(100)]
        assert all(delay is not None and 0 <= delay <= bound for delay in delays)
        assert max(map(float, delays)) > 0.9 * bound
        assert min(map(float, delays)) < 0.1 * bound
        assert options.delay(failed, OSError(), None) == bound
    assert options.delay(21, OSError(), rng) is None


@pytest.mark.parametrize(
    "options", [{"max_retries": -1}, {"max_retries": 1.5}, {"retry_delay": -1}, {"retry_delay": float("inf")}, {"timeout": 0}]
)
def test_options_are_checked(bench: Bench, options: dict[str, Any]) -> None:
    failure = bench.run(lambda context: context.options(**options).run("s", int)).failed.failure
    assert failure.type == "ValueError"
    assert next(iter(options)) in failure.message


def test_an_async_step_that_takes_too_long_is_cancelled(bench: Bench) -> None:
    async def slow() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            CALLS.append("ended")

    async def handler(context: AsyncTaskContext) -> None:
        await context.options(max_retries=1, retry_delay=0, timeout=0.02).run("slow", slow)

    task = bench.run(handler, max_retries=3)
    assert (task.failed.failure.kind, task.failed.failure.type, task.attempt) == ("timeout", "StepTimeout", 1)
    assert "'slow'" in task.failed.failure.message
    assert CALLS == ["ended", "ended"]


def test_a_sync_step_that_took_too_long_is_refused(bench: Bench) -> None:
    def slow() -> str:
        CALLS.append(1)
        if len(CALLS) == 1:
            time.sleep(0.1)
        return "done"

    def handler(context: TaskContext) -> str:
        with pytest.raises(StepTimeout):
            context.options(timeout=0.05).run("slow", slow)
        return context.options(timeout=PATIENCE).run("fast", slow)

    task = bench.run(handler)
    assert (task.result, list(task.steps)) == ("done", ["fast"])


def test_a_timeout_error_of_the_step_itself_is_an_error_like_any(bench: Bench) -> None:
    def gives_up() -> None:
        raise TimeoutError("of a library")

    async def handler(context: AsyncTaskContext) -> None:
        await context.options(timeout=5).run("s", gives_up)

    assert bench.run(handler).failed.failure.kind == "error"


def test_an_async_step_in_a_sync_handler_is_told_how_to_be_written(bench: Bench) -> None:
    failure = bench.run(lambda context: context.run("s", afetch, "ann")).failed.failure
    assert failure.type == "TypeError"
    assert "async def" in failure.message


async def test_steps_beside_each_other_run_at_once(bench: Bench) -> None:
    async def step(number: int) -> int:
        CALLS.append(number)
        while len(CALLS) < 5:
            await asyncio.sleep(0.001)
        return number

    async def handler(context: AsyncTaskContext) -> list[int]:
        return list(await asyncio.gather(*[context.run(f"s{number}", step, number) for number in range(5)]))

    assert (await asyncio.to_thread(bench.run, handler)).result == [0, 1, 2, 3, 4]


def test_steps_in_threads_that_the_handler_starts(bench: Bench) -> None:
    def handler(context: TaskContext) -> list[int]:
        results: list[int] = []
        threads = [
            threading.Thread(target=lambda number=number: results.append(context.run(f"s{number}", lambda: number)))
            for number in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(results)

    task = bench.run(handler)
    assert task.result == list(range(10))
    assert task.kinds == ["Stepped"] * 10 + ["Completed"]


def test_steps_within_steps(bench: Bench) -> None:
    def handler(context: TaskContext) -> str:
        return context.run("outer", lambda: context.run("inner", lambda: "in") + " and out")

    task = bench.run(handler)
    assert (task.result, list(task.steps)) == ("in and out", ["inner", "outer"])


def test_a_step_that_raises_stop_iteration_fails_its_task(bench: Bench) -> None:
    failure = bench.run(lambda context: context.run("s", lambda: next(iter([])))).failed.failure
    assert failure.kind == "error"
    assert "StopIteration" in str(failure.trace)


def swallows_all(context: TaskContext) -> str:
    for number in range(20):
        with contextlib.suppress(BaseException):
            context.run(f"s{number}", CALLS.append, number)
    return "swallowed"


async def aswallows_all(context: AsyncTaskContext) -> str:
    for number in range(20):
        with contextlib.suppress(BaseException):
            await context.run(f"s{number}", CALLS.append, number)
    return "swallowed"


@both(swallows_all, aswallows_all)
def test_a_handler_that_swallows_the_unwinding_runs_nothing_more_and_reports_nothing(
    bench: Bench, handler: Callable[..., Any]
) -> None:
    def pause(task: Any, report: Any) -> None:
        if isinstance(report, Stepped) and report.name == "s4":
            task.paused = True

    bench.leases.before_report = pause
    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: isinstance(task.reports[-1] if task.reports else None, Released))
    assert CALLS == [0, 1, 2, 3, 4]
    assert task.kinds == ["Stepped"] * 5 + ["Released"]
    bench.leases.before_report = lambda task, report: None
    bench.leases.resume(task)
    assert bench.leases.wait(task).result == "swallowed"
    assert list(range(20)) == CALLS


def loses_it(context: TaskContext) -> str:
    try:
        context.run("first", CALLS.append, 1)
    except Exception as error:
        CALLS.append(type(error))
    try:
        context.run("second", CALLS.append, 2)
    except LeaseLost:
        CALLS.append("told")
    CALLS.append(context.cancelled)
    return "kept"


def test_a_handler_whose_lease_is_lost_is_told_by_its_next_verb(bench: Bench) -> None:
    def steal(task: Any, report: Any) -> None:
        if isinstance(report, Stepped):
            bench.leases.take_away(task, tell=False)

    bench.leases.before_report = steal
    task = bench.begin(loses_it)
    bench.leases.wait(task, lambda task: len(task.refused) == 1)
    bench.workers[0].stop(grace=5)
    assert [1, LeaseLost, "told", True] == CALLS
    assert (task.reports, len(task.refused)) == ([], 1)


def test_every_report_is_made_again_while_the_store_is_out_of_reach(bench: Bench) -> None:
    bench.leases.unavailable = 2
    task = bench.run(two_steps, "ann")
    assert task.result[0] == "hello ANN"
    bench.leases.unavailable = 2

    @define_job("async")
    async def handler(context: AsyncTaskContext) -> int:
        return await context.run("s", lambda: 1)

    assert bench.run(handler).result == 1
    assert CALLS == ["ann"]


async def aloses_it(context: AsyncTaskContext) -> None:
    await context.run("s", CALLS.append, 1)


@pytest.mark.parametrize("handler", [loses_it, aloses_it])
def test_a_report_that_is_answered_with_rubbish_is_made_again(bench: Bench, handler: Callable[..., Any]) -> None:
    bench.leases.garbled = 1
    task = bench.run(handler)
    assert task.status == "completed"
    assert [1, *([] if handler is aloses_it else [2, False])] == CALLS
    assert task.kinds[:2] == ["Stepped", "Stepped"]


def fails_once(context: TaskContext) -> int:
    if context.attempt == 1:
        raise ValueError
    return context.attempt


@pytest.mark.parametrize("heartbeat", [0.01, PATIENCE])
def test_a_failure_that_was_taken_and_answered_with_rubbish_is_not_called_lost(
    bench: Bench, heartbeat: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is the report told again or a heartbeat that finds the lease gone."""
    bench.leases.heartbeat_every = heartbeat
    bench.leases.garbled = 1
    task = bench.run(fails_once, max_retries=1)
    bench.workers[0].stop(grace=PATIENCE)
    assert (task.result, task.kinds) == (2, ["Failed", "Completed"])
    said = [record.getMessage() for record in caplog.records if record.name == "blaxel_jobs.worker"]
    assert [line.split(":")[0] for line in said if not line.startswith("handler failed")] == ["report is tried again"]


@pytest.mark.parametrize("handler", [loses_it, aloses_it])
def test_a_server_that_only_answers_rubbish_is_complained_of_until_the_lease_is_lost(
    bench: Bench, handler: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    bench.leases.garbled = 1_000_000
    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: len(task.reports) >= 4)
    complaints = [record for record in caplog.records if "report is tried again" in record.getMessage()]
    assert len(complaints) >= 3
    assert {(record.levelname, record.execution_id) for record in complaints} == {("WARNING", "e0")}  # type: ignore[attr-defined]
    bench.leases.take_away(task)
    told = [1, *([] if handler is aloses_it else [LeaseLost, "told", True])]
    until(lambda: len(CALLS) == len(told))
    bench.workers[0].stop(grace=PATIENCE)
    assert told == CALLS
    assert set(task.kinds) == {"Stepped"}


def test_s2_12_the_type_of_a_value_is_that_of_the_annotation(bench: Bench) -> None:
    def since(context: TaskContext) -> bool:
        first: timedelta = context.run("d", delta)
        return first == timedelta(seconds=1.5) and isinstance(first, timedelta)

    assert bench.run(since).result is True


def delta() -> timedelta:
    return timedelta(seconds=1.5)


async def aforgets(context: AsyncTaskContext) -> int:
    context.run("charge", fetch, "ann")  # type: ignore[unused-coroutine]
    await context.run("awaited", int)
    context.sleep("rest", 60)  # type: ignore[unused-coroutine]
    context.options(max_retries=1).run("label", int)  # type: ignore[unused-coroutine]
    context.wait_for_event("paid")  # type: ignore[unused-coroutine]
    return 1


async def auses(context: AsyncTaskContext) -> Any:
    return context.run("charge", dict)["receipt"]  # type: ignore[index]


async def areturns(context: AsyncTaskContext) -> Any:
    return context.run("charge", dict)


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        (aforgets, "run('charge'), sleep('rest'), run('label') and 1 more"),
        (auses, "run('charge')"),
        (areturns, "run('charge')"),
    ],
)
def test_a_verb_that_is_never_awaited_fails_the_task_for_good(bench: Bench, handler: Callable[..., Any], named: str) -> None:
    task = bench.run(handler)
    assert (task.failed.failure.kind, task.failed.failure.type) == ("permanent", "PermanentError")
    assert task.failed.failure.message == f"the handler never awaited {named}: without await nothing of it is done"
    assert CALLS == []


async def adrops(context: AsyncTaskContext) -> int:
    steps = [context.run("one", int), context.run("two", int)]
    try:
        raise ConnectionError("before they were awaited")
    finally:
        for step in steps:
            step.close()


async def achooses(context: AsyncTaskContext) -> int:
    unused = context.run("unused", int)
    unused.close()
    background = asyncio.create_task(context.run("beside", int))
    return await context.run("one", int, "1") + await background


def test_a_verb_that_is_not_wanted_or_begun_otherwise_is_not_forgotten(bench: Bench) -> None:
    assert bench.run(define_job("raises", run=adrops)).failed.failure.type == "ConnectionError"
    assert bench.run(define_job("chooses", run=achooses)).result == 1
