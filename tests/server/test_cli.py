"""`blaxel-jobs serve` as its user meets it: what it says, how it ends."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from blaxel_jobs.cli.commands import run
from blaxel_jobs.stores import open_store
from blaxel_jobs.stores.sql.migrations import version_table
from tests.pace import PATIENCE, until
from tests.serving import plain_environment

SLOW = """
import os
import time
from blaxel_jobs.define import define_job

@define_job("held")
def held(context, payload):
    while not os.path.exists("gate"):
        time.sleep(0.01)
    return "let go"

@define_job("sleep")
def sleep(context, payload):
    time.sleep(payload["seconds"])
    return "slept"
"""


class Serving(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    ready: Path

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=120, **options)

    def create(self, job: str, body: dict[str, Any], **options: Any) -> str:
        """The path of a new execution."""
        created = self.ask("POST", f"/v0/jobs/{job}/executions", json=body, **options)
        assert created.status_code == 200, created.text
        return f"/v0/jobs/{job}/executions/{created.json()['executionId']}"

    def ends(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "blaxel_jobs.cli", *arguments]


@contextlib.contextmanager
def serve(folder: Path, *arguments: str, **environment: str) -> Iterator[Serving]:
    ready = folder / "ready.json"
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            command("serve", "--port", "0", "--ready-file", str(ready), *arguments),
            cwd=folder, env=plain_environment(**environment), stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        until(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        told = json.loads(ready.read_text())
        assert told["pid"] == process.pid
        yield Serving(process, told["url"], ready)
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, empty. What is imported from it is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("BLAXEL_JOBS_SERVER_KEY", "BL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], status: int = 2) -> str:
    """What it says on stderr: one line."""
    assert run(["serve", "--port", "0", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"blaxel-jobs: .+\n", err), err
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store", "redis://x"], "sqlite:///"),
        (["--store", ""], "sqlite:///"),
        (["--store", "sqlite:///no/such/folder/jobs.db"], "no/such/folder"),
        (["--host", "0.0.0.0"], "--api-key"),
        (["--host", "::"], "--api-key"),
        (["--host", "no.such.host.invalid"], "--host"),
        (["--port", "65536"], "65536"),
        (["--port", "x"], "--port"),
        (["--lease", "0"], "--lease"),
        (["--lease", "inf"], "--lease"),
        (["--grace", "-1"], "--grace"),
        (["--grace", "nan"], "--grace"),
        (["--slots", "0"], "--slots"),
        (["--log-level", "loud"], "--log-level"),
        (["--colour"], "--colour"),
        (["--api-key", "two words"], "--api-key"),
        (["--api-key", ""], "--api-key"),
        (["--api-key-file", "nope"], "nope"),
        (["--allow-origin", "app.example.com"], "--allow-origin"),
        (["--allow-origin", "https://app.example.com/path"], "--allow-origin"),
        (["--allow-origin", "*"], "--allow-origin"),
        (["--allow-host", "http://x"], "--allow-host"),
        (["--worker", "no_such_module"], "'no_such_module'"),
        (["--worker", "no.such.module"], "'no.such.module'"),
        (["--worker", "json"], "defines no job"),
        (["--worker", ""], "not a module's name"),
        (["--worker", ".x"], "not a module's name"),
        (["--store", "memory:", "--ready-file", "no/such/folder/ready"], "no/such/folder/ready"),
    ],
    ids=" ".join,
)
def test_mistakes_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert says in refused(capsys, arguments)
    assert not list(folder.glob("*.db*"))


def test_a_port_in_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, ["--store", "sqlite:///jobs.db", "--port", str(port)])
    assert f"port {port}" in said
    assert "--port" in said
    assert not (folder / "jobs.db").exists()


def test_a_store_of_a_newer_release(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_store("sqlite:///jobs.db").close()
    with contextlib.closing(sqlite3.connect("jobs.db")) as connection, connection:
        connection.execute(f"update {version_table('')} set version_num = '9999'")
    said = refused(capsys, ["--store", "sqlite:///jobs.db"])
    assert "newer" in said
    assert "jobs.db" in said


def test_a_file_that_is_no_store(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "jobs.db").write_bytes(b"PK\x03\x04" * 500)
    assert "jobs.db" in refused(capsys, ["--store", "sqlite:///jobs.db"])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def f(:", "syntax error in line 1"),
        ("\n\nraise RuntimeError('at\\nhome')", "RuntimeError: at home (line 3 of"),
        ("import no_such_dependency", "No module named 'no_such_dependency' (line 1 of"),
        ("raise SystemExit(3)", "SystemExit"),
        ("from blaxel_jobs.define import define_job\n@define_job('bad name')\ndef f(): ...", "(line 2 of"),
        (
            "from blaxel_jobs.define import define_job\na = define_job('x', run=print)\nb = define_job('x', run=print)",
            "'x' is defined twice",
        ),
    ],
)
def test_worker_modules_that_cannot_be(folder: Path, capsys: pytest.CaptureFixture[str], code: str, says: str) -> None:
    (folder / "my_broken_jobs.py").write_text(code)
    said = refused(capsys, ["--store", "memory:", "--worker", "my_broken_jobs"])
    assert says in said
    assert "my_broken_jobs" in said


def test_two_modules_with_one_job(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first_jobs", "second_jobs"):
        (folder / f"{name}.py").write_text("from blaxel_jobs.define import define_job\nx = define_job('x', run=lambda: 1)\n")
    (folder / "importing_jobs.py").write_text("from first_jobs import x\n")
    said = refused(capsys, ["--store", "memory:", "--worker", "first_jobs", "--worker", "second_jobs"])
    assert "first_jobs and second_jobs" in said
    said = refused(capsys, ["--store", "redis:", "--worker", "first_jobs", "--worker", "importing_jobs"])
    assert "redis:" in said, "one definition that two modules know is no mistake"


def test_a_module_named_like_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my_jobs.py").write_text(SLOW)
    assert "without its .py: my_jobs" in refused(capsys, ["--store", "memory:", "--worker", "my_jobs.py"])


def test_a_bad_key_file_names_its_line_and_not_the_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "keys").write_text("good\nsecret scopes=root\n")
    said = refused(capsys, ["--api-key-file", "keys"])
    assert "keys, line 2" in said
    assert "secret" not in said


@pytest.mark.parametrize("name", ["typer", "uvicorn", "sqlalchemy", "uuid_utils"])
def test_missing_extras_are_named(tmp_path: Path, name: str) -> None:
    arguments = ["blaxel-jobs", "serve", "--port", "0", "--store", "sqlite:///jobs.db"]
    script = f"import sys; sys.modules[{name!r}] = None; sys.argv = {arguments}; from blaxel_jobs.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=plain_environment(), cwd=tmp_path, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert re.fullmatch(rf"blaxel-jobs: .*{name}.*pip install 'blaxel-jobs\[cli,server\]'\n", ended.stderr), ended.stderr


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"blaxel-jobs \S+\n", capsys.readouterr().out)
    assert run([]) == 0
    assert "serve" in capsys.readouterr().out
    assert run(["serve", "--help"]) == 0
    assert "--ready-file" in capsys.readouterr().out
    assert run(["sevre"]) == 2
    assert re.fullmatch(r"blaxel-jobs: .*sevre.*\n", capsys.readouterr().err)


@pytest.mark.parametrize("store", ["memory:", "sqlite:///jobs.db"])
def test_serve_runs_a_worker_module_and_ends_with_0(folder: Path, store: str) -> None:
    (folder / "my_jobs.py").write_text(SLOW)
    with serve(folder, "--store", store, "--worker", "my_jobs") as server:
        assert server.process.stdout
        assert re.fullmatch(
            rf"blaxel-jobs \S+ serves {store} on {server.url} \(runs the jobs of my_jobs, 8 .*\)\n",
            server.process.stdout.readline(),
        )
        path = server.create("sleep", {"input": {"seconds": 0}})
        done = server.ask("GET", path, headers={"Prefer": "wait=10"}).json()
        assert (done["status"], done["result"]) == ("completed", "slept")
        assert server.ends(signal.SIGTERM) == 0
        assert not server.ready.exists()
    assert "Traceback" not in (folder / "log").read_text()


def test_simulate_runs_every_job(folder: Path) -> None:
    with serve(folder, "--store", "memory:", "--simulate") as server:
        path = server.create("whatever", {"tasks": [{"duration": 0.2}] * 50})
        assert server.ask("GET", path, headers={"Prefer": "wait=10"}).json()["stats"]["success"] == 50
        refused = server.ask("POST", "/v0/jobs/x/executions", json={"tasks": [{"duration": -1}]})
        assert (refused.status_code, refused.json()["path"]) == (422, "tasks[0].duration")


def test_without_a_worker_an_execution_says_what_it_waits_for(folder: Path) -> None:
    with serve(folder, "--store", "memory:") as server:
        assert server.ask("GET", server.create("x", {"input": 1}) + "/status").json()["waitingFor"] == "worker"


def test_keys_from_every_source(folder: Path) -> None:
    (folder / "keys").write_text("from-file workspace=team scopes=read\n")
    arguments = ["--store", "memory:", "--api-key", "first", "--api-key", "second", "--api-key-file", "keys"]
    with serve(folder, *arguments, BLAXEL_JOBS_SERVER_KEY="from-env", BL_API_KEY="a-client-key") as server:
        for key, status in (
            ("first", 200),
            ("second", 200),
            ("from-file", 200),
            ("from-env", 200),
            ("a-client-key", 401),
        ):
            answer = server.ask("GET", "/v0/jobs/x/executions", headers={"X-Blaxel-Authorization": f"Bearer {key}"})
            assert answer.status_code == status, key
    log = (folder / "log").read_text()
    assert not any(key in log for key in ("first", "second", "from-file", "from-env", "a-client-key"))


def test_a_client_key_alone_does_not_open_the_server_to_others(folder: Path) -> None:
    ended = subprocess.run(
        command("serve", "--store", "memory:", "--host", "0.0.0.0", "--port", "0"),
        cwd=folder, env=plain_environment(BL_API_KEY="k"), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "needs a key" in ended.stderr


def test_every_address_with_a_key(folder: Path) -> None:
    with serve(folder, "--store", "memory:", "--host", "0.0.0.0", "--api-key", "k", "--allow-host", "jobs.example.com") as server:
        assert server.url.startswith("http://127.0.0.1:")
        for host, status in (("jobs.example.com", 200), ("127.0.0.1", 200), ("evil.example", 421)):
            assert server.ask("GET", "/healthz", headers={"Host": host}).status_code == status


def test_ipv6(folder: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with serve(folder, "--store", "memory:", "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert server.ask("GET", "/healthz").status_code == 200


def test_sigterm_lets_running_tasks_end_and_answers_meanwhile(folder: Path) -> None:
    (folder / "my_jobs.py").write_text(SLOW)
    with serve(folder, "--store", "sqlite:///jobs.db", "--worker", "my_jobs", "--grace", "60") as server:
        path = server.create("held", {"input": None})
        until(lambda: server.ask("GET", f"{path}/status").json()["status"] == "running")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("GET", "/readyz").status_code == 503)
        assert server.ask("GET", f"{path}/status", headers={"Prefer": "wait=30"}).json()["status"] == "running"
        (folder / "gate").touch()
        assert server.process.wait(PATIENCE) == 0
    with serve(folder, "--store", "sqlite:///jobs.db") as again:
        assert again.ask("GET", path).json()["result"] == "let go"


def test_sigterm_gives_tasks_back_after_the_grace_time(folder: Path) -> None:
    (folder / "my_jobs.py").write_text(SLOW)
    with serve(folder, "--store", "sqlite:///jobs.db", "--worker", "my_jobs", "--grace", "0.2") as server:
        path = server.create("sleep", {"input": {"seconds": 600}})
        until(lambda: server.ask("GET", f"{path}/status").json()["status"] == "running")
        assert server.ends(signal.SIGTERM) == 0
    with serve(folder, "--store", "sqlite:///jobs.db") as again:
        kept = again.ask("GET", path).json()
        assert (kept["status"], kept["recoveries"]) == ("pending", [])
        events = [event["type"] for event in again.ask("GET", f"{path}/events").json()["data"]]
        assert events == ["created", "task.started", "task.released"]


def test_sigterm_answers_long_polls(folder: Path) -> None:
    with serve(folder, "--store", "memory:") as server:
        path = server.create("x", {"input": 1})
        parts = httpx.URL(server.url)
        with socket.create_connection((parts.host, parts.port or 80), timeout=PATIENCE) as connection:
            # The server asks for a body once the execution was read and it listens for a hang-up: the poll has begun.
            asked = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(asked.encode())
            assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            started = time.monotonic()
            assert server.ends(signal.SIGTERM) == 0
            assert time.monotonic() - started < 20  # the poll lasts longer
            answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"status":"pending"' in answer


def test_a_second_ctrl_c_ends_at_once(folder: Path) -> None:
    (folder / "my_jobs.py").write_text(SLOW)
    with serve(folder, "--store", "memory:", "--worker", "my_jobs", "--grace", "600") as server:
        path = server.create("sleep", {"input": {"seconds": 600}})
        until(lambda: server.ask("GET", f"{path}/status").json()["status"] == "running")
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.ask("GET", "/readyz").status_code == 503)
        assert server.ends(signal.SIGINT) == 130
        assert not server.ready.exists()


def test_a_ready_file_of_another_server_stays(folder: Path) -> None:
    with serve(folder, "--store", "memory:") as server:
        server.ready.write_text(json.dumps({"url": "http://127.0.0.1:1", "pid": os.getpid()}))
        assert server.ends(signal.SIGTERM) == 0
        assert server.ready.exists()
