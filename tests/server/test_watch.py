"""`POST /watch` on real sockets: what is told, when it ends, and what it holds."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs.engine import Engine
from blaxel_jobs.errors import StoreBusy
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.protocol import Parser
from blaxel_jobs.server.serve import CLOSE_SECONDS
from blaxel_jobs.server.stream import PIECE
from blaxel_jobs.system import new_key
from tests.pace import PATIENCE, until
from tests.server.conftest import MakeApp
from tests.server.contract import each_event, read_events
from tests.server.test_connections import EXECUTIONS, ON_MEMORY, call, waiting
from tests.serving import live, live_engine, serving

Event = tuple[str, Any]


def create(url: str, count: int = 1) -> list[str]:
    with httpx.Client(base_url=url) as client:
        return [client.post(EXECUTIONS, json={"input": 1}).json()["executionId"] for _ in range(count)]


@contextlib.contextmanager
def watch(url: str, *ids: str) -> Iterator[Iterator[Event]]:
    """The events of a watch as they come. Leaving it hangs up."""
    with httpx.Client(timeout=PATIENCE) as client, client.stream("POST", f"{url}/v0/watch", json={"ids": ids}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield each_event(response.iter_lines())


def told(event: Event) -> tuple[str, str, bool]:
    name, data = event
    assert name == "update", event
    return data["id"], data["status"], data["done"]


@pytest.fixture(params=["httptools", "h11"])
def url(request: pytest.FixtureRequest, make_app: MakeApp) -> Iterator[str]:
    parser: Parser = request.param
    with live(make_app(), parser=parser) as url:
        yield url


def test_a_watch_tells_what_is_and_what_changes_and_ends(url: str, engine: Engine) -> None:
    first, second = create(url, 2)
    with watch(url, first, "nope", second, first) as events:
        assert {told(next(events)) for _ in range(3)} == {
            (first, "pending", False), (second, "pending", False), ("nope", "unknown", True),
        }  # fmt: skip
        call(url, "DELETE", f"{EXECUTIONS}/{second}")
        assert told(next(events)) == (second, "cancelled", True)
        call(url, "DELETE", f"{EXECUTIONS}/{first}")
        assert told(next(events)) == (first, "cancelled", True)
        assert next(events) == ("end", {})
        assert list(events) == []
    assert waiting(engine) == 0


def test_the_events_of_one_that_is_deleted_end_and_nothing_is_called_a_failure(url: str, caplog: pytest.LogCaptureFixture) -> None:
    (id,) = create(url)
    with httpx.Client(timeout=PATIENCE) as client, client.stream("GET", f"{url}/v0/executions/{id}/events/stream") as response:
        events = each_event(response.iter_lines(), "JobExecutionEvent")
        assert next(events)[1]["type"] == "created"
        call(url, "POST", f"/v0/executions/{id}/delete", json={"force": True})
        assert list(events) == []
    assert [record for record in caplog.records if record.name == "blaxel_jobs.server"] == []


def test_an_update_has_counts_and_the_reason_to_wait(url: str) -> None:
    (id,) = create(url)
    with watch(url, id) as events:
        _, update = next(events)
    assert (update["job"], update["waitingFor"], update["stats"]["total"]) == ("my-job", "worker", 1)


def test_the_connection_is_used_again_after_the_end(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for _ in range(2):
            answer = client.post("/v0/watch", json={"ids": ["x"]})
            assert "content-length" not in answer.headers
            assert answer.headers["transfer-encoding"] == "chunked"
            assert read_events(answer.text.split("\n")) == [("update", {"id": "x", "status": "unknown", "done": True}), ("end", {})]
            assert len(client._transport._pool.connections) == 1  # type: ignore[attr-defined]


def test_many_ids_are_each_told_once(url: str) -> None:
    ids = [f"id-{number}" for number in range(3 * PIECE + 1)]
    with watch(url, *ids) as events:
        assert [told(next(events))[0] for _ in ids] == ids
        assert next(events) == ("end", {})


def test_who_hangs_up_is_forgotten_at_once(url: str, engine: Engine) -> None:
    ids = create(url, 3)
    with watch(url, *ids) as events:
        next(events)
        assert waiting(engine) == 3
    until(lambda: waiting(engine) == 0)


@ON_MEMORY
def test_a_quiet_stream_says_that_it_lives(make_app: MakeApp) -> None:
    with live(make_app(quiet=0.02)) as url:
        (id,) = create(url)
        with watch(url, id) as events:
            assert told(next(events)) == (id, "pending", False)
            assert [next(events)[0] for _ in range(3)] == ["comment"] * 3
            call(url, "DELETE", f"{EXECUTIONS}/{id}")
            assert [name for name, _ in events if name != "comment"] == ["update", "end"]


def test_the_server_ends_streams_when_it_drains(make_app: MakeApp, engine: Engine) -> None:
    with live(make_app()) as url:
        (id,) = create(url)
        events: list[Event] = []
        began = threading.Event()

        def follow() -> None:
            with watch(url, id) as stream:
                for event in stream:
                    events.append(event)
                    began.set()

        follower = threading.Thread(target=follow)
        follower.start()
        assert began.wait(PATIENCE)
        started = time.monotonic()
    follower.join(PATIENCE)
    assert time.monotonic() - started < PATIENCE / 2
    assert {told(event) for event in events} == {(id, "pending", False)}, "no end: its executions have not ended"
    assert waiting(engine) == 0


async def test_while_it_drains_a_stream_tells_what_is_and_ends(make_app: MakeApp) -> None:
    app = make_app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        id = (await client.post(EXECUTIONS, json={"input": 1})).json()["executionId"]
        app.drain()
        async with asyncio.timeout(PATIENCE):
            answer = await client.post("/v0/watch", json={"ids": [id]})
    assert answer.headers["connection"] == "close"
    assert [told(event) for event in read_events(answer.text.split("\n"))] == [(id, "pending", False)]


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (b"", 400, None),
        (b"{", 400, None),
        (b"[]", 422, None),
        (b"{}", 422, "ids"),
        (b'{"ids": []}', 422, "ids"),
        (b'{"ids": "x"}', 422, "ids"),
        (b'{"ids": ["x", 1]}', 422, "ids[1]"),
        (b'{"ids": [""]}', 422, "ids[0]"),
        (b'{"ids": ["x"], "since": 1}', 422, "since"),
        (json.dumps({"ids": ["x"] * 10_001}).encode(), 422, "ids"),
    ],
    ids=lambda value: repr(value)[:30],
)
@pytest.mark.parametrize("route", ["/v0/watch", "/v0/statuses"])
async def test_what_is_no_list_of_ids(client: httpx.AsyncClient, route: str, body: bytes, status: int, path: str | None) -> None:
    refused = await client.post(route, content=body)
    assert (refused.status_code, refused.json().get("path")) == (status, path)


@pytest.mark.parametrize("route", ["/v0/watch", "/v0/statuses"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
async def test_other_methods(client: httpx.AsyncClient, route: str, method: str) -> None:
    refused = await client.request(method, route)
    assert (refused.status_code, refused.headers["allow"]) == (405, "OPTIONS, POST")
    assert (await client.options(route)).headers["allow"] == "OPTIONS, POST"


class Scripted:
    """An engine of which a watch gives this and then raises that."""

    def __init__(self, *script: list[dict[str, Any]] | Exception) -> None:
        self.script = script
        self.closed = 0

    async def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[list[dict[str, Any]], None]:
        try:
            for entry in self.script:
                if isinstance(entry, Exception):
                    raise entry
                yield entry
        finally:
            self.closed += 1

    def release_waiters(self) -> None: ...


def pending(*ids: str) -> list[dict[str, Any]]:
    return [{"id": id, "status": "pending", "done": False} for id in ids]


async def test_what_fails_before_the_first_update_is_a_problem() -> None:
    engine = Scripted(StoreBusy())
    app = create_app(engine, version="1", new_id=new_key)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        answer = await client.post("/v0/watch", json={"ids": ["a"]})
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "store_busy", "1")
    assert engine.closed == 1


@pytest.mark.parametrize("error", [StoreBusy(), RuntimeError("secret")], ids=repr)
async def test_what_fails_later_ends_the_stream_without_end(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    engine = Scripted(pending("a"), error)
    app = create_app(engine, version="1", new_id=new_key)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        answer = await client.post("/v0/watch", json={"ids": ["a"]})
    assert (answer.status_code, answer.headers["x-request-id"] in caplog.text) == (200, True)
    assert "secret" not in caplog.text
    assert [told(event) for event in read_events(answer.text.split("\n"))] == [("a", "pending", False)]
    assert engine.closed == 1


class Endless(Scripted):
    """Has always something to tell."""

    told = 0

    async def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[list[dict[str, Any]], None]:
        try:
            while True:
                self.told += 1
                yield pending(f"{self.told:0100}")
                await asyncio.sleep(0)
        finally:
            self.closed += 1


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_who_does_not_read_holds_no_more_than_a_buffer(parser: Parser) -> None:
    engine = Endless()
    with live(create_app(engine, version="1", new_id=new_key), parser=parser) as url:
        parts = httpx.URL(url)
        with socket.create_connection((parts.host, parts.port or 80), timeout=PATIENCE) as connection:
            body = b'{"ids": ["a"]}'
            connection.sendall(b"POST /v0/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            stands_still(lambda: engine.told)
            stopped_at = engine.told
            assert stopped_at * 150 < 16 * 2**20, "the kernel's buffers, and one of 64 KB"
            assert httpx.get(f"{url}/healthz").status_code == 200
            received = b""
            while b"%0100d" % (stopped_at + 1) not in received[-(1 << 20) :]:
                received += connection.recv(1 << 20)
            assert engine.closed == 0
        until(lambda: engine.closed == 1)


@pytest.mark.slow
def test_who_does_not_read_is_cut_off_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    engine = Endless()
    with contextlib.ExitStack() as kept:
        with live_engine(engine) as url:
            parts = httpx.URL(url)
            connection = kept.enter_context(socket.create_connection((parts.host, parts.port or 80), timeout=PATIENCE))
            connection.sendall(b'POST /v0/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{"ids": ["a"]}')
            stands_still(lambda: engine.told)
            started = time.monotonic()
        assert time.monotonic() - started < CLOSE_SECONDS + 30
    assert engine.closed == 1
    assert "is cut off" in caplog.text
    assert "Traceback" not in caplog.text


def stands_still(read: Callable[[], int], seconds: float = PATIENCE) -> None:
    """Wait until a number has not changed for a quarter of a second."""
    end = time.monotonic() + seconds
    before, since = -1, time.monotonic()
    while time.monotonic() - since < 0.25:
        assert time.monotonic() < end, f"it still grows: {before}"
        now = read()
        if now != before or now == 0:
            before, since = now, time.monotonic()
        time.sleep(0.01)


IDS = 2000
STREAMS = 4


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's memory")
@pytest.mark.parametrize("store", ["memory:", pytest.param("sqlite:///jobs.db", marks=pytest.mark.soak)])
def test_a_watched_execution_takes_at_most_1_kb(tmp_path: Path, store: str) -> None:
    with serving(tmp_path, store) as server, contextlib.ExitStack() as open_streams:
        ids = create(server.url, IDS)
        for _ in range(STREAMS):  # what is taken once, for whatever number of streams, is taken now
            with watch(server.url, *ids) as events:
                assert len([next(events) for _ in ids]) == IDS
        before = resident(server.pid)
        for _ in range(STREAMS):
            events = open_streams.enter_context(watch(server.url, *ids))
            assert len([next(events) for _ in ids]) == IDS
        assert (resident(server.pid) - before) / (IDS * STREAMS) <= 1024
