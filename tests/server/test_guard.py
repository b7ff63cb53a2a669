"""Hosts, pages of other origins, keys, scopes and workspaces."""

from collections.abc import Mapping

import httpx
import pytest

from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.guard import LOOPBACK, Hosts
from blaxel_jobs.server.keys import Key, Keyring, Principal, read_key
from blaxel_jobs.system import new_key
from tests.server.conftest import MakeApp, client_of
from tests.server.contract import read_events

EXECUTIONS = "/v0/jobs/my-job/executions"
APP = "https://app.example.com"


def key(secret: str, workspace: str = "default", *scopes: str) -> Key:
    principal = Principal(workspace, frozenset(scopes)) if scopes else Principal(workspace)
    return Key(read_key(secret, "test").digest, principal)


def bearer(secret: str) -> dict[str, str]:
    return {"X-Blaxel-Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8080", 200),
        ("localhost:1", 200),
        ("LOCALHOST:8080", 200),
        ("[::1]:8080", 200),
        ("jobs.example.com", 200),
        ("Jobs.Example.com:443", 200),
        ("other.example.com:444", 200),
        ("other.example.com", 421),
        ("other.example.com:445", 421),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
        ("::1", 421),
        ("127.0.0.1:8080@evil.example", 421),
        ("127.0.0.1:", 421),
        ("127.0.0.1:x", 421),
        ("localhost, evil.example", 421),
        ("0.0.0.0", 421),
        ("\u00fc", 421),
        ("", 400),
    ],
)
async def test_hosts(make_app: MakeApp, host: str, status: int) -> None:
    hosts = Hosts([*LOOPBACK, "jobs.example.com", "other.example.com:444"])
    async with client_of(make_app(hosts=hosts)) as client:
        for method, path in (("GET", EXECUTIONS), ("GET", "/healthz"), ("OPTIONS", EXECUTIONS), ("GET", "/nope")):
            response = await client.request(method, path, headers=[(b"Host", host.encode())])
            expected = {"OPTIONS": 204, "GET": 404 if path == "/nope" else 200}[method] if status == 200 else status
            assert response.status_code == expected
            if status == 421:
                assert response.json()["error"] == "misdirected_request"
                assert "--allow-host" in response.json()["message"]


async def test_two_hosts_are_refused(make_app: MakeApp) -> None:
    async with client_of(make_app()) as client:
        response = await client.get("/healthz", headers=[("Host", "localhost"), ("Host", "evil.example")])
        assert (response.status_code, response.json()["path"]) == (400, "host")


async def test_the_address_that_was_called_is_a_host_of_a_server_on_every_address(make_app: MakeApp) -> None:
    app = make_app(hosts=Hosts(any_local=True))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://10.1.2.3:8080") as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/healthz", headers={"Host": "10.1.2.4:8080"})).status_code == 421


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://127.0.0.1:8080"}, True),
        ({"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": APP, "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": APP}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "whatever"}, False),
        ({"Origin": "http://127.0.0.1:3000", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1:3000"}, False),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": f"{APP}.evil.example"}, False),
        ({"Origin": "http://app.example.com"}, False),
    ],
    ids=repr,
)
async def test_pages_that_change_something(make_app: MakeApp, headers: Mapping[str, str], allowed: bool) -> None:
    async with client_of(make_app(origins=[APP])) as client:
        created = await client.post(EXECUTIONS, json={"input": 1}, headers=headers)
        assert created.status_code == (200 if allowed else 403)
        cancelled = await client.delete(f"{EXECUTIONS}/nope", headers=headers)
        assert cancelled.status_code == (404 if allowed else 403)
        assert len((await client.get(EXECUTIONS, headers=headers)).json()["data"]) == (1 if allowed else 0)
        if not allowed:
            assert "--allow-origin" in created.json()["message"]


async def test_no_form_of_a_page_reaches_a_handler(make_app: MakeApp) -> None:
    async with client_of(make_app()) as client:
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            response = await client.post(EXECUTIONS, content=b'{"input": 1}', headers={"Content-Type": media_type})
            assert response.status_code == 415


async def test_preflights_are_answered_before_the_key_is_asked_for(make_app: MakeApp) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "jobs-contract"}
    async with client_of(make_app(keys=Keyring([key("k")]), origins=[APP])) as client:
        yes = await client.options(EXECUTIONS, headers={"Origin": APP, **asks})
        assert (yes.status_code, yes.headers["access-control-allow-origin"]) == (204, APP)
        assert "Idempotency-Key" in yes.headers["access-control-allow-headers"]
        assert "DELETE" in yes.headers["access-control-allow-methods"]
        no = await client.options(EXECUTIONS, headers={"Origin": "http://evil.example", **asks})
        assert (no.status_code, "access-control-allow-origin" in no.headers) == (403, False)


async def test_an_allowed_page_can_read_every_answer(make_app: MakeApp) -> None:
    async with client_of(make_app(keys=Keyring([key("k")]), origins=[APP])) as client:
        for response in (
            await client.get(EXECUTIONS, headers={"Origin": APP}),
            await client.get(EXECUTIONS, headers={"Origin": APP, **bearer("k")}),
            await client.post(EXECUTIONS, json={}, headers={"Origin": APP, **bearer("k")}),
        ):
            assert response.headers["access-control-allow-origin"] == APP
            assert response.headers["vary"] == "Origin"
            exposed = {name.strip() for name in response.headers["access-control-expose-headers"].split(",")}
            assert exposed >= {"Jobs-Contract", "Preference-Applied", "Retry-After", "Idempotency-Key"}
        other = await client.get(EXECUTIONS, headers={"Origin": "http://evil.example", **bearer("k")})
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (200, False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Blaxel-Authorization": "Bearer k1"}, 200),
        ({"Authorization": "Bearer k1"}, 200),
        ({"Authorization": "bearer  k2 "}, 200),
        ({"X-Blaxel-Authorization": "Bearer k1", "Authorization": "Bearer wrong"}, 200),
        ({"X-Blaxel-Authorization": "Bearer wrong", "Authorization": "Bearer k1"}, 401),
        ({}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "k1"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer k1 k2"}, 401),
        ({"Authorization": "Basic azE6"}, 401),
        ({"Authorization": "Bearer K1"}, 401),
        ({"Authorization": "Bearer sha256:k1"}, 401),
        ({"X-Api-Key": "k1"}, 401),
    ],
    ids=repr,
)
async def test_keys(make_app: MakeApp, headers: Mapping[str, str], status: int) -> None:
    async with client_of(make_app(keys=Keyring([key("k1"), key("k2")]))) as client:
        for path in (EXECUTIONS, "/nope", "/healthz/", "//healthz", "/%68ealthz"):
            response = await client.get(path, headers=headers)
            assert response.status_code == (404 if status == 200 and path != EXECUTIONS else status), path
            if status == 401:
                assert response.headers["www-authenticate"].startswith("Bearer")
                assert response.json()["error"] == "unauthorized"
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("scopes", "reads", "submits"),
    [(("read",), True, False), (("submit",), False, True), (("worker",), False, False), (("read", "submit"), True, True)],
    ids=repr,
)
async def test_scopes(make_app: MakeApp, scopes: tuple[str, ...], reads: bool, submits: bool) -> None:
    async with client_of(make_app(keys=Keyring([key("k", "default", *scopes)])), headers=bearer("k")) as client:
        assert (await client.get(EXECUTIONS)).status_code == (200 if reads else 403)
        assert (await client.head(f"{EXECUTIONS}/x/status")).status_code == (404 if reads else 403)
        assert (await client.post(EXECUTIONS, json={"input": 1})).status_code == (200 if submits else 403)
        assert (await client.delete(f"{EXECUTIONS}/x")).status_code == (404 if submits else 403)
        for route in ("/v0/watch", "/v0/statuses"):
            assert (await client.post(route, json={"ids": ["x"]})).status_code == (200 if reads else 403)


@pytest.mark.parametrize("route", ["/v0/watch", "/v0/statuses"])
async def test_a_post_that_only_reads_is_kept_from_other_pages_too(make_app: MakeApp, route: str) -> None:
    async with client_of(make_app(origins=[APP])) as client:
        for origin, status in (("https://evil.example", 403), (APP, 200)):
            answer = await client.post(route, json={"ids": ["x"]}, headers={"Origin": origin})
            assert answer.status_code == status
            assert answer.headers.get("access-control-allow-origin") == (APP if origin == APP else None)
        assert (await client.post(route, json={"ids": ["x"]}, headers={"Sec-Fetch-Site": "cross-site"})).status_code == 403


async def test_workspaces_do_not_see_each_other(make_app: MakeApp) -> None:
    async with client_of(make_app(keys=Keyring([key("a", "team-a"), key("b", "team-b")]))) as client:
        body = {"input": 1, "executionId": "same", "idempotencyKey": "same"}
        for secret in "ab":
            created = (await client.post(EXECUTIONS, json=body, headers=bearer(secret))).json()
            assert (created["disposition"], created["metadata"]["workspace"]) == ("created", f"team-{secret}")
        of_a = (await client.post(EXECUTIONS, json={"input": 2}, headers=bearer("a"))).json()["executionId"]
        for tail in ("", "/status", "/tasks", "/events"):
            assert (await client.get(f"{EXECUTIONS}/{of_a}{tail}", headers=bearer("b"))).status_code == 404
        assert (await client.delete(f"{EXECUTIONS}/{of_a}", headers=bearer("b"))).status_code == 404
        seen = (await client.post("/v0/statuses", json={"ids": [of_a]}, headers=bearer("b"))).json()["data"]
        assert seen == [{"id": of_a, "status": "unknown", "done": True}]
        watched = await client.post("/v0/watch", json={"ids": [of_a]}, headers=bearer("b"))
        assert read_events(watched.text.split("\n")) == [("update", seen[0]), ("end", {})]
        await client.post("/v0/jobs/only-a/executions", json={"input": 1}, headers=bearer("a"))
        assert (await client.get("/v0/jobs/only-a", headers=bearer("a"))).json()["metadata"]["workspace"] == "team-a"
        assert (await client.get("/v0/jobs/only-a", headers=bearer("b"))).status_code == 404
        assert len((await client.get(EXECUTIONS, headers=bearer("b"))).json()["data"]) == 1
        assert (await client.get(f"{EXECUTIONS}/{of_a}", headers=bearer("a"))).json()["status"] == "pending"


async def test_the_workspace_header(make_app: MakeApp) -> None:
    async with client_of(make_app(keys=Keyring([key("a", "team-a")])), headers=bearer("a")) as client:
        assert (await client.get(EXECUTIONS, headers={"X-Blaxel-Workspace": "team-a"})).status_code == 200
        other = await client.get(EXECUTIONS, headers={"X-Blaxel-Workspace": "team-b"})
        assert (other.status_code, other.json()["path"]) == (403, "X-Blaxel-Workspace")
    async with client_of(make_app()) as client:
        created = await client.post(EXECUTIONS, json={"input": 1}, headers={"X-Blaxel-Workspace": "team-b"})
        assert created.json()["metadata"]["workspace"] == "default"


async def test_a_key_is_never_in_an_answer(engine: Engine) -> None:
    app = create_app(engine, version="1", new_id=new_key, keys=Keyring([key("k1")]))
    async with client_of(app) as client:
        for secret in ("a-wrong-secret", "k1"):
            for path in (EXECUTIONS, "/nope"):
                response = await client.get(path, headers=bearer(secret))
                assert secret not in response.text.replace(EXECUTIONS, "") + str(response.headers)
