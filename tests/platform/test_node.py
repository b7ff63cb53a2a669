"""The published TypeScript SDK, unmodified: node/sdk.mjs calls every method of its jobs, here is what must come of each."""

import base64
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from .conftest import Served

NODE = Path(__file__).with_name("node")


@cache
def node_command() -> str:
    """The path of a node that has the SDK."""
    command = shutil.which("node")
    assert command, "these tests need node >= 20"
    version = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert int(version.removeprefix("v").partition(".")[0]) >= 20, f"these tests need node >= 20, not {version}"
    assert (NODE / "node_modules" / "@blaxel" / "core").is_dir(), "`make node` installs @blaxel/core for these tests"
    return command


def node(*arguments: str, url: str, **credentials: str) -> str:
    """What a script prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BL_")}
    variables = {**kept, "DO_NOT_TRACK": "1", "BL_WORKSPACE": "default", "BL_API_URL": url, **credentials}
    done = subprocess.run([node_command(), *arguments], cwd=NODE, env=variables, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(what: str, url: str, **credentials: str) -> dict[str, Any]:
    """What the scenarios came to."""
    answer: dict[str, Any] = json.loads(node("sdk.mjs", what, url=url, **credentials).splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def outcomes(served: Served) -> dict[str, Any]:
    return run("all", served.url, BL_API_KEY=served.key)


@pytest.fixture
def value(outcomes: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """What the scenario came to that the test is named after."""
    outcome = outcomes[re.sub("_(.)", lambda found: found[1].upper(), request.node.originalname.removeprefix("test_"))]
    assert "thrown" not in outcome, outcome
    return outcome["value"]


def ids(executions: list[dict[str, Any]]) -> list[str]:
    return [execution["metadata"]["id"] for execution in executions]


def test_it_is_the_one_that_is_pinned():
    installed = json.loads((NODE / "node_modules" / "@blaxel" / "core" / "package.json").read_text())
    assert installed["version"] == json.loads((NODE / "package.json").read_text())["dependencies"]["@blaxel/core"] == "0.3.21"


def test_run(value: Any):
    execution = value["execution"]
    assert (execution["metadata"]["id"], execution["status"], value["status"]) == (value["id"], "succeeded", "succeeded")
    assert execution["spec"] == {"taskCount": 2, "memoryOverride": 512, "envOverride": {"MODE": "***"}}
    assert execution["stats"] == {"total": 2, "success": 2, "failure": 0, "running": 0, "retried": 0, "cancelled": 0}
    assert [task["metadata"]["name"] for task in execution["tasks"]] == ["task-0", "task-1"]


def test_create(value: Any):
    assert value["id"] == value["execution"]["metadata"]["id"] == "ts-own-id"


def test_duplicate(value: Any):
    first, again, other = value
    assert first == again == {"value": "ts-again"}
    assert (other["thrown"]["error"], other["thrown"]["code"]) == ("idempotency_conflict", 409)


def test_empty(value: Any):
    assert value["one"] != value["two"]
    assert value["ended"] == "succeeded"
    assert (value["none"]["thrown"]["error"], value["none"]["thrown"]["code"]) == ("invalid_request", 400)


def test_failed(value: Any):
    assert value["status"] == "failed"
    assert value["tasks"][0]["conditions"][0]["message"] == "no such file"


def test_cancel(value: Any):
    assert value["before"] in ("pending", "running")
    assert value["answer"] == {"value": None}
    assert value["after"]["status"] == "cancelled"


def test_wait_timeout(value: Any):
    assert value["wait"] == {"thrown": f"Execution {value['id']} did not complete within 60ms"}
    assert value["after"] in ("pending", "running")


def test_unknown(value: Any):
    assert set(value) == {"get", "status", "wait", "cancel"}
    for outcome in value.values():
        assert outcome["thrown"] == {"error": "not_found", "code": 404, "message": "job 'ts-job' has no execution 'nobody'"}


def test_list(value: Any):
    newest = value["made"][::-1]
    assert value["first"] + value["second"] == newest
    assert (len(value["first"]), value["meta"]["hasMore"], value["last"], value["end"]) == (20, True, False, None)
    assert value["everything"][1:] == newest
    assert value["oldest"] == value["made"][:3]


def test_crud(value: Any):
    created, updated = value["created"], value["updated"]
    assert created["metadata"]["labels"] == {"team": "a"}
    assert created["spec"] == {"enabled": True, "runtime": {"maxRetries": 1, "timeout": 60}, "madeUp": [1]}
    assert updated["spec"] == {"enabled": False}
    assert value["listed"]["data"] == [updated]
    assert [revision["active"] for revision in value["revisions"]] == [True]
    assert [task["metadata"]["name"] for task in value["tasks"]["data"]] == ["task-0"]
    assert value["deleted"]["metadata"]["name"] == "ts-crud"
    assert (value["after"]["error"], value["status"]) == ("not_found", "cancelled")


@pytest.mark.parametrize("served", ["durable"], indirect=True)
def test_a_wrong_key(served: Served):
    thrown = run("denied", served.url, BL_API_KEY="wrong")["run"]["thrown"]
    assert (thrown["error"], thrown["code"]) == ("unauthorized", 401)


def test_client_credentials_and_a_url_without_v0(served: Served):
    credentials = base64.b64encode(f"a-client:{served.key}".encode()).decode()
    outcomes = run("credentials", served.url.removesuffix("/v0"), BL_CLIENT_CREDENTIALS=credentials)
    assert outcomes["run"]["value"]["status"] == "succeeded"
    assert outcomes["cancel"]["value"]["after"]["status"] == "cancelled"


@pytest.mark.parametrize("served", ["mock"], indirect=True)
def test_s1_05_the_complete_example_of_the_seed_runs(served: Served):
    assert node("seed_001.mjs", url=served.url, BL_API_KEY="any") == "Status: succeeded\n✓ Completed: succeeded\n"
