"""Wheel and sdist: what is in them, and that the wheel works where only the base dependencies are installed."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.serving import ROOT, plain_environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

BASE = {"httpx", "attrs", "anyio", "python-dateutil", "msgspec"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel built from it: the tree itself is not at hand for that."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, cwd=out, env=plain_environment(PYTHONPATH=""), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel and its base dependencies, taken from this environment: no network."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    site = Path(output(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    for name in closure(BASE):
        copy_distribution(importlib.metadata.distribution(name), site)
    install = [str(python), "-m", "pip", "install", "--no-index", "--no-deps", str(built[1])]
    done = subprocess.run(install, env=plain_environment(PYTHONPATH=""), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


def closure(names: set[str]) -> set[str]:
    """These distributions and all that they need."""
    needed: set[str] = set()
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name in needed:
            continue
        needed.add(name)
        requirements = map(Requirement, importlib.metadata.requires(name) or ())
        wanted += [found.name for found in requirements if found.marker is None or found.marker.evaluate({"extra": ""})]
    return needed


def copy_distribution(distribution: importlib.metadata.Distribution, site: Path) -> None:
    for file in distribution.files or ():
        source = Path(str(file.locate()))
        if ".." not in file.parts and source.is_file():
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def output(python: Path, code: str, *, fails: bool = False) -> str:
    """What the code prints, run in a folder of its own; with `fails` what it writes to stderr before it exits with an error."""
    done = subprocess.run(
        [str(python), "-W", "error", "-c", code],
        cwd=python.parent,
        env=plain_environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return (done.stderr if fails else done.stdout).strip()


def test_the_wheel_holds_the_package_and_nothing_else(built: tuple[Path, Path]):
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0] for name in names} == {"blaxel_jobs", "mock_server", "blaxel_jobs-0.1.0.dist-info"}
    assert "blaxel_jobs/py.typed" in names
    assert "blaxel_jobs/client/models/create_job_execution_request.py" in names
    assert "blaxel_jobs-0.1.0.dist-info/licenses/LICENSE" in names
    shipped = {name for name in names if name.startswith(("blaxel_jobs/", "mock_server/"))}
    folders = (ROOT / "blaxel_jobs", ROOT / "mock_server")
    here = {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()}
    contract = "mock_server/openapi.yaml"  # for its strict mode
    assert shipped == {path for path in here if "__pycache__" not in path} | {contract}


def test_the_sdist_holds_what_building_and_testing_need(built: tuple[Path, Path]):
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "pyproject.toml",
        "openapi.yaml",
        "Makefile",
        "README.md",
        "LICENSE",
        "requirements/dev.lock",
        "tests/conftest.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv/", ".demo/", ".git/"))]


def test_k_01_the_base_install_needs_the_base_dependencies_only(bare: Path):
    check = subprocess.run([str(bare), "-m", "pip", "check"], env=plain_environment(PYTHONPATH=""), capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    needs = json.loads(output(bare, "import importlib.metadata as m, json; print(json.dumps(m.requires('blaxel-jobs')))"))
    assert {Requirement(text).name for text in needs if "extra" not in text} == BASE
    assert output(bare, "from blaxel_jobs import bl_job; print(bl_job('my-job').name)") == "my-job"
    snippet = (ROOT / "examples" / "seed_001" / "getting_started.py").read_text().partition("execution_id")[0]
    assert output(bare, snippet) == ""


@pytest.mark.parametrize("code", ["import blaxel_jobs.engine", "from blaxel_jobs import JobManager"])
def test_k_01_the_engine_says_which_extra_is_missing(bare: Path, code: str):
    assert "pip install 'blaxel-jobs[engine]'" in output(bare, code, fails=True).splitlines()[-1]


def test_k_01_the_command_says_which_extra_is_missing(bare: Path):
    done = subprocess.run(
        [str(bare.with_name("blaxel-jobs")), "serve"],
        env=plain_environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "blaxel-jobs[" in done.stderr
    assert "Traceback" not in done.stderr
