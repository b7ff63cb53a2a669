"""`/__mock__`: a mock steered by programs in any language. Nothing of it is on a durable server."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from blaxel_jobs import JobsClient
from mock_server import MockServer
from tests.mock.test_live import refused, served
from tests.serving import serving


@pytest.fixture
def mock() -> Iterator[MockServer]:
    with MockServer(live=True) as mock:
        yield mock


@pytest.fixture
def http(mock: MockServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=str(mock.url)) as http:
        yield http


def ok(response: httpx.Response):
    assert response.status_code == 200, response.text
    return response.json()


def test_what_it_is(http: httpx.Client):
    assert ok(http.get("/__mock__/health")) == {"status": "ok", "namespace": "default"}
    version = ok(http.get("/__mock__/version"))
    assert (version["contract"], version["seed"], version["mode"]) == ("1", 0, "settle")


def test_its_clock(mock: MockServer, http: httpx.Client):
    assert ok(http.get("/__mock__/clock")) == {"kind": "virtual", "now": 1893456000.0, "elapsed": 0.0, "frozen": False}
    assert ok(http.post("/__mock__/clock", json={"advance": 90, "frozen": True}))["elapsed"] == mock.monotonic() == 90
    assert ok(http.post("/__mock__/clock", json={"frozen": False}))["frozen"] is False
    http.post("/v0/jobs/my-job/executions", json={"input": {"duration": 60}})
    assert ok(http.post("/__mock__/drain"))["elapsed"] == 150
    http.post("/v0/jobs/my-job/executions", json={"input": {"duration": 60}})
    assert ok(http.post("/__mock__/drain?maxWait=5"))["elapsed"] <= 155


def test_its_faults(http: httpx.Client):
    added = ok(http.post("/__mock__/faults", json={"kind": "status", "status": 429, "retryAfter": 3, "first": 1}))
    assert added == {
        "faults": [{"id": 1, "kind": "status", "status": 429, "retryAfter": 3.0, "first": 1, "matched": 0, "injected": 0}]
    }
    struck = http.get("/v0/jobs")
    assert (struck.status_code, struck.headers["Retry-After"], struck.headers["Mock-Fault"]) == (429, "3", "status;id=1")
    assert ok(http.get("/__mock__/faults/1"))["injected"] == 1
    assert len(ok(http.post("/__mock__/faults", json={"faults": [{"kind": "drop"}, {"kind": "reset"}]}))["faults"]) == 2
    assert ok(http.delete("/__mock__/faults/2"))["kind"] == "drop"
    assert http.delete("/__mock__/faults/2").status_code == 404
    assert [fault["id"] for fault in ok(http.get("/__mock__/faults"))["faults"]] == [1, 3]
    assert ok(http.delete("/__mock__/faults")) == {"faults": []}
    wrong = http.post("/__mock__/faults", json={"faults": [{"kind": "drop", "frist": 1}]})
    assert (wrong.status_code, wrong.json()["path"]) == (422, "faults[0].frist")
    assert "did you mean 'first'?" in wrong.json()["message"]


def test_its_journal(http: httpx.Client):
    http.get("/v0/jobs?limit=3")
    (line,) = http.get("/__mock__/journal").text.splitlines()
    assert (json.loads(line)["path"], json.loads(line)["query"]) == ("/v0/jobs", "limit=3")
    assert ok(http.post("/__mock__/journal/verify", json={"method": "GET", "path": "/jobs", "times": 1}))["ok"] is True
    miss = ok(http.post("/__mock__/journal/verify", json={"method": "GET", "path": "/executions"}))
    assert (miss["ok"], miss["times"]) == (False, 0)
    assert "its path has 'jobs' for 'executions'" in miss["message"]
    assert http.post("/__mock__/journal/verify", json={"path": "/jobs"}).json()["path"] == "method"
    assert http.post("/__mock__/journal/verify", json={"method": "GET", "path": "/jobs", "tiems": 1}).status_code == 422
    assert ok(http.delete("/__mock__/journal")) == {"requests": 0}
    assert http.get("/__mock__/journal").text == ""


def test_its_state(http: httpx.Client):
    created = ok(http.post("/v0/jobs/my-job/executions", json={"input": {"duration": 60}}))
    path = f"/v0/executions/{created['executionId']}"
    assert ok(http.get(path))["status"] == "completed"
    state = http.get("/__mock__/state")
    assert ok(http.delete("/__mock__/state"))["elapsed"] == 0
    assert http.get(path).status_code == 404
    assert ok(http.put("/__mock__/state", content=state.content))["elapsed"] == 60
    assert ok(http.get(path))["status"] == "completed"
    assert http.put("/__mock__/state", content=b"{}").status_code == 422


def test_its_namespaces(mock: MockServer, http: httpx.Client):
    assert ok(http.get("/__mock__/namespaces")) == {"namespaces": ["default"]}
    assert ok(http.put("/__mock__/namespaces/one")) == {"namespace": "one"}
    assert ok(http.get("/ns/one/__mock__/health"))["namespace"] == "one"
    assert ok(http.get("/__mock__/health", headers={"Mock-Namespace": "two"}))["namespace"] == "two"
    assert ok(http.delete("/__mock__/namespaces/one")) == {"namespaces": ["default", "two"]}
    assert http.delete("/__mock__/namespaces/one").status_code == 404
    assert http.get("/v0/jobs", headers={"Mock-Namespace": "a b"}).status_code == 422


def test_other_methods_and_paths_are_refused(http: httpx.Client):
    assert http.delete("/__mock__/health").status_code == 405
    assert http.get("/__mock__/nothing").status_code == 404
    assert http.post("/__mock__/clock", json={"advance": -1}).json()["path"] == "advance"
    assert http.post("/__mock__/clock", content=b"[").status_code == 400
    assert http.get("/__mock__/state", headers={"Host": "evil.example"}).status_code == 421
    assert http.delete("/__mock__/state", headers={"Origin": "http://evil.example"}).status_code == 403


def test_with_keys_it_is_for_admins(tmp_path: Path):
    with served(tmp_path, "--api-key", "secret", "--strict") as server, httpx.Client(base_url=server.url) as http:
        assert http.get("/__mock__/journal").status_code == 401
        assert http.get("/__mock__/journal", headers={"Authorization": "Bearer secret"}).status_code == 200
        with JobsClient(server.url, api_key="secret") as client:
            assert client.job("my-job").trigger({"duration": 60}).wait_done().done


def test_a_scenario_on_the_command_line(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("faults: [{kind: status, status: 503, every: 2}]")
    with served(tmp_path, "--scenario", str(tmp_path / "bad.yaml")) as server, JobsClient(server.url) as client:
        job = client.job("my-job")
        ids = [job.create_execution({"tasks": [{}]}) for _ in range(3)]
        assert len(set(ids)) == 3
        assert len(httpx.get(f"{server.url}/__mock__/journal").text.splitlines()) == 5
    (tmp_path / "bad.yaml").write_text("faults: [{kind: status, status: 5030}]")
    assert "faults[0].status" in refused("--scenario", str(tmp_path / "bad.yaml"))


def test_a_durable_server_has_none_of_it(tmp_path: Path):
    with serving(tmp_path, "memory:", "--simulate") as server, httpx.Client(base_url=server.url) as http:
        for path in ("health", "version", "clock", "faults", "journal", "state", "namespaces"):
            for method in ("GET", "POST", "PUT", "DELETE"):
                assert http.request(method, f"/__mock__/{path}").status_code == 404
        assert http.get("/ns/one/v0/jobs").status_code == 404
        assert http.get("/v0/jobs", headers={"Mock-Namespace": "one"}).status_code == 200
