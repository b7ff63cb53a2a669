"""Programs that tests start, stop, freeze and kill."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from typing import IO, Self
from urllib.parse import urlsplit

from tests.pace import PATIENCE, until
from tests.serving import CLI, plain_environment, stable_port


def seeded(what: str) -> Random:
    """Randomness for one test: from CHAOS_SEED, else new. Its seed is printed, so that a failed run shows it."""
    seed = int(os.environ.get("CHAOS_SEED") or int.from_bytes(os.urandom(4)))
    print(f"{what}: CHAOS_SEED={seed}")
    return Random(seed)


class Program:
    """A process with its log. Killed when its block ends."""

    def __init__(self, folder: Path, *command: str, stdin: int | None = None, stdout: int | None = None) -> None:
        self.log = folder / "program.log"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=plain_environment(), stdin=stdin, stdout=stdout or output, stderr=output
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def kill(self) -> None:
        """kill -9, and wait for it."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> float:
        """SIGTERM. It must exit with 0; the answer is how many seconds that took."""
        begin = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self.exited()
        return time.monotonic() - begin

    def exited(self) -> None:
        """Wait for its end. It must exit with 0."""
        assert self._process.wait(PATIENCE) == 0, self.text()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), self.text()

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def check_alive(self) -> None:
        assert self._process.poll() is None, f"exited with {self._process.returncode}:\n{self.text()}"

    def text(self) -> str:
        """The last of what it wrote to its log."""
        return self.log.read_text(errors="replace")[-10_000:]


class Server(Program):
    """`blaxel-jobs serve` on jobs.db in `folder`, with the handlers of a module. Give the port of the one before."""

    def __init__(self, folder: Path, *options: str, port: int = 0, module: str = "tests.chaos.work") -> None:
        self._ready = folder / f"ready-{time.monotonic_ns()}.json"
        super().__init__(
            folder, CLI, "serve", "--store", f"sqlite:///{folder / 'jobs.db'}", "--worker", module,
            "--port", str(port or stable_port()), "--ready-file", str(self._ready), "--log-level", "warning", *options,
        )  # fmt: skip

    def url(self) -> str:
        """Where it is, once it is there."""
        return str(until(self._look, "the server is ready")["url"])

    def port(self) -> int:
        port = urlsplit(self.url()).port
        assert port is not None
        return port

    def _look(self) -> dict[str, str] | None:
        self.check_alive()
        return json.loads(self._ready.read_text()) if self._ready.exists() else None
