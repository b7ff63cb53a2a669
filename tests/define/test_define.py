"""`define_job`: both forms, what it refuses, and what the server is told."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import attrs
import pytest

from blaxel_jobs.core.requests import read_definition
from blaxel_jobs.define import JobDef, RetryPolicy, define_job
from blaxel_jobs.errors import InvalidRequest
from blaxel_jobs.values import check_input, decode_input, encode_output


@attrs.frozen
class Order:
    id: str
    count: int = 1


@attrs.frozen
class Branch:
    leaf: "LaterLeaf"  # type: ignore[name-defined]  # noqa: F821


def handler(context: object, payload: Any) -> Any:
    return payload


async def async_handler(context: object, payload: Order) -> Order:
    return payload


def test_s2_01_a_definition_needs_neither_server_nor_store():
    code = (
        "import sys; from blaxel_jobs.define import define_job; define_job('x', run=print, max_retries=3);"
        "print([name for name in ('httpx', 'sqlalchemy', 'msgspec', 'pydantic', 'blaxel_jobs.engine') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_s2_01_both_forms_define_the_same():
    decorated = define_job("my-job", max_retries=2, timeout=1.5)(handler)
    assert decorated == define_job("my-job", run=handler, max_retries=2, timeout=1.5)
    assert isinstance(decorated, JobDef)
    assert decorated(None, {"a": 1}) == {"a": 1}
    assert (decorated.takes, decorated.is_async) == (2, False)


@pytest.mark.parametrize("name", ["", "a b", "-a", "ä", "a" * 129, None, 3, b"a"])
def test_s2_04_a_bad_name_is_refused(name: Any):
    with pytest.raises(ValueError, match="is not a job name"):
        define_job(name, run=handler)
    with pytest.raises(ValueError, match="is not a job name"):
        define_job(name)


def test_s2_04_a_name_is_needed():
    with pytest.raises(TypeError, match="name"):
        define_job()  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="a job has a name"):
        define_job(handler)  # type: ignore[call-overload]


def test_s2_08_def_and_async_def_of_every_length():
    class Called:
        async def __call__(self, context: object) -> None: ...

    async def nothing() -> None: ...

    async def three(bound: int, context: object, payload: object) -> None: ...

    shapes: dict[Any, tuple[int, bool]] = {nothing: (0, True), Called(): (1, True), async_handler: (2, True)}
    shapes |= {partial(three, 1): (2, True), handler: (2, False), print: (2, False)}
    for run, (takes, is_async) in shapes.items():
        job = define_job("job", run=run)
        assert (job.takes, job.is_async) == (takes, is_async), run


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("max_retries", [-1, 10_001, 1.0, True, NAN, "3"]),
        ("retry_delay", [-0.1, NAN, INFINITE, True, "1", 1e12]),
        ("timeout", [0, 0.0, -1, NAN, INFINITE, True, "1"]),
        ("retention", [-1, 0, 86_400, True]),
        ("concurrency", [0, -1, 1.5, True, NAN]),
        ("concurrency_per_key", [0, -1, 1.5, True]),
        ("priority", ["urgent", 1, ""]),
        ("queue", ["", "a\nb", "x" * 256, 3]),
        ("retry_policy", [{"first": 1}, 3, "full", {3: 1}]),
        ("executor", ["fork", 3, object()]),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_argument(argument: str, values: list[Any]):
    for value in values:
        with pytest.raises(ValueError, match=argument):
            define_job("job", run=handler, **{argument: value})


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("initial", [-1, NAN, INFINITE, True]),
        ("factor", [0.5, NAN, 1001, False]),
        ("max", [-1, INFINITE]),
        ("jitter", ["half", None]),
    ],
)
def test_a_bad_field_of_a_retry_policy_is_refused_by_its_name(field: str, values: list[Any]):
    for value in values:
        for policy in ({field: value}, RetryPolicy(**{field: value})):
            with pytest.raises(ValueError, match=rf"retry_policy\.{field}"):
                define_job("job", run=handler, retry_policy=policy)


def test_one_of_a_fixed_and_a_growing_wait():
    with pytest.raises(ValueError, match="retry_delay.*retry_policy"):
        define_job("job", run=handler, retry_delay=1, retry_policy={})


def test_an_executor_is_for_def_handlers():
    with ThreadPoolExecutor(1) as pool:
        for executor in ("thread", "process", pool):
            assert define_job("job", run=handler, executor=executor).executor is executor
            with pytest.raises(ValueError, match="executor is for def handlers"):
                define_job("job", run=async_handler, executor=executor)


def test_what_is_not_set_is_not_told():
    assert define_job("job", run=handler).definition() == {}
    job = define_job("job", run=handler)
    assert {
        field.name
        for field in attrs.fields(JobDef)
        if field.init and field.name not in ("name", "run") and getattr(job, field.name)
    } == set()


def test_the_definition_on_the_wire_is_the_contract_s():
    job = define_job(
        "job",
        run=async_handler,
        max_retries=3,
        retry_policy={"initial": 0.5, "factor": 3},
        timeout=0.0001,
        priority="high",
        concurrency=4,
        concurrency_per_key=2,
        queue="images",
    )
    definition = job.definition()
    schema = definition.pop("inputSchema")
    assert definition.pop("outputSchema") == schema
    assert schema["$defs"]["Order"]["required"] == ["id"]
    assert definition == {
        "queue": "images",
        "maxRetries": 3,
        "retryPolicy": {"initialMs": 500, "factor": 3, "maxMs": 300_000, "jitter": "full"},
        "timeoutMs": 1,
        "priority": "high",
        "concurrency": 4,
        "concurrencyPerKey": 2,
    }
    assert read_definition("default", "job", job.definition()).queue == "images"
    assert define_job("job", run=handler, max_retries=0, retry_delay=0).definition() == {"maxRetries": 0, "retryDelayMs": 0}


def test_a_callable_has_no_schema():
    assert define_job("job", run=handler, input=lambda value: value, output=lambda value: value).definition() == {}


def test_input_is_looked_at_when_the_job_is_defined():
    class Odd: ...

    kinds: list[Any] = [Odd, list[Odd], 5, "Order"]
    for kind in kinds:
        for argument in ("input", "output"):
            with pytest.raises(TypeError, match=f"^{argument}: "):
                define_job("job", run=handler, **{argument: kind})


def test_a_type_may_mention_a_class_that_comes_later():
    job = define_job("job", run=handler, input=Branch)
    with pytest.raises(NameError, match="LaterLeaf"):
        _ = job.accepts
    globals()["LaterLeaf"] = Order
    try:
        assert decode_input(job.accepts, '{"leaf":{"id":"a"}}') == Branch(Order("a"))
    finally:
        del globals()["LaterLeaf"]


def test_s2_05_the_handler_s_own_annotation_is_checked_where_there_is_no_input():
    job = define_job("job", run=async_handler)
    assert check_input(job.accepts, Order("a")) == {"id": "a", "count": 1}
    with pytest.raises(InvalidRequest) as refused:
        check_input(job.accepts, {"id": "a", "count": "many"})
    assert refused.value.path == "input.count"
    assert decode_input(job.accepts, '{"id":"a"}') == Order("a")
    assert decode_input(job.accepts, encode_output(job.returns, Order("a"))) == Order("a")


def test_type_arguments_may_be_left_out():
    assert JobDef[int] == JobDef[int, Any]
    assert JobDef[int, str] != JobDef[int, Any]
