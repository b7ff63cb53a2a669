"""The worker over a real engine in this process: handlers of every form, leases kept, cancelled and given back."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

import msgspec
import pytest

from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.engine.commands import Tell
from blaxel_jobs.errors import ConfigError, Unavailable
from blaxel_jobs.stores.memory import MemoryJobStore
from blaxel_jobs.system import SystemClock
from blaxel_jobs.worker import AsyncTaskContext, TaskContext, Worker
from tests.pace import PATIENCE, scaled, within


class Shop:
    """An engine and any number of workers."""

    def __init__(self, lease: float = 10.0) -> None:
        ids = count(1)
        self.engine = Engine(
            MemoryJobStore(), clock=SystemClock(), new_id=lambda: f"e{next(ids)}", rng=Random(0), lease=lease, max_recoveries=2
        )
        self.engine.start()
        self.workers: list[Worker] = []

    def hire(self, *jobs: JobDef[Any, Any], **options: Any) -> Worker:
        worker = Worker(LocalLeases(self.engine, ["default"], f"w{len(self.workers)}"), jobs, clock=SystemClock(), **options)
        self.workers.append(worker)
        worker.start()
        return worker

    def create(self, job: str, **body: Any) -> str:
        created = self.engine.call("create_job_execution", "default", {"job": job, "body": body})
        return str(created["executionId"])

    def get(self, job: str, id: str, wait: int = 0) -> Any:
        view = self.engine.call("get_job_execution", "default", {"job": job, "execution_id": id, "prefer": f"wait={wait}"})
        return msgspec.json.decode(msgspec.json.encode(view))

    def run(self, job: JobDef[Any, Any], payload: Any = None) -> Any:
        self.hire(job)
        return self.get(job.name, self.create(job.name, input=payload), wait=30)


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    for worker in shop.workers:
        worker.stop(grace=1)
    shop.engine.close()


def nothing() -> str:
    return "nothing"


def context_only(context: TaskContext) -> Any:
    return [context.job, context.task_id, context.attempt, context.payload]


def context_and_payload(context: TaskContext, payload: Any) -> Any:
    return payload["a"]


async def async_nothing() -> str:
    return "nothing"


async def async_both(context: AsyncTaskContext, payload: Any) -> Any:
    await asyncio.sleep(0)
    return {"execution": context.execution_id[0], "payload": payload}


@pytest.mark.parametrize(
    ("handler", "result"),
    [
        (nothing, "nothing"),
        (context_only, ["job", "task-0", 1, {"a": 1}]),
        (context_and_payload, 1),
        (async_nothing, "nothing"),
        (async_both, {"execution": "e", "payload": {"a": 1}}),
        (lambda context: None, None),
    ],
)
@pytest.mark.row("S0-08", "S0-09", "S2-08")
def test_handlers_of_every_form(shop: Shop, handler: Callable[..., Any], result: Any) -> None:
    execution = shop.run(define_job("job", run=handler), {"a": 1})
    assert (execution["status"], execution["result"]) == ("completed", result)


def test_results_keep_the_order_of_the_tasks(shop: Shop) -> None:
    @define_job("job")
    async def job(context: AsyncTaskContext, payload: Any) -> Any:
        await asyncio.sleep(payload["after"] / 1000)
        return payload["after"]

    shop.hire(job)
    delays = [20, 1, 10, 5]
    execution = shop.get("job", shop.create("job", tasks=[{"after": delay} for delay in delays]), wait=30)
    assert execution["results"] == delays


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1, 2}, "the result is a set"),
        ({"a": [1, object()]}, r"result.a\[1\] is a object"),
        ({"a": float("nan")}, "result.a is nan"),
        ({1: 2}, "keys of JSON objects are text"),
        ((1, 2), "the result is a tuple"),
        ("\ud800", "lone surrogate"),
        ("x" * 1_048_577, "above the limit of 1 MB"),
    ],
)
@pytest.mark.row("S0-31")
def test_a_result_that_json_cannot_carry_fails_the_task(shop: Shop, value: Any, place: str) -> None:
    error = shop.run(define_job("job", run=lambda: value))["error"]
    assert (error["kind"], error["type"]) == ("not_serializable", "NotSerializable")
    assert __import__("re").search(place, error["message"])


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.row("S2-21", "S2-22")
def test_what_a_handler_raises_is_stored_from_the_handler_on(shop: Shop, is_async: bool) -> None:
    def fail() -> None:
        raise KeyError("missing")

    async def afail() -> None:
        fail()

    execution = shop.run(define_job("job", run=afail if is_async else fail))
    error = execution["tasks"][0]["error"]
    assert (execution["status"], execution["tasks"][0]["attempts"]) == ("failed", 1)
    assert (error["kind"], error["type"], error["message"]) == ("error", "KeyError", "'missing'")
    assert "in fail" in error["trace"]
    assert "worker/run.py" not in error["trace"]


def test_a_handler_cannot_end_the_worker(shop: Shop) -> None:
    @define_job("job")
    def job(context: TaskContext, payload: Any) -> str:
        if payload:
            raise SystemExit(payload)
        return "alive"

    assert "SystemExit" in shop.run(job, 3)["error"]["message"]
    assert shop.get("job", shop.create("job", input=None), wait=30)["result"] == "alive"


@pytest.mark.row("S3-05")
def test_slots_bound_what_runs_at_once(shop: Shop) -> None:
    running, most, lock = 0, 0, threading.Lock()
    four = threading.Barrier(4, timeout=PATIENCE)

    @define_job("job")
    def job() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        four.wait()
        with lock:
            running -= 1

    shop.hire(job, slots=4)
    assert shop.get("job", shop.create("job", tasks=[{}] * 20), wait=30)["status"] == "completed"
    assert most == 4


def test_a_handler_that_blocks_the_loop_keeps_its_lease() -> None:
    def attempt(lease: float) -> None:
        shop = Shop(lease=lease)

        @define_job("job")
        async def job() -> str:
            time.sleep(4 * lease)  # a busy loop
            return "kept"

        execution = shop.run(job)
        shop.workers[0].stop()
        shop.engine.close()
        assert (execution["result"], execution["tasks"][0]["attempts"], execution["recoveries"]) == ("kept", 1, [])

    scaled(attempt, 0.3, 1.0, 4.0)


@pytest.mark.parametrize("is_async", [False, True])
def test_cancel_reaches_the_handler(shop: Shop, is_async: bool) -> None:
    started, stopped = threading.Event(), threading.Event()

    def wait_in_thread(context: TaskContext) -> None:
        started.set()
        while not context.cancelled:
            time.sleep(0.001)
        stopped.set()

    async def wait_in_loop() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise

    shop.hire(define_job("job", run=wait_in_loop if is_async else wait_in_thread), slots=1)
    id = shop.create("job", input=None)
    assert started.wait(PATIENCE)
    shop.engine.call("cancel_job_execution", "default", {"job": "job", "execution_id": id})
    assert stopped.wait(PATIENCE)
    assert shop.get("job", id)["status"] == "cancelled"


def test_stop_lets_what_runs_end(shop: Shop) -> None:
    started, go_on = threading.Event(), threading.Event()

    @define_job("job")
    def job() -> str:
        started.set()
        assert go_on.wait(PATIENCE)
        return "ended"

    worker = shop.hire(job)
    id = shop.create("job", input=None)
    assert started.wait(PATIENCE)
    stopping = threading.Thread(target=worker.stop, args=(10,))
    stopping.start()
    go_on.set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    assert shop.get("job", id)["result"] == "ended"


@pytest.mark.parametrize("is_async", [False, True])
def test_stop_gives_back_what_does_not_end_in_time(shop: Shop, is_async: bool) -> None:
    started, gate = threading.Event(), threading.Event()

    def hang() -> str:
        if not started.is_set():
            started.set()
            gate.wait(PATIENCE)
        return "second try"

    async def ahang() -> str:
        if not started.is_set():
            started.set()
            await asyncio.Event().wait()
        return "second try"

    job = define_job("job", run=ahang if is_async else hang)
    worker = shop.hire(job)
    id = shop.create("job", input=None)
    assert started.wait(PATIENCE)
    worker.stop(grace=0.05)
    assert shop.get("job", id)["status"] == "pending"
    shop.hire(job)
    execution = shop.get("job", id, wait=30)
    gate.set()
    assert (execution["result"], execution["recoveries"]) == ("second try", [])
    assert execution["tasks"][0]["attempts"] == 1


def test_a_report_is_made_again_while_the_store_is_out_of_reach(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = shop.engine.asubmit
    refused: list[Tell] = []

    async def sometimes(command: Any) -> Any:
        if isinstance(command, Tell) and len(refused) < 2:
            refused.append(command)
            raise Unavailable("the disk is full")
        return await submit(command)

    monkeypatch.setattr(shop.engine, "asubmit", sometimes)
    execution = shop.run(define_job("job", run=nothing))
    assert (len(refused), execution["result"], execution["tasks"][0]["attempts"]) == (2, "nothing", 1)


def test_a_worker_takes_only_what_it_has_a_handler_for(shop: Shop) -> None:
    shop.hire(define_job("known", run=nothing))
    stranger = shop.create("stranger", input=None)
    assert shop.get("known", shop.create("known", input=None), wait=30)["status"] == "completed"
    view = shop.get("stranger", stranger)
    assert (view["status"], view["waitingFor"]) == ("pending", "worker")


def test_the_built_in_handler_does_as_its_input_says(shop: Shop) -> None:
    shop.hire(define_job("own", run=nothing), simulate=True)
    wishes = [{"duration": 0.01, "output": {"a": 1}}, {"fail": True}, {"fail": "on purpose"}, {"duration": -1}, {}]
    execution = shop.get("any", shop.create("any", tasks=wishes), wait=30)
    assert execution["results"] == [{"a": 1}, None, None, None, None]
    assert [task["status"] for task in execution["tasks"]] == ["completed", "failed", "failed", "failed", "completed"]
    assert [task["error"]["kind"] for task in execution["tasks"][1:4]] == ["error", "error", "invalid_input"]
    assert execution["tasks"][2]["error"]["message"] == "on purpose"
    assert shop.get("own", shop.create("own", input=None), wait=30)["result"] == "nothing"


MISSPELT: list[tuple[Any, str | None]] = [
    ({"other": 1, "durration": 60}, "durration"),
    ({"Duration": 60}, "Duration"),
    ({"duration_s": 60}, "duration_s"),
    ({"durration": 60, "duration": 0}, None),
    ({"iteration": 3, "rotation": 90, "due": 1}, None),
    ({}, None),
    (["durration"], None),
]


@pytest.mark.parametrize(("wish", "named"), MISSPELT)
def test_the_built_in_handler_tells_of_a_duration_that_is_misspelt(
    shop: Shop, wish: Any, named: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    shop.hire(simulate=True)
    execution = shop.get("any", shop.create("any", input=wish), wait=30)
    assert execution["status"] == "completed"
    said = [record.getMessage() for record in caplog.records if record.name == "blaxel_jobs.handler"]
    assert [line[: line.index(" (job any")] for line in said] == (
        []
        if named is None
        else [f"the input has no duration, so this takes 0 seconds, but it has {named!r}: did you mean 'duration'?"]
    )


def test_s1_03_a_duration_takes_its_time(shop: Shop) -> None:
    shop.hire(simulate=True)

    def attempt() -> float:
        begin = time.monotonic()
        shop.get("any", shop.create("any", tasks=[{"duration": 0.2}] * 3), wait=30)
        return time.monotonic() - begin

    assert within(0.3, attempt) >= 0.2


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


async def exits_in_a_child() -> None:
    async def child() -> None:
        raise SystemExit(3)

    await asyncio.gather(child())


async def cancels_itself() -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "and returns"


async def raises_cancelled() -> None:
    raise asyncio.CancelledError


def unprintable() -> None:
    raise Unprintable


async def generator_exit() -> None:
    raise GeneratorExit


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (exits_in_a_child, "failed"),
        (cancels_itself, "completed"),
        (raises_cancelled, "failed"),
        (unprintable, "failed"),
    ],
)
def test_what_a_handler_does_to_the_loop_ends_that_handler_only(shop: Shop, handler: Callable[..., Any], status: str) -> None:
    gate = threading.Event()

    @define_job("neighbour")
    async def neighbour() -> str:
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return "unharmed"

    shop.hire(define_job("odd", run=handler), neighbour, slots=2)
    beside = shop.create("neighbour", input=None)
    assert shop.get("odd", shop.create("odd", input=None), wait=30)["status"] == status
    assert shop.get("odd", shop.create("odd", input=None), wait=30)["status"] == status
    gate.set()
    assert shop.get("neighbour", beside, wait=30)["result"] == "unharmed"
    assert shop.workers[0].running == 0


def test_a_handler_that_takes_its_task_down_loses_its_lease_and_frees_its_slot() -> None:
    def attempt(lease: float) -> None:
        shop = Shop(lease=lease)
        shop.hire(define_job("odd", run=generator_exit), define_job("even", run=nothing), slots=1)
        execution = shop.get("odd", shop.create("odd", input=None), wait=30)
        even = shop.get("even", shop.create("even", input=None), wait=30)
        shop.workers[0].stop()
        shop.engine.close()
        assert (execution["status"], execution["error"]["kind"]) == ("failed", "worker_lost")
        assert even["status"] == "completed"

    scaled(attempt, 0.2, 2.0)


def test_the_slot_of_a_sync_handler_is_free_when_its_thread_is(shop: Shop) -> None:
    started, gate = threading.Event(), threading.Event()

    @define_job("hang")
    def hang() -> None:
        started.set()
        gate.wait(PATIENCE)

    worker = shop.hire(hang, define_job("even", run=nothing), slots=1)
    hung = shop.create("hang", input=None)
    assert started.wait(PATIENCE)
    shop.engine.call("cancel_job_execution", "default", {"job": "hang", "execution_id": hung})
    even = shop.create("even", input=None)
    assert shop.get("even", even, wait=1)["status"] == "pending"
    assert worker.running == 1
    gate.set()
    assert shop.get("even", even, wait=30)["status"] == "completed"


def test_a_cancel_between_claim_and_begin_is_not_missed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = threading.Event()
    leases = LocalLeases(shop.engine, ["default"], "w")
    claim = leases.claim

    async def claim_and_cancel(*arguments: Any) -> Any:
        leased = await claim(*arguments)
        for item in leased:
            shop.engine.call("cancel_job_execution", "default", {"job": item.job, "execution_id": item.execution_id})
        return leased

    monkeypatch.setattr(leases, "claim", claim_and_cancel)
    worker = Worker(leases, [define_job("job", run=ran.set)], clock=SystemClock())
    shop.workers.append(worker)
    worker.start()
    execution = shop.get("job", shop.create("job", input=None), wait=30)
    assert execution["status"] == "cancelled"
    worker.stop()
    assert (ran.is_set(), worker.running, worker.holding) == (False, 0, 0)


def test_a_loop_that_is_taken_down_gives_its_tasks_back() -> None:
    shop = Shop()

    @define_job("job")
    async def job() -> None:
        await asyncio.Event().wait()

    async def main() -> str:
        worker = Worker(LocalLeases(shop.engine, ["default"], "w"), [job], clock=SystemClock())
        await worker.astart()
        id = shop.create("job", input=None)
        while worker.running == 0:
            await asyncio.sleep(0.001)
        return id

    view = shop.get("job", asyncio.run(main()))
    assert (view["status"], view["recoveries"]) == ("pending", [])
    assert (
        shop.engine.call("list_job_execution_events", "default", {"job": "job", "execution_id": view["metadata"]["id"]})["data"][
            -1
        ]["type"]
        == "task.released"
    )
    shop.engine.close()


class AsyncCallable:
    async def __call__(self, context: AsyncTaskContext) -> str:
        return context.job


def test_an_object_with_an_async_call_is_async(shop: Shop) -> None:
    assert shop.run(define_job("job", run=AsyncCallable()))["result"] == "job"


def test_a_name_is_defined_once(shop: Shop) -> None:
    worker = shop.hire(define_job("job", run=nothing))
    with pytest.raises(ConfigError, match="'job'"):
        worker.add(define_job("job", run=nothing))


async def test_a_worker_in_the_caller_s_loop() -> None:
    shop = Shop()
    loops: list[Any] = []

    @define_job("job")
    async def job() -> None:
        loops.append(asyncio.get_running_loop())

    worker = Worker(LocalLeases(shop.engine, ["default"], "w"), [job], clock=SystemClock())
    await worker.astart()
    id = shop.create("job", input=None)
    view = await shop.engine.acall("get_job_execution_status", "default", {"job": "job", "execution_id": id, "prefer": "wait=30"})
    await worker.astop()
    shop.engine.close()
    assert (view["status"], loops) == ("completed", [asyncio.get_running_loop()])
