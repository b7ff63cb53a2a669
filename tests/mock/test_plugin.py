"""The pytest plugin, in projects of its users."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.pace import timed, within
from tests.serving import ROOT, plain_environment

SUITE = """
import pytest
from blaxel_jobs import JobsClient, bl_job, define_job

@define_job("double")
def double(context, payload):
    return 2 * payload

@pytest.mark.parametrize("number", range(25))
def test_in_process(jobs_mock, number):
    job = bl_job("my-job")
    assert job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60 + number}]})).status == "completed"
    assert jobs_mock.monotonic() == 60 + number
    assert len(jobs_mock.executions) == 1

@pytest.mark.jobs_mock(jobs=[double], seed=3, mode="step")
def test_marked(jobs_mock):
    assert bl_job("double").trigger(21).get_result() == 42

async def test_async(jobs_mock):
    assert (await (await bl_job("my-job").atrigger({"duration": 60})).await_done()).status == "completed"

def test_live(jobs_mock_server, monkeypatch):
    import os, subprocess, sys
    assert os.environ["BL_API_URL"] == jobs_mock_server.url
    script = "from blaxel_jobs import bl_job; print(bl_job('my-job').trigger({'duration': 60, 'output': 5}).get_result())"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "5\\n"
    assert bl_job("my-job").trigger({"duration": 60}).wait_done().status == "completed"
    assert jobs_mock_server.monotonic() == 120

def test_both(jobs_mock_server, jobs_mock):
    bl_job("my-job").trigger()
    assert (len(jobs_mock_server.executions), len(jobs_mock.executions)) == (1, 0)

def test_afterwards():
    import os
    assert "BL_API_URL" not in os.environ
"""

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = --strict-markers
"""


SMALL_SUITE = """
from blaxel_jobs import bl_job

def test_in_process(jobs_mock):
    assert bl_job("my-job").trigger({"duration": 60}).wait_done().status == "completed"
    assert jobs_mock.monotonic() == 60
"""


def run(folder: Path, *arguments: str, path: str = str(ROOT), **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest on the tests of a folder, as its user runs it."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments]
    (folder / "pytest.ini").write_text(INI)
    variables = plain_environment(**{"PYTHONPATH": path, **environment})
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=170)


def test_a_bare_project_finds_the_fixtures(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(SUITE)
    done = run(tmp_path)
    assert "30 passed" in done.stdout, done.stdout
    assert "blaxel-jobs: " not in done.stdout


@pytest.mark.parametrize("shadow", ["mock_server.py", "mock_server/__init__.py"])
def test_k_06_something_local_of_that_name_does_no_harm_and_is_told_of(tmp_path: Path, shadow: str):
    file = tmp_path / shadow
    file.parent.mkdir(exist_ok=True)
    file.write_text("MINE = True\n")
    (tmp_path / "test_mine.py").write_text(
        f"{SMALL_SUITE}\ndef test_mine():\n    import mock_server\n    assert mock_server.MINE\n"
    )
    done = run(tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    assert f"{tmp_path / shadow.removesuffix('/__init__.py')} has the name of the mock server's package" in done.stdout


def test_k_06_a_local_folder_of_data_is_no_package(tmp_path: Path):
    (tmp_path / "mock_server").mkdir()
    (tmp_path / "mock_server" / "answers.json").write_text("{}")
    (tmp_path / "test_mine.py").write_text(f"{SMALL_SUITE}\ndef test_ours():\n    from mock_server import MockServer\n")
    done = run(tmp_path)
    assert "2 passed" in done.stdout, done.stdout
    assert "has the name" not in done.stdout


def test_a_fixture_with_a_bad_option_says_so(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text("import pytest\n@pytest.mark.jobs_mock(mode='jump')\ndef test_it(jobs_mock): ...\n")
    done = run(tmp_path)
    assert "1 error" in done.stdout
    assert "a mode is 'settle'" in done.stdout


def test_an_option_that_there_is_not_says_which_was_meant(tmp_path: Path):
    (tmp_path / "test_mine.py").write_text("import pytest\n@pytest.mark.jobs_mock(clok='real')\ndef test_it(jobs_mock): ...\n")
    done = run(tmp_path)
    assert "1 error" in done.stdout
    assert "the marker jobs_mock has no option 'clok': did you mean 'clock'?" in done.stdout


def test_loading_the_plugin_imports_nothing_else():
    script = (
        "import sys, pytest; before = set(sys.modules); import blaxel_jobs.pytest_plugin; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=True
    )
    assert [name for name in done.stdout.split() if not name.startswith("blaxel_jobs")] == []
    assert set(done.stdout.split()) == {"blaxel_jobs", "blaxel_jobs.pytest_plugin"}


def test_a_fixture_costs_little(jobs_mock):
    from mock_server import MockServer

    def a_mock() -> None:
        with MockServer():
            pass

    within(0.02, lambda: timed(a_mock))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, where a user's interpreter would have it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, cwd=folder, env=plain_environment(PYTHONPATH=""), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


WHERE = """
def test_where():
    import blaxel_jobs.pytest_plugin, mock_server
    assert all(module.__file__.startswith({site!r}) for module in (blaxel_jobs.pytest_plugin, mock_server))
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.row("K-06")
def test_k_13_a_project_with_the_wheel_under_xdist(unpacked: Path, tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(SUITE + WHERE.format(site=str(unpacked)))
    done = run(tmp_path, "-n", "2", path=str(unpacked))
    assert "31 passed" in done.stdout, done.stdout


@pytest.mark.slow
@pytest.mark.row("K-13")
def test_k_13_the_example_suite_passes():
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--noconftest", "examples/ci_suite"]
    done = subprocess.run(command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=False, timeout=170)
    assert "5 passed" in done.stdout, done.stdout
