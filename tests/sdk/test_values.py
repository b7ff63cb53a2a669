"""What a request may carry: the same over HTTP and in process, and the same words when it may not."""

import copy
import datetime
import enum
import pickle
from collections import OrderedDict, UserDict
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from blaxel_jobs import CreateJobExecutionRequest, InvalidRequest, JobManager, JobPriority, NotSerializable
from blaxel_jobs.errors import ContractError
from blaxel_jobs.jobs import Job
from blaxel_jobs.lazy import LazyList
from blaxel_jobs.plain import check_plain
from tests.sdk.fakes import Echo, created_view

LOOP: dict[str, Any] = {}
LOOP["again"] = LOOP


class Colour(enum.StrEnum):
    RED = "red"


@pytest.fixture(params=["http", "process"])
def job(request: pytest.FixtureRequest) -> Iterator[Job]:
    if request.param == "http":
        yield Echo(created_view()).job()
        return
    with JobManager(simulate=True) as manager:
        yield manager.job("my-job")


@pytest.mark.parametrize(
    ("value", "path", "why"),
    [
        (float("nan"), "tasks[1].v", "is nan"),
        ([0, float("-inf")], "tasks[1].v[1]", "is -inf"),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "tasks[1].v", "is a datetime"),
        ({1}, "tasks[1].v", "is a set"),
        ((1, 2), "tasks[1].v", "is a tuple"),
        ({"deep": [{"t": ()}]}, "tasks[1].v.deep[0].t", "is a tuple"),
        ({1: "one"}, "tasks[1].v", "has the key 1"),
        ({None: 0}, "tasks[1].v", "has the key None"),
        (Colour.RED, "tasks[1].v", "is a Colour"),
        (OrderedDict(a=1), "tasks[1].v", "is a OrderedDict"),
        ("\ud800", "tasks[1].v", "lone surrogate"),
        ({"\ud800": 1}, "tasks[1].v", "lone surrogate"),
        (LOOP, None, "contains itself"),
    ],
)
def test_what_json_does_not_give_back_equal_is_refused_alike_everywhere(job: Job, value: Any, path: str | None, why: str):
    with pytest.raises(InvalidRequest, match=why) as caught:
        job.create_execution(CreateJobExecutionRequest(tasks=[{}, {"v": value}]))
    assert caught.value.path == path
    assert caught.value.status_code == 422


def test_a_payload_itself_is_named_by_its_field(job: Job):
    with pytest.raises(InvalidRequest, match="input is a tuple") as caught:
        job.trigger((1, 2))
    assert caught.value.path == "input"


HALF = "a\ud800b"
"""No Unicode: half of what UTF-16 writes as a pair."""


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda job: job.get_execution(HALF), "executionId"),
        (lambda job: job.get_execution_status(HALF), "executionId"),
        (lambda job: job.wait_for_execution(HALF, max_wait=0), "executionId"),
        (lambda job: job.wait_for_executions([HALF], max_wait=0), "executionId"),
        (lambda job: next(iter(job.watch(HALF))), "executionId"),
        (lambda job: next(iter(job.stream_events(HALF))), "executionId"),
        (lambda job: job.cancel_execution(HALF), "executionId"),
        (lambda job: job.pause_execution(HALF), "executionId"),
        (lambda job: job.delete_execution(HALF), "executionId"),
        (lambda job: job.rerun_execution(HALF), "executionId"),
        (lambda job: job.get_logs(HALF), "executionId"),
        (lambda job: job.send_event(HALF, "n"), "executionId"),
        (lambda job: job.send_event("e", HALF), "name"),
        (lambda job: job.trigger(1, execution_id=HALF), "executionId"),
        (lambda job: job.trigger(1, idempotency_key=HALF), "idempotencyKey"),
        (lambda job: job.trigger(1, concurrency_key=HALF), "concurrencyKey"),
        (lambda job: job.trigger_many([1], idempotency_key=HALF), "idempotencyKey"),
    ],
)
def test_text_that_is_no_unicode_is_refused_by_its_field(job: Job, call: Any, path: str):
    with pytest.raises(InvalidRequest, match=f"{path} has a lone surrogate") as caught:
        call(job)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda jobs: jobs.list_executions(batch=HALF), "batch"),
        (lambda jobs: jobs.drive(HALF), "executionId"),
    ],
)
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_filter_that_is_no_unicode_is_refused_too(tmp_path: Path, store: str, call: Any, path: str):
    url = "memory:" if store == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    with JobManager(url) as manager, pytest.raises(InvalidRequest, match=f"{path} has a lone surrogate") as caught:
        call(manager)
    assert caught.value.path == path


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"A": "x\0"}], ids=repr)
def test_what_no_environment_carries_is_refused(env: dict[str, str]):
    with JobManager(simulate=True) as manager:
        job = manager.job("my-job")
        with pytest.raises(InvalidRequest, match="env") as caught:
            job.trigger(1, env=env)
        assert str(caught.value.path).startswith("env")
        assert job.trigger("\0", metadata={"\0": "\0"}, env={"A": "=", "é": ""}).refresh().metadata.custom == {"\0": "\0"}


def test_mappings_and_words_of_ours_are_taken_for_what_they_stand(job: Job):
    proxy = MappingProxyType({"a": "b"})
    assert job.run([proxy], env=proxy)
    assert job.trigger(1, metadata=UserDict(k=1), priority=JobPriority.HIGH).id
    assert job.create_execution(CreateJobExecutionRequest(tasks=[{}], priority=JobPriority.LOW))


def test_not_serializable_names_the_place():
    with pytest.raises(NotSerializable, match=r"result\.a\[0\] is a set") as caught:
        check_plain({"a": [{1}]}, "result")
    assert caught.value.path == "result.a[0]"
    with pytest.raises(NotSerializable) as whole:
        check_plain({1})
    assert whole.value.path is None


# Lists that are read late


def test_a_list_is_read_when_it_is_used_and_once():
    read: list[int] = []

    def double(item: int) -> int:
        read.append(item)
        return item * 2

    lazy = LazyList(double, [1, 2, 3])
    assert isinstance(lazy, list)
    assert not read
    assert [*lazy] == [2, 4, 6]
    assert lazy == [2, 4, 6]
    assert lazy[-1] == 6
    assert read == [1, 2, 3]


@pytest.mark.parametrize(
    "use",
    [
        len, bool, list, tuple, sorted, repr, sum, copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)),
        lambda it: 2 in it, lambda it: it + [1],  # noqa: RUF005
        lambda it: it * 2, lambda it: 2 * it, lambda it: it[1:], lambda it: it.index(3),
        lambda it: [*reversed(it)], lambda it: it == [1, 2, 3], lambda it: it != [1], lambda it: it < [4], lambda it: it.copy(),
        lambda it: [it.append(4), it.pop(0), it.insert(1, 9), it.extend([5]), it.remove(9), it.sort(), [*it]],
        lambda it: [it.__setitem__(0, 5), it.__delitem__(1), [*it]], lambda it: it.__iadd__([1]), lambda it: it.__imul__(2),
        lambda it: [it.clear(), [*it]], lambda it: [it.reverse(), [*it]], lambda it: it.count(1),
        lambda it: __import__("json").dumps(it), lambda it: "-".join(map(str, it)), lambda it: {**dict.fromkeys(it)},
    ],
)  # fmt: skip
def test_a_late_list_is_a_list_in_every_way(use: Any):
    assert use(LazyList(int, ["1", "2", "3"])) == use([1, 2, 3])


def test_an_item_that_cannot_be_read_is_a_contract_error():
    with pytest.raises(ContractError, match="KeyError"):
        len(LazyList(lambda item: item["metadata"], [{}]))
    with pytest.raises(TypeError, match="int is no list"):
        LazyList(int, 5)
