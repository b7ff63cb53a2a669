"""The blocks of docs/mock.md, run as they stand; the options and routes that it names exist."""

import re
import subprocess
import sys
from pathlib import Path

from mock_server.admin import AdminApp
from mock_server.faults import Rule
from mock_server.namespaces import Hub, Options
from mock_server.scenario import read_scenario
from mock_server.server import MockServer
from tests.serving import ROOT, plain_environment

PAGE = (ROOT / "docs" / "mock.md").read_text()
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(block["language"], block["code"]) for block in BLOCK.finditer(PAGE)]


def test_the_python_blocks_pass(tmp_path: Path):
    for language, code in BLOCKS:
        if language == "python":
            name = re.match(r"# (test_\w+\.py)\n", code)
            assert name, code
            (tmp_path / name[1]).write_text(code)
    count = sum(code.count("\ndef test_") for language, code in BLOCKS if language == "python")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "blaxel_jobs.pytest_plugin", str(tmp_path)]
    environment = plain_environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout


def test_the_scenario_is_one(tmp_path: Path):
    (scenario,) = (code for language, code in BLOCKS if language == "yaml")
    (tmp_path / "bad-day.yaml").write_text(scenario)
    assert [rule.kind for rule in read_scenario(tmp_path / "bad-day.yaml")] == ["latency", "status", "crash"]


def test_options_and_kinds_are_all_there():
    import inspect
    from typing import get_args

    from mock_server.faults import Kind

    options = set(inspect.signature(MockServer).parameters)
    table = PAGE.partition("| option of")[2].partition("\n\n")[0]
    assert options == {
        name for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.MULTILINE) for name in re.findall(r"\w+", row)
    }
    kinds = PAGE.partition("| kind |")[2].partition("\n\n")[0]
    assert set(get_args(Kind)) <= set(re.findall(r"`(\w+)`", kinds))
    for name in Rule.__struct_fields__:
        assert re.search(rf"\b{name}\b", PAGE), name


def test_commands_have_these_options():
    shown = subprocess.run(
        [sys.executable, "-m", "mock_server", "--help"], env=plain_environment(), capture_output=True, text=True, check=True
    ).stdout
    for code in (code for language, code in BLOCKS if language == "console"):
        for option in re.findall(r"--[a-z-]+", code):
            assert option in shown


def test_routes_are_all_there():
    app = Hub(Options()).default._admin_app()
    assert isinstance(app, AdminApp)
    for path in set(re.findall(r"/__mock__/[a-z/{}]+", PAGE.partition("| route |")[2].partition("\n\n")[0])):
        assert app._routes.find(path.replace("{id}", "1").replace("{name}", "x")), path
