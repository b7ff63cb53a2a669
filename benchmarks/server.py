"""The server's CPU for a request, against a bare ASGI app that answers as many bytes to the same bytes."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import attrs

from blaxel_jobs.system import new_key

from .processes import Child, child, server
from .report import Bar, Measured, Topic
from .scratch import JOB, Scratch

CREATE = Bar("server CPU, create with 10 tasks (memory)", "H", 2.5, 2.0)
STATUS = Bar("server CPU, status (memory)", "H", 1.6, 1.3)

CONNECTIONS = 16
ANSWERING = 0.003
BODY = json.dumps({"tasks": [{"duration": 0}] * 10}, separators=(",", ":")).encode()
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)

Request = Callable[[], bytes]


class Load:
    """Keep-alive connections that each send a request and, once all should be answered, each read their answer.

    A client that sleeps in a read is woken by the server's write, at the server's cost: ours would pay that for nearly every
    answer, the faster bare one for few.
    """

    def __init__(self, port: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(CONNECTIONS)]

    def ask(self, request: Request, rounds: int) -> bytes:
        """So many rounds; the body of the last answer."""
        answer = b""
        for _ in range(rounds):
            for connection in self._sockets:
                connection.sendall(request())
            time.sleep(ANSWERING)
            for connection in self._sockets:
                answer = read_body(connection)
        return answer

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()


def read_body(connection: socket.socket) -> bytes:
    """The body of one answer, which must be a 200."""
    answer = connection.recv(65_536)
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65_536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length is not None and head.startswith(b"HTTP/1.1 200 "), head.decode()
    while len(body) < int(length[1]):
        body += connection.recv(65_536)
    return body


def head(method: str, path: str, *more: str) -> bytes:
    """A request's head, with the headers that the SDK sends."""
    lines = [
        f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json, application/problem+json",
        "Accept-Encoding: gzip, deflate", "Connection: keep-alive", "User-Agent: blaxel-jobs/bench", "Jobs-Contract: 1",
        "Blaxel-Version: 2026-09-22", *more, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def create_request() -> bytes:
    """A create of 10 tasks, with another key each time."""
    more = ("Content-Type: application/json", f"Content-Length: {len(BODY)}", f"Idempotency-Key: {new_key()}")
    return head("POST", f"/v0/jobs/{JOB}/executions", *more) + BODY


@attrs.frozen
class Pair:
    """Our server and the bare one, with a connection pool to each, and the request for the status of an execution of ours."""

    ours: Child
    bare: Child
    to_ours: Load
    to_bare: Load
    status: bytes


@contextmanager
def pair(scratch: Scratch) -> Iterator[Pair]:
    """Both servers, warm."""
    with server(scratch, "memory") as (url, ours):
        to_ours = Load(urlsplit(url).port or 0)
        created = to_ours.ask(create_request, 1)
        status = head("GET", f"/v0/jobs/{JOB}/executions/{json.loads(created)['executionId']}/status")
        shown = to_ours.ask(lambda: status, 1)
        with child("bare", str(len(created)), str(len(shown))) as bare:
            to_bare = Load(int(bare.said))
            both = Pair(ours, bare, to_ours, to_bare, status)
            _cpu(both, create_request, 20)
            yield both
            to_bare.close()
        to_ours.close()


def _cpu(both: Pair, request: Request, rounds: int) -> tuple[float, float]:
    """Microseconds of CPU a request, bare and ours; in blocks by turns."""
    taken = [0.0, 0.0]
    blocks = 5
    for _ in range(blocks):
        for place, process, load in ((0, both.bare, both.to_bare), (1, both.ours, both.to_ours)):
            before = process.cpu
            load.ask(request, rounds)
            taken[place] += process.cpu - before
    requests = blocks * rounds * CONNECTIONS
    return taken[0] * 1e6 / requests, taken[1] * 1e6 / requests


def _against(scratch: Scratch, bar: Bar, request: Callable[[Pair], Request], rounds: int) -> Measured:
    both = scratch.keep(pair)
    bare, ours = _cpu(both, request(both), scratch.size(rounds, 2))
    return Measured({bar: ours / bare}, {"H: bare ASGI, us of CPU a request": bare, "ours, us of CPU a request": ours})


def create_cpu(scratch: Scratch) -> Measured:
    return _against(scratch, CREATE, lambda both: create_request, 20)


def status_cpu(scratch: Scratch) -> Measured:
    return _against(scratch, STATUS, lambda both: lambda: both.status, 40)


TOPICS = (Topic("server-create", (CREATE,), create_cpu), Topic("server-status", (STATUS,), status_cpu))
