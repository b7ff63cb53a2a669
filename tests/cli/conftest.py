import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pace import PATIENCE
from tests.serving import CLI, Server, plain_environment, serving

JOBS = """
import os
import time

from blaxel_jobs import define_job


@define_job("echo")
def echo(context, payload):
    return payload


@define_job("boom")
def boom(context, payload):
    raise ValueError("it \\x1b[31mbroke")


@define_job("gate")
def gate(context, payload):
    while not os.path.exists(payload["until"]):
        time.sleep(0.01)
    return "open"


@define_job("needs")
def needs(context, payload):
    context.log.warning("looking\\x1b[31m", where=payload["file"])
    context.progress(1, 2, "half")
    context.run("look", os.path.exists, payload["file"])
    if not os.path.exists(payload["file"]):
        raise ValueError("not there")
    return "found"
"""


class Cli:
    """The command line against one server, each command in a process of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.command = [CLI]
        self.http = httpx.Client(base_url=f"{server.url}/v0")
        self.environment = plain_environment(BL_API_URL=server.url, HOME=str(folder))

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.command, *arguments], cwd=self.folder, env=self.environment | environment, input=stdin, capture_output=True,
            encoding="utf-8", timeout=2 * PATIENCE, check=False,
        )  # fmt: skip

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        return subprocess.Popen([*self.command, *arguments], cwd=self.folder, env=self.environment, encoding="utf-8", **options)

    def create(self, job: str, body: Any) -> str:
        created = self.http.post(f"/jobs/{job}/executions", json=body)
        assert created.status_code == 200, created.text
        return str(created.json()["executionId"])

    def status(self, job: str, id: str) -> str:
        return str(self.http.get(f"/jobs/{job}/executions/{id}/status").json()["status"])


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "cli_jobs.py").write_text(JOBS)
    with serving(folder, "memory:", "--worker", "cli_jobs", "--grace", "0") as server:
        cli = Cli(folder, server)
        with cli.http:
            yield cli


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file for which the job `gate` waits; it is there at the end, so that nobody waits for ever."""
    path = tmp_path / "open"
    yield path
    path.touch()
