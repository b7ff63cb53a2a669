"""`bl_start_job.start(func)`: a process that runs one task, whose fields come from a URL or from the command line."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs.errors import ConfigError, ConnectionFailed, ContractError, NotFound, ServerError
from blaxel_jobs.runner import bl_start_job
from blaxel_jobs.transport.download import TRIES, get_json
from tests.pace import PATIENCE
from tests.serving import plain_environment

TASKS = [{"name": "a", "size": 1}, {"name": "b", "size": 2}]

Answers = list[tuple[int, bytes]]


@contextmanager
def data_url(*answers: tuple[int, Any]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers, the last one again and again; with the paths that were asked for."""
    left: Answers = [(status, json.dumps(body).encode()) for status, body in answers]
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/data?secret=s3cr3t", asked
        finally:
            server.shutdown()
            thread.join()


SCRIPT = """
import asyncio, json, sys
from blaxel_jobs.runner import bl_start_job

def plain(**fields):
    print(json.dumps(fields))

async def waiting(**fields):
    await asyncio.sleep(0)
    plain(**fields)

def broken(**fields):
    raise ValueError("no luck today")

bl_start_job.start({"plain": plain, "waiting": waiting, "broken": broken}[sys.argv.pop(1)])
print("after", file=sys.stderr)
"""


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), *words]
    return subprocess.run(
        command, cwd=folder, env=plain_environment(**environment), capture_output=True, text=True, timeout=PATIENCE
    )


@pytest.mark.parametrize("kind", ["plain", "waiting"])
def test_a_task_is_run_with_its_fields_from_the_data_url(kind: str, tmp_path: Path) -> None:
    with data_url((200, {"tasks": TASKS})) as (url, asked):
        done = run(tmp_path, kind, BL_EXECUTION_DATA_URL=url, TASK_INDEX="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == TASKS[1]
    assert "after" in done.stderr  # it returns
    assert asked == ["/data?secret=s3cr3t"]


def test_the_index_is_in_the_variable_that_is_named(tmp_path: Path) -> None:
    with data_url((200, {"tasks": TASKS})) as (url, _):
        done = run(tmp_path, "plain", BL_EXECUTION_DATA_URL=url, BL_TASK_KEY="MY_INDEX", MY_INDEX="1", TASK_INDEX="0")
    assert json.loads(done.stdout) == TASKS[1]


def test_without_a_url_the_fields_come_from_the_command_line(tmp_path: Path) -> None:
    done = run(tmp_path, "plain", "--name", "x", "-n", "-1", "--text=a=b", "--left-out")
    assert json.loads(done.stdout) == {"name": "x", "n": "-1", "text": "a=b"}
    assert "--left-out has no value" in done.stderr


def test_an_error_is_logged_and_ends_with_1(tmp_path: Path) -> None:
    done = run(tmp_path, "broken")
    assert done.returncode == 1
    assert "no luck today" in done.stderr
    assert "after" not in done.stderr.splitlines()


def test_a_url_that_answers_nothing_good_ends_with_1_and_stays_secret(tmp_path: Path) -> None:
    with data_url((404, {"error": "not_found", "message": "gone"})) as (url, asked):
        done = run(tmp_path, "plain", BL_EXECUTION_DATA_URL=url)
    assert done.returncode == 1
    assert "gone" in done.stderr
    assert "s3cr3t" not in done.stderr + done.stdout
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("index", "answer", "error", "says"),
    [
        ("2", {"tasks": TASKS}, ConfigError, "TASK_INDEX is 2, and there are 2 tasks"),
        ("-1", {"tasks": TASKS}, ConfigError, "whole number"),
        ("0", {"tasks": ["a"]}, ContractError, "task 0 is no object"),
        ("0", {"tasks": "a"}, ContractError, "no list of tasks"),
    ],
)
def test_what_makes_no_arguments_says_why(
    index: str, answer: Any, error: type[Exception], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with data_url((200, answer)) as (url, _):
        monkeypatch.setenv("BL_EXECUTION_DATA_URL", url)
        monkeypatch.setenv("TASK_INDEX", index)
        with pytest.raises(error, match=says):
            bl_start_job.get_arguments()


@pytest.mark.parametrize("answer", [{}, {"tasks": []}, {"tasks": None}])
def test_an_execution_without_tasks_has_no_arguments(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with data_url((200, answer)) as (url, _):
        monkeypatch.setenv("BL_EXECUTION_DATA_URL", url)
        monkeypatch.delenv("TASK_INDEX", raising=False)
        assert (bl_start_job.index, bl_start_job.get_arguments()) == (0, {})


def test_a_server_that_fails_is_asked_again() -> None:
    with data_url((503, {}), (500, {}), (200, {"tasks": TASKS})) as (url, asked):
        assert get_json(url) == {"tasks": TASKS}
    assert len(asked) == 3


@pytest.mark.parametrize("failure", [httpx.ConnectError("no"), httpx.ReadTimeout("no"), httpx.Response(500)], ids=repr)
def test_it_is_asked_so_often_and_no_more(failure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blaxel_jobs.transport.download.FIRST_PAUSE", 0.001)
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(1)
        if isinstance(failure, Exception):
            raise failure
        return httpx.Response(500, json={})

    with pytest.raises((ConnectionFailed, ServerError)):
        get_json("http://data.test/x", transport=httpx.MockTransport(answer))
    assert len(asked) == TRIES


def test_what_is_no_document_is_not_asked_for_again() -> None:
    with data_url((404, {})) as (url, asked), pytest.raises(NotFound):
        get_json(url)
    assert len(asked) == 1
    for bad in ("nonsense", "ftp://host/x", "http://[bad"):
        with pytest.raises(ContractError):
            get_json(bad)
    with pytest.raises(ContractError, match="no JSON"):
        get_json("http://data.test/x", transport=httpx.MockTransport(lambda request: httpx.Response(200, text="<html>")))
