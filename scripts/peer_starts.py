"""Start to first answer of this mock and of others that pip and npm install: `python scripts/peer_starts.py [ROUNDS]`.

Those that are on the PATH are measured, by turns, each with its defaults: moto_server, prism, mockoon-cli, wiremock (npm's, which
takes Java). A bare Starlette under uvicorn stands beside them. docs/mock.md has the figures. Linux only.
"""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CONTRACT = Path(__file__).parent.parent / "openapi.yaml"
DEADLINE = 60.0
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def answer(request):
    return PlainTextResponse("ok")

uvicorn.run(Starlette(routes=[Route("/", answer)]), port=int(sys.argv[1]), log_level="error")
"""
COMMANDS = {
    "bare Starlette under uvicorn": [sys.executable, "-c", BARE, "PORT"],
    "python -m mock_server": [sys.executable, "-m", "mock_server", "--port", "PORT"],
    "moto server": ["moto_server", "-p", "PORT"],
    "WireMock": ["wiremock", "--port", "PORT"],
    "Mockoon CLI": ["mockoon-cli", "start", "--disable-log-to-file", "-p", "PORT", "-d", str(CONTRACT)],
    "Prism": ["prism", "mock", "-p", "PORT", str(CONTRACT)],
}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether there is an HTTP answer, whatever it says."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        try:
            connection.request("GET", "/")
            return bool(connection.getresponse().status)
        except (OSError, http.client.HTTPException):
            return False


def family(pid: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def resident(pid: int) -> float:
    """Megabytes that a process holds, with all that it has started."""
    lines = [line for each in family(pid) for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def start(command: list[str]) -> tuple[float, float]:
    """Milliseconds to the first answer, and megabytes then."""
    port = free_port()
    words = [str(port) if word == "PORT" else word for word in command]
    began = time.perf_counter()
    # Bytecode is kept, as it is where packages are installed; this shell may say otherwise.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not answers(port):
            if process.poll() is not None or time.perf_counter() - began > DEADLINE:
                sys.exit(f"{command[0]} did not start")
            time.sleep(0.002)
        return 1000 * (time.perf_counter() - began), resident(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    found = {name: command for name, command in COMMANDS.items() if shutil.which(command[0])}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(1 + rounds):
        for name, command in found.items():
            taken[name].append(start(command))
    for name, samples in taken.items():
        # The first start compiles, and fills the caches of the disk. Whoever else is at work makes a start longer, never shorter.
        milliseconds, megabytes = (list(column) for column in zip(*samples[1:], strict=True))
        print(
            f"| {name} | {min(milliseconds):,.0f} | {statistics.median(milliseconds):,.0f} | {statistics.median(megabytes):.0f} |"
        )


if __name__ == "__main__":
    main()
