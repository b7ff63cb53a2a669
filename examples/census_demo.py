"""`make demo`: the census of the standard library on a durable server, from start to table.

Interrupt it when you like, with Ctrl-C or kill -9, the server or the demo: run again, it finds the execution and goes on.
`python -m examples.census_demo json asyncio` counts these packages only.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

from blaxel_jobs import CreateJobExecutionRequest, Execution, JobsClient, JobsError, NotFound, bl_job, configure
from examples.stdlib_census import JOB, Counts, execution_id, library_files, package_of, table

HOME = Path(".demo")
READY = HOME / "ready.json"
LOG = HOME / "server.log"
STARTS_WITHIN = 30.0
STOPS_WITHIN = 15.0
LOOKS_EVERY = 0.2


class ServerGone(Exception):
    """The server ended although nobody asked it to."""


def main(packages: list[str]) -> int:
    files = [path for path in library_files() if not packages or package_of(path) in packages]
    if not files:
        print(f"no package of the standard library is called {' or '.join(packages)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        with server() as url:
            configure(base_url=url)
            execution, resumed = take_up(files)
            follow(execution)
            if execution.status == "completed":
                print("\n".join(["", *table(results(execution)), ""]))
    except KeyboardInterrupt:
        print("\ninterrupted: run it again, and it goes on", file=sys.stderr)
        return 130
    except (JobsError, ServerGone) as error:
        print(f"\n{error}\nWhat is done is kept: run it again, and it goes on. The server's log is {LOG}.", file=sys.stderr)
        return 1
    shutil.rmtree(HOME)
    if execution.status != "completed":
        why = f": {execution.error.type}: {execution.error.message}" if execution.error else ""
        print(f"the census {execution.status}{why}", file=sys.stderr)
        return 1
    since = ", from where it was interrupted" if resumed else ""
    print(f"{len(files):,} files, each a durable task in SQLite, in {time.monotonic() - began:.1f} s{since}")
    return 0


def take_up(files: list[str]) -> tuple[Execution, bool]:
    """The execution for these files, and whether an earlier run had created it."""
    job, wanted = bl_job(JOB), execution_id(files)
    try:
        execution = job.get_execution(wanted)
    except NotFound:
        job.create_execution(CreateJobExecutionRequest(tasks=[{"path": path} for path in files], execution_id=wanted))
        print(f"execution {wanted} of {JOB}: {len(files):,} files, one task each")
        return job.get_execution(wanted), False
    print(f"resuming: {finished(execution)} of {len(files)} files already done")
    return execution, True


def follow(execution: Execution) -> None:
    """Show the progress until the execution has ended."""
    with progress(execution.stats["total"]) as show:
        show(finished(execution))
        while not execution.done:
            time.sleep(LOOKS_EVERY)
            execution.refresh()
            show(finished(execution))


def finished(execution: Execution) -> int:
    stats = execution.stats
    return stats["success"] + stats["failure"] + stats["cancelled"]


def results(execution: Execution) -> list[Counts]:
    """The results of all tasks, page by page over the tasks route."""
    return [cast(Counts, task.result) for task in execution.list_tasks(limit=500).auto_paging_iter()]


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar: rich's where it is installed and somebody looks, else a line for each tenth."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        with Progress("parsing", BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
            task = bar.add_task("parsing", total=total)
            yield lambda done: bar.update(task, completed=done)
        return
    tenths = -1

    def show(done: int) -> None:
        nonlocal tenths
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            print(f"parsing: {done} of {total}", flush=True)

    yield show


class Ready(NamedTuple):
    """What a server writes to its ready file."""

    url: str
    pid: int


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server for the store in .demo: one that a killed demo left behind, or a new one. It is stopped at the end."""
    HOME.mkdir(exist_ok=True)
    left = read_ready()
    if left and alive(left.pid) and answers(left.url):
        print(f"the server of an earlier run still works, as process {left.pid}")
        try:
            yield left.url
        finally:
            stop(left.pid, lambda: not alive(left.pid))
        return
    process = start()
    try:
        yield await_ready(process).url
    except JobsError as error:
        if process.poll() is None:
            raise
        raise ServerGone(f"the server ended with exit code {process.returncode}") from error
    finally:
        stop(process.pid, lambda: process.poll() is not None)


def start() -> subprocess.Popen[bytes]:
    READY.unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).with_name("blaxel-jobs")), "serve", "--store", f"sqlite:///{HOME}/census.db", "--port", "0",
        "--worker", "examples.stdlib_census", "--ready-file", str(READY),
    ]  # fmt: skip
    with LOG.open("ab") as log:
        # In a session of its own: Ctrl-C is for the demo, which then stops the server in good order.
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def await_ready(process: subprocess.Popen[bytes]) -> Ready:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        if (ready := read_ready()) and ready.pid == process.pid:
            return ready
        if process.poll() is not None:
            raise ServerGone(f"the server did not start:\n{LOG.read_text()[-2000:]}")
        time.sleep(0.02)
    raise ServerGone(f"the server was not ready after {STARTS_WITHIN:.0f} s")


def read_ready() -> Ready | None:
    with suppress(OSError, ValueError, KeyError):
        found = json.loads(READY.read_text())
        return Ready(found["url"], found["pid"])
    return None


def answers(url: str) -> bool:
    """Whether a jobs server is there."""
    with JobsClient(base_url=url, connect_retries=0) as client:
        try:
            client.job(JOB).list_executions(limit=1)
        except JobsError:
            return False
    return True


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stop(pid: int, gone: Callable[[], bool]) -> None:
    """SIGTERM: the server gives running tasks back and closes its store. kill -9 if it does not end in time."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        deadline = time.monotonic() + STOPS_WITHIN
        while time.monotonic() < deadline:
            if gone():
                return
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
