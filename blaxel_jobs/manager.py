"""JobManager: the engine and a worker in this process. The same `Job` and `Execution` as over HTTP, on a seam without any."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import enum
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, Self, overload

import anyio
import msgspec

from . import system
from .client import models
from .config import Settings
from .core.ports import Clock
from .define import JobDef
from .engine import Engine, LocalLeases
from .errors import StoreError, UnknownJob, WouldDeadlock
from .flow import LOOK, Op, Peer
from .jobs import Job, Jobs
from .plain import check_body
from .stores import JobStore, open_store
from .worker import Worker
from .worker.context import current
from .worker.worker import CLEANUP, DEFAULT_GRACE, DEFAULT_SLOTS

QUIET: Final = 15.0
"""Seconds without a change after which a stream gives a sign of life."""
WORKSPACE: Final = "default"
"""In process there are no keys, so there is one workspace."""


class LocalSeam:
    """Performs the flows' operations on an engine in this process."""

    retries = 0
    """Nothing lies between, so nothing passes by itself."""

    def __init__(
        self, engine: Engine, check_open: Callable[[], None], before_create: Callable[[str], None], before_wait: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._check_open = check_open
        self._before_create = before_create
        self._before_wait = before_wait
        self.monotonic = engine.clock.monotonic
        self.random = system.rng.random
        self.new_key = system.new_key
        self.asleep = anyio.sleep

        self.peer = Peer(contract=True)

    def perform(self, op: Op) -> Any:
        """Raises as the engine does."""
        if op.arguments.get("prefer", LOOK) != LOOK:
            self._before_wait()
        return _read(op, self._engine.call(op.id, WORKSPACE, self._arguments(op)))

    async def aperform(self, op: Op) -> Any:
        return _read(op, await self._engine.acall(op.id, WORKSPACE, self._arguments(op)))

    def sleep(self, seconds: float) -> None:
        self._before_wait()
        system.sleep(seconds)

    async def astream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        """In the event loop of asyncio in which it is iterated over."""
        self._check_open()
        async with aclosing(self._engine.watch(WORKSPACE, op.arguments["body"].to_dict(), QUIET)) as batches:
            async for views in batches:
                yield [_read(op, view) for view in views]

    def _arguments(self, op: Op) -> Mapping[str, Any]:
        """As plain data: what HTTP would carry, and nothing else."""
        self._check_open()
        body = op.arguments.get("body")
        if body is None:
            return op.arguments
        if op.id == "create_job_execution":
            self._before_create(op.arguments["job"])
        plain = body.to_dict()
        check_body(plain)
        return {**op.arguments, "body": plain}


def _read(op: Op, view: Mapping[str, Any]) -> Any:
    return getattr(models, op.model).from_dict(msgspec.json.decode(msgspec.json.encode(view)))


class _State(enum.Enum):
    NEW = "new"
    SERVING = "serving"
    """The worker was started, or is being stopped."""
    CLOSED = "closed"


class JobManager(Jobs):
    """Jobs in this process: an engine over a store, and a worker for the jobs that are registered here.

        manager = JobManager("sqlite:///jobs.db")
        job = manager.register(word_count)
        print(job.trigger({"text": "to be"}).get_result())

    store: a URL (`memory:`, `sqlite:///jobs.db`), a JobStore, which stays open when the manager is closed, or None for what
    `settings` say. A MemoryJobStore has one manager at a time. worker: False runs nothing here.
    simulate: jobs without a definition are run by the built-in handler instead of being refused. slots: tasks that run at once.

    The worker starts with the first execution, in a thread of its own; within `async with` it runs in the caller's event loop.
    `close`, leaving `with` and the end of the process let running tasks end for `grace` seconds, then give them back to the store.
    Threads may share a manager, and processes that are forked from this one may not: there every call raises StoreError, as it does
    after `close`. Raises ConfigError, StoreError.
    """

    def __init__(
        self,
        store: str | JobStore | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        worker: bool = True,
        simulate: bool = False,
        slots: int = DEFAULT_SLOTS,
        grace: float = DEFAULT_GRACE,
    ) -> None:
        settings = settings or Settings()
        owns_store = store is None or isinstance(store, str)
        if store is None or isinstance(store, str):
            store = open_store(store or settings.store, table_prefix=settings.table_prefix)
        clock = clock or system.SystemClock()
        new_id = system.id_factory()
        self._engine = Engine(
            store, clock=clock, new_id=new_id, rng=system.rng, lease=settings.lease,
            heartbeat=settings.heartbeat, max_recoveries=settings.max_recoveries, simulate=simulate, owns_store=owns_store,
        )  # fmt: skip
        self._leases = LocalLeases(self._engine, [WORKSPACE], new_id())
        self._worker = Worker(self._leases, slots=slots, simulate=simulate, clock=clock) if worker else None
        super().__init__(LocalSeam(self._engine, self._check_open, self._before_create, self._before_wait))
        self._simulate = simulate
        self._grace = grace
        self._state = _State.NEW
        self._changing = threading.Lock()
        """Held by who changes the state, and for as long as that takes."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The caller's loop, where the worker runs in it."""
        self._engine.start()
        atexit.register(self.close)

    @overload
    def register(self, definition: JobDef[Any], /) -> Job: ...
    @overload
    def register(self, definition: JobDef[Any], /, *more: JobDef[Any]) -> tuple[Job, ...]: ...
    def register(self, definition: JobDef[Any], /, *more: JobDef[Any]) -> Job | tuple[Job, ...]:
        """Serve these jobs here; returns a handle for each. The same definition twice is one.

        Raises ConfigError when a name has another definition here already.
        """
        self._check_open()
        definitions = (definition, *more)
        if self._worker is None:
            self._engine.register(definitions)
        else:
            self._worker.add(*definitions)
        handles = tuple(self.job(each.name) for each in definitions)
        return handles if more else handles[0]

    def close(self) -> None:
        """Stop the worker and close the store, if it is the manager's own. Twice does no harm; the second call waits for the first.

        Raises WouldDeadlock in a handler of this manager, which would be waited for, and in the loop that the worker runs in.
        """
        if self._engine.forked:
            return
        self._check_closer()
        if self._in_worker_loop():
            raise WouldDeadlock("close() would block the event loop that the worker runs in: use `await manager.aclose()`")
        with self._changing:
            if self._state is not _State.CLOSED:
                self._stop()
                self._state = _State.CLOSED
                self._engine.close()
        atexit.unregister(self.close)

    async def aclose(self) -> None:
        """As `close`, for a manager that was entered with `async with`."""
        self._check_closer()
        await anyio.to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        with self._changing:
            self._check_open()
            if self._worker is None or self._state is _State.SERVING:
                return self
            self._state, self._loop = _State.SERVING, asyncio.get_running_loop()
        try:
            await self._worker.astart()
        except BaseException:
            self._state, self._loop = _State.NEW, None
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _stop(self) -> None:
        if self._worker is None or self._state is _State.NEW:
            return
        if self._loop is None:
            self._worker.stop(self._grace)
        elif self._loop.is_running():
            stopped = asyncio.run_coroutine_threadsafe(self._worker.astop(self._grace), self._loop)
            # A loop that ends meanwhile takes the worker with it, and its leases run out.
            with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
                stopped.result(self._grace + 2 * CLEANUP)

    def _check_open(self) -> None:
        """Raise StoreError where nothing can be done here any more. Not Unavailable, which a wait would survive, in vain."""
        self._engine.check_process()
        if self._state is _State.CLOSED:
            raise StoreError("this JobManager is closed")

    def _check_closer(self) -> None:
        task = current.get(None)
        if task is not None and self._worker is not None and any(task is one for one in self._worker.contexts):
            raise WouldDeadlock("a handler cannot close the JobManager that runs it: close() waits until handlers have ended")

    def _before_wait(self) -> None:
        if self._in_worker_loop():
            raise WouldDeadlock(
                "this wait would block the event loop that runs the handlers: use the async form (await_done, aget_result, ...)"
            )

    def _in_worker_loop(self) -> bool:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return False
        return running is self._loop or running is self._leases.loop

    def _before_create(self, job: str) -> None:
        if not (self._simulate or self._engine.knows(job)):
            raise UnknownJob(f"no handler of the job {job!r} is registered here: call register() with its definition", path="job")
        if self._state is _State.NEW and self._worker is not None:
            with self._changing:
                self._check_open()
                if self._state is _State.NEW:
                    self._worker.start()
                    self._state = _State.SERVING
