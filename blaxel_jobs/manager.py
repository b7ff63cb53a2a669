"""JobManager: the engine and a worker in this process. The same `Job` and `Execution` as over HTTP, on a seam without any."""

import asyncio
import atexit
import concurrent.futures
import contextlib
import enum
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Self, TypeVar, overload

import anyio
import msgspec

from . import system
from .client import models
from .config import Settings
from .core.ports import Clock
from .core.reading import check_size
from .define import I, JobDef, O
from .driving import drive, serve_for
from .engine import Engine, LocalLeases
from .engine.hooks import Happening, Listener
from .errors import StoreError, UnknownJob, WouldDeadlock
from .execution import Execution
from .flow import LOOK, Op, Peer
from .jobs import Job, Jobs
from .plain import check_arguments, check_body
from .stores import JobStore, open_store
from .words import WaitingFor
from .worker import Worker
from .worker.current import current
from .worker.worker import CLEANUP, DEFAULT_GRACE, DEFAULT_SLOTS

__all__ = ["Happening", "JobManager"]

L = TypeVar("L", bound=Listener)

QUIET: Final = 15.0
"""Seconds without a change after which a stream gives a sign of life."""
WORKSPACE: Final = "default"
"""In process there are no keys, so there is one workspace."""
_LETS_RUN: Final = frozenset(
    {
        "create_job_execution", "create_batch", "start_execution", "resume_execution", "retry_execution", "rerun_execution",
        "send_execution_event",
    }
)  # fmt: skip
"""After these there is something to do."""


class LocalSeam:
    """Performs the flows' operations on an engine in this process."""

    retries = 0
    """Nothing lies between, so nothing passes by itself."""

    def __init__(
        self,
        engine: Engine,
        check_open: Callable[[], None],
        check_job: Callable[[str], None],
        serve: Callable[[], None],
        before_wait: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._check_open = check_open
        self._check_job = check_job
        self._serve = serve
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
        self._serve()
        async with aclosing(self._stream(op)) as batches:
            async for views in batches:
                yield [_read(op, view) for view in views]

    def _stream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        given = op.arguments
        if op.id == "stream_execution_events":
            return self._engine.events(WORKSPACE, given.get("job"), given["execution_id"], given.get("after", 0), QUIET)
        return self._engine.watch(WORKSPACE, given["body"].to_dict(), QUIET)

    def _arguments(self, op: Op) -> Mapping[str, Any]:
        """As plain data: what HTTP would carry, and nothing else."""
        self._check_open()
        given: Mapping[str, Any] = op.arguments
        check_arguments(given)
        body = given.get("body")
        if op.id == "create_job_execution":
            self._check_job(given["job"])
        elif op.id == "create_batch":
            for item in given["body"].items:
                self._check_job(item.job)
        if op.id in _LETS_RUN or given.get("prefer", LOOK) != LOOK:
            self._serve()
        if body is None:
            return given
        plain = body.to_dict()
        check_body(plain)
        check_size(plain)
        return {**given, "body": plain}


def _read(op: Op, view: Mapping[str, Any] | None) -> Any:
    if view is None:
        return None
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

    The worker starts with the first call that lets something run, or waits for it, in a thread of its own; within `with` as soon as
    there is a job to serve, so that what an earlier process left goes on. Within `async with` it runs in the caller's event loop.
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
        self._clock = clock
        self._leases = LocalLeases(self._engine, [WORKSPACE], new_id())
        self._worker = Worker(self._leases, slots=slots, simulate=simulate, clock=clock, rng=system.rng) if worker else None
        super().__init__(LocalSeam(self._engine, self._check_open, self._check_job, self._begin_serving, self._before_wait))
        self._simulate = simulate
        self._grace = grace
        self._state = _State.NEW
        self._changing = threading.Lock()
        """Held by who changes the state, and for as long as that takes."""
        self._entered = False
        """Within `with`: what is registered is served at once."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """The caller's loop, where the worker runs in it."""
        self._engine.start()
        atexit.register(self.close)

    @overload
    def register(self, definition: JobDef[I, O], /) -> Job[I, O]: ...
    @overload
    def register(self, definition: JobDef[Any, Any], /, *more: JobDef[Any, Any]) -> tuple[Job[Any, Any], ...]: ...
    def register(self, definition: JobDef[Any, Any], /, *more: JobDef[Any, Any]) -> Job[Any, Any] | tuple[Job[Any, Any], ...]:
        """Serve these jobs here; returns a handle for each, with the types of its definition. The same definition twice is one.

        Raises ConfigError when a name has another definition here already.
        """
        self._check_open()
        definitions = (definition, *more)
        if self._worker is None:
            self._engine.register(definitions, [WORKSPACE])
        else:
            self._worker.add(*definitions)
        if self._entered:
            self._begin_serving()
        handles = tuple(self.job(each) for each in definitions)
        return handles if more else handles[0]

    def on(self, event: str, listener: L) -> L:
        """Call `listener` with a Happening for every event of this type that is committed in this process; returns it.

        event: completed, failed or cancelled for the end of an execution, the type of an event such as `task.retrying`, or `*`.
        Listeners are called in order, in a thread of their own; what they raise is logged and harms nothing.
        Raises ValueError for an event that there is not, TypeError for what is no plain function.
        """
        return self._engine.hooks.on(event, listener)

    def drive(self, execution_id: str, max_runtime: float | None = None) -> Execution[Any]:
        """Run the tasks of this execution here and now, whoever else serves its job; one that waits for its start is started.

        Returns it once it has ended, or has nothing that can run now (a sleep, a retry, a pause), or after `max_runtime` seconds:
        then its handlers stop at their next step, or where they are a second later, and it goes on with the next call, in this
        process or another. Raises NotFound, and LeaseHeld when another worker runs it.
        """
        self._before_wait()
        execution = self.get_execution(execution_id)
        if execution.waiting_for == WaitingFor.START:
            self._engine.call("start_execution", WORKSPACE, {"execution_id": execution_id})

        def serve(seconds: float | None) -> int:
            return self._serve(DEFAULT_SLOTS, execution=execution_id, until_idle=True, max_runtime=seconds)

        drive(self._engine, WORKSPACE, execution_id, max_runtime, serve, beside=self._leases.worker)
        return self.get_execution(execution_id)

    async def adrive(self, execution_id: str, max_runtime: float | None = None) -> Execution[Any]:
        """As `drive`, in a thread of its own: async handlers run in a loop of that."""
        return await anyio.to_thread.run_sync(lambda: self.drive(execution_id, max_runtime))

    def work(
        self,
        *,
        jobs: Sequence[str] | None = None,
        queues: Sequence[str] | None = None,
        slots: int = DEFAULT_SLOTS,
        until_idle: bool = False,
        max_runtime: float | None = None,
    ) -> int:
        """Serve the jobs that are registered here in the caller's time: these of them, or those of these queues. For managers with
        `worker=False`, in a process that only works.

        Returns how many tasks were run, after `max_runtime` seconds, or with `until_idle` once nothing can be claimed now.
        """
        self._before_wait()
        return self._serve(slots, jobs=jobs, queues=queues, until_idle=until_idle, max_runtime=max_runtime)

    async def awork(
        self,
        *,
        jobs: Sequence[str] | None = None,
        queues: Sequence[str] | None = None,
        slots: int = DEFAULT_SLOTS,
        until_idle: bool = False,
        max_runtime: float | None = None,
    ) -> int:
        """As `work`, in a thread of its own."""
        return await anyio.to_thread.run_sync(
            lambda: self.work(jobs=jobs, queues=queues, slots=slots, until_idle=until_idle, max_runtime=max_runtime)
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[dict[str, Any], None]:
        """For a web app: `Starlette(lifespan=manager.lifespan)`. The worker runs in the app's loop and ends with it; handlers of
        requests find the manager at `request.state.jobs`."""
        async with self:
            yield {"jobs": self}

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
        self._entered = True
        self._begin_serving()
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

    def _serve(
        self,
        slots: int,
        *,
        jobs: Sequence[str] | None = None,
        queues: Sequence[str] | None = None,
        execution: str | None = None,
        until_idle: bool,
        max_runtime: float | None,
    ) -> int:
        here = self._engine.definitions.all_here()
        served = [each for each in here if jobs is None or each.name in jobs]
        unknown = sorted(set(jobs or ()) - {each.name for each in served})
        if unknown:
            raise UnknownJob(f"no handler of the job {unknown[0]!r} is registered here", path="job")
        return serve_for(
            self._engine, [WORKSPACE], served, clock=self._clock, rng=system.rng, slots=slots, simulate=self._simulate,
            execution=execution,
            queues=queues, until_idle=until_idle, max_runtime=max_runtime,
        )  # fmt: skip

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

    def _check_job(self, job: str) -> None:
        if not (self._simulate or self._engine.knows(job)):
            raise UnknownJob(f"no handler of the job {job!r} is registered here: call register() with its definition", path="job")

    def _begin_serving(self) -> None:
        """Not where there is nothing to serve: a manager that only looks needs no worker."""
        served = self._simulate or self._engine.definitions.all_here()
        if self._state is _State.NEW and self._worker is not None and served:
            with self._changing:
                self._check_open()
                if self._state is _State.NEW:
                    self._worker.start()
                    self._state = _State.SERVING
