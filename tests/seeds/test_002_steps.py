"""Seed 002, "Creating Steps": what `step.run` does the first time, and every time after that."""

import asyncio
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import pytest

from blaxel_jobs import JobManager, define_job
from tests.chaos.processes import Program
from tests.pace import PATIENCE, until
from tests.seeds import five_steps
from tests.serving import ROOT


def test_s2_09_a_step_is_a_closure_or_a_function_with_arguments(manager: JobManager) -> None:
    def scale(number: int, *, by: int = 1) -> int:
        return number * by

    @define_job("steps")
    def steps(step: Any, payload: dict[str, int]) -> list[int]:
        closure = step.run("closure", lambda: payload["n"] + 1)
        return [closure, step.run("arguments", scale, closure, by=10), step.run("method", [3, 1, 2].index, 2)]

    assert manager.register(steps).trigger({"n": 1}).get_result(PATIENCE) == [2, 20, 2]


def test_s2_09_a_step_of_an_async_handler_is_sync_or_async(manager: JobManager) -> None:
    async def scale(number: int, *, by: int = 1) -> int:
        await asyncio.sleep(0)
        return number * by

    @define_job("steps")
    async def steps(step: Any, payload: dict[str, int]) -> list[int]:
        async def closure() -> int:
            return payload["n"] + 1

        first = await step.run("closure", closure)
        beside = await asyncio.gather(*[step.run(f"beside-{n}", scale, n, by=10) for n in range(3)])
        return [first, *beside, await step.run("sync", lambda: 5)]

    assert manager.register(steps).trigger({"n": 1}).get_result(PATIENCE) == [2, 0, 10, 20, 5]


def test_s2_10_a_step_runs_once_and_its_value_is_stored(manager: JobManager, tmp_path: Path) -> None:
    effects = tmp_path / "effects"

    @define_job("once", max_retries=3, retry_delay=0)
    def once(step: Any) -> str:
        def work() -> str:
            with effects.open("a") as file:
                file.write("ran\n")
            return "value"

        value: str = step.run("work", work)
        if step.attempt < 4:
            raise ConnectionError("after the step")
        return value

    execution = manager.register(once).trigger()
    assert execution.get_result(PATIENCE) == "value"
    assert effects.read_text() == "ran\n"
    assert [(row.name, row.kind, row.task) for row in execution.list_steps()] == [("work", "value", "task-0")]
    assert execution.refresh().attempts == 4


@pytest.mark.parametrize("form", ["sync", "async"])
def test_s2_11_after_a_kill_stored_steps_are_not_run_again(form: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.seeds.five_steps", f"sqlite:///{tmp_path}/jobs.db", "the-one", form]
    with Program(tmp_path, *command) as first:
        until(lambda: (first.check_alive(), "four" in five_steps.notes(tmp_path))[1], "step four runs")
        first.kill()
    assert five_steps.notes(tmp_path) == ["one", "two", "three", "four"]
    (tmp_path / "gate").touch()
    with Program(tmp_path, *command) as second:
        second.exited()
        assert second.text().splitlines()[-1].split() == list(five_steps.NAMES)
    assert five_steps.notes(tmp_path) == ["one", "two", "three", "four", "four", "five"]
    with JobManager(f"sqlite:///{tmp_path}/jobs.db", worker=False) as reader:
        execution = reader.get_execution("the-one")
        assert execution.status == "completed"
        assert [(lost.task, lost.attempt, lost.reason) for lost in execution.recoveries] == [("task-0", 1, "worker_dead")]


def test_s2_11_after_a_retry_stored_steps_are_not_run_again(manager: JobManager) -> None:
    calls: list[str] = []
    broken = True

    @define_job("five")
    def five(step: Any) -> list[int]:
        def work(n: int) -> int:
            calls.append(f"step-{n}")
            if n == 3 and broken:
                raise ConnectionError("not now")
            return n

        return [step.run(f"step-{n}", work, n) for n in range(5)]

    execution = manager.register(five).trigger().wait_done(PATIENCE)
    assert execution.status == "failed"
    broken = False
    assert execution.retry().get_result(PATIENCE) == [0, 1, 2, 3, 4]
    assert calls == ["step-0", "step-1", "step-2", "step-3", "step-3", "step-4"]


@attrs.frozen
class User:
    id: UUID
    since: datetime
    tags: frozenset[str]


@dataclass
class Price:
    amount: Decimal


class Point(NamedTuple):
    x: float
    y: float


WHEN = datetime(2026, 1, 31, 8, tzinfo=UTC)


def fetch_user() -> User:
    return User(UUID(int=7), WHEN, frozenset({"a", "b"}))


async def fetch_price() -> Price:
    return Price(Decimal("1.10"))


def fetch_points() -> list[Point]:
    return [Point(1, 2.5)]


def fetch_pair() -> tuple[int, bytes]:
    return 1, b"\x00\xff"


def fetch_nothing() -> None:
    return None


FUNCTIONS: list[Any] = [fetch_user, fetch_price, fetch_points, fetch_pair, fetch_nothing]


def test_s2_12_a_value_is_of_the_functions_type_live_and_replayed(manager: JobManager) -> None:
    seen: list[list[Any]] = []

    @define_job("typed", max_retries=1, retry_delay=0)
    async def typed(step: Any) -> None:
        values = [await step.run(each.__name__, each) for each in FUNCTIONS]
        seen.append(values)
        if step.attempt == 1:
            raise ConnectionError("once more, from what is stored")

    manager.register(typed).trigger().get_result(PATIENCE)
    live, replayed = seen
    assert live == replayed
    assert [type(value) for value in live] == [type(value) for value in replayed] == [User, Price, list, tuple, type(None)]
    assert type(replayed[2][0]) is Point
    assert type(replayed[0].tags) is frozenset


TYPED = """
from dataclasses import dataclass
from blaxel_jobs import TaskContext
from blaxel_jobs.worker.context import AsyncTaskContext

@dataclass
class User:
    id: str

def fetch_user(id: str) -> User:
    return User(id)

async def count(user: User, *, limit: int = 5) -> dict[str, int]:
    return {user.id: limit}

def sync(step: TaskContext) -> None:
    reveal_type(step.run("user", fetch_user, "abc123"))
    reveal_type(step.run("length", lambda: len("abc")))
    reveal_type(step.options(max_retries=2, timeout=5).run("more", fetch_user, "abc"))
    step.run("wrong", fetch_user, 5)

async def awaited(step: AsyncTaskContext) -> None:
    reveal_type(await step.run("user", fetch_user, "abc123"))
    reveal_type(await step.run("count", count, User("a"), limit=3))
    reveal_type(await step.options(max_retries=2).run("more", count, User("a")))
    await step.run("wrong", count, limit="many")
"""
REVEALED = ["User", "int", "User", "User", "dict[str, int]", "dict[str, int]"]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_s2_12_the_type_of_a_step_is_inferred_from_its_function(checker: str, tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    settings = {"include": ["typed.py"], "typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    options = {
        "mypy": ["--strict", "--no-error-summary", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"), "typed.py"],
        "pyright": ["--pythonpath", sys.executable],
    }[checker]
    done = subprocess.run(
        [sys.executable, "-m", checker, *options], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    revealed = re.findall(r'Revealed type is "(.*)"|Type of ".*" is "(.*)"', done.stdout)
    assert [re.sub(r"\b(?:\w+\.)+(?=\w)", "", one or other) for one, other in revealed] == REVEALED, done.stdout + done.stderr
    wrong = {int(line) for line in re.findall(r"typed\.py:(\d+)(?::\d+)?(?: -|:) error", done.stdout)}
    assert wrong == {number for number, line in enumerate(TYPED.splitlines(), 1) if '"wrong"' in line}, done.stdout


def test_s2_13_a_name_is_used_once(manager: JobManager) -> None:
    calls: list[str] = []

    @define_job("twice", max_retries=5, retry_delay=0)
    def twice(step: Any) -> None:
        step.run("step", calls.append, "first")
        step.run("step", calls.append, "second")

    failed = manager.register(twice).trigger().wait_done(PATIENCE)
    assert failed.error is not None
    assert (failed.status, failed.error.type, failed.error.kind, failed.attempts) == ("failed", "DuplicateStep", "permanent", 1)
    assert "'step'" in failed.error.message
    assert calls == ["first"]


def test_s2_13_a_sleep_and_an_event_have_names_of_their_own_too(manager: JobManager) -> None:
    @define_job("mixed")
    def mixed(step: Any, payload: str) -> None:
        step.sleep("nap", 0)
        getattr(step, payload)("nap", *([0] if payload == "sleep" else [lambda: 1] if payload == "run" else []))

    job = manager.register(mixed)
    for payload in ("sleep", "run", "wait_for_event"):
        error = job.trigger(payload).wait_done(PATIENCE).error
        assert error is not None
        assert error.type == "DuplicateStep"


def test_s2_13_another_task_of_the_execution_may_use_the_same_name(manager: JobManager) -> None:
    @define_job("tasks")
    def tasks(step: Any) -> int:
        index: int = step.run("step", lambda: step.index)
        return index

    job = manager.register(tasks)
    execution = job.wait_for_execution(job.run([{}] * 5), 10)
    assert execution.results == [0, 1, 2, 3, 4]
    assert sorted((row.task, row.name) for row in execution.list_steps()) == [(f"task-{n}", "step") for n in range(5)]


def test_s2_11_what_is_not_stored_yet_may_have_changed_when_the_handler_is_called_again(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/jobs.db"

    @define_job("report")
    def first(step: Any) -> Any:
        step.run("fetch", lambda: [1, 2])
        step.run("send", lambda: 1 / 0)

    @define_job("report")
    def mended(step: Any) -> Any:
        rows = step.run("fetch", lambda: "not called")
        step.run("check", lambda: "new")
        return step.run("send", lambda: sum(rows))

    with JobManager(store) as manager:
        execution = manager.register(first).trigger().wait_done(PATIENCE)
        assert execution.status == "failed"
    with JobManager(store) as manager:
        manager.register(mended)
        assert manager.retry_execution(execution.id).get_result(PATIENCE) == 3
