"""On real sockets: long polls, slow and broken requests, and the end."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from blaxel_jobs.define import JobDef, define_job
from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import App
from blaxel_jobs.server.body import BodyLimits
from blaxel_jobs.server.protocol import MAX_HEAD, Parser
from tests.pace import PATIENCE, until, within
from tests.server.conftest import MakeApp, raw
from tests.server.contract import check_answer, check_schema
from tests.serving import live

ON_MEMORY = pytest.mark.parametrize("engine", ["memory"], indirect=True)
"""For what has nothing to do with the store."""
EXECUTIONS = "/v0/jobs/my-job/executions"
HOST = b"Host: localhost\r\n"


def call(url: str, method: str, path: str, **options: Any) -> httpx.Response:
    response = httpx.request(method, url + path, timeout=120, **options)
    check_answer(response)
    return response


def create(url: str) -> str:
    """The path of a new execution."""
    return f"{EXECUTIONS}/{call(url, 'POST', EXECUTIONS, json={'input': 1}).json()['executionId']}"


def read_problem(answer: bytes, status: int) -> dict[str, Any]:
    """The problem of a raw answer, which must be the only one."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head
    problem = httpx.Response(status, content=body).json()
    check_schema("Problem", problem)
    return problem


def waiting(engine: Engine) -> int:
    return len(engine.waiters.keys())


def test_s1_23_a_long_poll_answers_within_20_ms_of_the_end(live_url: str, work: Callable[[JobDef[Any]], None]) -> None:
    ended: list[float] = []
    finish = threading.Semaphore(0)

    def run(context: Any, payload: Any) -> None:
        finish.acquire()
        ended.append(time.monotonic())

    work(define_job("my-job", run=run))

    def late(tail: str) -> float:
        path = create(live_url) + tail
        threading.Timer(0.1, finish.release).start()
        response = call(live_url, "GET", path, headers={"Prefer": "wait=20", "Jobs-Contract": "1"})
        took = time.monotonic() - ended.pop()
        assert response.json()["done"] is True
        assert response.headers["preference-applied"] == "wait=20"
        return took

    for tail in ("", "/status"):
        within(0.02, lambda: late(tail))  # noqa: B023


def test_a_long_poll_lasts_as_long_as_it_asked(live_url: str) -> None:
    path = create(live_url)
    started = time.monotonic()
    response = call(live_url, "GET", f"{path}/status", headers={"Prefer": "respond-async, WAIT=1"})
    assert 0.95 < time.monotonic() - started < 15
    assert (response.json()["status"], response.headers["preference-applied"]) == ("pending", "wait=1")


@ON_MEMORY
@pytest.mark.parametrize(
    "prefer", ["wait", "wait=", "wait=-1", "wait=x", "wait=29.5", "await=29", "respond-async", "wait=\u0663\u0660"]
)
def test_other_preferences_do_not_wait(live_url: str, prefer: str) -> None:
    path = create(live_url)
    started = time.monotonic()
    response = call(live_url, "GET", f"{path}/status", headers=[(b"Prefer", prefer.encode())])
    assert time.monotonic() - started < 20
    assert "preference-applied" not in response.headers


@ON_MEMORY
@pytest.mark.parametrize(
    ("prefer", "granted"), [("wait=99", 30), ("wait=30", 30), ('wait="7"', 7), ("a=b, wait = 5; x=y", 5), ("wait=0", 0)]
)
def test_what_is_granted(live_url: str, prefer: str, granted: int) -> None:
    path = create(live_url)
    call(live_url, "DELETE", path)
    response = call(live_url, "GET", path, headers={"Prefer": prefer})
    assert response.headers["preference-applied"] == f"wait={granted}"


@ON_MEMORY
def test_preferences_in_two_headers_are_one_list(live_url: str) -> None:
    path = create(live_url)
    call(live_url, "DELETE", path)
    response = call(live_url, "GET", path, headers=[("Prefer", "respond-async"), ("Prefer", "wait=3")])
    assert response.headers["preference-applied"] == "wait=3"


@ON_MEMORY
def test_an_unknown_execution_is_not_waited_for(live_url: str) -> None:
    started = time.monotonic()
    response = call(live_url, "GET", f"{EXECUTIONS}/nope", headers={"Prefer": "wait=30"})
    assert (response.status_code, "preference-applied" in response.headers) == (404, False)
    assert time.monotonic() - started < 20


def test_a_caller_who_hangs_up_is_not_waited_for(live_url: str, engine: Engine) -> None:
    path = create(live_url)
    parts = httpx.URL(live_url)
    with socket.create_connection((parts.host, parts.port or 80)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\n\r\n".encode())
        until(lambda: waiting(engine) == 1)
    until(lambda: waiting(engine) == 0)


def test_the_end_answers_long_polls_and_closes_connections(make_app: MakeApp, engine: Engine) -> None:
    answers: list[httpx.Response] = []
    with live(make_app()) as url:
        path = create(url)
        poll = threading.Thread(target=lambda: answers.append(call(url, "GET", path, headers={"Prefer": "wait=30"})))
        poll.start()
        until(lambda: waiting(engine) == 1)
        started = time.monotonic()
    poll.join(PATIENCE)
    assert time.monotonic() - started < 20
    assert answers[0].json()["status"] == "pending"
    assert answers[0].headers["connection"] == "close"


async def test_while_it_drains_it_answers_but_is_not_ready(make_app: MakeApp) -> None:
    app = make_app()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as client:
        created = (await client.post(EXECUTIONS, json={"input": 1})).json()
        app.drain()
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.headers["retry-after"], ready.headers["connection"]) == (503, "1", "close")
        assert (await client.get("/healthz")).status_code == 200
        async with asyncio.timeout(20):
            status = await client.get(f"{EXECUTIONS}/{created['executionId']}/status", headers={"Prefer": "wait=30"})
        assert (status.json()["done"], "preference-applied" in status.headers) == (False, False)


@ON_MEMORY
def test_a_slow_body_is_cut_off(make_app: MakeApp) -> None:
    with live(make_app(limits=BodyLimits(seconds=0.2))) as url:
        started = time.monotonic()
        answer = raw(url, b"POST " + EXECUTIONS.encode() + b" HTTP/1.1\r\n" + HOST + b'Content-Length: 100\r\n\r\n{"input"')
        assert time.monotonic() - started < PATIENCE / 2
        assert read_problem(answer, 408)["error"] == "request_timeout"
        assert call(url, "GET", EXECUTIONS).json()["data"] == []


@ON_MEMORY
def test_a_body_in_pieces_is_put_together(live_url: str) -> None:
    parts = httpx.URL(live_url)
    with socket.create_connection((parts.host, parts.port or 80), timeout=PATIENCE) as connection:
        connection.sendall(b"POST " + EXECUTIONS.encode() + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        for piece in (b'{"in', b'put":', b" 1}"):
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.02)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@ON_MEMORY
def test_a_large_body_is_refused_before_it_is_sent(live_url: str) -> None:
    head = b"POST " + EXECUTIONS.encode() + b" HTTP/1.1\r\n" + HOST + b"Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n"
    answer = raw(live_url, head, until_closed=False)
    assert answer.startswith(b"HTTP/1.1 413 ")


@ON_MEMORY
def test_a_large_body_that_is_sent_all_the_same_gets_its_answer(live_url: str) -> None:
    response = call(live_url, "POST", EXECUTIONS, content=b" " * 8_000_000)
    assert response.status_code == 413


@pytest.fixture(params=["httptools", "h11"])
def either_parser(request: pytest.FixtureRequest, make_app: MakeApp) -> Iterator[str]:
    parser: Parser = request.param
    with live(make_app(), parser=parser, head_seconds=0.3) as url:
        yield url


@ON_MEMORY
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"Bad Name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        b"GET /v0/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * (2 * MAX_HEAD),
    ],
    ids=lambda sent: repr(sent[:60]),
)
def test_what_is_not_http(either_parser: str, sent: bytes) -> None:
    answer = raw(either_parser, sent, until_closed=False)
    status = answer[9:12]
    assert status in (b"400", b"501"), answer
    assert b"application/problem+json" in answer
    assert call(either_parser, "GET", "/healthz").status_code == 200


@ON_MEMORY
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"], ids=repr)
def test_a_slow_head_is_cut_off(either_parser: str, sent: bytes) -> None:
    started = time.monotonic()
    answer = raw(either_parser, sent)
    assert 0.2 < time.monotonic() - started < PATIENCE / 2
    assert read_problem(answer, 408)["error"] == "request_timeout"


@ON_MEMORY
def test_a_connection_outlives_the_time_for_a_head(either_parser: str) -> None:
    with httpx.Client(base_url=either_parser) as client:
        assert client.get("/healthz").status_code == 200
        time.sleep(0.5)
        connections = client._transport._pool.connections  # type: ignore[attr-defined]
        assert client.get("/healthz").status_code == 200
        assert len(connections) == 1


def test_requests_in_one_packet_are_answered_in_order(live_url: str) -> None:
    path = create(live_url)
    first = f"GET {path}/status HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=1\r\n\r\n"
    answer = raw(live_url, (first + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b'"pending"') < answer.index(b'"ok"')


@ON_MEMORY
def test_http_1_0(live_url: str) -> None:
    assert raw(live_url, b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n").startswith(b"HTTP/1.1 200 OK")


@ON_MEMORY
def test_a_websocket_is_refused(live_url: str) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n"
    assert b" 101 " not in raw(live_url, b"GET /healthz HTTP/1.1\r\n" + HOST + upgrade, until_closed=False)


@ON_MEMORY
async def test_other_protocols_of_asgi(make_app: MakeApp) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    app: App = make_app()
    await app({"type": "websocket"}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1003}]
