"""Servers and workers in processes of their own, and the jobs that they run: `tests.remote.jobs`."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from blaxel_jobs import JobsClient
from tests.chaos.processes import Program
from tests.pace import until
from tests.serving import CLI, stable_port


class Server(Program):
    """`blaxel-jobs serve` without a worker, on jobs.db in `folder`. Give the port of the one before to take its place."""

    def __init__(self, folder: Path, *options: str, port: int = 0, store: str | None = None) -> None:
        self._ready = folder / f"server-{time.monotonic_ns()}.json"
        store = store or f"sqlite:///{folder / 'jobs.db'}"
        super().__init__(
            folder, CLI, "serve", "--store", store, "--port", str(port or stable_port()),
            "--ready-file", str(self._ready), "--log-level", "warning", *options,
        )  # fmt: skip
        self.url: str = until(lambda: _look(self, self._ready), "the server is ready")["url"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, api_key: str | None = None) -> JobsClient:
        return JobsClient(base_url=self.url, api_key=api_key)


class Worker(Program):
    """`python -m blaxel_jobs.worker` with the handlers of a module, working in `folder`."""

    def __init__(self, folder: Path, url: str, *options: str, ready: bool = True, module: str = "tests.remote.jobs") -> None:
        self._ready = folder / f"worker-{time.monotonic_ns()}.json"
        super().__init__(
            folder, sys.executable, "-m", "blaxel_jobs.worker", module, "--url", url, "--ready-file", str(self._ready),
            *options,
        )  # fmt: skip
        if ready:
            self.id = self.ready()["worker"]

    def ready(self) -> Any:
        """What its ready file says, once it takes work."""
        return until(lambda: _look(self, self._ready), "the worker takes work")

    @property
    def is_ready(self) -> bool:
        return self._ready.exists()

    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self._process.poll()
        return -code if code is not None and code < 0 else code


def _look(program: Program, ready: Path) -> Any:
    program.check_alive()
    return json.loads(ready.read_text()) if ready.exists() else None
