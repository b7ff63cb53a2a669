"""examples/durable_steps.py, killed again and again: it goes on with its steps, and the archive is right."""

import json
import sys
import tarfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from blaxel_jobs import JobManager, PermanentError
from examples import durable_steps
from tests.chaos.processes import Program
from tests.holding import held_back_when
from tests.pace import until

FILES = 2000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Forty chunks of files, some in folders, some empty, some not ASCII, and what is to be left out."""
    rng = Random(0)
    for n in range(FILES):
        path = tmp_path / "tree" / f"folder-{n % 7}" / ("größe" if n % 11 == 0 else "") / f"file-{n:04}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rng.randbytes(n % 10 * 1000).hex())
    (tmp_path / "tree" / "__pycache__").mkdir()
    (tmp_path / "tree" / "__pycache__" / "file.pyc").write_bytes(b"left out")
    return tmp_path / "tree"


def log(archive: Path) -> list[str]:
    """What steps really did, in this order."""
    path = Path(f"{archive}.log")
    return path.read_text().splitlines() if path.exists() else []


def stored(archive: Path) -> set[str]:
    """The steps that are stored, by the names that they have in the log."""
    with JobManager(f"sqlite:///{archive}.jobs.db", worker=False) as reader:
        names = [step.name for step in reader.list_steps(durable_steps.ID).auto_paging_iter()]
    return {name if "-" not in name else f"{name.split('-')[0]} {int(name.split('-')[1])}" for name in names}


def steps_of(archive: Path) -> list[str]:
    """As in the log, but without what the listing counted."""
    return [line.split()[0] if line.startswith("list") else line for line in log(archive)]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_s2_11_the_archive_is_right_however_often_it_was_killed(tree: Path, tmp_path: Path) -> None:
    archive = tmp_path / "tree.tar.gz"
    command = (sys.executable, "-m", "examples.durable_steps", str(tree), str(archive))
    before: set[str] = set()
    for point in ("list 2000", "sum 10", "pack 5", "pack 6", "join"):
        with Program(tmp_path, *command) as victim:
            kill_at(point, victim, archive)
        done = stored(archive)
        assert before <= done
        assert "verify" not in done, "it was killed when it had done all"
        before = done
    with Program(tmp_path, *command) as last:
        last.exited()
        assert f"going on after {len(before)} steps" in last.text()
    check_steps(archive, before)
    check_archive(tree, archive)


def kill_at(point: str, victim: Program, archive: Path) -> None:
    """kill -9 when the log has this line, before the store has much more."""
    until(lambda: victim.check_alive() or log(archive), "it has begun")

    def reached(_: object) -> bool:
        if point not in log(archive):
            victim.check_alive()
            return False
        return True

    with held_back_when(reached, Path(f"{archive}.jobs.db")):
        victim.kill()


def check_steps(archive: Path, before: set[str]) -> None:
    """Each of them was stored once. A kill can hit what was done and not yet stored, so that one step for each is done again."""
    times = Counter(steps_of(archive))
    chunks = FILES // durable_steps.CHUNK
    everything = {"list", "join", "verify", *(f"{what} {n}" for what in ("sum", "pack") for n in range(chunks))}
    assert times.keys() == everything == stored(archive)
    assert times.total() - len(times) <= 5
    assert max(times.values()) <= 2
    assert all(times[f"sum {n}"] == 1 for n in range(10))
    assert times["pack 4"] == 1
    assert {f"sum {n}" for n in range(chunks)} | {"pack 5"} <= before


def check_archive(tree: Path, archive: Path) -> None:
    expected = {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*.txt")}
    assert len(expected) == FILES
    with tarfile.open(archive) as tar:
        assert dict(durable_steps.members(tar)) == expected
    report = json.loads(Path(f"{archive}.json").read_text())
    assert (report["files"], report["bytes"]) == (FILES, sum(map(len, expected.values())))
    assert report["archive_bytes"] == archive.stat().st_size
    assert not Path(f"{archive}.parts").exists()


class Step:
    """A context for a handler that is called as a plain function. Changes a file when everything is summed up."""

    def __init__(self, changes: Path) -> None:
        self.artifacts = self
        self._changes = changes
        self._kept: list[bytes] = []

    def run(self, name: str, fn: Any, *args: Any) -> Any:
        if name == "pack-00000":
            self._changes.write_text("changed")
        return fn(*args)

    def progress(self, current: int, total: int, message: str) -> None: ...

    def put(self, data: bytes, content_type: str) -> str:
        self._kept.append(data)
        return content_type

    def get(self, ref: str) -> bytes:
        return self._kept[-1]


def test_a_file_that_changes_meanwhile_ends_it_for_good(tree: Path, tmp_path: Path) -> None:
    archive, last = tmp_path / "tree.tar.gz", max(tree.rglob("*.txt"))
    with pytest.raises(PermanentError, match=f"{last.name} was changed while it was archived"):
        durable_steps.archive(Step(last), durable_steps.Order(str(tree), str(archive)))
    assert "pack 38" in log(archive)
    assert not archive.exists()
