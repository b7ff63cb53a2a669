"""docs/cli.md and docs/server.md name what there is."""

import re

import pytest
from typer.main import get_command

from blaxel_jobs.cli import commands, executions
from blaxel_jobs.core.bodies import MAX_TASKS
from blaxel_jobs.core.reading import MAX_BODY
from blaxel_jobs.server.body import BODY_SECONDS
from blaxel_jobs.server.protocol import HEAD_SECONDS, MAX_HEAD
from blaxel_jobs.server.serve import CLOSE_SECONDS, KEEP_ALIVE
from blaxel_jobs.server.stream import QUIET
from tests.serving import ROOT

CLI = (ROOT / "docs" / "cli.md").read_text()
SERVER = (ROOT / "docs" / "server.md").read_text()
COMMANDS = get_command(commands.app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_named(name: str) -> None:
    assert f"`blaxel-jobs {name}" in CLI
    text = SERVER if name == "serve" else CLI
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert [option for option in options if option not in text and option not in ("--output", "--help")] == []


def test_every_exit_code_is_named() -> None:
    codes = {commands.ERROR, commands.USAGE}
    codes |= {getattr(executions, name) for name in ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "INTERRUPTED")}
    documented = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", CLI, re.MULTILINE)}
    assert documented == codes
    assert documented == {int(code) for code in re.findall(r"\b([0-9]+) [a-z]", commands.root.__doc__ or "")}


def test_limits_are_those_of_the_code() -> None:
    for text in (
        f"{MAX_BODY // 2**20} MB, nested", f"within {BODY_SECONDS:g} s", f"{MAX_HEAD // 2**10} KB, within {HEAD_SECONDS:g} s",
        f"an execution | {MAX_TASKS:,} |", f"connection | {KEEP_ALIVE} s |",
        f"get {CLOSE_SECONDS} seconds", f"After {QUIET:g} seconds",
    ):  # fmt: skip
        assert text in SERVER, text
