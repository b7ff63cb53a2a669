"""`bl_job`, `Job` and `JobsClient`: typed one-liners over flows, each verb for sync and, with an `a` before its name, for async."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from . import config, flow, waiting, watch
from .define import check_job_name
from .errors import InvalidRequest
from .execution import Execution, succeeded
from .flow import CreateOptions, Flow, Seam, arun, run
from .paging import Page
from .streams import Stream
from .waiting import check_wait
from .watch import Update, check_ids
from .words import JobStatus

if TYPE_CHECKING:
    from .client.models import CreateJobExecutionRequest, JobExecution

__all__ = ["CreateOptions", "Execution", "ExecutionList", "Job", "Jobs", "JobsClient", "Page", "Stream", "Update", "bl_job"]

FAILED: Final = (JobStatus.FAILED, JobStatus.CANCELLED)


class ExecutionList(Page[Execution]):
    """One page of executions: a list that knows where the next page is."""


class _ForMany:
    """The verbs that take many ids: of a Job for its own executions, of Jobs for all."""

    _seam: Seam

    def get_execution_statuses(self, ids: Iterable[str]) -> list[Update]:
        """How each of them stands, in their order, 10,000 in a request. An id that there is not has the status `unknown`."""
        return run(self._seam, watch.get_statuses(self._seam, self._only(), check_ids(ids)))

    async def aget_execution_statuses(self, ids: Iterable[str]) -> list[Update]:
        """As `get_execution_statuses`."""
        return await arun(self._seam, watch.get_statuses(self._seam, self._only(), check_ids(ids)))

    def wait_for_executions(self, ids: Iterable[str], max_wait: float = 360, *, raise_on_failure: bool = False) -> list[Execution]:
        """Wait until all of them are done, and return them in the order of `ids`, also those that failed; on one connection.

        They have id, job, status, done and stats; for more call `refresh()` or `get_result()`. After `max_wait` seconds
        WaitTimeoutError is raised; the executions go on. `raise_on_failure` raises ExecutionFailed as soon as one failed or was
        cancelled. Raises NotFound for an id that there is not.
        """
        ids, ended = check_ids(ids), {}
        for execution in self.as_completed(ids, max_wait):
            ended[execution.id] = execution
            if raise_on_failure and execution.status in FAILED:
                succeeded(execution.refresh())
        return [ended[id] for id in ids]

    async def await_for_executions(
        self, ids: Iterable[str], max_wait: float = 360, *, raise_on_failure: bool = False
    ) -> list[Execution]:
        """As `wait_for_executions`. Cancelling the wait leaves the executions alone."""
        ids, ended = check_ids(ids), {}
        async for execution in self.as_completed(ids, max_wait):
            ended[execution.id] = execution
            if raise_on_failure and execution.status in FAILED:
                succeeded(await execution.arefresh())
        return [ended[id] for id in ids]

    def as_completed(self, ids: Iterable[str], max_wait: float = 360) -> Stream[Execution]:
        """Each of them once it is done, in the order in which they end, for `for` and `async for`; on one connection.

        They have id, job, status, done and stats; for more call `refresh()` or `get_result()`. Raises WaitTimeoutError when not all
        have ended `max_wait` seconds after the first step, and NotFound for an id that there is not.
        """
        ids = check_ids(ids)
        check_wait(max_wait, 0)
        return Stream(self._seam, lambda: watch.follow(self._seam, self._only(), ids, max_wait, self._ended))

    def watch(self, execution_id: str) -> Stream[Update]:
        """Each change of the execution, the first sight of it included, for `for` and `async for`; ends when it is done.

        Raises NotFound.
        """
        ids = check_ids([execution_id])
        return Stream(self._seam, lambda: watch.follow(self._seam, self._only(), ids, math.inf, _as_it_is, watch.PATIENCE))

    def _only(self) -> str | None:
        """The job whose executions are meant; None for those of any."""
        return None

    def _ended(self, update: Update) -> Execution | None:
        return Execution(self._seam, update, whole=False) if update.done else None


def _as_it_is(update: Update) -> Update:
    return update


class Job(_ForMany):
    """One job by its name: creates executions, finds them, waits for them. Making one does no I/O.

    Every verb raises RequestError (one class for each HTTP status) when it is refused, ConnectionFailed or RequestTimeout when no
    answer came, ContractError when the answer is not the contract.
    """

    def __init__(self, name: str, seam: Seam) -> None:
        """Raises ValueError for what is no job name."""
        self._name = check_job_name(name)
        self._seam = seam

    @property
    def name(self) -> str:
        return self._name

    def create_execution(self, request: "CreateJobExecutionRequest | Mapping[str, Any]", **options: Unpack[CreateOptions]) -> str:
        """Create an execution and return its id, once it is committed. A mapping has the contract's names.

        Raises InvalidRequest naming the field, IdempotencyConflict.
        """
        return run(self._seam, self._create(request, options)).id

    async def acreate_execution(
        self, request: "CreateJobExecutionRequest | Mapping[str, Any]", **options: Unpack[CreateOptions]
    ) -> str:
        """As `create_execution`."""
        return (await arun(self._seam, self._create(request, options))).id

    def run(
        self,
        tasks: Sequence[Mapping[str, Any]],
        env: Mapping[str, str] | None = None,
        memory: int | None = None,
        execution_id: str | None = None,
        allow_queue: bool | None = None,
    ) -> str:
        """Create an execution of `tasks`, one for each mapping, and return its id. `memory` is in MB."""
        options: CreateOptions = {"env": env, "memory": memory, "execution_id": execution_id, "allow_queue": allow_queue}
        return run(self._seam, self._create({"tasks": _tasks(tasks)}, options)).id

    async def arun(
        self,
        tasks: Sequence[Mapping[str, Any]],
        env: Mapping[str, str] | None = None,
        memory: int | None = None,
        execution_id: str | None = None,
        allow_queue: bool | None = None,
    ) -> str:
        """As `run`."""
        options: CreateOptions = {"env": env, "memory": memory, "execution_id": execution_id, "allow_queue": allow_queue}
        return (await arun(self._seam, self._create({"tasks": _tasks(tasks)}, options))).id

    def trigger(self, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """Create an execution of one task that is given `payload`, and return it."""
        return run(self._seam, self._create({"input": payload}, options))

    async def atrigger(self, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """As `trigger`."""
        return await arun(self._seam, self._create({"input": payload}, options))

    def get_execution(self, execution_id: str) -> Execution:
        """The execution with its first 100 tasks, and its results where they fit. Raises NotFound."""
        return run(self._seam, self._get(execution_id))

    async def aget_execution(self, execution_id: str) -> Execution:
        """As `get_execution`."""
        return await arun(self._seam, self._get(execution_id))

    def get_execution_status(self, execution_id: str) -> str:
        """Just the status: pending, running, paused, completed, failed or cancelled. Raises NotFound."""
        return run(self._seam, flow.get_execution_status(self._seam, self._name, execution_id))

    async def aget_execution_status(self, execution_id: str) -> str:
        """As `get_execution_status`."""
        return await arun(self._seam, flow.get_execution_status(self._seam, self._name, execution_id))

    def list_executions(self, limit: int | None = None, offset: int | None = None, cursor: str | None = None) -> ExecutionList:
        """One page of this job's executions, the newest first: 100 unless `limit` (1 to 1000) says otherwise."""
        return run(self._seam, self._list(limit, offset, cursor))

    async def alist_executions(
        self, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> ExecutionList:
        """As `list_executions`."""
        return await arun(self._seam, self._list(limit, offset, cursor))

    def wait_for_execution(
        self, execution_id: str, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False
    ) -> Execution:
        """Wait until the execution is done, and return it, also when it failed.

        After `max_wait` seconds WaitTimeoutError is raised; the execution goes on. Where the server cannot hold the answer until
        the end, it is asked again and again: fast at first, then every `interval` seconds. A server that is busy or cannot be
        reached is waited for too. `raise_on_failure` raises ExecutionFailed for one that failed or was cancelled.
        """
        return run(self._seam, self._wait(execution_id, max_wait, interval, raise_on_failure))

    async def await_for_execution(
        self, execution_id: str, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False
    ) -> Execution:
        """As `wait_for_execution`. Cancelling the wait leaves the execution alone."""
        return await arun(self._seam, self._wait(execution_id, max_wait, interval, raise_on_failure))

    def cancel_execution(self, execution_id: str) -> None:
        """End the execution for good. Raises NotFound, and IllegalTransition when it has completed or failed."""
        run(self._seam, flow.cancel_execution(self._seam, self._name, execution_id))

    async def acancel_execution(self, execution_id: str) -> None:
        """As `cancel_execution`."""
        await arun(self._seam, flow.cancel_execution(self._seam, self._name, execution_id))

    def __repr__(self) -> str:
        return f"<Job {self._name}>"

    def _only(self) -> str:
        return self._name

    def _create(self, request: "CreateJobExecutionRequest | Mapping[str, Any]", options: CreateOptions) -> Flow[Execution]:
        model = yield from flow.create_execution(self._seam, self._name, request, options)
        return Execution(self._seam, model, whole=False)

    def _get(self, execution_id: str) -> Flow[Execution]:
        return self._whole((yield from flow.get_execution(self._seam, self._name, execution_id)))

    def _list(self, limit: int | None, offset: int | None, cursor: str | None) -> Flow[ExecutionList]:
        answer = yield from flow.list_executions(self._seam, self._name, limit, offset, cursor)
        rows = [Execution(self._seam, model, whole=False) for model in answer.data]
        return ExecutionList(self._seam, rows, answer.meta, lambda following: self._list(limit, None, following))

    def _wait(self, execution_id: str, max_wait: float, interval: float, raise_on_failure: bool) -> Flow[Execution]:
        ended = yield from waiting.wait_for_execution(self._seam, self._name, execution_id, max_wait, interval, self._whole)
        return succeeded(ended) if raise_on_failure else ended

    def _whole(self, model: "JobExecution") -> Execution:
        return Execution(self._seam, model, whole=True)


class Jobs(_ForMany):
    """All jobs at one place: what JobsClient (over HTTP) and JobManager (in process) share."""

    def __init__(self, seam: Seam) -> None:
        self._seam = seam

    def job(self, name: str) -> Job:
        """The job of that name. No I/O. Raises ValueError for what is no job name."""
        return Job(name, self._seam)

    def trigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """Create an execution of one task of `job` that is given `payload`, and return it."""
        return self.job(job).trigger(payload, **options)

    async def atrigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution:
        """As `trigger`."""
        return await self.job(job).atrigger(payload, **options)


class JobsClient(Jobs):
    """Jobs over HTTP. What is not given comes from `configure()`, the environment and the settings file, read at the first call.

    Threads and event loops may share one. Raises ConfigError for a value that a setting cannot have.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        client_credentials: str | None = None,
        workspace: str | None = None,
        request_timeout: float | None = None,
        max_connections: int | None = None,
        connect_retries: int | None = None,
        seam: Seam | None = None,
    ) -> None:
        """`seam` performs the operations instead of HTTP, and knows where: nothing else is given with it."""
        options: config.Options = {
            "base_url": base_url, "api_key": api_key, "client_credentials": client_credentials, "workspace": workspace,
            "request_timeout": request_timeout, "max_connections": max_connections, "connect_retries": connect_retries,
        }  # fmt: skip
        config.check(**options)
        super().__init__(seam or _http(options))

    def close(self) -> None:
        """Give the sync connections back. The next call opens new ones."""
        close = getattr(self._seam, "close", None)
        if close is not None:
            close()

    async def aclose(self) -> None:
        """Give the sync connections and those of this event loop back."""
        aclose = getattr(self._seam, "aclose", None)
        if aclose is not None:
            await aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _tasks(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(tasks, Mapping):
        raise InvalidRequest("run() takes a list of tasks: run([{...}]), or trigger({...}) for one input", path="tasks")
    return [dict(task) if isinstance(task, Mapping) else task for task in tasks]


def bl_job(name: str) -> Job:
    """The job of that name at the server that the settings name: no I/O, no server and no key needed to make one.

    Raises ValueError for what is no job name.
    """
    return _process_client().job(name)


def _http(options: config.Options) -> Seam:
    from .transport import HttpSeam

    return HttpSeam(lambda: config.Settings(**options))


_process: tuple[object, JobsClient] | None = None


def _process_client() -> JobsClient:
    """One client for the process, and a new one once `configure()` or the environment changed."""
    global _process
    revision = config.revision()
    current = _process
    if current is None or current[0] != revision:
        current = _process = (revision, JobsClient())
    return current[1]
