"""What mypy and pyright, both strict, reveal of definitions: the types that definitions.py names, and the mistakes here."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

DEFINITIONS = (Path(__file__).parent / "definitions.py").read_text()
MISTAKES = """
define_job("job", run=async_both, input=Receipt)
define_job("job", run=both, input=Receipt)
define_job("job", input=Receipt)(both)
define_job("job", input=Receipt)(async_both)
define_job("job", output=Order)(both)
define_job("job", output=Order)(async_both)
define_job("job", input=Order, output=Order)(async_both)
define_job("job", run=lambda a, b, c: 1)
define_job(run=nothing)
define_job("job", run=nothing, timeout="60")
define_job("job", run=nothing, max_retry=3)
define_job("job", run=nothing, executor="fork")
typed_by_its_definition(word_count, word_count)
from blaxel_jobs import bl_jobs
from blaxel_jobs.worker import TaskContexts
"""


class Revealing(ast.NodeTransformer):
    """Makes `reveal_type(x)` of `assert_type(x, T)`, and notes T by its line."""

    def __init__(self) -> None:
        self.types: dict[int, str] = {}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not (isinstance(node.func, ast.Name) and node.func.id == "assert_type"):
            return node
        value, expected = node.args
        self.types[len(self.types)] = ast.unparse(expected)
        return ast.copy_location(ast.Call(ast.Name("reveal_type", ast.Load()), [value], []), node)


def revealing(text: str) -> tuple[str, dict[int, str]]:
    """The source with `reveal_type`, and what each of its lines is to reveal."""
    transformer = Revealing()
    source = ast.unparse(transformer.visit(ast.parse(text))).replace("assert_type", "reveal_type")
    lines = [number for number, line in enumerate(source.splitlines(), 1) if line.lstrip().startswith("reveal_type(")]
    return source, dict(zip(lines, transformer.types.values(), strict=True))


SOURCE, EXPECTED = revealing(DEFINITIONS)
WRONG = {len(SOURCE.splitlines()) + number for number, line in enumerate(MISTAKES.splitlines(), 1) if line}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("types")
    (path / "seen.py").write_text(f"{SOURCE}\n{MISTAKES}")
    return path


def said(folder: Path, *command: str) -> str:
    environment = {**os.environ, "MYPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.stdout


def short(type_: str) -> str:
    """As it is written: without the modules of names."""
    return re.sub(r"TypedDict\(Draft, {.*?}\)", "Draft", re.sub(r"\b(?:\w+\.)+(?=\w)", "", type_))


@pytest.mark.row("S2-03")
def test_mypy_reveals_the_types_and_refuses_the_mistakes(folder: Path) -> None:
    found = said(folder, "mypy", "--strict", "--no-error-summary", "--follow-imports=silent", "--cache-dir", "cache", "seen.py")
    revealed = {int(line): short(seen) for line, seen in re.findall(r':(\d+): note: Revealed type is "(.*)"', found)}
    assert revealed == EXPECTED
    assert {int(line) for line in re.findall(r":(\d+): error: ", found)} == WRONG, found


@pytest.mark.row("S2-03")
def test_pyright_reveals_the_types_and_refuses_the_mistakes(folder: Path) -> None:
    settings: dict[str, Any] = {"include": ["seen.py"], "typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    found = json.loads(said(folder, "pyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]
    revealed: dict[int, str] = {}
    wrong: set[int] = set()
    for each in found:
        line = each["range"]["start"]["line"] + 1
        seen = re.fullmatch(r'Type of ".*" is "(.*)"', each["message"], re.DOTALL)
        if seen:
            revealed[line] = short(seen[1])
        elif each["severity"] == "error":
            wrong.add(line)
    assert revealed == EXPECTED
    assert wrong == WRONG
