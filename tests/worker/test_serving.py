"""What a worker serves, how it starts and stops, and how it looks after the leases that it holds."""

import asyncio
import threading
from random import Random
from typing import Any

import attrs
import pytest

from blaxel_jobs.define import define_job
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.system import SystemClock
from blaxel_jobs.worker import AsyncTaskContext, TaskContext, Worker
from blaxel_jobs.worker.current import current
from tests.pace import PATIENCE, until

from .conftest import Bench
from .fake_leases import FakeLeases


def test_s3_01_a_worker_serves_the_jobs_of_its_queues(bench: Bench) -> None:
    image, mail = define_job("image", run=lambda: "image", queue="image"), define_job("mail", run=lambda: "mail")
    bench.hire(image, mail, queues=["image"])
    waiting = bench.leases.add("mail")
    assert bench.leases.wait(bench.leases.add("image")).result == "image"
    assert waiting.status == "pending"
    assert bench.leases.registered == ["image"]
    bench.hire(image, mail, queues=["default"])
    assert bench.leases.wait(waiting).result == "mail"
    assert bench.leases.served[0] == ("image",)


@pytest.mark.parametrize("options", [{"queues": "image"}, {"queues": ["image"], "simulate": True}, {"slots": 0}])
def test_what_a_worker_cannot_be_made_with(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Worker(FakeLeases(), clock=SystemClock(), **options)


@pytest.mark.parametrize("is_async", [False, True])
def test_hooks_run_before_the_first_task_and_after_the_last(bench: Bench, is_async: bool) -> None:
    seen: list[str] = []

    async def aopen() -> None:
        await asyncio.sleep(0.01)
        seen.append("open")

    async def aclose() -> None:
        seen.append("close")

    hooks: dict[str, Any] = {"on_start": lambda: seen.append("open"), "on_stop": lambda: seen.append("close")}
    worker = bench.hire(
        define_job("job", run=lambda: seen.append("task")), **({"on_start": aopen, "on_stop": aclose} if is_async else hooks)
    )
    bench.leases.wait(bench.leases.add("job"))
    worker.stop()
    worker.stop()
    assert seen == ["open", "task", "close"]


def test_a_hook_that_fails_keeps_the_worker_from_starting(bench: Bench) -> None:
    def fail() -> None:
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        bench.hire(define_job("job", run=lambda: 1), on_start=fail, on_stop=pytest.fail)
    assert bench.leases.closed
    assert bench.leases.served == []


async def test_a_hook_that_fails_keeps_a_worker_from_starting_in_this_loop() -> None:
    async def fail() -> None:
        raise OSError("no database")

    leases = FakeLeases()
    with pytest.raises(OSError, match="no database"):
        await Worker(leases, clock=SystemClock(), on_start=fail).astart()
    assert leases.closed


def test_a_hook_that_fails_at_the_end_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("no database")

    worker = bench.hire(on_stop=fail)
    bench.leases.wait(bench.leases.add("job"), lambda task: bool(bench.leases.served))
    worker.stop()
    assert "on_stop failed" in caplog.text
    assert bench.leases.closed


def test_heartbeats_are_for_what_is_held(bench: Bench) -> None:
    gate = threading.Event()
    bench.leases.heartbeat_every = 0.01
    task = bench.begin(lambda: gate.wait(PATIENCE))
    bench.leases.wait(task, lambda task: task.status == "running")
    until(lambda: bench.leases.held == {task.lease})
    bench.leases.take_away(task, tell=False)
    until(lambda: not bench.workers[0].holding)
    gate.set()


@attrs.define
class Order:
    id: str
    amount: float = 1.0


def test_s2_06_the_payload_is_of_the_type_that_the_definition_says(bench: Bench) -> None:
    def handler(context: TaskContext, payload: Any) -> list[Any]:
        return [type(payload).__name__, payload.id, payload.amount, context.payload is payload]

    job = define_job("job", run=handler, input=Order)
    assert bench.run(job, {"id": "a"}).result == ["Order", "a", 1.0, True]
    failed = bench.run(job, {"amount": 1}, max_retries=3)
    assert (failed.failed.failure.kind, failed.attempt) == ("invalid_input", 1)
    assert "id" in failed.failed.failure.message


@pytest.mark.parametrize("is_async", [False, True])
def test_s2_07_the_output_is_checked(bench: Bench, is_async: bool) -> None:
    def handler(context: TaskContext, payload: Any) -> Any:
        return payload

    async def ahandler(context: AsyncTaskContext, payload: Any) -> Any:
        return payload

    job = define_job("job", run=ahandler if is_async else handler, output=Order)
    assert bench.run(job, {"id": "a", "amount": 2}).result == {"id": "a", "amount": 2}
    failed = bench.run(job, {"id": 3}, max_retries=3)
    assert (failed.failed.failure.kind, failed.attempt) == ("invalid_output", 1)


def test_the_fields_of_the_context(bench: Bench) -> None:
    def handler(context: TaskContext) -> list[Any]:
        assert current.get() is context
        assert isinstance(context, TaskContext)
        return [
            context.execution_id, context.task_id, context.job, context.attempt, context.payload, context.index, context.metadata,
            context.env, context.results, context.cancelled,
        ]  # fmt: skip

    expected = ["e0", "task-0", "job", 1, [1], 0, {"owner": "x"}, {"A": "b"}, {}, False]
    assert bench.run(handler, [1]).result == expected

    @define_job("async")
    async def ahandler(context: AsyncTaskContext) -> bool:
        return isinstance(context, AsyncTaskContext) and current.get() is context

    assert bench.run(ahandler).result is True


def test_without_a_place_for_artifacts_they_are_not_available(bench: Bench) -> None:
    failure = bench.run(lambda context: context.artifacts).failed.failure
    assert (failure.type, failure.kind) == ("ContextUnavailable", "permanent")


class Port:
    """Keeps artifacts in a dict."""

    local = True

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, execution_id: str, source: Any, content_type: str | None) -> str:
        self.kept[execution_id] = b"".join(source)
        return f"ref-of-{execution_id}"


@pytest.mark.parametrize("is_async", [False, True])
def test_artifacts_come_from_the_port(bench: Bench, is_async: bool) -> None:
    port, asked = Port(), []

    def artifacts(workspace: str) -> Port:
        asked.append(workspace)
        return port

    bench.leases.artifacts = artifacts  # type: ignore[attr-defined]

    async def ahandler(context: AsyncTaskContext) -> str:
        return await context.artifacts.put(b"bytes")

    def handler(context: TaskContext) -> str:
        return context.artifacts.put(b"bytes")

    assert bench.run(ahandler if is_async else handler).result == "ref-of-e0"
    assert (port.kept, asked) == ({"e0": b"bytes"}, ["default"])


def test_retried_tasks_are_told_their_attempt(bench: Bench) -> None:
    def handler(context: TaskContext) -> int:
        if context.attempt < 3:
            raise OSError
        return context.attempt

    assert bench.run(handler, max_retries=2).result == 3


async def test_verbs_of_a_worker_in_the_caller_s_loop() -> None:
    leases = FakeLeases()

    @define_job("async")
    async def ahandler(context: AsyncTaskContext) -> Any:
        await context.sleep("nap", 0.01)
        return await context.run("s", lambda: "loop")

    @define_job("sync")
    def handler(context: TaskContext) -> Any:
        context.sleep("nap", 0.01)
        return context.run("s", lambda: "thread")

    worker = Worker(leases, [ahandler, handler], clock=SystemClock(), rng=Random(0))
    await worker.astart()
    tasks = [leases.add("async"), leases.add("sync")]
    results = [(await asyncio.to_thread(leases.wait, task)).result for task in tasks]
    await worker.astop()
    assert results == ["loop", "thread"]


async def test_a_worker_in_the_caller_s_loop_gives_back_what_does_not_end() -> None:
    leases = FakeLeases()

    @define_job("job")
    async def handler(context: AsyncTaskContext) -> None:
        await context.sleep("nap", 4)

    worker = Worker(leases, [handler], clock=SystemClock())
    await worker.astart()
    task = leases.add("job")
    await asyncio.to_thread(leases.wait, task, lambda task: task.kinds == ["Slept"])
    await worker.astop(grace=0.01)
    assert task.kinds == ["Slept", "Released"]
