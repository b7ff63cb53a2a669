"""The runners of containers, as they are published and ours, at the data URLs of the mock and of the durable server."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.pace import PATIENCE
from tests.serving import plain_environment
from tests.typescript.node import PACKAGE
from tests.typescript.node import node as node_for_ours

from .conftest import Served
from .test_node import NODE, node_command

TASKS = [
    {"name": "\u00e4\u2028\U0001f600", "size": 1},
    {"name": "b", "tags": ["x", None, {"deep": 1.5}]},
    {"name": "c", "status": "completed"},
]


class Outcome(NamedTuple):
    fields: Any
    """What the function was called with; None if it was not."""
    exit: int


Runner = Callable[[list[dict[str, str]]], list[Outcome]]
"""Runs one process for each of these environments."""


def environment_of(**values: str) -> dict[str, str]:
    """The published TypeScript runner wants a key, which it then does not use."""
    return plain_environment(DO_NOT_TRACK="1", BL_API_KEY="any", BL_WORKSPACE="default", NO_PROXY="127.0.0.1", **values)


def in_python(module: str) -> Runner:
    def run(environments: list[dict[str, str]]) -> list[Outcome]:
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("runner.py")), module, json.dumps(environments)]
        done = subprocess.run(command, env=environment_of(), capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        outcomes: list[Outcome] = []
        fields = None
        for line in map(json.loads, done.stdout.splitlines()):
            fields = line.get("fields", fields)
            if "exit" in line:
                outcomes.append(Outcome(fields, line["exit"]))
                fields = None
        return outcomes

    return run


def in_node(command: Callable[[], str], module: str) -> Runner:
    def run(environments: list[dict[str, str]]) -> list[Outcome]:
        return [one(environment) for environment in environments]

    def one(environment: dict[str, str]) -> Outcome:
        line = [command(), "runner.mjs", module]
        done = subprocess.run(line, cwd=NODE, env=environment_of(**environment), capture_output=True, text=True, timeout=PATIENCE)
        return Outcome(json.loads(done.stdout)["fields"] if done.stdout else None, done.returncode)

    return run


RUNNERS = {
    "blaxel": in_python("blaxel.core.jobs"),
    "@blaxel/core": in_node(node_command, "@blaxel/core"),
    "blaxel_jobs": in_python("blaxel_jobs.jobs"),
    "blaxel-jobs of npm": in_node(node_for_ours, (PACKAGE / "dist" / "index.js").as_uri()),
}
PUBLISHED = ("blaxel", "@blaxel/core")


@pytest.fixture
def url(served: Served) -> str:
    """The data URL of an execution of TASKS."""
    with served.contract() as api:
        created = api.post("/jobs/container/executions", json={"tasks": TASKS}).raise_for_status().json()
        url: str = api.get(f"/executions/{created['executionId']}/data-url").raise_for_status().json()["url"]
        return url


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_runner_is_given_its_task_and_fails_where_it_is_refused(runner: str, url: str) -> None:
    """All in one go: a start imports much. The published ones do not look at the status of an answer, and where the index is out of
    range they call the function with nothing."""
    wrong = re.sub("secret=[0-9a-f]+", f"secret={'0' * 64}", url)
    nobody = re.sub("executionId=[0-9a-f-]+", "executionId=nobody", url)
    assert url not in (wrong, nobody)
    expected = [
        *(({"TASK_INDEX": str(index)}, Outcome(task, 0)) for index, task in enumerate(TASKS)),
        ({}, Outcome(TASKS[0], 0)),
        ({"BL_TASK_KEY": "MY_INDEX", "MY_INDEX": "2", "TASK_INDEX": "0"}, Outcome(TASKS[2], 0)),
        ({"TASK_INDEX": str(len(TASKS))}, Outcome({}, 0) if runner in PUBLISHED else Outcome(None, 1)),
        ({"BL_EXECUTION_DATA_URL": wrong, "TASK_INDEX": "0"}, Outcome(None, 1)),
        ({"BL_EXECUTION_DATA_URL": nobody, "TASK_INDEX": "0"}, Outcome(None, 1)),
    ]
    outcomes = RUNNERS[runner]([{"BL_EXECUTION_DATA_URL": url, **environment} for environment, _ in expected])
    assert outcomes == [outcome for _, outcome in expected]
