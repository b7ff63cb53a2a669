"""What is refused, how, and that nothing is half-created by it."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from blaxel_jobs.core.reading import MAX_BODY
from blaxel_jobs.errors import Unavailable
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.body import BodyLimits
from tests.server.conftest import MakeApp, client_of

EXECUTIONS = "/v0/jobs/my-job/executions"


async def nothing_created(client: httpx.AsyncClient) -> bool:
    return (await client.get(EXECUTIONS)).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 422, "tasks"),
        ({"tasks": []}, 422, "tasks"),
        ({"tasks": None}, 422, "tasks"),
        ({"tasks": {}}, 422, "tasks"),
        ({"tasks": [1]}, 422, "tasks[0]"),
        ({"tasks": [{}, "x"]}, 422, "tasks[1]"),
        ({"tasks": [{}], "input": 1}, 422, "input"),
        ({"input": 1, "priority": "urgent"}, 422, "priority"),
        ({"input": 1, "tags": ["a", ""]}, 422, "tags[1]"),
        ({"input": 1, "tags": "a"}, 422, "tags"),
        ({"input": 1, "metadata": []}, 422, "metadata"),
        ({"input": 1, "env": {"A": 1}}, 422, "env"),
        ({"input": 1, "memory": 0}, 422, "memory"),
        ({"input": 1, "memory": 1.5}, 422, "memory"),
        ({"input": 1, "executionId": "../x"}, 422, "executionId"),
        ({"input": 1, "executionId": "x" * 129}, 422, "executionId"),
        ({"input": 1, "idempotencyKey": ""}, 422, "idempotencyKey"),
        ({"input": 1, "name": "x" * 513}, 422, "name"),
        ({"input": 1, "allowQueue": "no"}, 422, "allowQueue"),
        ({"input": 1, "nmae": "x"}, 422, "nmae"),
        ([], 422, None),
        ("x", 422, None),
        (None, 422, None),
        ({"tasks": [{}] * 10_001}, 422, "tasks"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_bodies_that_break_the_contract(client: httpx.AsyncClient, body: Any, status: int, path: str | None) -> None:
    response = await client.post(EXECUTIONS, content=json.dumps(body))
    assert response.status_code == status
    named = response.json().get("path")
    assert named is None if path is None else named == path or named.startswith(f"{path}["), response.text
    assert await nothing_created(client)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"input": }', b'{"input": NaN}', b'{"input": Infinity}', b'{"input": 1e999}', b"\xff\xfe", b'{"input": 1} x',
     b'{"input": "\xc3\x28"}', b"{'input': 1}", b"\x00"],
)  # fmt: skip
async def test_broken_json(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post(EXECUTIONS, content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "malformed_request")
    assert await nothing_created(client)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ('{"input": "HALF"}', "input"),
        ('{"tasks": [{}, {"v": [1, "HALF"]}]}', "tasks[1].v[1]"),
        ('{"tasks": [{}, {"v": {"HALF": 1}}]}', "tasks[1].v"),
        ('{"input": 1, "executionId": "HALF"}', "executionId"),
        ('{"input": 1, "concurrencyKey": "HALF"}', "concurrencyKey"),
        ('{"HALF": 1}', None),
    ],
)
async def test_a_lone_surrogate_is_named(client: httpx.AsyncClient, body: str, path: str | None) -> None:
    response = await client.post(EXECUTIONS, content=body.replace("HALF", "a\\ud800b"))
    assert (response.status_code, response.json()["error"], response.json().get("path")) == (422, "invalid_request", path)
    assert "lone surrogate" in response.json()["message"]
    assert await nothing_created(client)


async def test_what_is_wrong_in_a_batch_is_said_with_its_item(client: httpx.AsyncClient) -> None:
    items = [{"job": "a", "input": 1}, {"job": "a", "input": 1, "runAt": "2030-01-01T00:00:00Z", "delayMs": 1}]
    for second, path in ((items[1], "items[1].delayMs"), ({"job": "a"}, "items[1].tasks")):
        answer = (await client.post("/v0/batches", json={"items": [items[0], second]})).json()
        assert answer["path"] == path
        assert answer["message"].startswith("items[1]: send ")
    assert (await client.get("/v0/executions")).json()["data"] == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
async def test_numbers_that_json_has_not(client: httpx.AsyncClient, number: str) -> None:
    response = await client.post(
        EXECUTIONS, content=f'{{"tasks": [{{"duration": 1}}, {{"x": [0, {{"duration": {number}}}]}}]}}'.encode()
    )
    assert (response.status_code, response.json()["path"]) == (400, "tasks[1].x[1].duration")
    assert await nothing_created(client)


@pytest.mark.parametrize("depth", [65, 5_000, 100_000])
async def test_deep_bodies(client: httpx.AsyncClient, depth: int) -> None:
    nested = b'{"input": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    response = await client.post(EXECUTIONS, content=nested)
    assert (response.status_code, response.json()["error"]) == (422, "invalid_request")
    assert await nothing_created(client)


async def test_a_body_of_64_levels_is_taken(client: httpx.AsyncClient) -> None:
    assert (await client.post(EXECUTIONS, content=b'{"input": ' + b"[" * 63 + b"]" * 63 + b"}")).status_code == 200


@pytest.mark.parametrize("duration", [-1, -0.001, "1", True, None])
async def test_durations_of_simulated_tasks(make_app: MakeApp, engine: Any, duration: Any) -> None:
    engine._simulate = True
    async with client_of(make_app()) as client:
        response = await client.post(EXECUTIONS, json={"tasks": [{"duration": 1}, {"duration": duration}]})
        assert (response.status_code, response.json()["path"]) == (422, "tasks[1].duration")
        assert await nothing_created(client)


@pytest.mark.parametrize("job", ["-x", ".x", "a b", "a%2Fb", "%C3%BC", "x" * 129, "%00", "a%0A"])
async def test_job_names(client: httpx.AsyncClient, job: str) -> None:
    for response in (
        await client.post(f"/v0/jobs/{job}/executions", json={"input": 1}),
        await client.get(f"/v0/jobs/{job}/executions"),
    ):
        assert (response.status_code, response.json()["path"]) == (422, "job")


@pytest.mark.parametrize("tail", ["", "/status", "/tasks", "/events"])
async def test_unknown_executions(client: httpx.AsyncClient, tail: str) -> None:
    response = await client.get(f"{EXECUTIONS}/nope{tail}")
    assert (response.status_code, response.json()["error"]) == (404, "not_found")
    assert "nope" in response.json()["message"]


async def test_an_execution_is_not_found_under_another_job(client: httpx.AsyncClient) -> None:
    created = (await client.post(EXECUTIONS, json={"input": 1})).json()
    assert (await client.get(f"/v0/jobs/other/executions/{created['executionId']}")).status_code == 404
    assert (await client.delete(f"/v0/jobs/other/executions/{created['executionId']}")).status_code == 404


@pytest.mark.parametrize(
    ("query", "path"),
    [
        *((f"limit={value}", "limit") for value in
          ["0", "-1", "1001", "x", "", "%2B5", "+5", "1_0", "%D9%A3", "%205", "5%20", "1.0", "0x5", "9" * 30, "5%00"]),
        ("limit=1&limit=2", "limit"),
        ("limit", "limit"),
        ("offset=-1", "offset"),
        ("offset=1000000001", "offset"),
        ("cursor=", "cursor"),
        ("cursor=nonsense", "cursor"),
        (f"cursor={'x' * 513}", "cursor"),
        ("offset=1&cursor=x", "offset"),
        ("colour=red", "colour"),
        ("limit=5&Limit=5", "Limit"),
        ("limit=%FF", "limit"),
    ],
)  # fmt: skip
async def test_s1_20_query_parameters(client: httpx.AsyncClient, query: str, path: str) -> None:
    response = await client.get(f"{EXECUTIONS}?{query}")
    assert (response.status_code, response.json()["path"]) == (422, path), response.text


async def test_a_cursor_is_bound_to_its_query(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post(EXECUTIONS, json={"input": 1})
    cursor = (await client.get(EXECUTIONS, params={"limit": 1})).json()["meta"]["nextCursor"]
    response = await client.get("/v0/jobs/other/executions", params={"cursor": cursor})
    assert (response.status_code, response.json()["path"]) == (422, "cursor")


async def test_queries_where_the_contract_has_none(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{EXECUTIONS}?limit=1", json={"input": 1})
    assert (response.status_code, response.json()["path"]) == (422, "limit")
    assert await nothing_created(client)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": 'APPLICATION/JSON;charset="UTF-8"'}, 200),
        ({"Content-Type": "application/vnd.x+json"}, 200),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/jsonx"}, 415),
        ({"Content-Type": "application/json; charset=utf-16"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity"}, 200),
    ],
    ids=repr,
)
async def test_media_types(client: httpx.AsyncClient, headers: Mapping[str, str], status: int) -> None:
    assert (await client.post(EXECUTIONS, content=b'{"input": 1}', headers=headers)).status_code == status


async def test_bodies_of_up_to_2_mb(client: httpx.AsyncClient) -> None:
    frame = b'{"input": ""}'
    full = frame[:-2] + b"x" * (MAX_BODY - len(frame)) + frame[-2:]
    assert (await client.post(EXECUTIONS, content=full)).status_code == 200
    refused = await client.post(EXECUTIONS, content=full + b" ")
    assert (refused.status_code, refused.json()["error"]) == (413, "too_large")


async def test_a_chunked_body_is_cut_at_the_limit(make_app: MakeApp) -> None:
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal taken
        yield b'{"input": "'
        for _ in range(1000):
            taken += 1
            yield b"x" * 100

    async with client_of(make_app(limits=BodyLimits(size=1000))) as client:
        response = await client.post(EXECUTIONS, content=chunks())
        assert response.status_code == 413
    assert taken <= 11


async def test_paths_and_methods(client: httpx.AsyncClient) -> None:
    for path in (
        "/",
        "/v0",
        "/v1/jobs/x/executions",
        f"{EXECUTIONS}/",
        f"{EXECUTIONS}/a/b",
        "/v0/jobs//executions",
        "//",
        "/healthz/",
    ):
        refused = await client.get(path)
        assert (refused.status_code, "the API is under /v0" in refused.text) == (404, not path.startswith("/v0/")), path
    for method in ("PUT", "PATCH", "TRACE", "DELETE", "BREW"):
        response = await client.request(method, EXECUTIONS)
        assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert (await client.post(f"{EXECUTIONS}/x/status")).headers["allow"] == "GET, HEAD, OPTIONS"
    options = await client.options(f"{EXECUTIONS}/x")
    assert (options.status_code, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")


async def test_headers_out_of_bounds(client: httpx.AsyncClient) -> None:
    created = (await client.post(EXECUTIONS, json={"input": 1})).json()
    long = await client.get(f"{EXECUTIONS}/{created['executionId']}", headers={"Prefer": "x" * 257})
    assert (long.status_code, long.json()["path"]) == (422, "Prefer")
    for key in ("", "x" * 256):
        response = await client.post(EXECUTIONS, json={"input": 1}, headers={"Idempotency-Key": key})
        assert (response.status_code, response.json()["path"]) == (422, "Idempotency-Key")
    twice = await client.post(EXECUTIONS, json={"input": 1}, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (twice.status_code, twice.json()["path"]) == (400, "idempotency-key")


class Failing:
    """An engine that cannot."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> Any:
        raise self.error

    def ready(self) -> None:
        raise self.error

    def release_waiters(self) -> None:
        pass


async def test_an_unexpected_error_is_logged_without_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Failing(ValueError("secret payload")), version="1", new_id=lambda: "0" * 32)
    with caplog.at_level(logging.DEBUG):
        async with client_of(app) as client:
            response = await client.post(EXECUTIONS, json={"input": "secret payload"})
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")
    (record,) = [record for record in caplog.records if record.name == "blaxel_jobs.server"]
    assert response.json()["requestId"] in record.getMessage()
    assert "ValueError" in record.getMessage()
    assert "acall" in record.getMessage()
    assert "secret" not in caplog.text + response.text


@pytest.mark.parametrize(("seconds", "header"), [(None, "1"), (0.2, "1"), (3.2, "4")])
async def test_retry_after(seconds: float | None, header: str) -> None:
    app = create_app(Failing(Unavailable("the disk is full", retry_after=seconds)), version="1", new_id=lambda: "0" * 32)
    async with client_of(app) as client:
        for response in (await client.get(EXECUTIONS), await client.get("/readyz")):
            assert (response.status_code, response.json()["error"]) == (503, "unavailable")
        assert (await client.get(EXECUTIONS)).headers["retry-after"] == header
        assert (await client.get("/healthz")).status_code == 200
