"""The routes of artifacts, with plain HTTP. Each answer is held against openapi.yaml."""

import hashlib
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs.artifacts import PIECE, Artifacts
from blaxel_jobs.server.body import BodyLimits
from blaxel_jobs.server.keys import Key, Keyring, Principal, read_key
from blaxel_jobs.stores.artifact_files import FolderArtifacts
from blaxel_jobs.stores.artifacts import ArtifactStore, ExecutionArtifacts, MemoryArtifacts
from tests.artifacts.conftest import EXECUTION, WORKSPACE, keep, read, remote, serving
from tests.artifacts.test_stores import Executions, files, full_disk
from tests.pace import PATIENCE
from tests.server.contract import check_answer

MB = 1024 * 1024
PATH = f"/v0/executions/{EXECUTION}/artifacts"
DATA = hashlib.shake_128(b"artifact").digest(2 * PIECE + 17)
ID = hashlib.sha256(DATA).hexdigest()


def judge(response: httpx.Response) -> None:
    """All of an answer but the bytes of an artifact."""
    response.read()
    if response.headers.get("content-type") != "application/octet-stream":
        check_answer(response)


@pytest.fixture
def client(store: ArtifactStore) -> Iterator[httpx.Client]:
    with serving(store) as url, httpx.Client(base_url=url, event_hooks={"response": [judge]}) as client:
        yield client


def pieces(total: int, size: int = 65536) -> Iterator[bytes]:
    piece = bytes(size)
    for _ in range(total // size):
        yield piece


def test_an_upload_answers_the_artifact(client: httpx.Client) -> None:
    for content, headers in ((DATA, {"Content-Type": "image/png"}), (iter([DATA[:9], b"", DATA[9:]]), {})):
        response = client.post(PATH, content=content, headers={"Jobs-Contract": "1", **headers})
        expected = {"ref": f"artifact:{EXECUTION}/{ID}", "size": len(DATA), "sha256": ID, "contentType": "image/png"}
        assert (response.status_code, response.json()) == (200, expected)


def test_a_download_is_the_bytes_and_no_page(client: httpx.Client) -> None:
    client.post(PATH, content=DATA, headers={"Content-Type": "text/html"})
    for response in (
        client.get(f"{PATH}/{ID}", headers={"Jobs-Contract": "1"}),
        client.head(f"{PATH}/{ID}", headers={"Jobs-Contract": "1"}),
    ):
        assert response.status_code == 200
        assert response.content == (b"" if response.request.method == "HEAD" else DATA)
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["content-length"] == str(len(DATA))
        assert response.headers["content-disposition"] == f'attachment; filename="{ID}"'
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["artifact-content-type"] == "text/html"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["jobs-contract"] == "1"
        assert response.headers["x-request-id"]


def test_an_empty_artifact(client: httpx.Client) -> None:
    id = client.post(PATH, content=b"").json()["sha256"]
    assert client.get(f"{PATH}/{id}").content == b""


@pytest.mark.parametrize("id", ["0" * 64, "%2e%2e%2fx", "x" * 200, f"{ID}.type", "%00"])
def test_what_is_not_there_is_404(client: httpx.Client, id: str) -> None:
    client.post(PATH, content=DATA)
    response = client.send(
        httpx.Request("GET", httpx.URL(str(client.base_url.join(f"{PATH}/"))).copy_with(raw_path=f"{PATH}/{id}".encode()))
    )
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


def test_an_execution_that_there_is_not_is_404(store: ArtifactStore) -> None:
    with serving(ExecutionArtifacts(store, Executions())) as url, httpx.Client(base_url=url) as client:
        for response in (client.post(PATH, content=DATA), client.get(f"{PATH}/{ID}")):
            check_answer(response)
            assert response.status_code == 404
            assert response.json()["path"] == "executionId"
        assert client.get("/healthz").status_code == 200, "the connection is still good"


def test_other_methods_and_parameters_are_refused(client: httpx.Client) -> None:
    assert client.put(PATH, content=b"").status_code == 405
    assert client.delete(f"{PATH}/{ID}").status_code == 405
    assert client.post(f"{PATH}?x=1", content=b"").status_code == 422
    assert client.post(PATH, content=b"", headers={"Content-Encoding": "gzip"}).status_code == 415
    assert client.post(PATH, content=b"", headers={"Content-Type": "nonsense"}).status_code == 415


def test_keys_need_a_scope_and_see_their_workspace(store: ArtifactStore) -> None:
    def key(text: str, workspace: str, *scopes: str) -> Key:
        return Key(read_key(text, "test").digest, Principal(workspace, frozenset(scopes)))

    keys = Keyring([key("a", "team-a", "worker", "read"), key("b", "team-b", "worker", "read"), key("r", "team-a", "submit")])
    with serving(store, keys=keys) as url, httpx.Client(base_url=url, event_hooks={"response": [judge]}) as client:

        def bearer(text: str) -> dict[str, str]:
            return {"X-Blaxel-Authorization": f"Bearer {text}"}

        assert client.post(PATH, content=DATA).status_code == 401
        assert client.post(PATH, content=DATA, headers=bearer("r")).status_code == 403
        assert client.post(PATH, content=DATA, headers=bearer("a")).status_code == 200
        assert client.get(f"{PATH}/{ID}", headers=bearer("a")).content == DATA
        assert client.get(f"{PATH}/{ID}", headers=bearer("b")).status_code == 404
        assert client.get(f"{PATH}/{ID}", headers=bearer("r")).status_code == 403
    assert read(store, ID, "team-a") == DATA


def raw(url: str, head: str, body: bytes = b"") -> tuple[socket.socket, bytes]:
    """Send this, and read an answer's head."""
    connection = socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 80), timeout=PATIENCE)
    connection.sendall(head.encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        received = connection.recv(65536)
        assert received, answer
        answer += received
    return connection, answer


def head_of(url: str, *headers: str) -> str:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", f"Host: {httpx.URL(url).netloc.decode()}", *headers, "", ""])


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
def test_too_large_by_its_length_is_refused_before_it_is_sent(store: ArtifactStore, expect: tuple[str, ...]) -> None:
    with serving(store) as url:
        connection, answer = raw(url, head_of(url, f"Content-Length: {100 * MB + 1}", *expect))
        with connection:
            assert answer.startswith(b"HTTP/1.1 413 ")
            assert b"connection: close" in answer.lower()
            assert b"104857600 bytes (100 MB)" in answer
            assert connection.recv(1) == b""


def test_too_large_is_refused_while_it_is_sent(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts", limit=MB)
    with serving(store) as url:
        chunk = b"%x\r\n%b\r\n" % (2 * MB, bytes(2 * MB))
        connection, answer = raw(url, head_of(url, "Transfer-Encoding: chunked"), chunk)
        connection.close()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"1048576 bytes (1 MB)" in answer
        wait_until_empty(store)


def wait_until_empty(store: FolderArtifacts) -> None:
    """What is left of a request goes in a thread, after its answer."""
    pause = threading.Event()
    for _ in range(500):
        if not files(store):
            return
        pause.wait(0.01)
    raise AssertionError(files(store))


def test_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    with serving(store, limits=BodyLimits(seconds=0.2)) as url:
        connection, answer = raw(url, head_of(url, "Content-Length: 100"), b"half")
        with connection:
            assert answer.startswith(b"HTTP/1.1 408 ")
        wait_until_empty(store)


def test_who_hangs_up_leaves_nothing(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    with serving(store) as url:
        connection = socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 80), timeout=PATIENCE)
        connection.sendall(head_of(url, f"Content-Length: {4 * PIECE}").encode() + bytes(3 * PIECE))
        pause = threading.Event()
        for _ in range(500):
            if files(store):
                break
            pause.wait(0.01)
        assert files(store)[0].startswith(".drafts/")
        connection.close()
        wait_until_empty(store)


def test_who_does_not_read_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    id = keep(store, bytes(40 * MB))
    with serving(store, limits=BodyLimits(seconds=0.2)) as url:
        head = f"GET {PATH}/{id} HTTP/1.1\r\nHost: {httpx.URL(url).netloc.decode()}\r\n\r\n"
        connection, answer = raw(url, head)
        with connection:
            pause = threading.Event()
            for _ in range(1000):
                if "does not read" in caplog.text:
                    break
                pause.wait(0.01)
            received = len(answer)
            while piece := connection.recv(MB):
                received += len(piece)
    assert "its caller does not read" in caplog.text
    assert received < 40 * MB


def test_a_full_disk_is_503_and_heals(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    with serving(store) as url, httpx.Client(base_url=url, event_hooks={"response": [judge]}) as client:
        with full_disk(PIECE):
            response = client.post(PATH, content=DATA)
        assert response.status_code == 503
        assert response.json()["error"] == "unavailable"
        assert int(response.headers["retry-after"]) >= 1
        wait_until_empty(store)
        assert client.post(PATH, content=DATA).status_code == 200
        assert client.get(f"{PATH}/{ID}").content == DATA


def test_a_damaged_artifact_is_a_500_that_says_so(tmp_path: Path) -> None:
    store = FolderArtifacts(tmp_path / "artifacts")
    keep(store, DATA)
    (store.folder / WORKSPACE / EXECUTION / ID).write_bytes(b"x" + DATA[1:])
    with serving(store) as url, httpx.Client(base_url=url, event_hooks={"response": [judge]}) as client:
        response = client.get(f"{PATH}/{ID}")
    assert response.status_code == 500
    assert f"the artifact {ID} is damaged" in response.json()["message"]


TORN = ["the", "tape", "is", "torn"]


class Torn(MemoryArtifacts):
    """Its disk breaks while an artifact is read."""

    def open(self, workspace: str, execution_id: str, id: str) -> Any:
        content = super().open(workspace, execution_id, id)

        def torn() -> Iterator[bytes]:
            yield next(content.pieces)
            raise OSError(" ".join(TORN))

        return type(content)(content.size, content.content_type, torn(), content.close)


def test_a_download_that_breaks_has_no_end(caplog: pytest.LogCaptureFixture) -> None:
    store = Torn()
    keep(store, DATA)
    with serving(store) as url, httpx.Client(base_url=url) as client, pytest.raises(httpx.RemoteProtocolError):
        client.get(f"{PATH}/{ID}")
    assert "OSError" in caplog.text
    assert " ".join(TORN) not in caplog.text, "an error's text may quote what somebody sent"


LARGE = 100 * MB
ROOM = 10 * MB


def test_100_mb_go_both_ways_in_little_memory(tmp_path: Path) -> None:
    """Client and server are in this process, so that what is measured is both of them together."""
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for number in range(LARGE // MB):
            file.write(bytes([number]) * MB)
    store = FolderArtifacts(tmp_path / "artifacts")
    with serving(store) as url, remote(url) as port:
        artifacts = Artifacts(port, EXECUTION)
        artifacts.get(artifacts.put(b"warm up"))
        tracemalloc.start()
        try:
            ref = artifacts.put(source)
            upload = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            artifacts.save(ref, target)
            download = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert ref.endswith(hashlib.sha256(target.read_bytes()).hexdigest())
    assert target.stat().st_size == LARGE
    print(f"peaks: upload {upload / MB:.1f} MB, download {download / MB:.1f} MB")
    assert max(upload, download) < ROOM
