"""Every route, against the real engine on each store. Each answer is held against openapi.yaml by the client."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.server.dialect import RUNNER_PATH
from blaxel_jobs.server.operations import OPERATIONS
from tests.pace import PATIENCE
from tests.server.contract import DOCUMENT

EXECUTIONS = "/v0/jobs/my-job/executions"


async def create(client: httpx.AsyncClient, body: Any = None, **headers: str) -> dict[str, Any]:
    response = await client.post(EXECUTIONS, json=body or {"tasks": [{"duration": 1}]}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_table_is_the_contract() -> None:
    documented = {
        (method.upper(), ("" if "servers" in item else DOCUMENT["servers"][0]["url"]) + re.sub("([a-z]+)Id}", r"\1_id}", path))
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method not in ("parameters", "servers") and operation.get("security") != []
    }
    assert {(operation.method, operation.path) for operation in OPERATIONS} == documented | {("GET", RUNNER_PATH)}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_parameters_are_the_contract(operation: Any) -> None:
    path = operation.path.removeprefix("/v0").replace("_id}", "Id}")
    item = DOCUMENT["paths"][path]
    documented = item[operation.method.lower()]
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in documented["operationId"])
    assert operation.id == snake
    assert operation.body == ("requestBody" in documented)
    answered = documented["responses"].get("200", {}).get("content", {})
    assert operation.stream == ("text/event-stream" in answered)
    assert operation.binary == ("application/octet-stream" in (*answered, *documented.get("requestBody", {}).get("content", {})))
    parameters = {}
    for entry in [*item.get("parameters", []), *documented.get("parameters", [])]:
        parameter = DOCUMENT["components"]["parameters"][entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry
        parameters[parameter["name"]] = parameter
    for place, known in (("query", operation.query), ("header", operation.headers)):
        assert {parameter.name for parameter in known} == {name for name, one in parameters.items() if one["in"] == place}
        for parameter in known:
            schema = parameters[parameter.name]["schema"]
            if "$ref" in schema:
                schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert parameter.integer == (schema["type"] == "integer")
            if parameter.max_length is not None:
                assert parameter.max_length == schema["maxLength"]


async def test_create_answers_the_execution(client: httpx.AsyncClient) -> None:
    created = await create(
        client, {"tasks": [{"a": 1}, {}], "name": "n", "tags": ["x"], "metadata": {"k": None}, "env": {"A": "secret"}}
    )
    assert created["disposition"] == "created"
    assert created["executionId"] == created["metadata"]["id"]
    assert created["metadata"]["custom"] == {"k": None}
    assert created["spec"]["envOverride"] == {"A": "***"}
    assert created["done"] is False


@pytest.mark.parametrize("value", [None, 0, "", [], {}, "ü€😀", [1.5, None, {"x": []}]], ids=repr)
async def test_any_json_is_an_input(client: httpx.AsyncClient, value: Any) -> None:
    created = await create(client, {"input": value})
    got = (await client.get(f"{EXECUTIONS}/{created['executionId']}")).json()
    assert [task["input"] for task in got["tasks"]] == [value]


async def test_get_status_and_head(client: httpx.AsyncClient) -> None:
    path = f"{EXECUTIONS}/{(await create(client))['executionId']}"
    got = await client.get(path)
    assert got.json()["tasks"][0]["metadata"]["id"] == "task-0"
    status = await client.get(f"{path}/status")
    assert status.json()["status"] == "pending"
    head = await client.head(f"{path}/status")
    assert (head.status_code, head.headers["content-length"]) == (200, status.headers["content-length"])
    assert "preference-applied" not in status.headers


async def test_lists_page_by_cursor_and_by_offset(client: httpx.AsyncClient) -> None:
    ids = [(await create(client))["executionId"] for _ in range(5)][::-1]
    first = (await client.get(EXECUTIONS, params={"limit": 2})).json()
    second = (await client.get(EXECUTIONS, params={"limit": 3, "cursor": first["meta"]["nextCursor"]})).json()
    assert [row["metadata"]["id"] for row in first["data"] + second["data"]] == ids
    assert (first["meta"]["hasMore"], second["meta"]) == (True, {"hasMore": False})
    skipped = (await client.get(EXECUTIONS, params={"offset": 3})).json()
    assert [row["metadata"]["id"] for row in skipped["data"]] == ids[3:]


async def test_s1_20_a_page_has_at_most_its_limit(client: httpx.AsyncClient) -> None:
    for _ in range(51):
        await create(client)
    assert len((await client.get(EXECUTIONS, params={"limit": 50})).json()["data"]) == 50
    assert len((await client.get(EXECUTIONS)).json()["data"]) == 51


async def test_tasks_and_events_page(client: httpx.AsyncClient) -> None:
    created = await create(client, {"tasks": [{"n": n} for n in range(5)]})
    path = f"{EXECUTIONS}/{created['executionId']}"
    first = (await client.get(f"{path}/tasks", params={"limit": 3})).json()
    rest = (await client.get(f"{path}/tasks", params={"cursor": first["meta"]["nextCursor"]})).json()
    assert [task["input"]["n"] for task in first["data"] + rest["data"]] == list(range(5))
    events = (await client.get(f"{path}/events")).json()
    assert [event["type"] for event in events["data"]] == ["created"]


async def test_cancel_is_final_and_repeatable(client: httpx.AsyncClient) -> None:
    path = f"{EXECUTIONS}/{(await create(client))['executionId']}"
    for _ in range(2):
        cancelled = await client.delete(path)
        assert (cancelled.status_code, cancelled.json()["status"], cancelled.json()["done"]) == (200, "cancelled", True)


async def test_a_completed_execution_is_read_and_not_cancelled(
    client: httpx.AsyncClient, work: Callable[[JobDef[Any]], None]
) -> None:
    work(define_job("my-job", run=lambda context, payload: {"double": payload * 2}))
    path = f"{EXECUTIONS}/{(await create(client, {'input': 21}))['executionId']}"
    got = (await client.get(path, headers={"Prefer": "wait=10"})).json()
    assert (got["status"], got["done"], got["result"]) == ("completed", True, {"double": 42})
    refused = await client.delete(path)
    assert (refused.status_code, refused.json()["error"]) == (409, "illegal_transition")


async def test_the_idempotency_key_may_be_a_header(client: httpx.AsyncClient) -> None:
    first = await create(client, **{"Idempotency-Key": "k1"})
    again = await create(client, **{"Idempotency-Key": "k1"})
    assert (again["executionId"], again["disposition"]) == (first["executionId"], "existing")
    other = await client.post(EXECUTIONS, json={"tasks": [{"duration": 2}]}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_conflict")


async def test_statuses_of_many_in_the_order_of_their_ids(client: httpx.AsyncClient) -> None:
    first, second = [(await create(client))["executionId"] for _ in range(2)]
    await client.delete(f"{EXECUTIONS}/{second}")
    ids = [second, "nope", first, second]
    got = (await client.post("/v0/statuses", json={"ids": ids})).json()["data"]
    assert [(row["id"], row["status"], row["done"]) for row in got] == [
        (second, "cancelled", True), ("nope", "unknown", True), (first, "pending", False), (second, "cancelled", True),
    ]  # fmt: skip
    assert (got[0]["job"], got[0]["stats"]["cancelled"]) == ("my-job", 1)


async def test_a_job_is_known_by_its_executions_or_its_worker(
    client: httpx.AsyncClient, work: Callable[[JobDef[Any]], None]
) -> None:
    unknown = await client.get("/v0/jobs/my-job")
    assert (unknown.status_code, unknown.json()["path"]) == (404, "job")
    await create(client)
    assert (await client.get("/v0/jobs/my-job")).json() == {"metadata": {"name": "my-job", "workspace": "default"}, "served": False}
    claimed = asyncio.Event()
    loop = asyncio.get_running_loop()
    work(define_job("other-job", run=lambda context, payload: loop.call_soon_threadsafe(claimed.set)))
    await client.post("/v0/jobs/other-job/executions", json={"input": 1})
    await asyncio.wait_for(claimed.wait(), PATIENCE)
    assert (await client.get("/v0/jobs/other-job")).json()["served"] is True
    head = await client.head("/v0/jobs/other-job")
    assert (head.status_code, head.content) == (200, b"")
    assert (await client.get("/v0/jobs/-x")).status_code == 422


async def test_ids_may_hold_escaped_slashes(client: httpx.AsyncClient) -> None:
    created = await create(client)
    escaped = "".join(f"%{ord(letter):02X}" for letter in created["executionId"])
    found = await client.get(f"{EXECUTIONS}/{escaped}")
    assert found.json()["metadata"]["id"] == created["executionId"]
    for id in ("a%2Fstatus", "%2F", "%00", "%FF", "a%20b", "%7B%7D", "{}"):
        assert (await client.get(f"{EXECUTIONS}/{id}")).status_code == 404, id


async def test_request_ids(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz", headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    for bad in ("", "a b", "a\tb", b"\xc3\xa9", "x" * 129):
        response = await client.get("/healthz", headers=[(b"X-Request-Id", bad if isinstance(bad, bytes) else bad.encode())])
        assert re.fullmatch(r"[0-9a-f]{12}-\d+", response.headers["x-request-id"])
    two = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(2)]
    assert two[0] != two[1]


async def test_health_and_readiness(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await client.get(path)).json() == {"status": "ok", "version": "1.2.3"}
