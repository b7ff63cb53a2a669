"""Progress and log lines: gathered, sent every now and then, all there at the end; nothing waits for them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.records import Progress
from blaxel_jobs.core.reports import LogLine, Noted
from blaxel_jobs.define import define_job
from blaxel_jobs.worker import AsyncTaskContext, TaskContext
from tests.pace import PATIENCE, best_of, within

from .conftest import Bench


def reads(context: TaskContext) -> str:
    for number in range(10_000):
        context.progress(number, 10_000, f"row {number}")
    context.log.info("read", rows=10_000)
    return "read"


async def areads(context: AsyncTaskContext) -> str:
    return reads(context)  # type: ignore[arg-type]


@pytest.mark.parametrize("handler", [reads, areads])
def test_of_many_notes_the_last_progress_and_every_line_are_there_before_the_end(bench: Bench, handler: Callable[..., Any]) -> None:
    began = time.monotonic()
    task = bench.run(handler)
    took = time.monotonic() - began
    shown = [noted.progress for noted in task.notes if noted.progress is not None]
    assert shown[-1] == Progress(9_999, 10_000, "row 9999")
    assert task.lines == [LogLine("info", "read", {"rows": 10_000})]
    assert type(task.reports[-1]).__name__ == "Completed"
    assert len(task.notes) < 5 + took / 0.19


def test_progress_is_told_while_the_handler_runs_but_not_too_often(bench: Bench) -> None:
    times: list[float] = []
    bench.leases.before_report = lambda task, report: times.append(time.monotonic()) if isinstance(report, Noted) else None
    seen = threading.Event()

    def handler(context: TaskContext) -> None:
        number = 0
        while not seen.wait(0.001):
            number += 1
            context.progress(number)

    def attempt() -> None:
        times.clear()
        seen.clear()
        task = bench.begin(handler)
        bench.leases.wait(task, lambda task: len(task.notes) >= 4)
        seen.set()
        bench.leases.wait(task)
        assert all(after - before >= 0.19 for before, after in pairwise(times[:4]))

    best_of(10, attempt)


def test_lines_are_sent_within_a_second_or_so(bench: Bench) -> None:
    gate = threading.Event()

    def handler(context: TaskContext) -> None:
        context.log.info("one")
        context.log.warning("two", a=[1])
        gate.wait(PATIENCE)

    began = time.monotonic()
    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: bool(task.notes))
    assert 0.9 <= time.monotonic() - began < PATIENCE / 2
    assert task.notes == [Noted(None, (LogLine("info", "one"), LogLine("warning", "two", {"a": [1]})))]
    gate.set()


def test_the_next_report_takes_lines_with_it(bench: Bench) -> None:
    gate = threading.Event()

    def handler(context: TaskContext) -> None:
        context.log.debug("before the step")
        context.run("s", lambda: 1)
        gate.wait(PATIENCE)

    def attempt() -> float:
        began = time.monotonic()
        task = bench.begin(handler)
        bench.leases.wait(task, lambda task: bool(task.notes))
        return time.monotonic() - began

    within(0.9, attempt, tries=5)
    gate.set()


def test_lines_are_there_before_a_suspension_ends_the_lease(bench: Bench) -> None:
    bench.leases.in_place = 0.01

    async def handler(context: AsyncTaskContext) -> None:
        context.log.error("claimed")
        await context.sleep("nap", 0.1)

    task = bench.run(handler)
    assert [type(report).__name__ for report in task.reports] == ["Noted", "Slept", "Noted", "Completed"]
    assert task.refused == []


def test_a_line_takes_what_json_does_not(bench: Bench) -> None:
    def handler(context: TaskContext) -> None:
        context.log.info(3, odd={1, 2}, bad=Unprintable(), fine={"a": 1})  # type: ignore[arg-type]

    line = bench.run(handler).lines[0]
    assert (line.message, line.fields) == ("3", {"odd": "{1, 2}", "bad": "<Unprintable>", "fine": {"a": 1}})


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


def test_s3_20_lines_reach_the_stdlib_with_ids_and_without_fields(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="blaxel_jobs"):
        bench.run(lambda context: context.log.warning("half done", secret="s3cr3t"), {"password": "pa55"})
    record = next(record for record in caplog.records if record.name == "blaxel_jobs.handler")
    assert record.getMessage() == "half done (job job, execution e0, task task-0, attempt 1)"
    assert (record.levelname, record.execution_id, record.attempt) == ("WARNING", "e0", 1)  # type: ignore[attr-defined]
    assert not any("s3cr3t" in line or "pa55" in line for line in caplog.text.splitlines())


@pytest.mark.parametrize("arguments", [(float("nan"),), (1, float("inf")), ("1",), (True,), (1, 2, 3)])
def test_progress_is_checked(bench: Bench, arguments: Any) -> None:
    assert bench.run(lambda context: context.progress(*arguments)).failed.failure.type == "ValueError"


def test_a_pause_stops_a_handler_at_its_next_progress(bench: Bench) -> None:
    def handler(context: TaskContext) -> None:
        while True:
            context.progress(1)
            time.sleep(0.001)

    task = bench.begin(handler)
    bench.leases.wait(task, lambda task: bool(task.notes))
    bench.leases.pause(task, tell=False)  # the answer to the next note says so
    bench.leases.wait(task, lambda task: task.status == "pending")
    assert task.kinds == ["Released"]


def test_notes_wait_for_a_store_that_is_out_of_reach(bench: Bench) -> None:
    bench.leases.unavailable = 3

    async def handler(context: AsyncTaskContext) -> None:
        for number in range(20):
            context.log.info(str(number))
            context.progress(number)
            await asyncio.sleep(0.001)

    task = bench.run(handler)
    assert [line.message for line in task.lines] == [str(number) for number in range(20)]


def test_lines_whose_answer_was_rubbish_are_told_again_as_such(bench: Bench) -> None:
    def handler(context: TaskContext) -> None:
        for number in range(1500):
            context.log.info(str(number))

    bench.leases.garbled = 2
    task = bench.run(handler)
    told = [(noted.before, len(noted.logs), noted.again) for noted in task.notes]
    first = told[0][1]
    assert told[:3] == [(0, first, False), (0, first, True), (0, first, True)]
    assert [before for before, _, _ in told[3:]] == [
        first + sum(count for _, count, _ in told[3:place]) for place in range(3, len(told))
    ]
    assert not any(again for _, _, again in told[3:])
    assert [line.message for noted in task.notes[2:] for line in noted.logs] == [str(number) for number in range(1500)]


def test_the_built_in_handler_tells_its_progress(bench: Bench) -> None:
    bench.hire(simulate=True)
    task = bench.leases.wait(bench.leases.add("any", {"duration": 0.9, "progress": 3, "output": 1}))
    shown = [noted.progress for noted in task.notes]
    assert (task.result, shown) == (1, [Progress(1, 3), Progress(2, 3), Progress(3, 3)])
    wrong = bench.leases.wait(bench.leases.add("any", {"progress": -1}))
    assert wrong.failed.failure.kind == "invalid_input"
    quick = bench.leases.wait(bench.leases.add("any", {"progress": True}))
    assert quick.notes[-1].progress == Progress(10, 10)


def test_notes_do_not_outlive_their_task(bench: Bench) -> None:
    late: list[TaskContext] = []

    @define_job("first")
    def first(context: TaskContext) -> None:
        late.append(context)

    task = bench.run(first)
    late[0].progress(5)
    assert bench.run(lambda: 1).result == 1
    bench.workers[0].stop(grace=2)
    assert task.notes == []


def test_notes_that_are_no_unicode_or_too_large_are_cut_and_lose_nothing_else(bench: Bench) -> None:
    def handler(context: TaskContext) -> None:
        context.progress(1, 2, "a\ud800" + "b" * 100_000)
        context.log.info("c\ud800", **{"d\ud800": "e\ud800"})
        context.log.info("wide", data=["f" * 1000] * 1000)
        context.log.info("last", rows=1)

    task = bench.run(handler)
    [message] = [noted.progress.message for noted in task.notes if noted.progress is not None]
    assert message is not None
    assert message.startswith("a\\ud800b")
    assert len(message) < 5_000
    first, wide, last = task.lines
    assert first == LogLine("info", "c\\ud800", {"d\\ud800": "e\\ud800"})
    assert len(str(wide.fields)) < 5_000
    assert last == LogLine("info", "last", {"rows": 1})


def test_a_report_of_many_long_lines_is_no_larger_than_a_request_may_be(bench: Bench) -> None:
    def handler(context: TaskContext) -> None:
        for number in range(1000):
            line = f"{number} {'x' * 4000}"
            context.log.info(line)

    task = bench.run(handler)
    assert [line.message.split()[0] for line in task.lines] == [str(number) for number in range(1000)]
    assert max(len(msgspec.json.encode(noted)) for noted in task.notes) < 1024 * 1024
