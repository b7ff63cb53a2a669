"""Data URLs: the inputs of one execution, for who has its URL and no key."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from blaxel_jobs import ConfigError, JobManager, JobsClient, define_job
from blaxel_jobs.server.runner_data import SECRET_VARIABLE, read_secret
from tests.serving import plain_environment, serving

KEY = "k" * 40
TASKS = [{"name": "ä\u2028", "size": 1}, {"name": "b", "status": "completed"}]


@pytest.fixture
def keyed(tmp_path: Path) -> Any:
    with (
        serving(tmp_path, f"sqlite:///{tmp_path}/jobs.db", "--api-key", KEY) as server,
        JobsClient(base_url=server.url, api_key=KEY) as client,
    ):
        yield server, client


def changed(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = {name: value[0] for name, value in parse_qs(parts.query).items()} | values
    return str(httpx.URL(url, params={name: value for name, value in query.items() if value != ""}))


def test_a_data_url_answers_the_inputs_without_a_key_and_nothing_else(keyed: Any) -> None:
    server, client = keyed
    job = client.job("render")
    many, single = job.create_execution({"tasks": TASKS}), job.create_execution({"input": {"n": 1}})
    url = client.get_data_url(many)
    assert url == client.get_execution(many).get_data_url()
    assert url.startswith(f"{server.url}/v0/runner/tasks?")
    for headers in ({}, {"user-agent": "blaxel/sdk/python/0.4.24 (x)", "blaxel-version": "2026-04-28"}):
        answer = httpx.get(url, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"tasks": TASKS})
    assert httpx.get(client.get_data_url(single)).json() == {"tasks": [{"n": 1}]}
    for wrong in ({"executionId": single}, {"secret": "0" * 64}, {"secret": "é"}, {"secret": ""}, {"workspace": "other"}):
        for headers in ({}, {"blaxel-version": "2026-04-28"}, {"blaxel-version": "1999-01-01"}):
            refused = httpx.get(changed(url, **wrong), headers=headers)
            assert (refused.status_code, refused.json()["tasks"]) == (403, None), wrong
    assert httpx.get(f"{server.url}/v0/executions/{many}/data-url").status_code == 401
    assert httpx.get(url.replace("/tasks?", "/tasks/?")).status_code in (401, 404)
    assert httpx.post(url).status_code == 405
    assert httpx.get(url, headers={"Host": "elsewhere.example"}).json()["tasks"] is None
    client.get_execution(many).delete(force=True)
    assert httpx.get(url).status_code == 404


def test_the_runner_takes_it(keyed: Any, tmp_path: Path) -> None:
    _, client = keyed
    url = client.get_data_url(client.job("render").create_execution({"tasks": TASKS}))
    script = "from blaxel_jobs.runner import bl_start_job\nbl_start_job.start(lambda **fields: print(ascii(fields)))"
    environment = plain_environment(BL_EXECUTION_DATA_URL=url, TASK_INDEX="0")
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ascii(TASKS[0])


def test_with_a_secret_in_the_environment_it_holds_for_the_next_server_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And without one it does not."""
    store, answers = f"sqlite:///{tmp_path}/jobs.db", []
    for secret in ("s" * 16, None):
        values = {} if secret is None else {SECRET_VARIABLE: secret}
        monkeypatch.setattr("tests.serving.plain_environment", partial(plain_environment, **values))
        with serving(tmp_path, store) as server, JobsClient(base_url=server.url) as client:
            url = client.get_data_url(client.job("render").create_execution({"tasks": TASKS}))
        with serving(tmp_path, store) as server:
            there = f"{server.url}{url[url.index('/v0') :]}"
            answers.append(httpx.get(there).status_code)
        monkeypatch.undo()
    assert answers == [200, 403]


def test_a_secret_is_not_short() -> None:
    assert (read_secret(None), read_secret(""), read_secret("s" * 16)) == (None, None, b"s" * 16)
    with pytest.raises(ConfigError):
        read_secret("short")


def test_in_process_there_is_no_url() -> None:
    with JobManager("memory:") as manager:
        job = manager.register(define_job(name="render", run=lambda: None))
        with pytest.raises(ConfigError, match="serve"):
            job.trigger().get_data_url()
