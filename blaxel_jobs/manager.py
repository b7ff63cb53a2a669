"""JobManager: the engine and a worker in this process. The same `Job` and `Execution` as over HTTP, on a seam without any."""

import atexit
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, Unpack, overload

import anyio
import msgspec

from . import system
from .client import models
from .config import Settings
from .core.ports import Clock
from .define import JobDef
from .engine import Engine, LocalLeases
from .errors import InvalidRequest, NotSerializable, UnknownJob
from .execution import Execution
from .flow import CreateOptions, Op
from .jobs import Job
from .plain import check_plain
from .stores import JobStore, open_store
from .worker import Worker
from .worker.worker import DEFAULT_GRACE, DEFAULT_SLOTS

WORKSPACE: Final = "default"
"""In process there are no keys, so there is one workspace."""


class LocalSeam:
    """Performs the flows' operations on an engine in this process."""

    retries = 0
    """Nothing lies between, so nothing passes by itself."""

    def __init__(self, engine: Engine, before_create: Callable[[str], None]) -> None:
        self._engine = engine
        self._before_create = before_create
        self.monotonic = engine.clock.monotonic
        self.random = system.rng.random
        self.new_key = system.new_key
        self.sleep = system.sleep
        self.asleep = anyio.sleep

    def perform(self, op: Op) -> Any:
        return _read(op, self._engine.call(op.id, WORKSPACE, self._arguments(op)))

    async def aperform(self, op: Op) -> Any:
        return _read(op, await self._engine.acall(op.id, WORKSPACE, self._arguments(op)))

    def _arguments(self, op: Op) -> Mapping[str, Any]:
        """As plain data: what HTTP would carry, and nothing else."""
        body = op.arguments.get("body")
        if body is None:
            return op.arguments
        self._before_create(op.arguments["job"])
        plain = body.to_dict()
        try:
            check_plain(plain)
        except NotSerializable as error:
            raise InvalidRequest(str(error)) from None
        return {**op.arguments, "body": plain}


def _read(op: Op, view: Mapping[str, Any]) -> Any:
    return getattr(models, op.model).from_dict(msgspec.json.decode(msgspec.json.encode(view)))


class JobManager:
    """Jobs in this process: an engine over a store, and a worker for the jobs that are registered here.

        manager = JobManager("sqlite:///jobs.db")
        job = manager.register(word_count)
        print(job.trigger({"text": "to be"}).get_result())

    store: a URL (`memory:`, `sqlite:///jobs.db`), a JobStore, or None for what `settings` say. worker: False runs nothing here.
    simulate: jobs without a definition are run by the built-in handler instead of being refused. slots: tasks that run at once.

    The worker starts with the first execution, in a thread of its own; within `async with` it runs in the caller's event loop.
    `close`, leaving `with` and the end of the process let running tasks end for `grace` seconds, then give them back to the store.
    Raises ConfigError, StoreError.
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
        if store is None or isinstance(store, str):
            store = open_store(store or settings.store, table_prefix=settings.table_prefix)
        clock = clock or system.SystemClock()
        new_id = system.id_factory()
        self._engine = Engine(
            store, clock=clock, new_id=new_id, rng=system.rng, lease=settings.lease,
            heartbeat=settings.heartbeat, max_recoveries=settings.max_recoveries, simulate=simulate,
        )  # fmt: skip
        leases = LocalLeases(self._engine, [WORKSPACE], new_id())
        self._worker = Worker(leases, slots=slots, simulate=simulate, clock=clock) if worker else None
        self._seam = LocalSeam(self._engine, self._before_create)
        self._simulate = simulate
        self._grace = grace
        self._starting = threading.Lock()
        self._serving = False
        self._in_loop = False
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
        definitions = (definition, *more)
        if self._worker is None:
            self._engine.register(definitions)
        else:
            self._worker.add(*definitions)
        handles = tuple(self.job(each.name) for each in definitions)
        return handles if more else handles[0]

    def job(self, name: str) -> Job:
        """The job of that name. No I/O. Raises ValueError for what is no job name."""
        return Job(name, self._seam)

    def trigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """Create an execution of one task that is given `payload`, and return it. Raises UnknownJob."""
        return self.job(job).trigger(payload, **options)

    async def atrigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """As `trigger`."""
        return await self.job(job).atrigger(payload, **options)

    def close(self) -> None:
        """Stop the worker and close the store. Twice does no harm."""
        atexit.unregister(self.close)
        with self._starting:
            serving, self._serving = self._serving, False
        if serving and self._worker is not None:
            self._worker.stop(self._grace)
        self._engine.close()

    async def aclose(self) -> None:
        """As `close`, for a manager that was entered with `async with`."""
        if self._in_loop and self._worker is not None:
            await self._worker.astop(self._grace)
        await anyio.to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        if self._worker is not None:
            self._in_loop = True
            await self._worker.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _before_create(self, job: str) -> None:
        if not (self._simulate or self._engine.knows(job)):
            raise UnknownJob(f"no handler of the job {job!r} is registered here: call register() with its definition", path="job")
        if not self._serving and not self._in_loop and self._worker is not None:
            with self._starting:
                if not self._serving:
                    self._worker.start()
                    self._serving = True
