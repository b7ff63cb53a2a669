"""The port over HTTP, on networks that fail and beside servers that need tokens."""

import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from blaxel_jobs.artifacts import PIECE, Artifacts
from blaxel_jobs.config import Settings
from blaxel_jobs.errors import ConnectionFailed, ContractError, NotFound, ServerError, Unavailable
from blaxel_jobs.transport import HttpSeam
from blaxel_jobs.transport.artifacts import HttpArtifacts
from tests.artifacts.conftest import EXECUTION
from tests.pace import PATIENCE

BASE = "http://jobs.test/v0"
DATA = hashlib.shake_128(b"artifact").digest(2 * PIECE + 17)
ID = hashlib.sha256(DATA).hexdigest()
REF = f"artifact:{EXECUTION}/{ID}"


class NoSleep(HttpSeam):
    def sleep(self, seconds: float) -> None:
        """Nothing is waited for."""


class Server:
    """Keeps what is uploaded. `before` may answer instead, by the number of the request."""

    def __init__(self, before: Callable[[int, httpx.Request], httpx.Response | None] = lambda number, request: None) -> None:
        self.before = before
        self.requests: list[httpx.Request] = []
        self.kept: dict[str, bytes] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v0/oauth/token":
            self.tokens = getattr(self, "tokens", 0) + 1
            return httpx.Response(200, json={"access_token": f"token-{self.tokens}"})
        self.requests.append(request)
        body = request.read()
        answer = self.before(len(self.requests), request)
        if answer is not None:
            return answer
        if request.method == "POST":
            id = hashlib.sha256(body).hexdigest()
            self.kept[id] = body
            view = {"ref": f"artifact:{EXECUTION}/{id}", "size": len(body), "sha256": id, "contentType": "a/b"}
            return httpx.Response(200, json=view, headers={"Jobs-Contract": "1"})
        return httpx.Response(200, content=self.kept[request.url.path.rpartition("/")[2]])

    def artifacts(self, **settings: Any) -> Artifacts:
        seam = NoSleep(Settings(**{"base_url": BASE, **settings}), transport=httpx.MockTransport(self))
        return Artifacts(HttpArtifacts(seam), EXECUTION)


def busy(until: int) -> Callable[[int, httpx.Request], httpx.Response | None]:
    return lambda number, request: httpx.Response(503, json={"error": "unavailable"}) if number < until else None


def test_the_upload_says_what_it_is() -> None:
    server = Server()
    server.artifacts().put(DATA, content_type="image/png")
    (request,) = server.requests
    assert (request.method, request.url.path) == ("POST", f"/v0/executions/{EXECUTION}/artifacts")
    assert request.headers["content-type"] == "image/png"
    assert request.headers["content-length"] == str(len(DATA))
    assert "transfer-encoding" not in request.headers
    assert request.headers["jobs-contract"] == "1"


def test_what_fails_for_a_passing_reason_is_tried_again() -> None:
    server = Server(busy(until=3))
    assert server.artifacts().put(io.BytesIO(DATA)) == REF
    assert len(server.requests) == 3
    server.requests.clear()
    assert server.artifacts().get(REF) == DATA
    assert len(server.requests) == 3


def test_no_more_than_allowed() -> None:
    server = Server(busy(until=10))
    with pytest.raises(Unavailable):
        server.artifacts(connect_retries=1).put(DATA)
    with pytest.raises(Unavailable):
        server.artifacts(connect_retries=1).get(REF)
    assert len(server.requests) == 4


def test_what_cannot_be_read_again_is_sent_once() -> None:
    server = Server(busy(until=2))
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe:
        thread = threading.Thread(target=lambda: (os.write(writer, b"bytes"), os.close(writer)))
        thread.start()
        with pytest.raises(Unavailable):
            server.artifacts().put(pipe)
        thread.join(PATIENCE)
    assert len(server.requests) == 1
    assert server.requests[0].headers["transfer-encoding"] == "chunked"


def test_what_will_not_pass_is_not_tried_again() -> None:
    server = Server(lambda number, request: httpx.Response(404, json={"error": "not_found", "message": "there is none"}))
    for verb in (lambda artifacts: artifacts.put(DATA), lambda artifacts: artifacts.get(REF)):
        with pytest.raises(NotFound, match="there is none"):
            verb(server.artifacts())
    assert len(server.requests) == 2


def test_bytes_that_changed_on_their_way_are_refused() -> None:
    wrong = {"ref": "artifact:x/" + "0" * 64, "size": 1, "sha256": "0" * 64, "contentType": "a/b"}
    server = Server(lambda number, request: httpx.Response(200, json=wrong))
    with pytest.raises(ContractError, match="SHA-256"):
        server.artifacts().put(DATA)
    server = Server(lambda number, request: httpx.Response(200, content=DATA[:-1] + b"x"))
    with pytest.raises(ContractError, match="is not the artifact"):
        server.artifacts().get(REF)


class Breaking(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield DATA[:10]
        raise httpx.ReadError("the line went dead")


def test_a_connection_that_breaks_is_given_back() -> None:
    server = Server(lambda number, request: httpx.Response(200, stream=Breaking(), headers={"Content-Length": str(len(DATA))}))
    artifacts = server.artifacts(max_connections=4)
    for _ in range(3):
        with pytest.raises(ConnectionFailed, match="the line went dead"):
            artifacts.get(REF)
        artifacts.open(REF).close()
    with artifacts.open(REF) as reader:
        assert reader.size == len(DATA)
        assert reader.read(5) == DATA[:5]


@pytest.mark.parametrize("always", [False, True])
def test_tokens_are_fetched_and_fetched_again(always: bool) -> None:
    def refuse(number: int, request: httpx.Request) -> httpx.Response | None:
        refused = always or request.headers["X-Blaxel-Authorization"] == "Bearer token-1"
        return httpx.Response(401, json={"error": "unauthorized"}) if refused else None

    server = Server(refuse)
    artifacts = server.artifacts(client_credentials="aWQ6c2VjcmV0")
    if always:
        for verb in (lambda: artifacts.put(DATA), lambda: artifacts.get(REF)):
            server.requests.clear()
            with pytest.raises(Exception, match="unauthorized"):
                verb()
            assert len(server.requests) == 2
        return
    assert artifacts.put(DATA) == REF
    assert server.kept[ID] == DATA
    artifacts = server.artifacts(client_credentials="aWQ6c2VjcmV0")
    server.tokens = 0
    assert artifacts.get(REF) == DATA


class Here:
    """Stands in for the network: whole answers only."""

    base_url = BASE
    url = None

    def __init__(self, server: Server) -> None:
        self.wire = self
        self.send = lambda request, group: self._answer(server, request)
        self.monotonic = self.random = lambda: 0.0
        self.sleep = lambda seconds: None

    def take_poll(self) -> int:
        return 1

    def give_back(self, group: int) -> None:
        """Nothing was taken."""

    @staticmethod
    def _answer(server: Server, request: httpx.Request) -> httpx.Response:
        answer = server(request)
        answer.request = request
        return answer


def test_what_stands_in_for_the_network_carries_artifacts_too() -> None:
    server = Server()
    artifacts = Artifacts(HttpArtifacts(HttpSeam(Settings(base_url=BASE), stand_in=Here(server))), EXECUTION)
    assert artifacts.put(DATA) == REF
    assert artifacts.get(REF) == DATA
    server.before = lambda number, request: httpx.Response(500, json={"error": "internal_error", "message": "it broke"})
    with pytest.raises(ServerError, match="it broke"):
        artifacts.get(REF)
