"""docs/status.md says of every module how far it is."""

import importlib
import importlib.util
import re
from pkgutil import iter_modules

from typer.main import get_command

import blaxel_jobs
from blaxel_jobs.cli.commands import app
from tests.serving import ROOT

PAGE = (ROOT / "docs" / "status.md").read_text()
LEVELS, MODULES, COMMAND_ROWS, PLANNED = re.split(r"^## .*$", PAGE, flags=re.MULTILINE)
ROWS = dict(re.findall(r"^\| `([a-z_.]+)` \| (\w+) \| \S.* \|$", MODULES, re.MULTILINE))


def test_s3_31_every_module_has_its_level():
    modules = {f"blaxel_jobs.{module.name}" for module in iter_modules(blaxel_jobs.__path__)}
    assert ROWS.keys() == {"blaxel_jobs", "mock_server", *modules}
    assert set(ROWS.values()) == {"Stable", "Implemented", "Internal"}


def test_s3_31_every_level_is_explained_and_no_other_is_given():
    explained = set(re.findall(r"^\| ([A-Z]\w+) \| ", LEVELS, re.MULTILINE))
    given = set(re.findall(r"^\| .* \| ([A-Z]\w+) \| ", f"{MODULES}{COMMAND_ROWS}{PLANNED}", re.MULTILINE))
    assert given <= explained == {"Stable", "Implemented", "Experimental", "Planned", "Internal"}


def test_s3_31_what_a_public_module_is_said_to_have_is_there():
    for module, said in re.findall(r"^\| `([a-z_.]+)` \| (?:Stable|Implemented) \| (.*) \|$", MODULES, re.MULTILINE):
        for name in re.findall(r"`([A-Za-z_]+)`", said):
            assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


def test_s3_31_where_public_names_are_from_is_not_internal():
    for name in blaxel_jobs.__all__:
        module = getattr(getattr(blaxel_jobs, name), "__module__", "blaxel_jobs")
        assert ROWS[".".join(module.split(".")[:2])] != "Internal", f"{name} is from {module}"


def test_s3_31_every_command_has_its_level():
    commands = {f"blaxel-jobs {name}" for name in get_command(app).commands}  # type: ignore[attr-defined]
    modules = {"python -m blaxel_jobs.worker", "python -m mock_server"}
    assert set(re.findall(r"`((?:blaxel-jobs|python) [^`]+)`", COMMAND_ROWS)) == commands | modules
    assert set(re.findall(r"^\| `.*` \| ([A-Z]\w+) \| \S.* \|$", COMMAND_ROWS, re.MULTILINE)) == {"Implemented"}
    for command in modules:
        assert importlib.util.find_spec(f"{command.split()[-1]}.__main__"), command


def test_s3_31_what_is_planned_is_not_there_yet():
    """Once it is, it gets another level."""
    assert set(re.findall(r"^\| .* \| ([A-Z]\w+) \| \S.* \|$", PLANNED, re.MULTILINE)) == {"Planned"}
    for owner, name in re.findall(r"`([A-Z]\w+)\.(\w+)`", PLANNED):
        assert not hasattr(getattr(blaxel_jobs, owner), name), f"{owner}.{name} is there"
