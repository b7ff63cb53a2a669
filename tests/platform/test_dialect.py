"""The dialect as such: who is answered in it, how it is spelt, and what it lets pass."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from blaxel_jobs.engine import Engine
from blaxel_jobs.server import platform
from blaxel_jobs.server.app import App
from blaxel_jobs.server.keys import Key, Principal, read_key
from blaxel_jobs.server.keys import Keyring as Keys
from blaxel_jobs.server.tokens import SECONDS
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.system import id_factory, rng
from tests.clocks import ManualClock

URL = "http://127.0.0.1:8080"
EXECUTIONS = "/v0/jobs/my-job/executions"
PYTHON = {"Blaxel-Version": "2026-09-22", "User-Agent": "blaxel/sdk/python/0.4.24 (linux/amd64) blaxel/668d046"}
TYPESCRIPT = {"Blaxel-Version": "2026-04-28", "User-Agent": "blaxel/sdk/typescript/0.3.21 (linux/x64) blaxel/3ccc635"}
OURS = {"Jobs-Contract": "1"}
DAY = 24 * 3600.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Iterator[Engine]:
    engine = Engine(MemoryJobStore(), clock=clock, new_id=id_factory(), rng=rng)
    yield engine
    engine.close()


def client_of(engine: Engine, *keys: Key, **headers: str) -> httpx.AsyncClient:
    app = App(engine, version="1", new_id=id_factory(), keys=Keys(keys))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL, headers={**PYTHON, **headers})


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(engine) as client:
        yield client


async def create(client: httpx.AsyncClient, **body: Any) -> str:
    answer = await client.post(EXECUTIONS, json={"tasks": [{"n": 1}], **body})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["executionId"])


# Who is answered in it


@pytest.mark.parametrize(
    "headers",
    [
        PYTHON,
        TYPESCRIPT,
        {"User-Agent": "blaxel/sdk/python/0.1"},
        {"Blaxel-Version": "2026-04-28"},
        {"Blaxel-Version": "2025-01-01"},
    ],
)
async def test_callers_of_the_platform(engine: Engine, headers: dict[str, str]):
    async with client_of(engine) as any_client:
        any_client.headers = httpx.Headers(headers)
        answer = await any_client.post(EXECUTIONS, json={"tasks": [{}]})
        assert set(answer.json()) == {"executionId", "id", "jobId", "workspaceId"}
        assert "jobs-contract" not in answer.headers


@pytest.mark.parametrize("headers", [OURS, {**PYTHON, **OURS}, {}, {"User-Agent": "curl/8.0 blaxel/sdk/python"}])
async def test_all_others_are_answered_in_our_contract(engine: Engine, headers: dict[str, str]):
    async with client_of(engine) as any_client:
        any_client.headers = httpx.Headers(headers)
        answer = await any_client.post(EXECUTIONS, json={"tasks": [{}]})
        assert answer.json()["done"] is False
        assert answer.headers.get("jobs-contract") == headers.get("Jobs-Contract")
        refused = await any_client.post(EXECUTIONS, json={"tasks": [{}], "madeUp": 1})
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
        assert (await any_client.post("/v0/jobs", json={})).status_code == 405


@pytest.mark.parametrize("version", ["2027-01-01", "2026-13-01", "20260428", "v1", "", "2026-04-28-preview", "9" * 300])
async def test_a_version_that_nobody_knows(engine: Engine, version: str):
    async with client_of(engine, **{"Blaxel-Version": version}) as odd:
        answer = await odd.get(EXECUTIONS)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_api_version"


async def test_other_paths_are_there_for_them_too(client: httpx.AsyncClient):
    id = await create(client)
    assert (await client.get("/healthz")).json()["status"] == "ok"
    assert (await client.get(f"{EXECUTIONS}/{id}/status")).json()["status"] == "pending"
    assert (await client.get(f"/jobs/my-job/executions/{id}")).json()["metadata"]["id"] == id
    assert (await client.get("/v0/nothing")).json()["error"] == "not_found"
    refused = await client.post(f"{EXECUTIONS}/{id}", json={})
    assert (refused.status_code, refused.json()["error"]) == (405, "method_not_allowed")


# What it lets pass, and what not


async def test_unknown_fields_and_parameters_say_nothing(client: httpx.AsyncClient):
    body = {"tasks": [{"n": 1}], "input": 5, "madeUp": 1, "env": None, "id": "message-1", "jobId": "other", "allowQueue": None}
    answer = (await client.post(EXECUTIONS, json=body)).json()
    assert (answer["id"], answer["jobId"], answer["tasks"]) == ("message-1", "my-job", [{"n": 1}])
    assert len((await client.get(EXECUTIONS, params={"made": "up", "limit": "5"})).json()["data"]) == 1


async def test_tasks_are_echoed_unless_one_is_empty(client: httpx.AsyncClient):
    for tasks, echoed in (([{"n": 1}, {"n": 2}], True), ([{"n": 1}, {}], False)):
        answer = (await client.post(EXECUTIONS, json={"tasks": tasks})).json()
        assert answer.get("tasks") == (tasks if echoed else None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"), ({"tasks": []}, "tasks"), ({"tasks": [1]}, "tasks"), ({"tasks": [{}], "memory": "1"}, "memory"),
        ({"tasks": [{}], "env": {"A": 1}}, "env"), ({"tasks": [{}], "executionId": "a/b"}, "executionId"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_a_400(client: httpx.AsyncClient, body: Any, field: str):
    answer = await client.post(EXECUTIONS, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert set(answer.json()) == {"error", "code", "message"}
    assert answer.json()["code"] == 400
    assert field in answer.json()["message"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=-1", "limit=x", "offset=-1", "offset=1e3", "sort=size:asc", "cursor=x", "limit=%C2%B2"],
)
async def test_a_query_that_is_wrong_is_a_400(client: httpx.AsyncClient, query: str):
    answer = await client.get(f"{EXECUTIONS}?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_key_makes_a_create_one(client: httpx.AsyncClient):
    made = [await client.post(EXECUTIONS, json={"tasks": [{}]}, headers={"Idempotency-Key": "mine"}) for _ in range(2)]
    assert len({answer.json()["executionId"] for answer in made}) == 1


# Lists


async def test_a_cursor_lasts_a_day(client: httpx.AsyncClient, clock: ManualClock):
    for _ in range(3):
        await create(client)
    cursor = (await client.get(f"{EXECUTIONS}?limit=1")).json()["meta"]["nextCursor"]
    clock.advance(DAY - 1)
    assert (await client.get(EXECUTIONS, params={"limit": 1, "cursor": cursor})).status_code == 200
    clock.advance(2)
    answer = await client.get(EXECUTIONS, params={"limit": 1, "cursor": cursor})
    assert (answer.status_code, "24 hours" in answer.json()["message"]) == (400, True)


async def test_a_cursor_that_was_made_up_is_a_400(client: httpx.AsyncClient, clock: ManualClock):
    await create(client)
    for sort in platform.ORDERS:
        for inner in (
            "",
            "x",
            5,
            _encoded(["executions default my-job newest ", "a"]),
            _encoded(["executions default my-job id ", 5]),
        ):
            cursor = _encoded([inner, clock.now(), 0])
            answer = await client.get(EXECUTIONS, params={"sort": sort, "cursor": cursor})
            assert answer.status_code == 400, answer.text
    for inner in (_encoded(["jobs newest ", "[]"]), _encoded(["jobs newest ", '["a", "b"]']), _encoded(["jobs newest ", "no"])):
        answer = await client.get("/v0/jobs", params={"cursor": _encoded([inner, clock.now(), 0])})
        assert answer.status_code == 400, answer.text


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


async def test_jobs_that_workers_have_registered_are_shown(client: httpx.AsyncClient):
    definition = {"maxRetries": 2, "timeoutMs": 90_500, "queue": "slow"}
    assert (await client.put("/v0/jobs/served", json=definition, headers=OURS)).status_code == 200
    job = (await client.get("/v0/jobs/served")).json()
    assert (job["metadata"]["name"], job["status"]) == ("served", "DEPLOYED")
    assert job["spec"] == {"enabled": True, "runtime": {"maxRetries": 2, "timeout": 91}}
    assert (await client.get("/v0/jobs/unheard-of")).status_code == 404


async def test_a_document_and_a_definition_live_side_by_side(client: httpx.AsyncClient, engine: Engine):
    document = {"metadata": {"labels": {"a": "b"}}, "spec": {"runtime": {"maxRetries": 5, "timeout": 60}}}
    assert (await client.put("/v0/jobs/both", json=document)).status_code == 200
    registered = await client.put("/v0/jobs/both", json={"maxRetries": 1, "queue": "slow"}, headers=OURS)
    assert registered.json()["definition"] == {"queue": "slow", "concurrencyPerKey": 1, "maxRetries": 1, "timeoutMs": 60_000}
    assert (await client.get("/v0/jobs/both")).json()["metadata"]["labels"] == {"a": "b"}
    assert (await client.put("/v0/jobs/both", json={"spec": {}})).status_code == 200
    left = (await client.get("/v0/jobs/both", headers=OURS)).json()["definition"]
    assert left == {"queue": "slow", "concurrencyPerKey": 1, "maxRetries": 1}
    assert (await client.delete("/v0/jobs/both")).status_code == 200
    assert engine.definitions.of("default") == []


@pytest.mark.parametrize(
    "body",
    [
        [], {"metadata": 5}, {"spec": []}, {"metadata": {"name": "other"}}, {"spec": {"runtime": {"maxRetries": -1}}},
        {"spec": {"runtime": {"timeout": "30m"}}}, {"spec": {"runtime": 1}}, {"metadata": {"name": 5}},
    ],
)  # fmt: skip
async def test_a_document_that_is_wrong_is_a_400(client: httpx.AsyncClient, body: Any):
    answer = await client.put("/v0/jobs/my-job", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text


async def test_a_new_job_needs_a_name(client: httpx.AsyncClient):
    for metadata in ({}, {"name": "a/b"}, {"name": ""}):
        assert (await client.post("/v0/jobs", json={"metadata": metadata, "spec": {}})).status_code == 400


# Who may what


async def test_scopes_hold(engine: Engine):
    reader, submitter = (Key(read_key(name, "-").digest, Principal(scopes=frozenset({name}))) for name in ("read", "submit"))
    async with client_of(engine, reader, submitter, read_key("all", "-")) as client:
        for key, method, path, allowed in (
            ("read", "GET", EXECUTIONS, True), ("read", "POST", EXECUTIONS, False), ("submit", "POST", EXECUTIONS, True),
            ("submit", "GET", "/v0/jobs", False), ("submit", "PUT", "/v0/jobs/j", False), ("read", "DELETE", "/v0/jobs/j", False),
            ("all", "PUT", "/v0/jobs/j", True), ("all", "DELETE", "/v0/jobs/j", True),
        ):  # fmt: skip
            headers = {"X-Blaxel-Authorization": f"Bearer {key}"}
            answer = await client.request(method, path, headers=headers, json=None if method in ("GET", "DELETE") else {})
            assert answer.status_code == (200 if allowed else 403), (key, method, path, answer.text)
            assert "scope" in answer.text or allowed


async def token_of(client: httpx.AsyncClient, credentials: str, **body: str) -> httpx.Response:
    basic = base64.b64encode(credentials.encode()).decode()
    grant = {"grant_type": "client_credentials", **body}
    return await client.post("/v0/oauth/token", json=grant, headers={"Authorization": f"Basic {basic}"})


async def test_a_token_is_as_good_as_its_key_for_its_time(engine: Engine, clock: ManualClock):
    key = Key(read_key("secret", "-").digest, Principal("team", frozenset({"read"})), read_key("secret", "-").signing)
    async with client_of(engine, read_key("another", "-"), key) as client:
        granted = (await token_of(client, "client-1:secret")).json()
        assert (granted["token_type"], granted["expires_in"]) == ("Bearer", SECONDS)
        headers = {"Authorization": f"Bearer {granted['access_token']}"}
        assert (await client.get(EXECUTIONS, headers=headers)).status_code == 200
        assert (await client.get(EXECUTIONS, headers={**headers, "X-Blaxel-Workspace": "other"})).status_code == 403
        assert (await client.post(EXECUTIONS, headers=headers, json={"tasks": [{}]})).status_code == 403
        clock.advance(SECONDS)
        assert (await client.get(EXECUTIONS, headers=headers)).status_code == 401


async def test_a_token_holds_on_every_server_that_has_the_key(engine: Engine):
    key = read_key("secret", "-")
    async with (
        client_of(engine, key) as one,
        client_of(engine, read_key("other", "-"), key) as two,
        client_of(engine, read_key("other", "-")) as none,
    ):
        headers = {"Authorization": f"Bearer {(await token_of(one, 'id:secret')).json()['access_token']}"}
        assert [(await client.get(EXECUTIONS, headers=headers)).status_code for client in (one, two, none)] == [200, 200, 401]


async def test_of_a_key_whose_digest_is_all_that_is_known_a_token_is_given_too(engine: Engine):
    hashed = read_key(f"sha256:{read_key('secret', '-').digest.hex()}", "-")
    async with client_of(engine, hashed) as one, client_of(engine, hashed) as two:
        headers = {"Authorization": f"Bearer {(await token_of(one, 'id:secret')).json()['access_token']}"}
        assert [(await client.get(EXECUTIONS, headers=headers)).status_code for client in (one, two)] == [200, 401]
        await token_of(two, "id:secret")
        assert (await two.get(EXECUTIONS, headers=headers)).status_code == 200


async def test_a_token_that_was_changed_is_none(engine: Engine):
    async with client_of(engine, read_key("secret", "-")) as client:
        token = (await token_of(client, "id:secret")).json()["access_token"]
        head, claims, signature = token.split(".")
        later = base64.urlsafe_b64encode(json.dumps({"sub": "id", "iat": 1, "exp": 9e12}).encode()).decode().rstrip("=")
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        for changed in (
            f"{head}.{later}.{signature}", f"{unsigned}.{claims}.", f"{head}.{claims}.", f"{head}.{claims}", signature, "..",
            token[:-1], token + "A",
        ):  # fmt: skip
            answer = await client.get(EXECUTIONS, headers={"Authorization": f"Bearer {changed}"})
            assert answer.status_code == 401, changed


@pytest.mark.parametrize("credentials", ["id:wrong", "secret", ":", "id:", ""])
async def test_wrong_client_credentials(engine: Engine, credentials: str):
    async with client_of(engine, read_key("secret", "-")) as client:
        answer = await token_of(client, credentials)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert (await client.post("/v0/oauth/token", json={"grant_type": "client_credentials"})).status_code == 401


async def test_another_grant_is_refused(client: httpx.AsyncClient):
    answer = await token_of(client, "id:any", grant_type="refresh_token")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
    assert (await token_of(client, "id:any")).status_code == 200


# Words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.1, "1s"),
        (59, "59s"),
        (60, "1m"),
        (90, "1m30s"),
        (1800, "30m"),
        (3600, "1h"),
        (5400.5, "1h30m1s"),
        (90_000, "25h"),
    ],
)
def test_durations_as_go_writes_them(seconds: float, text: str):
    assert platform.duration(seconds) == text


def test_every_status_has_a_word_of_the_platform():
    known = {"queued", "pending", "running", "cancelling", "cancelled", "failed", "succeeded", "timeout"}
    assert set(platform.STATUSES.values()) <= known
    assert set(platform.TASK_STATUSES.values()) <= known - {"queued", "cancelling", "timeout"}
