"""A worker that serves a server far away: as an object for programs, and as a process of its own."""

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final, Self

from ..config import Settings
from ..define import JobDef
from ..errors import ConfigError, JobsError
from ..system import SystemClock, rng
from ..worker.worker import DEFAULT_GRACE, DEFAULT_SLOTS, Hook, Worker
from .leases import LONGEST_POLL, RemoteLeases

SWITCH_INTERVAL: Final = 0.0005
"""Seconds. By Python's default a thread that computes holds up every request of the others by 5 ms."""


class RemoteWorker:
    """Runs the handlers of `jobs` for a server: `start` and `stop`, or as a context manager, sync or async.

    Entered with `async with`, async handlers run in that loop; else in a loop of the worker's own, in a thread. `queues`: serve
    only the jobs of these queues. What is not given of `base_url` and `api_key` comes from the settings. `name` begins the worker's
    id, which is another one for each start. Raises ConfigError.
    """

    def __init__(
        self,
        jobs: Iterable[JobDef[Any, Any]],
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        slots: int = DEFAULT_SLOTS,
        queues: Collection[str] | None = None,
        grace: float = DEFAULT_GRACE,
        name: str | None = None,
        settings: Settings | None = None,
        on_start: Hook | None = None,
        on_stop: Hook | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_refused: Callable[[JobsError], None] = lambda error: None,
    ) -> None:
        """`on_start` is called in the worker's loop before it takes work, and what it raises keeps it from starting; `on_stop`
        there after the last task. `on_ready` is called when the server has first answered it, `on_refused` when it never will."""
        self._grace = grace
        served = of_queues(list(jobs), queues)
        self.jobs = [job.name for job in served]
        """The names of the jobs that it serves."""
        leases = RemoteLeases(
            base_url, api_key, name=name, poll=LONGEST_POLL, settings=settings, on_ready=on_ready, on_refused=on_refused
        )
        self.id = leases.worker
        self.base_url = leases.base_url
        self._worker = Worker(leases, served, slots=slots, clock=SystemClock(), rng=rng, on_start=on_start, on_stop=on_stop)

    def start(self) -> None:
        """Serve, in a thread of its own. A server that does not answer is waited for.

        Raises Unauthorized, Forbidden and ConfigError when the server answers, and not as one that it can work for.
        """
        self._worker.start()

    def stop(self, grace: float | None = None) -> None:
        """Take no more work, give what runs `grace` seconds to end, then stop it and give it back."""
        self._worker.stop(self._grace if grace is None else grace)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self._worker.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._worker.astop(self._grace)


def run_worker(
    jobs: Iterable[JobDef[Any, Any]],
    *,
    ready_file: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> None:
    """Serve in this process until SIGTERM or SIGINT, then finish or give back what runs; a second signal ends it at once.

    To be called in the main thread. `options` are those of RemoteWorker. The ready file is there while the worker takes work. `say`
    is given a line when it begins to. Raises as RemoteWorker and its `start`.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError("run_worker handles signals, so it runs in the main thread: use RemoteWorker elsewhere")
    ended: SimpleQueue[JobsError | None] = SimpleQueue()  # may be put to in the middle of a get, by a signal
    ready = _ReadyFile(ready_file)

    def on_ready() -> None:
        ready.write(worker)
        say(f"worker {worker.id} serves {', '.join(worker.jobs)} for {worker.base_url}")

    worker = RemoteWorker(jobs, on_ready=on_ready, on_refused=ended.put, **options)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with _signals(lambda: ended.put(None), ready.remove), worker:
            error = ended.get()
            ready.remove()
    finally:
        sys.setswitchinterval(before)
        ready.remove()
    if error is not None:
        raise error


def of_queues(jobs: list[JobDef[Any, Any]], queues: Collection[str] | None) -> list[JobDef[Any, Any]]:
    """Those whose queue is one of these. Raises ConfigError when there is none."""
    if not jobs:
        raise ConfigError("a worker needs a job to serve")
    served = [job for job in jobs if queues is None or (job.queue or "default") in queues]
    if not served:
        there = ", ".join(sorted({job.queue or "default" for job in jobs}))
        raise ConfigError(f"no job is of the queues {', '.join(queues or ())}: there are jobs of {there}")
    return served


class _ReadyFile:
    """A file that says that the worker is there, for as long as it takes work: `{"worker": ..., "url": ..., "pid": ...}`."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._text = ""
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"the ready file {path} cannot be written: there is no folder {path.parent}")

    def write(self, worker: RemoteWorker) -> None:
        """Written beside it and renamed, so that nobody reads half of it."""
        if self._path is None:
            return
        self._text = json.dumps({"worker": worker.id, "url": worker.base_url, "pid": os.getpid()}) + "\n"
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.write_text(self._text, encoding="utf-8")
        draft.replace(self._path)

    def remove(self) -> None:
        """Unless another worker has written its own there since."""
        if self._path is not None and self._text:
            with contextlib.suppress(OSError):
                if self._path.read_text(encoding="utf-8") == self._text:
                    self._path.unlink()


@contextlib.contextmanager
def _signals(end: Callable[[], None], on_kill: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM or SIGINT calls `end`; a second one ends the process where it stands."""
    asked = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            on_kill()
            os._exit(128 + number)
        asked = True
        end()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
