"""Processes of the worker's own, for handlers that say `executor="process"`: one for each that runs, kept for the next."""

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..core.reports import Report
from ..errors import LeaseLost
from . import child
from .effects import run_there
from .failures import CrashedError
from .hold import End, Hold, Suspended
from .parcels import Get, Put, fetch, keep
from .pipe import (
    Answered,
    Ask,
    Begin,
    Done,
    Note,
    Pause,
    Ready,
    ToProcess,
    ToWorker,
    Unwind,
    encode,
    pack_error,
    read_to_worker,
    unpack,
)  # fmt: skip

if TYPE_CHECKING:
    from ..artifacts import ArtifactPort

log = logging.getLogger("blaxel_jobs.worker")

LOOK_EVERY: Final = 1.0
"""Seconds after which a process that says nothing is looked at: something else may hold its end of the pipe open."""
UNWIND_SECONDS: Final = 0.7
"""What a handler gets to unwind in before its process is killed."""


class Processes:
    """Used in one event loop."""

    def __init__(self) -> None:
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._runs = itertools.count()
        self._names = itertools.count(1)

    async def run(self, place: str, hold: Hold, artifacts: "ArtifactPort | None", free: Callable[[], None]) -> Report:
        """Run the handler at a place. `free` is called when its process is free, or gone. Raises CrashedError.

        When the hold ends the handler is told, and killed when it has not ended soon; a cancellation waits for that."""
        process = self._take()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done] = loop.create_future()
        folder = None if artifacts is None else self._folder_for_artifacts()

        def ended(done: Done | str) -> None:
            loop.call_soon_threadsafe(self._ended, process, future, free, done)

        run = _Run(next(self._runs), hold, artifacts, folder, ended)
        hold.on_end = partial(process.unwind, run, loop)
        process.begin(run, Begin(run.number, place, hold.leased, hold.in_place, folder))
        if hold.end is not None:
            hold.on_end(hold.end)
        try:
            done = await asyncio.shield(future)
        except asyncio.CancelledError:
            # The task is given back when nothing works on it any more.
            await asyncio.wait([future])
            future.exception()
            raise
        hold.told = hold.told or done.told
        return unpack(done.kind, done.report)

    def close(self) -> None:
        """Kill them, and what runs in them."""
        for process in list(self._all):
            process.kill()
        if self._folder is not None:
            self._folder.cleanup()

    def _folder_for_artifacts(self) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="blaxel-jobs-", ignore_cleanup_errors=True)
        return self._folder.name

    def _take(self) -> "_Process":
        while self._idle:
            process = self._idle.pop()
            if not process.dead:
                return process
        process = _Process(f"blaxel-jobs-process-{next(self._names)}")
        self._all.add(process)
        return process

    def _ended(self, process: "_Process", future: asyncio.Future[Done], free: Callable[[], None], done: Done | str) -> None:
        if isinstance(done, Done):
            self._idle.append(process)
        else:
            self._all.discard(process)
        free()
        if future.done():
            return
        if isinstance(done, Done):
            future.set_result(done)
        else:
            future.set_exception(CrashedError(done))


@attrs.frozen(eq=False)
class _Run:
    """One handler that runs in a process."""

    number: int
    hold: Hold
    artifacts: "ArtifactPort | None"
    folder: str | None
    ended: Callable[[Done | str], object]
    """Called once, from any thread: how it ended, or how its process did."""


class _Process:
    """A process, as its worker sees it. Two threads of its own read and write, so that the event loop waits for neither."""

    def __init__(self, name: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=child.main, args=(theirs,), name=name, daemon=True)
        self._outbox: SimpleQueue[ToProcess | None] = SimpleQueue()
        self._started = threading.Event()
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._ready = False
        self.dead = False
        threading.Thread(target=self._write, args=(theirs,), name=f"{name}-write", daemon=True).start()
        threading.Thread(target=self._read, name=f"{name}-read", daemon=True).start()

    def begin(self, run: _Run, begin: Begin) -> None:
        """Run a handler."""
        with self._lock:
            self._run = run
            dead = self.dead
        if dead:
            self._end("it ended before")
        self._outbox.put(begin)

    def unwind(self, run: _Run, loop: asyncio.AbstractEventLoop, end: End) -> None:
        """Tell a handler to unwind. Unless it is only stopped it is killed when it has not done so in time."""
        self._outbox.put(Unwind(run.number, end))
        if end is not End.STOPPED:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_later, UNWIND_SECONDS, self._kill_if, run)

    def kill(self) -> None:
        """End it where it stands."""
        self._started.wait()
        if self._process.pid is not None:
            self._process.kill()

    def _kill_if(self, run: _Run) -> None:
        if self._run is run:
            self.kill()

    def _write(self, theirs: Any) -> None:
        try:
            self._process.start()
        except Exception:
            log.exception("a process could not be started")
        finally:
            theirs.close()
            self._started.set()
        with contextlib.suppress(OSError):
            while (message := self._outbox.get()) is not None:
                self._pipe.send_bytes(encode(message))

    def _read(self) -> None:
        self._started.wait()
        with contextlib.suppress(EOFError, OSError):
            while self._pipe.poll(LOOK_EVERY) or self._process.is_alive():
                if self._pipe.poll():
                    self._hear(read_to_worker(self._pipe.recv_bytes()))
        self.kill()
        if self._process.pid is not None:
            self._process.join()
        with self._lock:
            self.dead = True
        self._end(f"exit code {self._process.exitcode}")
        self._outbox.put(None)

    def _hear(self, message: ToWorker) -> None:
        if isinstance(message, Ready):
            self._ready = True
            return
        run = self._run
        if run is None or run.number != message.run:
            return  # a thread that a handler left behind
        match message:
            case Done():
                self._end(message)
            case Ask():
                run.hold.start(partial(self._answer, run, message), run.hold.around)
            case Pause():
                pause = run.hold.pause(float("inf") if message.seconds is None else message.seconds)
                pause.add_done_callback(lambda _: self._outbox.put(Answered(run.number, message.number)))
            case Put() | Get():
                run.hold.start(partial(self._carry, run, message))
            case Note():
                if message.progress is not None:
                    run.hold.progress(message.progress)
                for line in message.lines:
                    run.hold.log(line)

    async def _answer(self, run: _Run, ask: Ask) -> None:
        hold = run.hold
        answer = error = None
        try:
            answer = await run_there(hold.telling(unpack(ask.kind, ask.report)))
        except (Suspended, LeaseLost):
            assert hold.end is not None, "that is what they say"
            self._outbox.put(Unwind(run.number, hold.end))
        except Exception as raised:  # noqa: BLE001  it is raised in the handler
            error = pack_error(raised)
        self._outbox.put(Answered(run.number, ask.number, answer, error=error))

    async def _carry(self, run: _Run, message: Put | Get) -> None:
        assert run.artifacts is not None, "nobody asks without"
        assert run.folder is not None, "nobody asks without"
        answered = Answered(run.number, message.number)
        try:
            if isinstance(message, Put):
                answered.ref = await asyncio.to_thread(keep, run.artifacts, message.parcel)
            else:
                answered.parcel = await asyncio.to_thread(fetch, run.artifacts, message.execution_id, message.id, run.folder)
        except Exception as raised:  # noqa: BLE001  it is raised in the handler
            answered.error = pack_error(raised)
        self._outbox.put(answered)

    def _end(self, done: Done | str) -> None:
        with self._lock:
            run, self._run = self._run, None
        if run is None:
            return
        if isinstance(done, str) and not self._ready:
            log.error("a process ended before it began: a script that starts a worker does so under `if __name__ == '__main__':`")
        with contextlib.suppress(RuntimeError):
            run.ended(done)
