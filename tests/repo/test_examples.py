"""The examples, run as a reader would run them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from examples.stdlib_census import STDLIB, Counts, by_package, count, library_files, package_of, table
from tests.holding import held_back_when
from tests.pace import PATIENCE, until
from tests.serving import ROOT, plain_environment, serving

PACKAGES = ["asyncio", "email", "encodings", "idlelib", "unittest"]


@pytest.mark.slow
def test_k_11_the_script_runs(tmp_path: Path):
    with serving(tmp_path, "memory:", "--simulate") as server:
        script = [sys.executable, str(ROOT / "examples" / "script.py"), "0.1", "0.2"]
        done = subprocess.run(script, env=plain_environment(BL_API_URL=server.url), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.split()[2] in ("pending", "running", "completed")  # on a slow machine it ends before it is looked at
    assert last == f"{first.split()[0]} is completed"


@pytest.mark.slow
def test_the_async_service_answers_many_requests_at_once(tmp_path: Path):
    with serving(tmp_path, "memory:", "--simulate") as server:
        command = [sys.executable, "-m", "uvicorn", "--port", "0", "--lifespan", "off", "examples.async_service:app"]
        environment = plain_environment(BL_API_URL=server.url)
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as service:
            try:
                assert service.stderr
                url = next(line.split()[-5] for line in service.stderr if "running on" in line)
                started = time.monotonic()
                with ThreadPoolExecutor(20) as pool:
                    answers = list(pool.map(lambda _: post(url, [{"duration": 1}]), range(20)))
                took = time.monotonic() - started
                refused = post(url, [{"duration": -1}])
            finally:
                service.terminate()
    assert [answer["status"] for answer in answers] == ["completed"] * 20
    assert len({answer["execution"] for answer in answers}) == 20
    assert 1 <= took < 15  # not each after the other
    assert "duration" in refused["message"]


def post(url: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(tasks).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", ["server", "demo"])
def test_an_interrupted_census_goes_on(tmp_path: Path, victim: str):
    with demo(tmp_path) as first:
        until((tmp_path / ".demo" / "ready.json").exists)
        pid = json.loads((tmp_path / ".demo" / "ready.json").read_text())["pid"]
        with held_back_when(enough, tmp_path / ".demo" / "census.db") as done:
            os.kill(pid if victim == "server" else first.pid, signal.SIGKILL)
        _, err = first.communicate(timeout=2 * PATIENCE)
    assert first.returncode == (1 if victim == "server" else -signal.SIGKILL), err
    assert ("run it again" in err) == (victim == "server")
    with demo(tmp_path) as second:
        out, err = second.communicate(timeout=2 * PATIENCE)
    assert second.returncode == 0, err
    assert ("the server of an earlier run still works" in out) == (victim == "demo")
    resumed = next(line.split() for line in out.splitlines() if line.startswith("resuming:"))
    assert len(files()) > done >= 20
    assert int(resumed[1]) >= done
    assert int(resumed[3]) == len(files())
    assert "\n".join(table([count(path, (STDLIB / path).read_bytes()) for path in files()])) in out
    assert not (tmp_path / ".demo").exists()
    until(lambda: not running(pid))


def demo(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "examples.census_demo", *PACKAGES]
    return subprocess.Popen(command, cwd=folder, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files() -> list[str]:
    return [path for path in library_files() if package_of(path) in PACKAGES]


def enough(database: sqlite3.Connection) -> int | None:
    """How many tasks have ended, once there are some."""
    ended: int = database.execute("select count(*) from tasks where state = 'ended'").fetchone()[0]
    return ended if ended >= 20 else None


def running(pid: int) -> bool:
    """Whether the process still works; one that ended and that nobody asked for counts as gone."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.parent.parent.joinpath("self").exists():
        return subprocess.run(["ps", "-p", str(pid)], capture_output=True).returncode == 0
    with suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_the_census_counts_what_is_there():
    source = b"import a\nclass A:\n    def f(self):\n        def g(): ...\n        return g\n\nasync def h(): ...\n"
    expected = {
        "package": "pkg",
        "path": "pkg/mod.py",
        "lines": 7,
        "functions": 3,
        "classes": 1,
        "longest": "f",
        "longest_lines": 3,
    }
    assert count("pkg/mod.py", source) == {**expected, "problem": None}


@pytest.mark.parametrize("source", [b"print 'old'\n", b"\x00\n", b"# coding: nonsense\n"])
def test_a_file_that_is_not_python_is_part_of_the_census(source: bytes):
    counts = count("old.py", source)
    assert (counts["package"], counts["lines"], counts["functions"], counts["longest"]) == ("old", 1, 0, "-")
    assert counts["problem"]


def test_the_table_is_reduced_by_package():
    rows = by_package([counted("a/x.py", 1, "f", 1), counted("b.py", 10, "g", 4), counted("a/y.py", 2, "h", 2)])
    assert [(row.name, row.files, row.lines, row.functions, row.longest, row.longest_lines) for row in rows] == [
        ("b", 1, 10, 1, "g", 4),
        ("a", 2, 3, 2, "h", 2),
    ]


def counted(path: str, lines: int, longest: str, longest_lines: int) -> Counts:
    return Counts(
        package=package_of(path),
        path=path,
        lines=lines,
        functions=1,
        classes=0,
        longest=longest,
        longest_lines=longest_lines,
        problem=None,
    )
