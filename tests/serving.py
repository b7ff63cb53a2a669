"""Real servers for tests: in a process of their own, with the command line, a port and a pid, and in a thread of this one."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from blaxel_jobs.engine import Engine
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.serve import HttpServer, bind, url_of
from blaxel_jobs.system import new_key
from tests.pace import PATIENCE

ROOT = Path(__file__).parent.parent
CLI = str(Path(sys.executable).with_name("blaxel-jobs"))


class Server(NamedTuple):
    url: str
    pid: int
    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """kill -9, and wait for it."""
        self.process.kill()
        self.process.wait()


def plain_environment(**values: str) -> dict[str, str]:
    """This process's environment without anything that configures the SDK or the server, and with these values."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BL_", "BLAXEL_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **values}


def stable_port() -> int:
    """A free port for servers that follow each other on it: not one of those that the kernel gives to whoever asks for any."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as bound, suppress(OSError):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", port))
            return port


@contextmanager
def serving(folder: Path, store: str, *arguments: str, deadline: float = PATIENCE) -> Iterator[Server]:
    """`blaxel-jobs serve` on a free port, its ready file and log in `folder`. Ends with SIGTERM, and must then exit 0."""
    ready, log = folder / f"ready-{time.monotonic_ns()}.json", folder / "server.log"
    command = [CLI, "serve", "--store", store, "--host", "127.0.0.1", "--port", "0", "--ready-file", str(ready), *arguments]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, env=plain_environment(), stdout=output, stderr=output)
    try:
        url, pid = _await_ready(ready, process, log, deadline)
        yield Server(url, pid, process, log)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(deadline) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _await_ready(ready: Path, process: subprocess.Popen[bytes], log: Path, deadline: float) -> tuple[str, int]:
    end = time.monotonic() + deadline
    while not ready.exists():
        assert process.poll() is None, f"the server exited with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < end, f"no ready file after {deadline} s:\n{log.read_text()}"
        time.sleep(0.02)
    answer = json.loads(ready.read_text())
    return answer["url"], answer["pid"]


@contextmanager
def live(app: Any, **options: Any) -> Iterator[str]:
    """An App, or what stands before one, on a real socket, in a thread; the value is its URL."""
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        url = url_of(bound)
        server = HttpServer(app, bound, on_ready=ready.set, **options)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield url
        finally:
            server.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def live_engine(engine: Engine) -> AbstractContextManager[str]:
    """`live`, of the server of an engine."""
    return live(create_app(engine, version="1", new_id=new_key))
