"""The mock: how soon ten tasks of a minute have ended, and how soon its process answers, beside a bare Starlette under uvicorn."""

import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blaxel_jobs import JobsClient
from blaxel_jobs.jobs import Jobs
from mock_server import MockServer

from .processes import DEADLINE, resident
from .report import Bar, Measured, Topic
from .scratch import JOB, Scratch
from .server import head, read_body

IN_PROCESS = Bar("mock: 10 tasks of 60 s, in process", "ms", 20, 5)
LIVE = Bar("mock: 10 tasks of 60 s, live, from another process", "ms", 100, 30)
LIVE_HERE = Bar("mock: 10 tasks of 60 s, live, from its own process", "ms", 100, 30)
MANY = Bar("mock: 200 executions of 10 tasks of 60 s, in process", "s", 2, 0.5)
START = Bar("mock: process start to first answer against bare starlette + uvicorn", "x", 1.3, 1.3)
START_BARE = Bar("the same against a bare ASGI function + uvicorn", "x")
START_ENDED = Bar("mock: process start to the end of its first execution against the same", "x")
RSS = Bar("mock: RSS after its first execution", "MB", 50, 50)

SERVE = """
import sys
from pathlib import Path
import uvicorn

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        Path(sys.argv[1]).write_text(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}")

config = uvicorn.Config(
    app, port=0, loop="asyncio", http="auto", ws="none", lifespan="off", log_config=None, access_log=False,
    proxy_headers=False, server_header=False
)
Server(config).run()
"""
"""The settings of the mock's own server."""
ASGI = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def answer(request):
    return PlainTextResponse("ok")

app = Starlette(routes=[Route("/healthz", answer)])
"""


def _tasks(scratch: Scratch, jobs: Jobs) -> float:
    """Milliseconds from the create to the answer of the wait, median of some; what the first call loads is not counted."""
    job = jobs.job(JOB)
    taken = []
    for _ in range(1 + scratch.size(20, 1)):
        before = time.perf_counter()
        ended = job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60}] * 10}))
        taken.append(1000 * (time.perf_counter() - before))
        assert ended.status == "completed"
    return statistics.median(taken[1:])


def tasks(scratch: Scratch) -> Measured:
    before = time.perf_counter()
    with MockServer(), JobsClient() as jobs:
        in_process = _tasks(scratch, jobs)
    all_of_it = 1000 * (time.perf_counter() - before)
    with MockServer(live=True) as mock, JobsClient(base_url=mock.url) as jobs:
        here = _tasks(scratch, jobs)
    with _started(scratch, *MOCK) as process, JobsClient(base_url=process.url) as jobs:
        live = _tasks(scratch, jobs)
    rounds = 1 + scratch.size(20, 1)
    return Measured({IN_PROCESS: in_process, LIVE: live, LIVE_HERE: here}, {f"a `with` block of {rounds} of them, ms": all_of_it})


def many(scratch: Scratch) -> Measured:
    """Created one after the other, then awaited one after the other."""
    count = scratch.size(200, 2)
    with MockServer() as mock, JobsClient() as jobs:
        job = jobs.job(JOB)
        before = time.perf_counter()
        ids = [job.create_execution({"tasks": [{"duration": 60}] * 10}) for _ in range(count)]
        assert all(job.wait_for_execution(id).status == "completed" for id in ids)
        took = time.perf_counter() - before
        assert mock.monotonic() == 60
    return Measured({MANY: took * 200 / count}, {})


class _Started(NamedTuple):
    """A process that has answered."""

    url: str
    pid: int
    seconds: float
    """From its start to its first answer."""


MOCK = ("-m", "mock_server", "--port", "0", "--ready-file")


@contextlib.contextmanager
def _started(scratch: Scratch, *command: str) -> Iterator[_Started]:
    """Python with these arguments and the name of a file, in which it says where it is once it serves."""
    with scratch.folder() as folder:
        ready = folder / "ready"
        # Bytecode is kept, as it is where packages are installed; this shell may say otherwise.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(scratch.keep(_bytecode))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command, str(ready)], cwd=Path(__file__).parent.parent, env=environment, stdout=subprocess.DEVNULL
        )
        try:
            while not (said := re.search(r"http://127\.0\.0\.1:([0-9]+)", ready.read_text() if ready.exists() else "")):
                assert process.poll() is None and time.perf_counter() - began < DEADLINE, "the process did not start"
                time.sleep(0.001)
            with socket.create_connection(("127.0.0.1", int(said[1])), DEADLINE) as connection:
                connection.sendall(head("GET", "/healthz"))
                read_body(connection)
            yield _Started(said[0], process.pid, time.perf_counter() - began)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _bytecode(scratch: Scratch) -> Iterator[Path]:
    """A folder for compiled modules, filled by whoever starts first."""
    with scratch.folder() as folder:
        yield folder


def start(scratch: Scratch) -> Measured:
    """The median of some starts of each, by turns; the first of each, which compiles, is not counted."""
    commands = {"bare": ("-c", ASGI + SERVE), "starlette": ("-c", STARLETTE + SERVE), "mock": MOCK}
    taken: dict[str, list[float]] = {name: [] for name in (*commands, "ended")}
    resident_mb: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(1 + scratch.size(7, 1)):
        for name, command in commands.items():
            with _started(scratch, *command) as one:
                taken[name].append(1000 * one.seconds)
                if name == "mock":
                    taken["ended"].append(1000 * (one.seconds + _first_execution(one.url)))
                resident_mb[name].append(resident(one.pid) / 2**20)
    ms = {name: statistics.median(samples[1:]) for name, samples in taken.items()}
    mb = {name: statistics.median(samples[1:]) for name, samples in resident_mb.items()}
    values = {
        START: ms["mock"] / ms["starlette"],
        START_BARE: ms["mock"] / ms["bare"],
        START_ENDED: ms["ended"] / ms["starlette"],
        RSS: mb["mock"],
    }
    return Measured(values, {f"{name}, ms": ms[name] for name in ms} | {f"{name}, MB": mb[name] for name in ("bare", "starlette")})


def _first_execution(url: str) -> float:
    """Seconds until ten tasks have ended: a mock loads what runs them when it has some."""
    with JobsClient(base_url=url) as jobs:
        job = jobs.job(JOB)
        before = time.perf_counter()
        assert job.wait_for_execution(job.create_execution({"tasks": [{"duration": 60}] * 10})).status == "completed"
        return time.perf_counter() - before


TOPICS = (
    Topic("mock-tasks", (IN_PROCESS, LIVE, LIVE_HERE), tasks),
    Topic("mock-many", (MANY,), many),
    Topic("mock-start", (START, START_BARE, START_ENDED, RSS), start),
)
