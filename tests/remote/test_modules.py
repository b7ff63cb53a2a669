"""Where a worker finds its jobs: modules that are named, and installed packages that offer some."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.errors import ConfigError
from blaxel_jobs.worker.__main__ import main
from blaxel_jobs.worker.modules import installed_jobs, load_jobs
from tests.pace import PATIENCE
from tests.serving import plain_environment

MODULE = """
from blaxel_jobs import define_job

@define_job("{name}", queue="{queue}")
def handler(step, payload):
    return payload
"""


def package(folder: Path, module: str, entry: str | None = None, name: str | None = None, queue: str = "default") -> None:
    """A module, and what pip leaves behind of a package that offers it."""
    (folder / f"{module}.py").write_text(MODULE.format(name=name or module.replace("_", "-"), queue=queue))
    if entry is not None:
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[blaxel_jobs]\n{entry}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def names(jobs: list[Any]) -> list[str]:
    return sorted(job.name for job in jobs)


def test_s3_30_jobs_of_an_installed_package_are_found_by_their_entry_points(folder: Path) -> None:
    package(folder, "second_module", "all = second_module")
    package(folder, "second_single", "one = second_single:handler")
    assert names(installed_jobs()) == ["second-module", "second-single"]


def test_s3_30_jobs_of_a_package_are_found_by_their_import_path(folder: Path) -> None:
    (folder / "feature").mkdir()
    package(folder / "feature", "handlers", name="feature-job")
    assert names(load_jobs(["feature.handlers"])) == ["feature-job"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("bad = second_bad:nothing", "entry point 'bad' cannot be imported: AttributeError"),
        ("bad = second_bad:define_job", "neither a job nor a module"),
        ("bad = json", "defines no job"),
        ("bad = no_such_module", "entry point 'bad' cannot be imported: ModuleNotFoundError"),
    ],
)
def test_an_entry_point_that_offers_no_job_says_so(entry: str, says: str, folder: Path) -> None:
    package(folder, "second_bad", entry)
    with pytest.raises(ConfigError, match=says):
        installed_jobs()


def test_two_jobs_of_one_name_are_refused(folder: Path) -> None:
    package(folder, "twin_one", name="twin")
    package(folder, "twin_two", name="twin")
    with pytest.raises(ConfigError, match="'twin' is defined twice, in twin_one and twin_two"):
        load_jobs(["twin_one", "twin_two"])
    assert names(load_jobs(["twin_one", "twin_one"])) == ["twin"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a module that defines jobs"),
        (["no_such_module"], "there is no module 'no_such_module'"),
        (["cli_jobs", "--queues", "images,imports"], "no job is of the queues images, imports: there are jobs of default"),
        (["cli_jobs", "--url", "nonsense"], "base_url"),
        (["cli_jobs", "--url", "https://api.blaxel.ai/v0"], "platform"),
        (["cli_jobs", "--api-key", "a", "--api-key-file", "b"], "give one of them"),
        (["cli_jobs", "--api-key-file", "nowhere"], "key file nowhere cannot be read"),
        (["cli_jobs", "--api-key-file", "empty"], "key file empty has no key"),
        (["cli_jobs", "--name", "a\nb"], "printable"),
        (["cli_jobs", "--ready-file", "nowhere/ready"], "no folder nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package(folder, "cli_jobs")
    (folder / "empty").write_text("# only a comment\n")
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("blaxel-jobs worker: ")
    assert says in line


@pytest.mark.parametrize(
    "arguments", [["m", "--slots", "0"], ["m", "--grace", "nan"], ["m", "--queues", ","], ["m", "--log-level", "x"]]
)
def test_an_option_that_cannot_be_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_worker_is_nothing_of_the_engine_or_the_server(folder: Path) -> None:
    """As from the base install: every other library refuses to be imported."""
    package(folder, "bare_jobs")
    code = """
import sys

class OnlyTheBase:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sqlalchemy", "alembic", "uvicorn", "starlette", "cronsim", "uuid_utils", "typer", "rich",
                                      "prometheus_client", "uvloop", "httptools", "psycopg", "pymysql"}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, OnlyTheBase())
from blaxel_jobs.worker.__main__ import main

code = main(["bare_jobs", "--url", "http://127.0.0.1:9"])
loaded = sorted(name for name in sys.modules if name.startswith("blaxel_jobs."))
print(code, *loaded)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=folder, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr is not None
        # Nobody listens there: it waits until it is told to end.
        said = next(line for line in worker.stderr if "waiting for the server" in line)
        worker.terminate()
        output, _ = worker.communicate(timeout=PATIENCE)
    assert "http://127.0.0.1:9/v0" in said
    code, *loaded = output.split()
    assert code == "0"
    assert "blaxel_jobs.remote.leases" in loaded
    halves = ("engine", "stores", "server", "manager", "cli")
    assert [name for name in loaded if name.split(".")[1] in halves] == []
