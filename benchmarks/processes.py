"""What runs in processes beside a benchmark: `python -m benchmarks.processes ROLE ...`. Each ends by itself after a while."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blaxel_jobs.define import define_job

from .scratch import JOB, Scratch, open_engine

ROOT = Path(__file__).parent.parent
LONGEST = 120.0
DEADLINE = 20.0


class Child:
    """A process that has said that it is ready."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it has taken, all threads together. Linux only: the clock of another process is named by its pid."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def kill(self) -> None:
        """kill -9, and wait for it."""
        self.process.kill()
        self.process.wait()


def resident(pid: int) -> int:
    """Bytes of memory that a process holds. Linux only."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


@contextmanager
def child(role: str, *arguments: str) -> Iterator[Child]:
    """One of the roles below, started and ready."""
    command = [sys.executable, "-m", "benchmarks.processes", role, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline().strip()
            assert said, f"the process {role} did not start"
            yield Child(process, said)
        finally:
            process.kill()


@contextmanager
def server(scratch: Scratch, store: str, *options: str) -> Iterator[tuple[str, Child]]:
    """`blaxel-jobs serve` on a free port; its URL, and the process."""
    with scratch.folder() as folder:
        url = "memory:" if store == "memory" else f"sqlite:///{folder}/jobs.db"
        command = ["blaxel_jobs.cli", "serve", "--store", url, "--port", "0", "--log-level", "error", *options]
        with _ready(folder, *command) as (said, process):
            yield said["url"], process


@contextmanager
def remote_worker(scratch: Scratch, url: str, *options: str) -> Iterator[Child]:
    """`python -m blaxel_jobs.worker` for the jobs of `handlers`, once the server has answered it."""
    from . import handlers

    command = ["blaxel_jobs.worker", handlers.__name__, "--url", url, "--log-level", "error", *options]
    with scratch.folder() as folder, _ready(folder, *command) as (_, process):
        yield process


@contextmanager
def _ready(folder: Path, *command: str) -> Iterator[tuple[dict[str, Any], Child]]:
    """A module run as a process, and what it says in its ready file."""
    ready = folder / "ready.json"
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--ready-file", str(ready)], cwd=ROOT, stdout=subprocess.DEVNULL, text=True
    ) as process:
        try:
            deadline = time.monotonic() + DEADLINE
            while not ready.exists():
                assert process.poll() is None and time.monotonic() < deadline, f"{command[0]} did not start"
                time.sleep(0.02)
            yield json.loads(ready.read_text()), Child(process, "")
        finally:
            process.kill()


def hammer(url: str) -> None:
    """A greedy writer: one hundred tasks create executions in a store without a pause."""
    from .engine import create_many

    with open_engine(url) as engine:
        asyncio.run(create_many(engine, 100))
        print("ready", flush=True)
        asyncio.run(create_many(engine, 10_000_000))


def hang(url: str, lease: str) -> None:
    """A worker that claims a task and never ends it."""
    from .worker import hire

    def never() -> None:
        print("claimed", flush=True)
        threading.Event().wait()

    with open_engine(url, float(lease)) as engine:
        engine.start()
        hire(engine, define_job(JOB, run=never), slots=1).start()
        threading.Event().wait()


def bare(post_bytes: str, get_bytes: str) -> None:
    """A bare ASGI app under uvicorn as the product sets it up: reads the body, answers so many bytes. Says its port."""
    import uvicorn

    from blaxel_jobs.server.serve import bind

    answers = {"POST": b'"' + b"x" * (int(post_bytes) - 2) + b'"', "GET": b'"' + b"x" * (int(get_bytes) - 2) + b'"'}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        answer = answers[scope["method"]]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    bound = bind("127.0.0.1", 0)
    print(bound.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False, server_header=False
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    threading.Timer(LONGEST, os._exit, [1]).start()
    {role.__name__: role for role in (hammer, hang, bare)}[sys.argv[1]](*sys.argv[2:])
