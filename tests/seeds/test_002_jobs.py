"""Seed 002, "Defining a Job": the definition, the options, what the handler is given and what it may return."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import attrs
import pydantic
import pytest

from blaxel_jobs import ConfigError, InvalidRequest, Job, JobDef, JobManager, JobsClient, define_job
from blaxel_jobs.stores import DatabaseJobStore
from tests.pace import PATIENCE
from tests.serving import plain_environment, serving

STANDALONE = """
import socket, sys, threading
socket.socket = None  # whoever wants one fails

from blaxel_jobs import define_job

@define_job("my-job", max_retries=3, queue="slow")
def my_job(step, payload):
    return {"result": step.run("double", lambda: payload["id"] * 2)}

class Step:
    def run(self, name, fn):
        return fn()

assert my_job(Step(), {"id": "abc"}) == {"result": "abcabc"}
assert (my_job.name, my_job.queue, threading.active_count()) == ("my-job", "slow", 1)
loaded = {"sqlalchemy", "alembic", "httpx", "blaxel_jobs.engine", "blaxel_jobs.stores", "blaxel_jobs.manager"} & sys.modules.keys()
assert not loaded, loaded
"""


@attrs.frozen
class Order:
    id: str
    items: list[int] = attrs.Factory(list)


@dataclass
class Receipt:
    result: str


class Draft(TypedDict):
    id: str


class Form(pydantic.BaseModel):
    id: str


@define_job("orders", input=Order, output=Receipt)
def orders(step: Any, order: Order) -> Receipt:
    return Receipt(f"done {order.id}")


def test_s2_01_a_definition_needs_neither_server_nor_store_nor_socket(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STANDALONE]
    done = subprocess.run(command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("said", ["url", "dialect"])
def test_s2_02_a_manager_is_made_of_a_url_or_a_dialect(said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store = DatabaseJobStore(dialect="sqlite", path=path) if said == "dialect" else f"sqlite:///{path}"
    with JobManager(store) as manager:
        run = manager.register(orders).trigger(Order("abc123"))
        assert run.get_result(PATIENCE) == Receipt("done abc123")
    with JobManager(f"sqlite:///{path}", worker=False) as later:
        assert later.get_execution(run.id).result == {"result": "done abc123"}


def test_s2_03_register_gives_typed_handles(manager: JobManager) -> None:
    handle = manager.register(orders)
    assert isinstance(handle, Job)
    assert handle.name == "orders"
    assert handle.trigger(Order("a")).get_result(PATIENCE) == Receipt("done a")
    other = define_job("other", run=lambda: "other")
    both = manager.register(orders, other)  # the same definition again is the same job
    assert [each.name for each in both] == ["orders", "other"]
    assert both[1].trigger().get_result(PATIENCE) == "other"
    with pytest.raises(ConfigError, match="orders"):
        manager.register(define_job("orders", run=lambda: "another"))
    assert handle.trigger(Order("b")).get_result(PATIENCE) == Receipt("done b")


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "ä", "x" * 1000, None, 5])
def test_s2_04_a_name_that_cannot_be_is_refused_where_the_job_is_defined(name: Any) -> None:
    with pytest.raises(ValueError, match="name"):
        define_job(name, run=lambda: None)
    with pytest.raises(ValueError, match="name"):
        define_job(name)


def test_s2_04_the_name_and_the_handler_are_required() -> None:
    with pytest.raises(TypeError):
        define_job(run=lambda: None)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="twin"), JobManager("memory:") as manager:
        manager.register(define_job("twin", run=lambda: 1), define_job("twin", run=lambda: 2))


BAD = [
    ({"id": 5}, "input.id"),
    ({}, "input"),
    ({"id": "a", "items": [1, "two"]}, "input.items[1]"),
    (None, "input"),
    (Receipt("no order"), "input"),
]


def check_refusals(handle: Job[Any, Any]) -> None:
    for payload, path in BAD:
        with pytest.raises(InvalidRequest) as refused:
            handle.trigger(payload)
        assert (refused.value.path or "").startswith(path), (payload, refused.value.path)
        assert isinstance(refused.value, ValueError)
    assert list(handle.list_executions()) == []
    assert handle.trigger({"id": "plain"}).get_result(PATIENCE) == Receipt("done plain")
    assert handle.trigger(Order("typed", [1, 2])).get_result(PATIENCE) == Receipt("done typed")


def test_s2_05_a_bad_payload_is_refused_before_anything_is_created(manager: JobManager) -> None:
    check_refusals(manager.register(orders))


@pytest.mark.slow
def test_s2_05_a_bad_payload_is_refused_by_the_client_too(tmp_path: Path) -> None:
    with serving(tmp_path, "memory:", "--worker", __name__) as server, JobsClient(server.url) as client:
        check_refusals(client.job(orders))


def test_s2_05_the_server_checks_what_a_handler_is_given_where_the_client_knows_no_definition(manager: JobManager) -> None:
    manager.register(orders)
    failed = manager.trigger("orders", {"id": 5}, max_retries=3).wait_done(PATIENCE)
    assert failed.error is not None
    assert (failed.status, failed.error.kind, failed.attempts) == ("failed", "invalid_input", 1)
    assert "id" in failed.error.message


@pytest.mark.parametrize(("kind", "given"), [(Order, Order("a", [1])), (Receipt, Receipt("a")), (Form, Form(id="a"))])
def test_s2_06_the_payload_arrives_as_its_type(kind: type, given: Any, manager: JobManager) -> None:
    seen: list[Any] = []
    job = manager.register(define_job("typed", input=kind, run=lambda step, payload: seen.append(payload)))
    plain = {Order: {"id": "a", "items": [1]}, Receipt: {"result": "a"}, Form: {"id": "a"}}[kind]
    for payload in (given, plain):
        job.trigger(payload).get_result(PATIENCE)
    assert [type(each) for each in seen] == [kind, kind]
    assert seen == [given, given]


@pytest.mark.parametrize("kind", [Draft, dict, None])
def test_s2_06_a_typed_dict_and_a_plain_dict_arrive_as_a_dict(kind: Any, manager: JobManager) -> None:
    seen: list[Any] = []
    job = manager.register(define_job("plain", input=kind, run=lambda step, payload: seen.append(payload)))
    given = {"id": "ä\u2028", "more": [None, {"deep": 1.5}]} if kind is not Draft else {"id": "ä\u2028"}
    job.trigger(given).get_result(PATIENCE)
    assert seen == [given]
    assert type(seen[0]) is dict


def test_s2_06_the_annotation_of_the_handler_is_enough(manager: JobManager) -> None:
    def run(step: Any, order: Order) -> str:
        assert type(order) is Order
        return order.id

    job = manager.register(define_job("annotated", run=run))
    assert job.trigger(Order("a")).get_result(PATIENCE) == "a"
    with pytest.raises(InvalidRequest):
        job.trigger({"id": 5})


def wrong(value: Any) -> JobDef[Any, Any]:
    return define_job("wrong", output=Receipt, run=lambda: value, max_retries=5, retry_delay=0)


@pytest.mark.parametrize("value", [{"result": 5}, {}, "text", None, Order("a")])
def test_s2_07_another_value_than_output_says_fails_the_job_for_good(value: Any, manager: JobManager) -> None:
    failed = manager.register(wrong(value)).trigger().wait_done(PATIENCE)
    assert failed.error is not None
    assert (failed.status, failed.error.kind, failed.attempts) == ("failed", "invalid_output", 1)
    assert re.search("Receipt|result", failed.error.message)


def test_s2_07_output_is_optional(manager: JobManager) -> None:
    job = manager.register(define_job("free", run=lambda: {"any": ["thing", 1]}))
    assert job.trigger().get_result(PATIENCE) == {"any": ["thing", 1]}


def plain(step: Any, payload: Any) -> Any:
    return [step.run("a", lambda: payload["id"])]


async def awaited(step: Any, payload: Any) -> Any:
    return [await step.run("a", lambda: payload["id"])]


def short(step: Any) -> Any:
    return [step.payload["id"]]


@pytest.mark.parametrize("run", [plain, awaited, short])
def test_s2_08_the_handler_is_a_def_or_an_async_def(run: Any, manager: JobManager) -> None:
    job = manager.register(define_job("my-job", run=run))
    assert job.trigger({"id": "abc123"}).get_result(PATIENCE) == ["abc123"]


async def test_s2_08_async_handlers_run_in_the_callers_loop(store: str) -> None:
    import asyncio

    loops: list[Any] = []

    async def run(step: Any, payload: Any) -> None:
        loops.append(await step.run("which", running))

    async def running() -> bool:
        return asyncio.get_running_loop() is here

    here = asyncio.get_running_loop()
    async with JobManager(store) as manager:
        execution = await manager.register(define_job("my-job", run=run)).atrigger({"id": "abc123"})
        await execution.aget_result(PATIENCE)
    assert loops == [True]
