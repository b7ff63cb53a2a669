"""A mock that listens: for other processes, and for programs in any language."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from blaxel_jobs import JobsClient, Unauthorized, WaitTimeoutError
from mock_server import MockServer
from tests.pace import PATIENCE, best_of, until, within
from tests.serving import ROOT, plain_environment, stable_port

WORKER = """
import time
from blaxel_jobs import define_job

@define_job("word-count")
def word_count(context, payload):
    time.sleep(0.01)
    return len(payload["text"].split())
"""


class Served(NamedTuple):
    url: str
    process: subprocess.Popen[str]
    ready: Path


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Served]:
    """`python -m mock_server` on a free port. It must end with SIGTERM and exit code 0."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "mock_server", "--port", "0", "--ready-file", str(ready), *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        until(lambda: ready.exists() or process.poll() is not None, "the mock serves")
        assert process.poll() is None, process.communicate()[0]
        told = json.loads(ready.read_text())
        assert told["pid"] == process.pid
        yield Served(told["url"], process, ready)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, out
        assert "Traceback" not in out
        assert not ready.exists()
    finally:
        process.kill()
        process.communicate()


def refused(*arguments: str) -> str:
    """What it says before it exits with 2."""
    command = [sys.executable, "-m", "mock_server", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.row("K-10", "S1-37")
def test_k_10_ten_tasks_of_a_minute_over_http():
    with MockServer(live=True) as mock, JobsClient(mock.url) as client:
        job = client.job("my-job")
        job.get_execution(job.create_execution({"tasks": [{}]}))  # whatever is loaded at the first call

        def attempt() -> float:
            started, moment = time.perf_counter(), mock.monotonic()
            ended = job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60}] * 10}), max_wait=180)
            took = time.perf_counter() - started
            assert ended.status == "completed"
            assert mock.monotonic() - moment == 60
            return took

        within(0.5, attempt)


@pytest.mark.parametrize("max_wait", [30, 31, 59, 0.25, 30.5])
def test_a_wait_over_http_ends_after_its_virtual_seconds(max_wait: float):
    with MockServer(live=True) as mock, JobsClient(mock.url) as client:
        execution_id = client.job("my-job").create_execution({"tasks": [{"duration": 60}]})
        started = time.monotonic()
        with pytest.raises(WaitTimeoutError):
            client.job("my-job").wait_for_execution(execution_id, max_wait=max_wait)
        took = time.monotonic() - started  # counts, too
        assert took < 10 or max_wait < 30
        assert max_wait - 0.1 - took <= mock.monotonic() <= max_wait + 0.01
        assert client.job("my-job").wait_for_execution(execution_id).status == "completed"
        assert mock.monotonic() == 60


@pytest.mark.parametrize(("duration", "max_wait"), [(0.3, 0.5), (30.5, 30.9), (60, 60), (299.5, 360)])
def test_a_wait_over_http_ends_with_the_execution(duration: float, max_wait: float):
    def attempt() -> None:
        with MockServer(live=True) as mock, JobsClient(mock.url) as client:
            job = client.job("my-job")
            assert job.wait_for_execution(job.create_execution({"tasks": [{"duration": duration}]}), max_wait=max_wait).done
            assert duration <= mock.monotonic() <= min(max_wait, duration + 0.5)

    best_of(10, attempt)  # the real time of requests counts, too


def test_two_that_wait_at_once_are_charged_once():
    with MockServer(live=True) as mock, JobsClient(mock.url) as client, ThreadPoolExecutor(8) as pool:
        job = client.job("my-job")
        ids = [job.create_execution({"tasks": [{"duration": 100}]}) for _ in range(8)]
        assert [one.status for one in pool.map(partial(job.wait_for_execution, max_wait=130), ids)] == ["completed"] * 8


def test_within_the_process_plain_clients_need_no_socket(monkeypatch: pytest.MonkeyPatch):
    from blaxel_jobs import bl_job

    with MockServer(live=True) as mock:
        assert bl_job("my-job").trigger({"duration": 60}).wait_done().status == "completed"
        monkeypatch.setenv("BL_API_URL", str(mock.url))
        assert bl_job("my-job").trigger({"duration": 60}).wait_done().status == "completed"
        assert mock.monotonic() == 120


def test_any_http_client_may_look():
    with MockServer(live=True, mode="step") as mock, httpx.Client(base_url=f"{mock.url}/v0/jobs/my-job") as http:
        created = http.post("/executions", json={"tasks": [{"duration": 60}]})
        assert created.headers["Mock-Elapsed"] == "0.000000"
        path = f"/executions/{created.json()['executionId']}"
        assert [http.get(f"{path}/status").json()["status"] for _ in range(3)] == ["pending", "running", "completed"]
        path = f"/executions/{http.post('/executions', json={'input': {'duration': 60}}).json()['executionId']}"
        held = http.get(path, headers={"Prefer": "wait=20"})
        assert (held.json()["status"], held.headers["Mock-Elapsed"]) == ("running", "20.000000")
        slept = http.get(path, headers={"Prefer": "wait=0", "Mock-Slept": "40"})
        assert (slept.json()["status"], slept.headers["Mock-Elapsed"]) == ("completed", "0.000000")
        assert http.get(path, headers={"Mock-Slept": "never"}).status_code == 200
        assert http.get("/executions/nope").status_code == 404
        assert httpx.get(f"{mock.url}/readyz").status_code == 200


LATER = {
    "attrs", "blaxel_jobs.define", "blaxel_jobs.values", "blaxel_jobs.worker.context", "blaxel_jobs.worker.worker",
}  # fmt: skip
"""What comes with the first operation: each class of attrs takes as long as some modules do."""
NEVER = {
    "httpx", "anyio", "blaxel_jobs.core.refusals", "sqlalchemy", "alembic", "sqlite3", "typer", "rich", "yaml", "jsonschema_rs",
    "prometheus_client", "importlib.metadata", "encodings.idna", "blaxel_jobs.config", "blaxel_jobs.jobs", "blaxel_jobs.flow",
    "blaxel_jobs.transport", "blaxel_jobs.client", "blaxel_jobs.manager", "blaxel_jobs.worker.processes",
    "blaxel_jobs.worker.modules", "mock_server.server", "mock_server.strict", "mock_server.scenario", "mock_server.admin",
    "mock_server.injection", "mock_server.state",
}  # fmt: skip
"""What is for those who use the SDK, a database, or what else a mock can do beside running jobs."""


def test_the_command_loads_little_before_its_first_answer(tmp_path: Path):
    ready, told = tmp_path / "ready.json", tmp_path / "imports"
    command = [sys.executable, "-v", "-m", "mock_server", "--port", "0", "--ready-file", str(ready)]

    def loaded() -> set[str]:
        """By what Python tells of each module, once it is there."""
        return set(re.findall(r"^import '([^']+)' # ", told.read_text(), re.MULTILINE))

    with told.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=plain_environment(MOCK_SERVER_STRICT="0"), stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        until(lambda: ready.exists() or process.poll() is not None, "the mock serves")
        url = json.loads(ready.read_text())["url"]
        assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        at_first = loaded()
        assert {"mock_server.world", "blaxel_jobs.engine", "uvicorn"} <= at_first
        assert sorted(at_first & (LATER | NEVER)) == []
        with JobsClient(url) as client:
            assert client.job("my-job").trigger({"duration": 60}).wait_done().status == "completed"
        assert loaded() >= LATER
        assert sorted(loaded() & NEVER) == []
    finally:
        process.kill()
        process.wait()


@pytest.mark.row("K-06")
def test_k_06_the_command_serves_and_ends_cleanly(tmp_path: Path):
    (tmp_path / "handlers.py").write_text(WORKER)
    with served(tmp_path, "--worker", "handlers", "--seed", "7") as server, JobsClient(server.url) as client:
        job = client.job("my-job")
        first = job.create_execution({"tasks": [{"duration": 60}, {"duration": 3600}]})
        assert job.wait_for_execution(first, max_wait=3700).status == "completed"
        assert client.job("word-count").trigger({"text": "a b c"}).get_result() == 3
        hanging = job.trigger({"hang": True})
        with pytest.raises(WaitTimeoutError):
            hanging.wait_done(max_wait=100)


def test_the_commands_other_clocks(tmp_path: Path):
    with served(tmp_path, "--clock", "scale:600") as server, JobsClient(server.url) as client:
        started = time.monotonic()
        execution = client.job("my-job").trigger({"duration": 60})
        with pytest.raises(WaitTimeoutError):
            execution.wait_done(max_wait=30)
        assert execution.wait_done(max_wait=60).status == "completed"
        assert 0.1 <= time.monotonic() - started < 30


def test_the_command_with_a_key(tmp_path: Path):
    with served(tmp_path, "--api-key", "secret") as server:
        with JobsClient(server.url) as client, pytest.raises(Unauthorized):
            client.job("my-job").trigger()
        with JobsClient(server.url, api_key="secret") as client:
            assert client.job("my-job").trigger({"duration": 60}).get_result() is None


def test_the_command_says_what_is_wrong():
    assert "--api-key" in refused("--host", "0.0.0.0", "--port", "0")
    assert "'fast'" in refused("--port", "0", "--clock", "fast")
    assert "'jump'" in refused("--port", "0", "--mode", "jump")
    assert "no module 'nowhere'" in refused("--port", "0", "--worker", "nowhere")
    with MockServer(live=True) as mock:
        assert "in use" in refused("--port", str(mock.url).rpartition(":")[2])


@pytest.mark.row("S1-31")
@pytest.mark.parametrize("script", sorted((ROOT / "examples" / "seed_001").glob("*.py")), ids=lambda path: path.stem)
def test_s1_31_every_snippet_runs_against_a_mock(script: Path):
    with MockServer(live=True) as mock:
        environment = plain_environment(BL_API_URL=str(mock.url), PYTHONUTF8="1")
        done = subprocess.run(
            [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=50, encoding="utf-8"
        )  # a task takes a minute
        assert done.returncode == 0, done.stderr
        assert mock.executions


def test_a_port_of_ones_own(tmp_path: Path):
    port = stable_port()
    with MockServer(live=True, port=port) as again:
        assert again.url == f"http://127.0.0.1:{port}"
        assert os.environ.get("BL_API_URL") is None
