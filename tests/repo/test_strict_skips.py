"""`--strict-skips`, as .ci/run uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import is_allowed, read_allowed
from tests.serving import plain_environment

SOME_TESTS = """
import pytest

def test_runs(): ...

@pytest.mark.skip(reason="not today")
def test_is_skipped(): ...
"""


@pytest.mark.parametrize("parallel", [[], ["-n", "1"]])
def test_a_skip_that_is_not_allowed_fails_the_run_and_the_closing_line_stays_last(tmp_path: Path, parallel: list[str]):
    (tmp_path / "test_some.py").write_text(SOME_TESTS)
    strict = run(tmp_path, "--strict-skips", *parallel)
    assert strict.returncode == 1, strict.stdout
    assert "skipped, but not in tests/allowed_skips.txt" in strict.stdout
    assert "test_some.py::test_is_skipped" in strict.stdout
    assert "1 passed, 1 skipped" in strict.stdout.splitlines()[-1]
    assert run(tmp_path, *parallel).returncode == 0


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *arguments, "test_some.py"]
    return subprocess.run(command, cwd=folder, env=plain_environment(), capture_output=True, text=True, check=False)


def test_a_line_allows_one_test_or_all_that_begin_so():
    allowed = read_allowed("# why\n\ntests/a.py::test_one[x]  # no such database here\ntests/b.py::*  # Linux only\n")
    assert allowed == ["tests/a.py::test_one[x]", "tests/b.py::*"]
    assert is_allowed("tests/a.py::test_one[x]", allowed)
    assert not is_allowed("tests/a.py::test_one[y]", allowed)
    assert is_allowed("tests/b.py::test_any", allowed)
