"""run, list, get, wait, cancel, events as their user meets them: stdout, stderr and the exit code."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.pace import PATIENCE, until
from tests.server.contract import check_schema
from tests.serving import serving

ID = re.compile(r"[0-9a-f-]{36}\n")


def refused(ended: "subprocess.CompletedProcess[str]", code: int) -> str:
    """What it says on stderr: one line."""
    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
    assert re.fullmatch(r"blaxel-jobs: .+\n", ended.stderr), ended.stderr
    return ended.stderr


def test_run_answers_at_once_and_says_what_was_created(cli: Cli, gate: Path) -> None:
    ended = cli("run", "gate", "--task", f"until={gate}")
    assert ended.returncode == 0
    (id,) = re.findall(r"blaxel-jobs: created execution (\S+)\n", ended.stderr)
    assert re.search(rf"^Execution +{id}$", ended.stdout, re.MULTILINE)
    assert re.search(r"^Status +(pending|running)$", ended.stdout, re.MULTILINE)
    assert cli.status("gate", id) in ("pending", "running")


def test_run_json_is_the_execution_of_the_contract(cli: Cli) -> None:
    options = [
        "--name",
        "my name",
        "--tag",
        "a",
        "--tag",
        "b",
        "--priority",
        "high",
        "--env",
        "KEY=a=b",
        "--execution-id",
        "chosen",
    ]
    ended = cli("run", "echo", "--task", "n=1", "--task", '{"n": "two"}', "--wait", "-o", "json", *options)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    check_schema("JobExecution", document)
    assert document["metadata"]["id"] == "chosen"
    assert (document["metadata"]["name"], document["metadata"]["tags"]) == ("my name", ["a", "b"])
    assert (document["spec"]["priority"], document["spec"]["envOverride"]) == ("high", {"KEY": "***"})
    assert document["results"] == [{"n": 1}, {"n": "two"}]


@pytest.mark.parametrize("wait", ["--wait", "--no-wait"])
def test_run_id_is_the_id_alone(cli: Cli, wait: str) -> None:
    ended = cli("run", "echo", "--input", '"x"', wait, "-o", "id")
    assert (ended.returncode, ID.fullmatch(ended.stdout) is not None) == (0, True)


def test_a_job_needs_no_input(cli: Cli) -> None:
    assert json.loads(cli("run", "echo", "--wait", "-o", "json").stdout)["result"] is None


@pytest.mark.parametrize(
    ("document", "results"),
    [('[{"n": 1}, {}]', [{"n": 1}, {}]), ('{"tasks": [{"n": 1}], "name": "x"}', [{"n": 1}]), ('{"input": {"n": "ü"}}', {"n": "ü"})],
)
@pytest.mark.parametrize("place", ["-", "file.json"])
def test_run_takes_a_file(cli: Cli, document: str, results: Any, place: str) -> None:
    (cli.folder / "file.json").write_text(document, encoding="utf-8")
    ended = cli("run", "echo", "--file", place, "--wait", "-o", "json", stdin=document if place == "-" else "")
    view = json.loads(ended.stdout)
    assert view.get("results", view.get("result")) == results


def test_an_idempotency_key_creates_once(cli: Cli) -> None:
    first, again = [cli("run", "echo", "--task", "n=1", "--idempotency-key", "k", "-o", "id").stdout for _ in range(2)]
    assert first == again
    conflict = cli("run", "echo", "--task", "n=2", "--idempotency-key", "k", "-o", "id")
    refused(conflict, 1)


def test_a_failure_is_exit_code_10(cli: Cli) -> None:
    ended = cli("run", "boom", "--task", "n=1", "--task", "n=2", "--wait")
    assert ended.returncode == 10
    assert re.search(r"^Status +failed$", ended.stdout, re.MULTILINE)
    assert re.search(r"^task-1 +failed +1 .*ValueError: it .*broke \(error\)$", ended.stdout, re.MULTILINE)
    assert re.search(r"failed: ValueError: it .*broke \(error\)\n\Z", ended.stderr)
    assert "\x1b" not in ended.stdout + ended.stderr, "what a handler says must not command the terminal"
    assert json.loads(cli("run", "boom", "--wait", "-o", "json").stdout)["error"]["type"] == "ValueError"


def test_cancel_and_its_exit_code(cli: Cli, gate: Path) -> None:
    id = cli.create("gate", {"input": {"until": str(gate)}})
    waiting = cli.start("wait", "gate", id, "-o", "id", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    cancelled = cli("cancel", "gate", id, "-o", "json")
    assert (cancelled.returncode, json.loads(cancelled.stdout)["status"]) == (0, "cancelled")
    out, err = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, out) == (11, f"{id}\n")
    assert f"execution {id} cancelled" in err
    done = cli.create("echo", {"input": 1})
    assert cli("wait", "echo", done, "-o", "id").returncode == 0
    assert done in refused(cli("cancel", "echo", done), 1)


def test_a_wait_that_is_over_is_exit_code_124(cli: Cli, gate: Path) -> None:
    id = cli.create("gate", {"input": {"until": str(gate)}})
    for seconds in ("0", "0.3"):
        said = refused(cli("wait", "gate", id, "--max-wait", seconds), 124)
        assert "It goes on" in said
        assert f"blaxel-jobs wait gate {id}" in said
    assert cli.status("gate", id) == "running"
    assert cli("run", "gate", "--task", f"until={gate}", "--max-wait", "0.1", "-o", "json").returncode == 124


def test_ctrl_c_detaches_and_says_how_to_attach_again(cli: Cli, gate: Path) -> None:
    id = cli.create("gate", {"input": {"until": str(gate)}})
    url = ["--url", cli.server.url]
    waiting = cli.start("wait", "gate", id, *url, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert waiting.stderr
    assert id in waiting.stderr.readline(), "the first line of progress: it waits"
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, out) == (130, "")
    assert "Traceback" not in err
    (again,) = re.findall(
        r"^blaxel-jobs: detached, the execution goes on; wait for it again with: blaxel-jobs (.*)$", err, re.MULTILINE
    )
    assert cli.status("gate", id) == "running"
    gate.touch()
    ended = cli(*shlex.split(again), "-o", "json", BL_API_URL="")
    assert (ended.returncode, json.loads(ended.stdout)["result"]) == (0, "open")


def test_ctrl_c_while_run_waits(cli: Cli, gate: Path) -> None:
    running = cli.start(
        "run", "gate", "--task", f"until={gate}", "--wait", "-o", "id", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout
    assert running.stderr
    id = running.stdout.readline().strip()
    assert id in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, f"blaxel-jobs wait gate {id}" in err) == (130, True)
    assert cli.status("gate", id) == "running"


def test_without_a_terminal_progress_is_a_line_now_and_then(cli: Cli, gate: Path) -> None:
    open_gate = gate.with_name("open-already")
    open_gate.touch()
    id = cli.create("gate", {"tasks": [{"until": str(open_gate)}, {"until": str(gate)}]})
    until(lambda: cli.http.get(f"/jobs/gate/executions/{id}").json()["stats"]["success"] == 1)
    waiting = cli.start("wait", "gate", id, "-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert waiting.stderr
    assert waiting.stderr.readline() == f"blaxel-jobs: {id}: running, 1 of 2 done, 1 running\n"
    gate.touch()
    out, err = waiting.communicate(timeout=PATIENCE)
    assert err == f"blaxel-jobs: {id}: completed, 2 of 2 done\n"
    assert json.loads(out)["results"] == ["open", "open"]


def test_lists(cli: Cli) -> None:
    ids = [cli.create("listed", {"input": 1, "name": f"number [{number}]"}) for number in range(3)][::-1]
    assert cli("list", "listed", "-o", "id").stdout.split() == ids
    some = cli("list", "listed", "-o", "json", "--limit", "2")
    page = json.loads(some.stdout)
    check_schema("JobExecutionList", page)
    assert [row["metadata"]["id"] for row in page["data"]] == ids[:2]
    assert page["meta"]["hasMore"] is True
    assert page["meta"]["nextCursor"]
    assert some.stderr == "blaxel-jobs: there are more: --limit N or --all\n"
    lines = cli("list", "listed", "--all").stdout.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "TASKS", "NAME", "CREATED", "TOOK"]
    assert [line.split()[0] for line in lines[1:]] == ids
    assert "pending (worker)" in lines[1]
    assert "number [2]" in lines[1]
    assert json.loads(cli("list", "nothing", "-o", "json").stdout) == {"data": [], "meta": {"hasMore": False}}
    assert cli("list", "nothing", "-o", "id").stdout == ""


def test_lists_longer_than_a_page(cli: Cli) -> None:
    for _ in range(1003):
        cli.create("long", {"input": 1})
    assert len(set(cli("list", "long", "-o", "id", "--limit", "1001").stdout.split())) == 1001
    everything = json.loads(cli("list", "long", "-o", "json", "--all").stdout)
    assert (len(everything["data"]), everything["meta"]) == (1003, {"hasMore": False})


def test_get_and_events(cli: Cli) -> None:
    id = cli("run", "echo", "--input", '{"a": [1, "ü"]}', "--wait", "-o", "id").stdout.strip()
    document = json.loads(cli("get", "echo", id, "-o", "json").stdout)
    check_schema("JobExecution", document)
    assert document["result"] == {"a": [1, "ü"]}
    assert cli("get", "echo", id, "-o", "id").stdout == f"{id}\n"
    assert re.search(r'^Result +{"a": \[1, "ü"\]}$', cli("get", "echo", id).stdout, re.MULTILINE)
    events = json.loads(cli("events", "echo", id, "-o", "json").stdout)
    check_schema("JobExecutionEventList", events)
    kinds = [event["type"] for event in events["data"]]
    assert kinds == ["created", "task.started", "task.completed"]
    lines = cli("events", "echo", id).stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == kinds
    assert cli("events", "echo", id, "-o", "id").stdout == "1\n2\n3\n"


def test_what_an_execution_waits_for_is_told(cli: Cli) -> None:
    id = cli("run", "ehco", "--input", "1", "-o", "id").stdout.strip()
    assert re.search(r"^Waits for +a worker that serves its job and has a free slot$", cli("get", "ehco", id).stdout, re.MULTILINE)
    waited = cli("wait", "ehco", id, "--max-wait", "0")
    assert waited.returncode == 124
    assert "its status was 'pending', and it waits for a worker that serves its job" in waited.stderr


def test_more_tasks_than_are_shown_are_told(cli: Cli) -> None:
    ended = cli("run", "echo", "--file", "-", "--wait", stdin=json.dumps([{}] * 101))
    assert ended.returncode == 0
    assert "the first 100 of 101 tasks" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "JOB"),
        (["run", "bad!"], "'bad!' is not a job name"),
        (["run", "echo", "--task", "x"], "--task"),
        (["run", "echo", "--task", "x=1 x=2"], "twice"),
        (["run", "echo", "--task", "{"], "--task"),
        (["run", "echo", "--task", ""], "--task"),
        (["run", "echo", "--task", "x=1", "--input", "1"], "one of them"),
        (["run", "echo", "--input", "text"], "in quotes"),
        (["run", "echo", "--input", "NaN"], "NaN"),
        (["run", "echo", "--input", "[" * 100_000], "not JSON"),
        (["run", "echo", "--file", "nope.json"], "nope.json"),
        (["run", "echo", "--file", "-"], "standard input"),
        (["run", "echo", "--env", "KEY"], "NAME=VALUE"),
        (["run", "echo", "--priority", "urgent"], "critical"),
        (["run", "echo", "--no-wait", "--max-wait", "1"], "--no-wait"),
        (["run", "echo", "--max-wait", "-1"], "--max-wait"),
        (["run", "echo", "--max-wait", "nan"], "--max-wait"),
        (["run", "echo", "--input", "1e999"], "finite"),
        (["wait", "echo", "x", "--max-wait", "soon"], "--max-wait"),
        (["list"], "JOB"),
        (["list", "echo", "--limit", "0"], "--limit"),
        (["list", "echo", "-o", "xml"], "json"),
        (["list", "echo", "--url", "ftp://x"], "--url"),
        (["list", "echo", "--api-key", "two words"], "--api-key"),
        (["get", "echo"], "ID"),
        (["get", "echo", ".."], "'..'"),
        (["lost"], "lost"),
        (["get", "--colour"], "blaxel-jobs get --help"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_mistakes_are_one_line_and_exit_code_2(cli: Cli, arguments: list[str], says: str) -> None:
    assert says in refused(cli(*arguments), 2)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "not JSON"),
        ("1", "neither"),
        ('[{}, "x"]', "item 1 is not an object"),
        ('{"duration": 1}', "[{...}]"),
        ('{"input": 1, "colour": 2}', "colour"),
        ("[NaN]", "NaN"),
    ],
)
def test_files_that_cannot_be(cli: Cli, document: str, says: str) -> None:
    assert says in refused(cli("run", "echo", "--file", "-", stdin=document), 2)


def test_a_file_that_is_not_utf_8(cli: Cli) -> None:
    (cli.folder / "latin").write_bytes(b'["\xe9"]')
    assert "UTF-8" in refused(cli("run", "echo", "--file", "latin"), 2)


def test_what_the_server_refuses_is_exit_code_1(cli: Cli) -> None:
    assert "'nope'" in refused(cli("get", "echo", "nope"), 1)
    assert "'nope'" in refused(cli("wait", "echo", "nope"), 1)
    assert "'nope'" in refused(cli("cancel", "echo", "nope"), 1)
    assert "tasks" in refused(cli("run", "echo", "--file", "-", stdin='{"tasks": 5}'), 1)


def test_no_server_is_exit_code_1_with_the_remedy(cli: Cli) -> None:
    for arguments in (["list", "echo"], ["wait", "echo", "x"], ["run", "echo"]):
        assert "blaxel-jobs serve" in refused(cli(*arguments, "--url", "http://127.0.0.1:1"), 1)


def test_keys(tmp_path: Path, cli: Cli) -> None:
    with serving(tmp_path, "memory:", "--api-key", "right") as server:
        url = {"BL_API_URL": server.url}
        said = refused(cli("list", "echo", **url), 1)
        assert "BL_API_KEY" in said
        said = refused(cli("list", "echo", "--api-key", "wr0ng", **url), 1)
        assert "wr0ng" not in said
        assert cli("list", "echo", "--api-key", "right", **url).returncode == 0
        assert cli("list", "echo", **url, BL_API_KEY="right").returncode == 0


def test_a_reader_who_has_had_enough_is_no_error(cli: Cli) -> None:
    id = cli.create("echo", {"input": 1})
    for arguments in (["list", "echo", "-o", "id"], ["list", "echo"], ["get", "echo", id, "-o", "json"], ["--version"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as closed:
            ended = cli.start(*arguments, stdout=closed, stderr=subprocess.PIPE)
        _, err = ended.communicate(timeout=PATIENCE)
        assert (ended.returncode, err) == (0, ""), arguments
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        failed = cli.start("run", "boom", "--wait", "-o", "json", stdout=closed, stderr=subprocess.PIPE)
    told = failed.communicate(timeout=PATIENCE)[1]
    assert (told.count("Traceback"), failed.returncode) == (0, 10), "the outcome is told all the same"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_exit_code_1(cli: Cli) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = cli.start("list", "echo", stdout=full, stderr=subprocess.PIPE)
    _, err = ended.communicate(timeout=PATIENCE)
    assert ended.returncode == 1
    assert re.fullmatch(r"blaxel-jobs: .*space.*\n", err), err


def test_stdout_that_is_not_utf_8(cli: Cli) -> None:
    id = cli.create("echo", {"input": "ü😀", "name": "ü"})
    cli("wait", "echo", id)
    for form in ("json", "table"):
        ended = cli("get", "echo", id, "-o", form, PYTHONIOENCODING="ascii")
        assert ended.returncode == 0
        assert ended.stdout.isascii()
    assert json.loads(cli("get", "echo", id, "-o", "json", PYTHONIOENCODING="ascii").stdout)["result"] == "ü😀"


BLOCKED = ["sqlalchemy", "alembic", "uvicorn", "starlette", "prometheus_client", "httptools", "uvloop", "uuid_utils", "cronsim"]
OURS = ["engine", "server", "stores", "worker", "core", "manager"]


def test_client_commands_need_the_sdk_and_the_extra_cli_only(cli: Cli) -> None:
    script = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED}))
from blaxel_jobs.cli.commands import run
assert run(["list", "--help"]) == 0
assert not {{"httpx", "rich"}} & set(sys.modules), "help is quick"
for command in (["run", "echo", "--wait"], ["list", "echo"], ["list", "echo", "-o", "json"]):
    assert run(command) == 0
loaded = [name for name in {OURS} if f"blaxel_jobs.{{name}}" in sys.modules]
assert not loaded, loaded
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], env=cli.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(("name", "extras"), [("typer", "cli"), ("rich", "cli")])
def test_a_missing_extra_is_named(cli: Cli, name: str, extras: str) -> None:
    command = "sys.argv = ['blaxel-jobs', 'list', 'echo']; from blaxel_jobs.cli import main; main()"
    script = f"import sys; sys.modules[{name!r}] = None; {command}"
    ended = subprocess.run(
        [sys.executable, "-c", script], env=cli.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert f"needs {name}; install it with: pip install 'blaxel-jobs[{extras}]'" in refused(ended, 2)
