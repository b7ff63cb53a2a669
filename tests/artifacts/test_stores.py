"""The port ArtifactStore, and what a folder of artifacts is on the disk."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blaxel_jobs.artifacts import PIECE
from blaxel_jobs.errors import NotFound, TooLarge, Unavailable
from blaxel_jobs.stores.artifact_files import FolderArtifacts, file_name, id_of
from blaxel_jobs.stores.artifacts import ArtifactStore, ExecutionArtifacts, MemoryArtifacts
from tests.artifacts.conftest import EXECUTION, WORKSPACE, keep, read
from tests.pace import PATIENCE
from tests.serving import ROOT

NASTY = [
    "../../etc",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "%2e%2e",
    ".drafts",
    "~home",
    "A",
    "a",
    "a" * 128,
    "A" * 128,
    "ä\0",
    "CON",
]


@pytest.fixture
def folder(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "jobs.db-artifacts")


def files(store: FolderArtifacts) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


# Every store


def test_nothing_is_seen_before_the_commit(store: ArtifactStore) -> None:
    id = keep(store, b"bytes", execution="other")
    upload = store.begin(WORKSPACE, EXECUTION)
    upload.write(b"bytes")
    with pytest.raises(NotFound):
        read(store, id)
    artifact = upload.commit("text/plain")
    assert (artifact.execution_id, artifact.id, artifact.size, artifact.content_type) == (EXECUTION, id, 5, "text/plain")
    upload.discard()
    assert read(store, id) == b"bytes"


def test_what_is_discarded_is_gone(store: ArtifactStore) -> None:
    id = keep(store, b"bytes", execution="other")
    upload = store.begin(WORKSPACE, EXECUTION)
    upload.write(b"bytes")
    upload.discard()
    upload.discard()
    with pytest.raises(NotFound):
        read(store, id)


def test_removing_takes_all_of_an_execution_and_nothing_else(store: ArtifactStore) -> None:
    mine = [keep(store, data) for data in (b"1", b"2")]
    others = [keep(store, b"1", execution="other"), keep(store, b"1", "team-b")]
    store.remove(WORKSPACE, [EXECUTION, "unknown"])
    store.remove(WORKSPACE, [EXECUTION])
    for id in mine:
        with pytest.raises(NotFound):
            read(store, id)
    assert read(store, others[0], execution="other") == read(store, others[1], "team-b") == b"1"
    assert keep(store, b"1") == mine[0]
    assert read(store, mine[0]) == b"1"


def test_sweeping_takes_what_belongs_to_no_execution(store: ArtifactStore) -> None:
    kept = {(workspace, f"Run-{number}") for workspace, count in (("a", 3), ("B", 603)) for number in range(count)}
    for workspace, execution in kept:
        keep(store, b"", workspace, execution)
    asked: list[int] = []

    def living(workspace: str, ids: Sequence[str]) -> Collection[str]:
        asked.append(len(ids))
        return [id for id in ids if (workspace, id) in kept and id.endswith("0")]

    id = keep(store, b"")
    assert store.sweep(living) == len(kept) + 1 - 62
    assert max(asked) <= 500
    assert read(store, id, "B", "Run-600") == b""
    for gone in (("a", "Run-1"), (WORKSPACE, EXECUTION)):
        with pytest.raises(NotFound):
            read(store, id, *gone)
    assert store.sweep(living) == 0


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_the_limit_holds_while_it_is_written(kind: str, tmp_path: Path) -> None:
    store = MemoryArtifacts(limit=10) if kind == "memory" else FolderArtifacts(tmp_path, limit=10)
    upload = store.begin(WORKSPACE, EXECUTION)
    upload.write(bytes(10))
    with pytest.raises(TooLarge, match="at most 10 bytes"):
        upload.write(b"1")
    upload.discard()
    assert len(read(store, keep(store, bytes(10)))) == 10


def test_many_threads_put_the_same(store: ArtifactStore) -> None:
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(keep(store, bytes(PIECE)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert read(store, ids[0]) == bytes(PIECE)


@pytest.mark.parametrize("nasty", NASTY)
def test_any_id_names_its_own(store: ArtifactStore, nasty: str) -> None:
    places = [(nasty, EXECUTION), (WORKSPACE, nasty), (nasty, nasty), (WORKSPACE, EXECUTION)]
    ids = [keep(store, b"%d" % number, *place) for number, place in enumerate(places)]
    assert [read(store, id, *place) for id, place in zip(ids, places, strict=True)] == [b"0", b"1", b"2", b"3"]
    store.remove(WORKSPACE, [nasty])
    with pytest.raises(NotFound):
        read(store, ids[1], WORKSPACE, nasty)
    assert read(store, ids[3]) == b"3"


@pytest.mark.parametrize("wrong", ["", ".", "..", "../../x", "0" * 63, "0" * 65, "A" * 64, "0" * 64, "0" * 64 + ".type", "\0"])
def test_any_other_id_is_not_found(store: ArtifactStore, wrong: str) -> None:
    keep(store, b"bytes")
    with pytest.raises(NotFound):
        store.open(WORKSPACE, EXECUTION, wrong)


# Executions


class Executions:
    """A job store as far as artifacts ask."""

    local = True

    def __init__(self, *ids: str) -> None:
        self.ids = set(ids)

    def get(self, workspace: str, ids: Collection[str]) -> list[Any]:
        return [SimpleNamespace(id=id) for id in ids if id in self.ids and workspace == WORKSPACE]


def test_only_executions_have_artifacts(store: ArtifactStore) -> None:
    executions = Executions(EXECUTION)
    checked = ExecutionArtifacts(store, executions)
    id = keep(checked, b"bytes")
    assert read(checked, id) == b"bytes"
    for workspace, execution in ((WORKSPACE, "other"), ("team-b", EXECUTION)):
        with pytest.raises(NotFound):
            checked.begin(workspace, execution)
    executions.ids.clear()
    with pytest.raises(NotFound):
        read(checked, id)
    assert checked.sweep() == 1
    with pytest.raises(NotFound):
        read(store, id)


def test_an_upload_that_outlives_its_execution_leaves_nothing(store: ArtifactStore) -> None:
    executions = Executions(EXECUTION)
    upload = ExecutionArtifacts(store, executions).begin(WORKSPACE, EXECUTION)
    upload.write(b"bytes")
    executions.ids.clear()
    with pytest.raises(NotFound):
        upload.commit()
    with pytest.raises(NotFound):
        read(store, keep(store, b"bytes", execution="other"))


# Folders


def test_a_folder_is_made_for_the_first_artifact(folder: FolderArtifacts) -> None:
    folder.remove(WORKSPACE, [EXECUTION])
    assert folder.sweep(lambda workspace, ids: ids) == 0
    with pytest.raises(NotFound):
        read(folder, "0" * 64)
    assert not folder.folder.exists()
    id = keep(folder, b"bytes")
    assert files(folder) == [f"{WORKSPACE}/{EXECUTION}/{id}"]
    assert (folder.folder / files(folder)[0]).read_bytes() == b"bytes"


def test_another_process_start_keeps_what_is_being_written(folder: FolderArtifacts) -> None:
    upload = folder.begin(WORKSPACE, EXECUTION)
    upload.write(b"by")
    another = FolderArtifacts(folder.folder)
    upload.write(b"tes")
    assert read(another, upload.commit("text/plain").id) == b"bytes"


@pytest.mark.parametrize("nasty", NASTY)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, nasty: str) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    store = FolderArtifacts(outer / "artifacts")
    for place in ((nasty, EXECUTION), (WORKSPACE, nasty)):
        keep(store, b"bytes", *place)
    kept = [path for path in outer.rglob("*") if path.is_file()]
    assert len(kept) == 2
    for path in kept:
        assert len(path.relative_to(store.folder).parts) == 3
    for place in ((nasty, EXECUTION), (WORKSPACE, nasty)):
        store.remove(place[0], [place[1]])
    assert not [path for path in outer.rglob("*") if path.is_file()]
    assert list(outer.iterdir()) == [store.folder]


def test_every_id_has_a_name_of_its_own_on_every_file_system() -> None:
    names = {id: file_name(id) for id in NASTY}
    assert len({name.casefold() for name in names.values()}) == len(NASTY)
    for id, name in names.items():
        assert re.fullmatch(r"[a-z0-9_%=~-][a-z0-9A-F_.%=-]*", name)
        assert len(name) <= 255
        assert name.startswith("~") or id_of(name) == id or id == ""
    assert file_name("0198f2c4-7d1e-7abc-8def-0123456789ab") == "0198f2c4-7d1e-7abc-8def-0123456789ab"
    assert file_name("Run.1_b") == "=run.1_b"


CHILD = """
import os, sys, time
from blaxel_jobs.stores.artifact_files import FolderArtifacts

store = FolderArtifacts(sys.argv[1])
upload = store.begin("default", "execution-1")
upload.write(b"half of it")
kept = store.begin("default", "execution-1")
kept.write(b"all of it")
kept.commit("text/plain")
print("written", flush=True)
time.sleep(60)
"""


@contextmanager
def writing(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has committed one artifact and is in the middle of another one."""
    command = [sys.executable, "-c", CHILD, str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        assert child.stdout.readline() == "written\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_kill_9_leaves_a_draft_that_the_next_start_removes(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    with writing(root) as child:
        store = FolderArtifacts(root)
        (kept,) = [name for name in files(store) if re.fullmatch(r"default/execution-1/\w{64}", name)]
        expected = [kept, f"{kept}.type"]
        assert [name for name in files(store) if not name.startswith(".drafts")] == expected
        assert len(files(store)) == 3, "it is being written, so a start beside it keeps it"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert len(files(store)) == 3
        assert files(FolderArtifacts(root)) == expected
    assert read(store, kept.rpartition("/")[2]) == b"all of it"


def test_what_a_crash_leaves_of_a_removal_is_removed(folder: FolderArtifacts) -> None:
    keep(folder, b"bytes")
    left = folder.folder / ".drafts" / "1-1"
    left.mkdir()
    (folder.folder / WORKSPACE / EXECUTION).rename(left / EXECUTION)
    FolderArtifacts(folder.folder)
    assert list((folder.folder / ".drafts").iterdir()) == []


@contextmanager
def full_disk(left: int) -> Iterator[None]:
    """No file of this process gets larger than so many bytes. Its writes beyond them fail as those to a full disk do."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_unavailable_and_leaves_nothing(folder: FolderArtifacts) -> None:
    upload = folder.begin(WORKSPACE, EXECUTION)
    with full_disk(PIECE + PIECE // 2):
        upload.write(bytes(PIECE))
        with pytest.raises(Unavailable, match="is full") as error:
            upload.write(bytes(PIECE))
    assert error.value.retry_after
    upload.discard()
    assert files(folder) == []
    assert read(folder, keep(folder, bytes(2 * PIECE))) == bytes(2 * PIECE)


def test_a_full_disk_at_the_content_type_leaves_nothing(folder: FolderArtifacts) -> None:
    upload = folder.begin(WORKSPACE, EXECUTION)
    upload.write(b"")
    with full_disk(0), pytest.raises(Unavailable, match="is full"):
        upload.commit("text/plain")
    upload.discard()
    assert files(folder) == []


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way = tmp_path / "artifacts"
    in_the_way.write_bytes(b"a file")
    store = FolderArtifacts(in_the_way)
    with pytest.raises(Unavailable, match="cannot be used now"):
        store.begin(WORKSPACE, EXECUTION)
    with pytest.raises(Unavailable, match="cannot be used now"):
        store.open(WORKSPACE, EXECUTION, "0" * 64)
    store.remove(WORKSPACE, [EXECUTION])
    assert store.sweep(lambda workspace, ids: ()) == 0


def test_a_removal_during_an_upload_does_not_break_it(folder: FolderArtifacts) -> None:
    first = keep(folder, b"first")
    upload = folder.begin(WORKSPACE, EXECUTION)
    upload.write(b"second")
    folder.remove(WORKSPACE, [EXECUTION])
    second = upload.commit().id
    assert read(folder, second) == b"second"
    with pytest.raises(NotFound):
        read(folder, first)
