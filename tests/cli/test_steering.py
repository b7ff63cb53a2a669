"""start, pause, resume, retry, rerun, delete, events --follow, logs, stats, and the options of run that they are for."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.pace import PATIENCE
from tests.server.contract import check_schema


def told(ended: "subprocess.CompletedProcess[str]") -> Any:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def refused(ended: "subprocess.CompletedProcess[str]", code: int) -> str:
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert re.fullmatch(r"blaxel-jobs: .+\n", ended.stderr), ended.stderr
    return ended.stderr


def test_one_that_was_not_started_is_started(cli: Cli) -> None:
    created = told(cli("run", "echo", "--input", "1", "--no-start", "-o", "json"))
    check_schema("JobExecution", created)
    assert (created["status"], created["waitingFor"]) == ("pending", "start")
    id = created["metadata"]["id"]
    assert told(cli("start", "echo", id, "-o", "json"))["metadata"]["id"] == id
    assert told(cli("wait", "echo", id, "-o", "json"))["result"] == 1
    assert "completed" in refused(cli("start", "echo", id), 1)


def test_pause_and_resume(cli: Cli) -> None:
    id = cli("run", "echo", "--input", "1", "--no-start", "-o", "id").stdout.strip()
    paused = cli("pause", "echo", id)
    assert re.search(r"^Status +paused", paused.stdout, re.MULTILINE), paused.stderr
    assert cli("resume", "echo", id, "-o", "id").stdout == f"{id}\n"
    assert cli("start", "echo", id, "-o", "id").returncode == 0
    assert cli("wait", "echo", id, "-o", "id").returncode == 0


def test_retry_rerun_and_delete(cli: Cli, tmp_path: Path) -> None:
    there = tmp_path / "there"
    options = ["--max-retries", "1", "--retry-delay", "0.01", "--timeout", "30", "--key", "k", "--on-conflict", "reject"]
    ended = cli("run", "needs", "--task", f"file={there}", "--wait", "-o", "json", *options)
    assert ended.returncode == 10, ended.stderr
    execution = json.loads(ended.stdout)
    spec = execution["spec"]
    assert (spec["maxRetries"], spec["timeout"], spec["concurrencyKey"]) == (1, 30, "k")
    assert (spec["retryPolicy"]["initialMs"], execution["tasks"][0]["attempts"]) == (10, 2)
    id = execution["metadata"]["id"]
    there.touch()
    assert told(cli("retry", "needs", id, "-o", "json"))["metadata"]["id"] == id
    assert told(cli("wait", "needs", id, "-o", "json"))["results"] == ["found"]
    new = cli("rerun", "needs", id, "-o", "id").stdout.strip()
    assert new != id
    assert told(cli("wait", "needs", new, "-o", "json"))["results"] == ["found"]
    assert "created execution" in cli("rerun", "needs", id, "-o", "json").stderr
    gone = cli("delete", "needs", id)
    assert (gone.returncode, gone.stdout, gone.stderr) == (0, "", f"blaxel-jobs: deleted execution {id}\n")
    refused(cli("get", "needs", id), 1)
    waiting = cli("run", "echo", "--no-start", "-o", "id").stdout.strip()
    refused(cli("delete", "echo", waiting), 1)
    assert cli("delete", "echo", waiting, "--force").returncode == 0


def test_run_waits_for_a_time(cli: Cli) -> None:
    shown = cli("run", "echo", "--run-at", "2099-01-31T08:00")
    assert re.search(r"^Status +pending \(time\)$", shown.stdout, re.MULTILINE), shown.stderr
    assert re.search(r"^Waits until +2099-01-31T08:00:00Z$", shown.stdout, re.MULTILINE)
    refused(cli("run", "echo", "--run-at", "soon"), 2)
    refused(cli("run", "echo", "--delay", "-1"), 2)
    refused(cli("run", "echo", "--delay", "1", "--run-at", "2099-01-31T08:00"), 1)


def test_events_are_followed_to_the_end(cli: Cli, gate: Path) -> None:
    id = cli.create("gate", {"input": {"until": str(gate)}})
    following = cli.start("events", "gate", id, "--follow", "-o", "json", stdout=subprocess.PIPE)
    assert following.stdout is not None
    first = json.loads(following.stdout.readline())
    check_schema("JobExecutionEvent", first)
    assert first["type"] == "created"
    gate.touch()
    rest = following.stdout.readlines()  # not communicate(), which misses what was read ahead
    assert following.wait(PATIENCE) == 0
    following.stdout.close()
    assert [json.loads(line)["type"] for line in rest] == ["task.started", "task.completed"]
    lines = cli("events", "gate", id, "-f").stdout.splitlines()
    assert re.fullmatch(r"\S+Z created pending", lines[0])
    assert re.fullmatch(r"\S+Z task\.completed task-0 completed", lines[-1])
    assert cli("events", "gate", id, "-f", "-o", "id").stdout == "1\n2\n3\n"


def test_logs(cli: Cli, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    id = cli("run", "needs", "--input", json.dumps({"file": str(there)}), "-o", "id", "--wait").stdout.strip()
    for arguments in ([], ["--follow"]):
        shown = cli("logs", "needs", id, *arguments)
        assert shown.returncode == 0, shown.stderr
        assert re.fullmatch(rf'\S+Z WARNING task-0: looking.\[31m where="{there}"\n', shown.stdout), shown.stdout
        assert "\x1b" not in shown.stdout, "what a handler says must not command the terminal"
    (line,) = told(cli("logs", "needs", id, "-o", "json"))["data"]
    assert (line["level"], line["fields"], line["task"]) == ("warning", {"where": str(there)}, "task-0")
    assert told(cli("logs", "needs", id, "--follow", "-o", "json")) == line
    refused(cli("logs", "needs", id, "-o", "id"), 2)
    refused(cli("logs", "needs", "nope"), 1)
    shown = cli("get", "needs", id)
    assert re.search(r"^Progress +1 of 2: half$", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("form", ["table", "json", "id"])
def test_stats(cli: Cli, form: str) -> None:
    cli("run", "echo", "--wait", "-o", "id")
    shown = cli("stats", "-o", form)
    assert shown.returncode == 0, shown.stderr
    if form == "json":
        assert json.loads(shown.stdout)["echo"]["completed"] >= 1
        assert told(cli("stats", "never-ran", "-o", "json"))["never-ran"]["completed"] == 0
    elif form == "id":
        assert "echo" in shown.stdout.split()
    else:
        assert re.search(r"^JOB +COMPLETED +FAILED ", shown.stdout)
        assert re.search(r"^echo +[1-9]", cli("stats", "echo").stdout, re.MULTILINE)
    refused(cli("stats", "not a name"), 2)
