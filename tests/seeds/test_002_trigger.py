"""Seed 002, "Triggering Jobs": plainly, with an idempotency key, with a concurrency key, and many at once."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest

from blaxel_jobs import Execution, IdempotencyConflict, InvalidRequest, Job, JobDef, JobManager, JobsClient, KeyInUse, define_job
from tests.pace import PATIENCE, until, within
from tests.serving import serving


@attrs.frozen
class Order:
    id: str


@define_job("my-job", input=Order)
def my_job(step: Any, order: Order) -> str:
    return order.id


def test_s2_14_trigger_returns_an_execution_that_starts_at_once(manager: JobManager) -> None:
    handle = manager.register(my_job)
    handle.trigger({"id": "warm"}).wait_done(PATIENCE)

    def attempt() -> float:
        run = handle.trigger({"id": "abc123"})
        assert isinstance(run, Execution)
        assert (run.job, run.status) == ("my-job", "pending")
        assert run.get_result(PATIENCE) == "abc123"
        assert run.started_at is not None
        return (run.started_at - run.created_at).total_seconds()

    assert within(0.5, attempt) >= 0


def check_idempotency(handle: Job[Any, Any], threads: int = 50) -> None:
    together = threading.Barrier(threads)

    def trigger(_: int) -> str:
        together.wait(PATIENCE)
        return handle.trigger({"id": "abc123"}, idempotency_key="unique-request-id").id

    with ThreadPoolExecutor(threads) as pool:
        ids = set(pool.map(trigger, range(threads)))
    assert len(ids) == 1
    assert len(handle.list_executions()) == 1
    with pytest.raises(IdempotencyConflict) as refused:
        handle.trigger({"id": "another"}, idempotency_key="unique-request-id")
    assert refused.value.status_code == 409
    (id,) = ids
    assert handle.wait_for_execution(id, PATIENCE).result == "abc123"
    assert handle.trigger({"id": "abc123"}, idempotency_key="unique-request-id").id == id  # also when it has ended
    handle.delete_execution(id)
    again = handle.trigger({"id": "another"}, idempotency_key="unique-request-id")
    assert again.id != id
    assert again.get_result(PATIENCE) == "another"


def test_s2_15_the_same_idempotency_key_makes_one_execution(manager: JobManager) -> None:
    check_idempotency(manager.register(my_job))


@pytest.mark.slow
def test_s2_15_the_same_idempotency_key_makes_one_execution_over_http(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/jobs.db"
    with serving(tmp_path, store, "--worker", __name__) as server, JobsClient(server.url) as client:
        check_idempotency(client.job(my_job))


class Watched:
    """A job that writes down what of each key runs at once, and in which order it began."""

    def __init__(self, **options: Any) -> None:
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.order: list[tuple[str, int]] = []
        self.keys_at_once = 0
        self._lock = threading.Lock()
        self._other_key = threading.Event()
        self.job: JobDef[Any, Any] = define_job("watched", run=self._run, **options)

    def _run(self, step: Any, payload: dict[str, Any]) -> None:
        key = payload["key"]
        with self._lock:
            self.running[key] += 1
            self.most[key] = max(self.most[key], self.running[key])
            self.order.append((key, payload["n"]))
            self.keys_at_once = max(self.keys_at_once, len(+self.running))
            if len(+self.running) > 1:
                self._other_key.set()
        # The first ones wait for one of another key beside them; if keys excluded each other, none would come.
        assert self._other_key.wait(PATIENCE)
        with self._lock:
            self.running[key] -= 1


@pytest.fixture(params=["memory", "sqlite-three-workers"])
def managers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[JobManager]]:
    """One on a memory store, which takes no more, or three on a SQLite file, each with its engine and its worker."""
    with ExitStack() as stack:
        stores = ["memory:"] if request.param == "memory" else [f"sqlite:///{tmp_path}/jobs.db"] * 3
        yield [stack.enter_context(JobManager(store, slots=8)) for store in stores]


def test_s2_16_executions_of_one_concurrency_key_run_one_after_the_other(managers: list[JobManager]) -> None:
    watched = Watched()
    handles = [each.register(watched.job) for each in managers]
    runs = [
        handles[0].trigger({"key": key, "n": n}, concurrency_key=key) for n in range(8) for key in ("user_123", "user_456")
    ]  # fmt: skip
    for handle in handles[1:]:
        handle.trigger({"key": "other", "n": 0})  # its worker begins
    for run in runs:
        assert run.wait_done(PATIENCE).status == "completed"
    assert {key: watched.most[key] for key in ("user_123", "user_456")} == {"user_123": 1, "user_456": 1}
    assert watched.keys_at_once >= 2
    for key in ("user_123", "user_456"):
        assert [n for other, n in watched.order if other == key] == list(range(8))
    for run in runs:
        assert run.refresh().attempts == 1


def test_s2_16_another_one_waits_for_concurrency_and_may_be_refused_instead(manager: JobManager) -> None:
    gate = threading.Event()
    handle = manager.register(define_job("gated", run=lambda: gate.wait(PATIENCE)))
    first = handle.trigger(concurrency_key="user_123")
    second = handle.trigger(concurrency_key="user_123")
    for update in first.watch():
        if update.status == "running":
            break
    until(lambda: second.refresh().waiting_for == "concurrency", "it waits for the first one")
    assert (second.status, second.attempts) == ("pending", 0)
    with pytest.raises(KeyInUse) as refused:
        handle.trigger(concurrency_key="user_123", on_conflict="reject")
    assert refused.value.status_code == 409
    assert handle.trigger(concurrency_key="user_123", on_conflict="coalesce").id == second.id
    gate.set()
    assert second.wait_done(PATIENCE).status == "completed"
    assert second.started_at is not None
    assert first.refresh().ended_at is not None
    assert second.started_at >= first.ended_at
    assert len(handle.list_executions()) == 2


def test_s2_17_the_definition_says_how_many_of_a_key_run_at_once(managers: list[JobManager]) -> None:
    three, most, running, lock = threading.Barrier(3), [0], [0], threading.Lock()

    @define_job("three", concurrency_per_key=3)
    def run() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        three.wait(PATIENCE)  # three of them are reached
        with lock:
            running[0] -= 1

    handles = [each.register(run) for each in managers]
    runs = [handles[n % len(handles)].trigger(concurrency_key="user_123") for n in range(12)]
    for execution in runs:
        assert execution.wait_done(PATIENCE).status == "completed"
    assert most == [3]


@pytest.mark.parametrize("bad", [{"id": 5}, {}, None])
def test_s2_24_one_bad_payload_of_a_hundred_and_nothing_is_created(bad: Any, manager: JobManager) -> None:
    handle = manager.register(my_job)
    payloads: list[Any] = [{"id": f"order-{n}"} for n in range(100)]
    payloads[57] = bad
    with pytest.raises(InvalidRequest) as refused:
        handle.trigger_many(payloads)
    assert (refused.value.path or "").startswith("payloads[57]")
    assert list(handle.list_executions()) == []
    payloads[57] = Order("order-57")
    batch = handle.trigger_many(payloads, tags=["nightly"])
    assert len(batch) == 100
    assert [each.get_result(PATIENCE) for each in batch.wait_done(PATIENCE).executions] == [f"order-{n}" for n in range(100)]
    assert batch.counts["completed"] == batch.counts["total"] == 100


@pytest.mark.slow
def test_s2_24_the_server_refuses_all_of_them_too(tmp_path: Path) -> None:
    with serving(tmp_path, "memory:", "--worker", __name__) as server, JobsClient(server.url) as client:
        items: list[Any] = [{"job": "my-job", "payload": {"id": f"order-{n}"}} for n in range(100)]
        with pytest.raises(InvalidRequest) as refused:
            client.create_batch([*items[:57], {"job": "my-job", "payload": {"id": "x"}, "max_retries": -1}, *items[58:]])
        assert "items[57]" in (refused.value.path or "")
        assert list(client.list_executions()) == []
        assert client.create_batch(items).wait_done(PATIENCE).counts["completed"] == 100
