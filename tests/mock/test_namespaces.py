"""Mocks beside each other: programs that share one, and see nothing of each other."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from blaxel_jobs import InvalidRequest, JobsClient, NotFound
from blaxel_jobs.errors import ConfigError
from mock_server import MockServer
from tests.mock.test_live import served
from tests.serving import plain_environment

SUITE = """
import os, pytest
from blaxel_jobs import JobsClient, ServerError
import httpx

WORKER = os.environ["PYTEST_XDIST_WORKER"]
ROOT = os.environ["MOCK_URL"]
WAYS = [
    lambda: JobsClient(f"{ROOT}/ns/{WORKER}/v0"),
    lambda: JobsClient(ROOT, workspace=WORKER),
]

@pytest.fixture(params=range(2))
def client(request):
    httpx.put(f"{ROOT}/__mock__/namespaces/{WORKER}").raise_for_status()
    with WAYS[request.param]() as client:
        yield client

@pytest.mark.parametrize("number", range(COUNT))
def test_alone(client, number):
    admin = httpx.Client(base_url=f"{ROOT}/ns/{WORKER}/__mock__")
    admin.delete("/state").raise_for_status()
    job = client.job("shared-name")
    ids = [job.create_execution({"tasks": [{"duration": 60, "worker": WORKER}]}, execution_id=f"same-{n}") for n in range(3)]
    assert admin.get("/clock").json()["elapsed"] == 0
    assert [job.wait_for_execution(id).status for id in ids] == ["completed"] * 3
    assert admin.get("/clock").json()["elapsed"] == 60
    seen = [job.get_execution(one.id).tasks[0].input["worker"] for one in job.list_executions()]
    assert seen == [WORKER] * 3
    admin.post("/faults", json={"kind": "status", "status": 503, "first": 1, "job": "shared-name"}).raise_for_status()
    job.create_execution({"tasks": [{}]})
    assert admin.get("/faults").json()["faults"][0]["injected"] == 1
    journal = admin.get("/journal").text.splitlines()
    creates = [line for line in journal if '"create_job_execution"' in line]
    assert len(creates) == 5
    admin.delete("/faults").raise_for_status()
"""


def run_workers(folder: Path, workers: int, tests: int) -> None:
    """A suite whose workers share one live mock."""
    with served(folder) as server:
        (folder / "test_alone.py").write_text(SUITE.replace("COUNT", str(tests)))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", str(workers), str(folder / "test_alone.py")]
        # Other plugins take longer to load, in each worker, than the tests.
        environment = plain_environment(MOCK_URL=server.url, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout
        assert f"{2 * tests} passed" in done.stdout
        named = httpx.get(f"{server.url}/__mock__/namespaces").json()["namespaces"]
        assert named[0] == "default"
        assert 2 <= len(named) <= workers + 1
        assert httpx.get(f"{server.url}/__mock__/journal").text == ""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_of_xdist_share_one_live_mock(tmp_path: Path):
    run_workers(tmp_path, 8, 4)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_workers_of_xdist_share_one_live_mock_ten_times(tmp_path: Path):
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        run_workers(folder, 8, 100)


def test_namespaces_have_all_of_their_own():
    with MockServer(live=True) as mock:
        one, two = mock.namespace("one"), mock.namespace("two")
        one.faults.add("status", status=500, method="GET")
        two.job("my-job").trigger({"duration": 60}).wait_done()
        one.job("my-job").trigger({"duration": 5})
        assert [len(each.executions) for each in (mock, one, two)] == [0, 1, 1]
        assert [len(each.requests) for each in (mock, one)] == [0, 1]
        assert (two.now - mock.now).total_seconds() == 60
        one.advance(10)
        assert (one.now - mock.now).total_seconds() == 10
        assert one.executions[0].status == "completed"
        one.reset()
        assert (one.executions, len(two.executions)) == ([], 1)
        two.assert_called("POST", "/jobs/my-job/executions", times=1)


@pytest.mark.parametrize("way", ["url", "workspace", "header"])
def test_configuration_chooses_one(way: str):
    with MockServer(live=True) as mock:
        one = mock.namespace("one")
        assert one.url == f"{mock.url}/ns/one/v0"
        if way == "header":
            created = httpx.post(
                f"{mock.url}/v0/jobs/my-job/executions", json={"input": {"duration": 60}}, headers={"Mock-Namespace": "one"}
            )
            assert created.status_code == 200
        else:
            client = JobsClient(one.url) if way == "url" else JobsClient(mock.url, workspace="one")
            with client:
                execution = client.job("my-job").trigger({"duration": 60}).wait_done()
                assert execution.status == "completed"
                with pytest.raises(NotFound):
                    mock.job("my-job").get_execution(execution.id)
        assert (len(one.executions), mock.executions) == (1, [])


@pytest.mark.parametrize("way", ["client", "url", "workspace", "header"])
def test_a_data_url_leads_to_the_namespace_that_made_it(way: str):
    with MockServer(live=True) as mock:
        one = mock.namespace("one")
        execution = one.job("render").trigger({"page": 1})
        root, headers = {
            "client": (None, {}),
            "url": (one.url, {}),
            "workspace": (f"{mock.url}/v0", {"X-Blaxel-Workspace": "one"}),
            "header": (f"{mock.url}/v0", {"Mock-Namespace": "one"}),
        }[way]
        if root is None:
            url = execution.get_data_url()
        else:
            url = httpx.get(f"{root}/executions/{execution.id}/data-url", headers=headers).json()["url"]
        assert url.startswith(f"{one.url}/runner/tasks?")
        assert httpx.get(url).json() == {"tasks": [{"page": 1}]}
        assert httpx.get(url.replace("/ns/one", "")).status_code == 403
        state = one.snapshot()
        one.reset()
        assert httpx.get(url).status_code == 404
        one.restore(state)
        assert httpx.get(url).status_code == 200


def test_a_live_mocks_own_client_is_given_a_data_url_for_other_processes():
    with MockServer(live=True) as mock:
        url = mock.job("render").trigger({"page": 1}).get_data_url()
        assert httpx.get(url).json() == {"tasks": [{"page": 1}]}


def test_the_workspace_of_no_namespace_is_none():
    with MockServer(live=True) as mock, JobsClient(mock.url, workspace="acme") as client:
        client.job("my-job").trigger({}).wait_done()
        assert len(mock.executions) == 1


def test_names_and_ends_of_namespaces():
    with MockServer(live=True) as mock:
        for name in ("", "a b", "-a", "a" * 65):
            with pytest.raises(InvalidRequest):
                mock.namespace(name)
        one = mock.namespace("one")
        assert httpx.delete(f"{mock.url}/__mock__/namespaces/one").status_code == 200
        with pytest.raises(ConfigError, match="was removed"):
            _ = one.executions
        assert mock.namespace("default").executions == []


def test_a_handler_that_blocks_one_does_not_hold_up_the_other():
    import threading

    from blaxel_jobs import define_job

    release = threading.Event()

    @define_job("blocks")
    def blocks(context):
        release.wait(20)

    with MockServer(jobs=[blocks]) as mock:
        one, two = mock.namespace("one"), mock.namespace("two")
        blocked = one.job("blocks").trigger()
        assert two.job("my-job").trigger({"duration": 3600}).wait_done(max_wait=4000).status == "completed"
        assert not one.executions[0].done
        release.set()
        assert blocked.wait_done().status == "completed"


def test_each_seed_is_the_same_in_every_namespace():
    def told(mock) -> list[object]:
        mock.job("my-job").trigger({"duration": 5}, idempotency_key="k").wait_done()
        return [json.loads(line) for line in mock.journal.splitlines()]

    with MockServer() as mock:
        assert told(mock.namespace("one")) == told(mock.namespace("two")) == told(mock)
