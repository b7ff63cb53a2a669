"""Artifacts from end to end: handlers put and get them, embedded and behind a server, and deleting takes them along."""

import asyncio
import hashlib
import re
import runpy
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import JobManager, JobsClient, define_job
from blaxel_jobs.config import Settings
from blaxel_jobs.remote import RemoteWorker
from tests.pace import PATIENCE
from tests.serving import ROOT, serving

SIZE = 50 * 1024 * 1024
PIECE = hashlib.shake_128(b"artifact").digest(1024 * 1024)


@define_job("keep")
def keep(context: Any, payload: Any) -> str:
    return context.artifacts.put(PIECE * 50, content_type="image/png")


@define_job("read")
async def read(context: Any, ref: str) -> list[Any]:
    digest = hashlib.sha256()
    async with context.artifacts.open(ref) as reader:
        async for piece in reader:
            digest.update(piece)
        return [reader.size, reader.content_type, digest.hexdigest()]


@pytest.fixture(params=["embedded", "remote"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """The two jobs above with workers, over jobs.db in tmp_path."""
    if request.param == "embedded":
        with JobManager(f"sqlite:///{tmp_path}/jobs.db") as manager:
            manager.register(keep, read)
            yield manager
        return
    with serving(tmp_path, f"sqlite:///{tmp_path}/jobs.db") as server:
        settings = Settings(base_url=f"{server.url}/v0")
        with (
            RemoteWorker([keep], settings=settings),
            RemoteWorker([read], settings=settings),
            closing(JobsClient(base_url=settings.base_url)) as client,
        ):
            yield client


def test_s0_34_large_artifacts_are_passed_by_their_refs(jobs: Any, tmp_path: Path) -> None:
    kept = jobs.job("keep").trigger(None)
    ref = kept.get_result(max_wait=PATIENCE)
    read = jobs.job("read").trigger(ref).get_result(max_wait=PATIENCE)
    assert read == [SIZE, "image/png", hashlib.sha256(PIECE * 50).hexdigest()]

    folder = tmp_path / "jobs.db-artifacts" / "default" / kept.id
    assert sum(path.stat().st_size for path in folder.iterdir()) == SIZE + len("image/png")
    assert row_size(tmp_path / "jobs.db", kept.id) < 2048

    kept.delete()
    assert not folder.exists()
    gone = jobs.job("read").trigger(ref).wait_done(max_wait=PATIENCE)
    assert (gone.status, gone.error.type) == ("failed", "NotFound")


def row_size(path: Path, id: str) -> int:
    """What the rows of an execution and its tasks have, as text."""
    with closing(sqlite3.connect(path)) as database:
        (execution,) = database.execute("select * from executions where id = ?", (id,)).fetchall()
        columns = [column[1] for column in database.execute("pragma table_info(executions)")]
        tasks = database.execute("select * from tasks where execution = ?", (execution[columns.index("seq")],)).fetchall()
    assert tasks
    return sum(len(str(value)) for row in [execution, *tasks] for value in row)


def test_the_example_of_the_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "artifacts.md").read_text(), re.DOTALL)
    (tmp_path / "example.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("example.py")
    assert capsys.readouterr().out == "[52428800, 'image/png']\n"
    assert (tmp_path / "picture.png").stat().st_size == SIZE


async def forgets(context: Any) -> str:
    ref = await context.artifacts.put(b"small")
    context.artifacts.put(b"x" * 1_000_000)
    context.artifacts.save(ref, "nowhere")
    unused = context.artifacts.get(ref)
    unused.close()
    await asyncio.create_task(context.artifacts.get(ref))
    return ref


async def takes(context: Any) -> int:
    return len(context.artifacts.get("a ref"))


async def returns(context: Any) -> Any:
    return context.artifacts.get("a ref")


@pytest.mark.parametrize(
    ("handler", "named"),
    [
        (forgets, rf"artifacts\.put\({b'x' * 20!r}\), artifacts\.save\('artifact:[^,]*\)"),
        (takes, r"artifacts\.get\('a ref'\)"),
        (returns, r"artifacts\.get\('a ref'\)"),
    ],
)
def test_what_is_never_awaited_fails_the_task_for_good(handler: Any, named: str) -> None:
    with JobManager() as manager:
        manager.register(define_job("job", run=handler, max_retries=3))
        execution = manager.job("job").trigger().wait_done(max_wait=PATIENCE)
    assert execution.error.kind == "permanent"
    assert re.fullmatch(f"the handler never awaited {named}: without await nothing of it is done", execution.error.message)


async def reads(context: Any) -> str:
    ref = await context.artifacts.put(b"small")
    async with context.artifacts.open(ref) as reader:
        return (await reader.read()).decode()


def test_what_is_awaited_is_not_forgotten() -> None:
    with JobManager() as manager:
        manager.register(define_job("job", run=reads))
        assert manager.job("job").trigger().get_result(max_wait=PATIENCE) == "small"
