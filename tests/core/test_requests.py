"""Requests are checked once, for HTTP and in process, and every refusal names the field."""

import json
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.requests import check_durations, parse_prefer, read_create, read_json
from blaxel_jobs.errors import InvalidRequest, MalformedRequest


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


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"\\ud800"', b"[1,]", b"{'a':1}", b"1 2"])
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
        ({"name": "x", "tasks": [{"b": [2], "a": 1}], "metadata": {}}, False),
        ({"name": "x", "input": {"b": [2], "a": 1}}, False),
    ],
)
def test_a_body_is_the_same_when_it_means_the_same(body: Any, same: bool) -> None:
    first = read_create("default", "job", {"tasks": [{"a": 1, "b": [2]}], "name": "x"})
    execution, tasks = first.records("e1", "default", 1.0)
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
