"""Requests are checked once, for HTTP and in process, and every refusal names the field."""

import json
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.reading import read_json
from blaxel_jobs.core.records import Definition, Policy, RetryPolicy
from blaxel_jobs.core.requests import (
    Sent,
    check_durations,
    parse_prefer,
    read_batch,
    read_create,
    read_definition,
    read_delete,
    read_event,
    read_rerun,
    read_statuses,
)
from blaxel_jobs.errors import InvalidRequest, MalformedRequest
from blaxel_jobs.words import WaitingFor


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ([], ""),
        ({}, "tasks"),
        ({"tasks": []}, "tasks"),
        ({"tasks": [{}] * 10_001}, "tasks"),
        ({"tasks": {}}, "tasks"),
        ({"tasks": [{}, 3]}, "tasks[1]"),
        ({"input": 1, "tasks": [{}]}, "input"),
        ({"input": 1, "color": "red"}, "color"),
        ({"input": 1, "priority": "urgent"}, "priority"),
        ({"input": 1, "executionId": "a/b"}, "executionId"),
        ({"input": 1, "executionId": ""}, "executionId"),
        ({"input": 1, "executionId": "a\n"}, "executionId"),
        ({"input": 1, "idempotencyKey": ""}, "idempotencyKey"),
        ({"input": 1, "idempotencyKey": "k" * 256}, "idempotencyKey"),
        ({"input": 1, "idempotencyKey": "k\0"}, "idempotencyKey"),
        ({"input": 1, "idempotencyKey": "k\n"}, "idempotencyKey"),
        ({"input": 1, "idempotencyKey": "\x7fk"}, "idempotencyKey"),
        ({"input": 1, "name": "a\0b"}, "name"),
        ({"input": 1, "name": "a\n"}, "name"),
        ({"input": 1, "description": "a\n\0"}, "description"),
        ({"input": 1, "description": "\x1b[2J"}, "description"),
        ({"input": 1, "tags": ["a", "b\t"]}, "tags[1]"),
        ({"input": 1, "tags": ["a", ""]}, "tags[1]"),
        ({"input": 1, "tags": "a"}, "tags"),
        ({"input": 1, "env": {"A": 1}}, "env[...]"),
        ({"input": 1, "env": {"A": "\0"}}, "env[...]"),
        ({"input": 1, "env": {"": "x"}}, "env"),
        ({"input": 1, "env": {"A=B": "x"}}, "env"),
        ({"input": 1, "env": {"A\0": "x"}}, "env"),
        ({"input": 1, "memory": 0}, "memory"),
        ({"input": 1, "memory": 1.5}, "memory"),
        ({"input": 1, "metadata": []}, "metadata"),
        ({"input": 1, "allowQueue": "no"}, "allowQueue"),
        ({"input": 1, "name": None}, "name"),
    ],
)
def test_a_bad_body_names_its_field(body: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_create("default", "job", body)
    assert caught.value.path == path
    assert str(caught.value)


@pytest.mark.parametrize("job", ["", "-a", "a b", "a/b", "a" * 129, "ä", "a\n"])
def test_a_bad_job_name_is_refused(job: str) -> None:
    with pytest.raises(InvalidRequest, match="job name") as caught:
        read_create("default", job, {"input": 1})
    assert caught.value.path == "job"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[1,]", b"{'a':1}", b"1 2"])
def test_broken_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match="not JSON"):
        read_json(body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_that_is_not_finite_is_named(number: str) -> None:
    with pytest.raises(MalformedRequest, match="not a finite number") as caught:
        read_create("default", "job", f'{{"tasks":[{{}},{{"duration":{number}}}]}}'.encode())
    assert caught.value.path == "tasks[1].duration"


@pytest.mark.parametrize("body", [{"input": 1, "memory": 512.0}, {"tasks": [{"a": 1}], "name": "x", "priority": "high"}])
def test_a_text_and_what_it_stands_for_are_read_alike(body: Any) -> None:
    assert read_create("default", "job", msgspec.json.encode(body)) == read_create("default", "job", body)


def test_depth_is_bounded() -> None:
    deepest = nested(63)
    assert read_json(msgspec.json.encode({"input": deepest})) == {"input": deepest}
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        read_json(msgspec.json.encode({"input": nested(64)}))
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        read_json(b"[" * 100_000 + b"]" * 100_000)


def test_brackets_in_text_are_no_depth() -> None:
    assert read_json(msgspec.json.encode({"input": "[" * 1000})) == {"input": "[" * 1000}


@pytest.mark.parametrize(
    ("body", "same"),
    [
        ({"name": "x", "tasks": [{"b": [2], "a": 1}]}, True),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "idempotencyKey": "k"}, True),
        ({"name": "y", "tasks": [{"b": [2], "a": 1}]}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": True}]}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}, {}]}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "priority": "high"}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "priority": "medium"}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "maxRetries": 0}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "concurrencyKey": "c"}, False),
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "metadata": {}}, False),
        ({"name": "x", "input": {"b": [2], "a": 1}}, False),
    ],
)
def test_a_body_is_the_same_when_it_means_the_same(body: Any, same: bool) -> None:
    first = read_create("default", "job", {"tasks": [{"a": 1, "b": [2]}], "name": "x"})
    execution, tasks = first.records("e1", 1.0)
    assert first.made(execution, tasks)
    assert read_create("default", "job", body).made(execution, tasks) is same
    assert not read_create("default", "other", body).made(execution, tasks)


def test_the_body_s_key_wins_over_the_header_s() -> None:
    assert read_create("default", "job", {"input": 1, "idempotencyKey": "a"}, "b").idempotency_key == "a"
    assert read_create("default", "job", {"input": 1}, "b").idempotency_key == "b"


@pytest.mark.parametrize("key", ["", "k" * 256, "k\0", "k\t", "\x7f"])
def test_a_key_of_the_header_is_checked_as_the_body_s(key: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_create("default", "job", {"input": 1}, key)
    assert caught.value.path == "Idempotency-Key"


def test_free_text_has_lines_and_any_letter() -> None:
    spec = read_create("default", "job", {"input": 1, "name": "né \x80☃", "description": "a\r\n\tb", "tags": ["ü 1"]}, "k é").spec
    assert (spec.name, spec.description, spec.tags) == ("né \x80☃", "a\r\n\tb", ["ü 1"])


@pytest.mark.parametrize("duration", ["-1", "-0.5", '"60"', "true", "null", "[1]"])
def test_a_duration_is_a_number_of_seconds(duration: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_durations(("{}", f'{{"duration":{duration}}}'), single=False)
    assert caught.value.path == "tasks[1].duration"
    with pytest.raises(InvalidRequest) as caught:
        check_durations((f'{{"duration":{duration}}}',), single=True)
    assert caught.value.path == "input.duration"
    with pytest.raises(InvalidRequest) as caught:
        check_durations((f'{{"duration":{duration}}}',), single=True, within="items[3].")
    assert caught.value.path == "items[3].input.duration"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("wait=10", 10),
        ("Wait=10", 10),
        ("wait = 10", 10),
        ('wait="10"', 10),
        ("wait=0", 0),
        ("wait=31", 30),
        ("respond-async, wait=10", 10),
        ("wait=10, respond-async", 10),
        ("wait=10; x=y", 10),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=٣", None),
        ("wait", None),
        ("await=10", None),
        ("wait=" + "9" * 50, None),
    ],
)
def test_prefer_is_read_as_rfc_7240_says(header: str | None, seconds: int | None) -> None:
    assert parse_prefer(header) == seconds


def test_every_kind_of_line_end_stays_in_its_value() -> None:
    values = [{"text": "a\nb\r\nc\u2028d\x85e\x1cf\x0bg"}, {}, {"n": None}]
    made = read_create("default", "job", {"tasks": values})
    assert [json.loads(text) for text in made.inputs] == values


OPTIONS = {
    "name": "n", "description": "d", "tags": ["t"], "metadata": {"k": 1}, "env": {"A": "b"}, "memory": 64, "priority": "high",
    "autoStart": False, "delayMs": 1500, "maxRetries": 3, "retryPolicy": {"initialMs": 100, "jitter": "none"}, "timeoutMs": 60_000,
    "failFast": True, "concurrencyKey": "user", "onConflict": "coalesce", "allowQueue": False,
}  # fmt: skip


def test_the_options_of_a_create() -> None:
    create = read_create("default", "job", {"input": 1, **OPTIONS})
    policy = Policy(max_retries=3, retry=RetryPolicy(0.1, 2.0, 300.0, "none"), timeout=60.0, fail_fast=True)
    assert (create.policy, create.delay, create.concurrency_key) == (policy, 1.5, "user")
    assert (create.on_conflict, create.allow_queue, create.priority) == ("coalesce", False, "high")
    execution, tasks = create.records("e1", 10.0, batch="b1")
    assert (execution.policy, execution.spec.run_at, execution.batch) == (policy, 11.5, "b1")
    assert execution.waiting_for is tasks[0].waiting_for is WaitingFor.START
    assert create.made(execution, tasks)
    assert not read_create("default", "job", {"input": 1, **OPTIONS, "delayMs": 1501}).made(execution, tasks)


def test_a_create_that_waits_for_its_time() -> None:
    execution, tasks = read_create("default", "job", {"input": 1, "runAt": "1970-01-01T01:00:00+00:30"}).records("e1", 10.0)
    assert (execution.waiting_for, execution.wait_until) == (tasks[0].waiting_for, tasks[0].due_at) == (WaitingFor.TIME, 1800.0)
    late, tasks = read_create("default", "job", {"input": 1, "delayMs": 0}).records("e1", 10.0)
    assert (late.waiting_for, late.spec.run_at, tasks[0].waiting_for) == (None, 10.0, None)


def test_a_definition_says_what_the_create_does_not() -> None:
    definition = read_definition("default", "job", {"maxRetries": 5, "retryDelayMs": 2000, "timeoutMs": 1, "priority": "low"})
    plain, _ = read_create("default", "job", {"input": 1}).records("e1", 10.0, definition)
    assert (plain.policy, plain.priority) == (definition.policy, 3)
    assert plain.policy == Policy(bound=True, max_retries=5, retry=RetryPolicy(2.0, 1.0, 2.0, "none"), timeout=0.001)
    own, _ = read_create("default", "job", {"input": 1, "maxRetries": 0, "priority": "high"}).records("e1", 10.0, definition)
    assert (own.policy.max_retries, own.policy.retry, own.priority) == (0, definition.policy.retry, 1)
    before, _ = read_create("default", "job", {"input": 1}).records("e1", 10.0)
    assert (before.policy, before.priority) == (Policy(), 2)


def test_a_definition_says_its_limits() -> None:
    assert read_definition("w", "job", {}) == Definition(workspace="w", job="job")
    body = {"queue": "image", "concurrency": 4, "concurrencyPerKey": 2, "inputSchema": {"type": "object"}, "outputSchema": {}}
    definition = read_definition("w", "job", body)
    assert (definition.queue, definition.concurrency, definition.concurrency_per_key) == ("image", 4, 2)
    assert (definition.input_schema, definition.output_schema) == ({"type": "object"}, {})


def test_a_rerun_keeps_the_options_but_for_its_times_and_keys() -> None:
    old = read_create("default", "job", {"tasks": [{"a": 1}], "executionId": "e1", "idempotencyKey": "k", **OPTIONS})
    execution, _ = old.records("e1", 10.0)
    new = read_rerun({}, "k2").create(execution, old.inputs)
    assert (new.execution_id, new.idempotency_key, new.delay, new.spec.auto_start) == (None, "k2", None, True)
    assert (new.inputs, new.policy, new.concurrency_key) == (old.inputs, old.policy, "user")
    assert (new.priority, new.on_conflict, new.spec.name, new.spec.env) == ("high", "coalesce", "n", {"A": "b"})
    body = {"maxRetries": 9, "retryDelayMs": 5, "name": "m", "runAt": "1970-01-01T00:01:00Z", "executionId": "e2"}
    other = read_rerun(body).create(execution, old.inputs)
    assert (other.policy.max_retries, other.policy.retry, other.policy.timeout) == (9, RetryPolicy(0.005, 1.0, 0.005, "none"), 60.0)
    assert (other.spec.name, other.spec.run_at, other.spec.tags, other.execution_id) == ("m", 60.0, ["t"], "e2")
    plain, _ = read_create("default", "job", {"tasks": [{"a": 1}]}).records("e3", 10.0)
    assert read_rerun({}).create(plain, old.inputs).spec is plain.spec


def test_a_batch_is_read_whole() -> None:
    body = {"items": [{"job": "a", "input": 1, "name": "x"}, {"job": "b", "tasks": [{}, {}]}], "idempotencyKey": "k"}
    batch = read_batch("default", body)
    assert [(create.job, len(create.inputs), create.spec.name) for create in batch.creates] == [("a", 1, "x"), ("b", 2, None)]
    assert batch.idempotency_key == "k"


@pytest.mark.parametrize(
    ("read", "body", "path"),
    [
        (read_create, {"input": 1, "runAt": "2020-01-01T00:00:00Z", "delayMs": 1}, "delayMs"),
        (read_create, {"input": 1, "retryDelayMs": 1, "retryPolicy": {}}, "retryDelayMs"),
        (read_create, {"input": 1, "runAt": "2020-01-01T00:00:00"}, "runAt"),
        (read_create, {"input": 1, "runAt": "9999-12-31T23:59:59-01:00"}, "runAt"),
        (read_create, {"input": 1, "delayMs": -1}, "delayMs"),
        (read_create, {"input": 1, "timeoutMs": 0}, "timeoutMs"),
        (read_create, {"input": 1, "maxRetries": 10_001}, "maxRetries"),
        (read_create, {"input": 1, "maxRetries": 1.5}, "maxRetries"),
        (read_create, {"input": 1, "onConflict": "drop"}, "onConflict"),
        (read_create, {"input": 1, "retryPolicy": {"factor": 0.5}}, "retryPolicy.factor"),
        (read_create, {"input": 1, "retryPolicy": {"jitter": "some"}}, "retryPolicy.jitter"),
        (read_batch, {"items": []}, "items"),
        (read_batch, {"items": [{"job": "a", "input": 1}, {"job": "a"}]}, "items[1].tasks"),
        (read_batch, {"items": [{"job": "a", "input": 1, "tasks": [{}]}]}, "items[0].input"),
        (read_batch, {"items": [{"job": "a b", "input": 1}]}, "items[0].job"),
        (read_batch, {"items": [{"job": "a", "input": 1, "priority": "x"}]}, "items[0].priority"),
        (read_batch, {"items": [{"job": "a", "input": 1, "retryDelayMs": 1, "retryPolicy": {}}]}, "items[0].retryDelayMs"),
        (read_batch, {"items": [{"job": "a", "tasks": [{}] * 6000}] * 2}, "items[1]"),
        (read_rerun, {"input": 1}, "input"),
        (read_rerun, {"retryDelayMs": 1, "retryPolicy": {}}, "retryDelayMs"),
        (read_definition, {"concurrency": 0}, "concurrency"),
        (read_definition, {"retryDelayMs": 1, "retryPolicy": {}}, "retryDelayMs"),
        (read_event, {"payload": 1}, "name"),
        (read_event, {"name": ""}, "name"),
        (read_delete, {"force": 1}, "force"),
        (read_statuses, "pending,gone", "status"),
    ],
)
def test_a_bad_request_names_its_field(read: Any, body: Any, path: str) -> None:
    arguments = {read_create: ("w", "job", body), read_definition: ("w", "job", body), read_batch: ("w", body)}.get(read, (body,))
    with pytest.raises(InvalidRequest) as caught:
        read(*arguments)
    assert caught.value.path == path
    assert str(caught.value)


def test_small_requests() -> None:
    assert read_event({"name": "paid", "payload": {"a": None}, "id": "1"}) == Sent("paid", '{"a":null}', "1")
    assert read_event(b'{"name":"paid"}') == Sent("paid", "null", None)
    assert (read_delete({}), read_delete({"force": True})) == (False, True)
    assert read_statuses("failed,pending,failed") == ("failed", "pending")


def test_whole_numbers_with_a_point_are_integers() -> None:
    body = {"items": [{"job": "a", "input": 1.0, "maxRetries": 3.0, "retryPolicy": {"initialMs": 5.0}}]}
    (create,) = read_batch("w", msgspec.json.encode(body)).creates
    assert (create.policy.max_retries, create.inputs) == (3, ("1.0",))
    assert body["items"][0]["maxRetries"] == 3.0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"tasks": []}, "tasks is empty: it has at least 1 item"),
        ({"tasks": [{}] * 10_001}, "tasks has at most 10000 items"),
        ({"tasks": {}}, "tasks is a list, not an object"),
        ({"tasks": [{}, "x"]}, "tasks[1] is an object, not text"),
        ({"taks": [{}]}, "the contract knows no field taks: did you mean 'tasks'?"),
        ({"input": 1, "max_retries": 1}, "the contract knows no field max_retries: did you mean 'maxRetries'?"),
        ({"input": 1, "retryPolicy": {"inital": 1}},
         "the contract knows no field retryPolicy.inital: did you mean 'initialMs'?"),
        ({"input": 1, "retryPolicy": {"wait": 1}},
         "the contract knows no field retryPolicy.wait: there are initialMs, factor, maxMs, jitter"),
        ({"input": 1, "retryPolicy": {"jitter": "some"}}, "retryPolicy.jitter is full or none, not 'some'"),
        ({"input": 1, "priority": "urgent"}, "priority is critical, high, medium or low, not 'urgent'"),
        ({"input": 1, "tags": ["a", 1]}, "tags[1] is text, not a whole number"),
        ({"input": 1, "name": "x" * 513}, "name has at most 512 characters"),
        ({"input": 1, "name": "a\n"}, "name has a control character"),
        ({"input": 1, "executionId": "a/b"},
         "executionId takes letters, digits, '.', '_' and '-', at most 128, the first a letter or digit"),
        ({"input": 1, "maxRetries": -1}, "maxRetries is at least 0"),
        ({"input": 1, "runAt": "tomorrow"}, "runAt is a time with its offset, such as 2026-01-31T08:00:00Z"),
        ({"input": 1, "runAt": "2026-01-31T08:00:00"}, "runAt is a time with its offset, such as 2026-01-31T08:00:00Z"),
        ({"input": 1, "autoStart": "no"}, "autoStart is true or false, not text"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_the_field_takes(body: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_create("default", "job", body)
    assert caught.value.message == message
    with pytest.raises(InvalidRequest) as caught:
        read_batch("default", {"items": [{"job": "a", "input": 1}, {"job": "a", **body}]})
    assert caught.value.message.replace("items[1].", "") == message


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"^items\[0\]\.job is missing$"):
        read_batch("default", {"items": [{"input": 1}]})
