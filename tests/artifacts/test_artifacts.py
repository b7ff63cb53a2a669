"""Artifacts as handlers see them: the same over each store, in process and over HTTP, sync and awaited."""

import asyncio
import hashlib
import io
import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.artifacts import (
    MAX_BYTES,
    PIECE,
    ArtifactPort,
    Artifacts,
    AsyncArtifacts,
    Content,
    LocalArtifacts,
    Source,
    read_ref,
)
from blaxel_jobs.errors import InvalidRequest, NotFound, ServerError, TooLarge
from blaxel_jobs.stores.artifact_files import FolderArtifacts
from blaxel_jobs.stores.artifacts import ArtifactStore
from tests.artifacts.conftest import EXECUTION, WORKSPACE, Place, keep, read, remote, serving
from tests.pace import PATIENCE

SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17]


def some(size: int) -> bytes:
    return hashlib.shake_128(b"artifact").digest(size)


@pytest.fixture
def store(place: Place) -> ArtifactStore:
    return place.store


@pytest.fixture
def port(place: Place) -> ArtifactPort:
    return place.port


@pytest.fixture
def artifacts(port: ArtifactPort) -> Artifacts:
    return Artifacts(port, EXECUTION)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_back(artifacts: Artifacts, size: int) -> None:
    data = some(size)
    ref = artifacts.put(data)
    assert ref == f"artifact:{EXECUTION}/{hashlib.sha256(data).hexdigest()}"
    assert artifacts.get(ref) == data


def test_s0_34_another_worker_gets_50_mb_by_the_ref(port: ArtifactPort, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(some(1024 * 1024) * 50)
    ref = Artifacts(port, EXECUTION).put(source)
    assert len(ref) < 200
    another = Artifacts(port, "another-execution")
    another.save(ref, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_all_that_can_be_put_is_the_same(artifacts: Artifacts, tmp_path: Path, size: int) -> None:
    data = some(size)
    path = tmp_path / "file"
    path.write_bytes(data)
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write)
    thread.start()
    with path.open("rb") as file, open(reader, "rb") as pipe, path.open("rb") as rest:
        rest.seek(0, os.SEEK_END)
        refs = {
            artifacts.put(each) for each in (data, bytearray(data), memoryview(data), str(path), path, file, io.BytesIO(data), pipe)
        }
        assert artifacts.put(rest) == artifacts.put(b"")
        assert not file.closed
    thread.join(PATIENCE)
    assert len(refs) == 1


def test_an_open_file_is_put_from_where_it_stands(artifacts: Artifacts) -> None:
    file = io.BytesIO(b"head body")
    file.seek(5)
    assert artifacts.get(artifacts.put(file)) == b"body"


@pytest.mark.parametrize("wrong", [None, 7, ["text"], io.StringIO("text")], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_bytes_cannot_be_put(artifacts: Artifacts, wrong: Any) -> None:
    with pytest.raises(TypeError):
        artifacts.put(wrong)


def test_a_file_that_is_not_there_cannot_be_put(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        artifacts.put(tmp_path / "none")


def test_a_replayed_put_has_the_same_ref(artifacts: Artifacts) -> None:
    first = artifacts.put(b"replayed", content_type="text/plain")
    assert artifacts.put(b"replayed") == first
    with artifacts.open(first) as reader:
        assert reader.content_type == "text/plain"


def test_a_reader_is_a_file(artifacts: Artifacts) -> None:
    lines = [b"%d\n" % number for number in range(200_000)]
    ref = artifacts.put(b"".join(lines), content_type="text/csv; charset=utf-8")
    with artifacts.open(ref) as reader:
        assert reader.size == sum(map(len, lines))
        assert reader.content_type == "text/csv; charset=utf-8"
        assert list(reader) == lines
        assert reader.read() == b""
    with artifacts.open(ref) as reader:
        assert reader.read(3) == b"0\n1"
        assert reader.read() == b"".join(lines)[3:]
    assert reader.closed


def test_a_reader_may_be_closed_early(artifacts: Artifacts) -> None:
    ref = artifacts.put(some(3 * PIECE))
    for _ in range(3):
        artifacts.open(ref).close()
        with artifacts.open(ref) as reader:
            reader.read(1)
    assert artifacts.get(ref) == some(3 * PIECE)


def test_content_type_is_octets_unless_given(artifacts: Artifacts) -> None:
    with artifacts.open(artifacts.put(b"octets")) as reader:
        assert reader.content_type == "application/octet-stream"


@pytest.mark.parametrize("wrong", ["", "text", "text/", "text/plain\r\nX: y", "text/plain; ä", "a/" + "b" * 300])
def test_a_content_type_is_a_media_type(artifacts: Artifacts, wrong: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        artifacts.put(b"", content_type=wrong)
    assert error.value.path == "content_type"


@pytest.mark.parametrize(
    "wrong", ["", "x", "artifact:", "artifact:e/1", f"artifact:/{'0' * 64}", f"artifact:e/{'G' * 64}", None, 7]
)
def test_what_is_no_ref_is_refused(artifacts: Artifacts, wrong: Any) -> None:
    with pytest.raises(InvalidRequest) as error:
        artifacts.get(wrong)
    assert error.value.path == "ref"


@pytest.mark.parametrize("execution", [EXECUTION, "unknown", "a/b", "..", "ü"])
def test_what_is_not_there_is_not_found(artifacts: Artifacts, execution: str, tmp_path: Path) -> None:
    artifacts.put(b"another")
    ref = f"artifact:{execution}/{'0' * 64}"
    expected = (NotFound, InvalidRequest) if execution == ".." else NotFound  # no such id makes a URL
    for look in (artifacts.get, lambda ref: artifacts.open(ref).close(), lambda ref: artifacts.save(ref, tmp_path / "x")):
        with pytest.raises(expected):
            look(ref)
    assert not list(tmp_path.glob("*x*"))


def test_refs_are_read_back() -> None:
    assert read_ref(f"artifact:a/b:c/{'0' * 64}") == ("a/b:c", "0" * 64)


def test_save_replaces_a_file_at_once(artifacts: Artifacts, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    target = here / "target"
    target.write_bytes(b"before")
    artifacts.save(artifacts.put(b"after"), target)
    assert target.read_bytes() == b"after"
    with pytest.raises(FileNotFoundError):
        artifacts.save(artifacts.put(b"after"), here / "none" / "target")
    assert list(here.iterdir()) == [target]


def test_too_large_is_refused_before_it_is_read(artifacts: Artifacts, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(TooLarge, match="104857600 bytes"):
        artifacts.put(path)


class Endless:
    """A stream without an end."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int) -> bytes:
        self.given += size
        return bytes(size)


def test_too_large_is_refused_while_it_is_read(artifacts: Artifacts, store: ArtifactStore) -> None:
    endless = Endless()
    with pytest.raises(TooLarge, match="104857600 bytes"):
        artifacts.put(endless)
    assert endless.given == MAX_BYTES + PIECE
    check_no_drafts(store)


def check_no_drafts(store: ArtifactStore) -> None:
    """Over HTTP the server hears of it later."""
    if isinstance(store, FolderArtifacts):
        drafts, pause = store.folder / ".drafts", threading.Event()
        for _ in range(500):
            if not drafts.exists() or not list(drafts.iterdir()):
                return
            pause.wait(0.01)
        raise AssertionError(list(drafts.iterdir()))


def test_a_file_that_changes_while_it_is_put_is_refused(artifacts: Artifacts, store: ArtifactStore, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(PIECE * 4))
    source = Source(path)
    path.write_bytes(bytes(PIECE))
    with pytest.raises(InvalidRequest, match="has changed"):
        artifacts._port.put(EXECUTION, source, None)
    path.write_bytes(bytes(PIECE * 5))
    with pytest.raises(InvalidRequest, match="has changed"):
        artifacts._port.put(EXECUTION, source, None)
    check_no_drafts(store)


def test_a_source_that_fails_leaves_nothing(artifacts: Artifacts, store: ArtifactStore) -> None:
    class Failing(Endless):
        def read(self, size: int) -> bytes:
            if self.given > PIECE:
                raise OSError("the tape is torn")
            return super().read(size)

    with pytest.raises(OSError, match="the tape is torn"):
        artifacts.put(Failing())
    check_no_drafts(store)
    assert artifacts.get(artifacts.put(b"next")) == b"next"


async def test_awaited_verbs_are_the_same(port: ArtifactPort, tmp_path: Path) -> None:
    artifacts = AsyncArtifacts(port, EXECUTION)
    data = some(3 * PIECE + 17)
    ref = await artifacts.put(data, content_type="image/png")
    assert ref == Artifacts(port, EXECUTION).put(data)
    assert await artifacts.get(ref) == data
    await artifacts.save(ref, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data
    async with artifacts.open(ref) as reader:
        assert (reader.size, reader.content_type) == (len(data), "image/png")
        assert await reader.read(5) == data[:5]
        assert b"".join([piece async for piece in reader]) == data[5:]
    with pytest.raises(NotFound):
        await artifacts.get(f"artifact:{EXECUTION}/{'0' * 64}")
    with pytest.raises(NotFound):
        async with artifacts.open(f"artifact:{EXECUTION}/{'0' * 64}"):
            pass


async def test_a_cancelled_put_stops_and_leaves_nothing(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    begun, go_on = threading.Event(), threading.Event()
    endless = Endless()

    class Slow(Endless):
        def read(self, size: int) -> bytes:
            begun.set()
            assert go_on.wait(PATIENCE)
            return endless.read(size)

    task = asyncio.create_task(AsyncArtifacts(LocalArtifacts(store, WORKSPACE), EXECUTION).put(Slow()))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await asyncio.to_thread(check_no_drafts, store)
    assert endless.given == PIECE
    assert not (tmp_path / "artifacts" / WORKSPACE).exists()


async def test_a_cancelled_save_stops_and_leaves_nothing(tmp_path: Path) -> None:
    begun, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Any:
        yield b"first"
        begun.set()
        assert go_on.wait(PATIENCE)
        yield b"second"

    class Slow:
        local = False

        def open(self, execution_id: str, id: str) -> Content:
            return Content(11, "a/b", pieces(), closed.set)

    task = asyncio.create_task(AsyncArtifacts(Slow(), EXECUTION).save(f"artifact:e/{'0' * 64}", tmp_path / "target"))
    assert await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 10)
    assert not list(tmp_path.iterdir())


def damage(store: FolderArtifacts, id: str, how: str) -> None:
    path = store.folder / WORKSPACE / EXECUTION / id
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[-1]
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["flipped", "cut"])
@pytest.mark.parametrize("over", ["in process", "over HTTP"])
def test_a_damaged_artifact_says_so_and_a_put_mends_it(tmp_path: Path, how: str, over: str) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    data = some(2 * PIECE)
    id = keep(store, data)
    damage(store, id, how)
    with serving(store) as url, remote(url) as http:
        port: ArtifactPort = LocalArtifacts(store, WORKSPACE) if over == "in process" else http
        artifacts = Artifacts(port, EXECUTION)
        ref = f"artifact:{EXECUTION}/{id}"
        for look in (artifacts.get, lambda ref: artifacts.save(ref, tmp_path / "x"), lambda ref: artifacts.open(ref).read()):
            with pytest.raises(ServerError, match=f"the artifact {id} is damaged") as error:
                look(ref)
            assert error.value.status_code == 500
        assert not (tmp_path / "x").exists()
        assert artifacts.put(data) == ref
        assert artifacts.get(ref) == data


def test_workspaces_do_not_see_each_other(store: ArtifactStore) -> None:
    id = keep(store, b"secret", "team-a")
    with pytest.raises(NotFound):
        Artifacts(LocalArtifacts(store, "team-b"), EXECUTION).get(f"artifact:{EXECUTION}/{id}")
    store.remove("team-b", [EXECUTION])
    assert read(store, id, "team-a") == b"secret"


def test_content_that_was_never_read_is_closed(store: ArtifactStore) -> None:
    id = keep(store, b"bytes")
    with closing(store.open(WORKSPACE, EXECUTION, id)) as content:
        assert content.size == 5
