"""`bl_job`, `Job` and `JobsClient`: typed one-liners over flows, each verb for sync and, with an `a` before its name, for async."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, Unpack, overload

from . import batch, config, verbs
from .batch import Batch
from .by_id import ExecutionVerbs
from .define import I, JobDef, O, check_job_name
from .errors import InvalidRequest
from .execution import Execution
from .figures import Figures, read_figures
from .flow import Flow, Seam, arun, run
from .options import CreateOptions, NewExecution
from .paging import Page
from .streams import Stream
from .watch import Update

if TYPE_CHECKING:
    from .client.models import CreateJobExecutionRequest

__all__ = [
    "Batch", "CreateOptions", "Execution", "ExecutionList", "Figures", "Job", "Jobs", "JobsClient", "NewExecution", "Page",
    "Stream", "Update", "bl_job",
]  # fmt: skip


class ExecutionList(Page[Execution[O]], Generic[O]):
    """One page of executions: a list that knows where the next page is."""


class Job(ExecutionVerbs[O], Generic[I, O]):
    """One job by its name: creates executions, finds them, waits for them. Making one does no I/O.

    Made with a definition it checks payloads before they are sent, and gives results as what the definition says that they are.
    Every verb raises RequestError (one class for each HTTP status) when it is refused, ConnectionFailed or RequestTimeout when no
    answer came, ContractError when the answer is not the contract.
    """

    def __init__(self, name: str, seam: Seam, definition: JobDef[I, O] | None = None) -> None:
        """Raises ValueError for what is no job name."""
        self._name = check_job_name(name)
        self._seam = seam
        self._definition = definition

    @property
    def name(self) -> str:
        return self._name

    def create_execution(self, request: "CreateJobExecutionRequest | Mapping[str, Any]", **options: Unpack[CreateOptions]) -> str:
        """Create an execution and return its id, once it is committed. A mapping has the contract's names.

        Raises InvalidRequest naming the field, IdempotencyConflict, and KeyInUse for `on_conflict="reject"`.
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

    def trigger(self, payload: I = None, **options: Unpack[CreateOptions]) -> Execution[O]:  # type: ignore[assignment]
        """Create an execution of one task that is given `payload`, and return it.

        Raises InvalidRequest, naming the place, for a payload that the job's definition does not take.
        """
        return run(self._seam, self._trigger(payload, options))

    async def atrigger(self, payload: I = None, **options: Unpack[CreateOptions]) -> Execution[O]:  # type: ignore[assignment]
        """As `trigger`."""
        return await arun(self._seam, self._trigger(payload, options))

    def trigger_many(self, payloads: Iterable[I], **options: Unpack[CreateOptions]) -> Batch[O]:
        """Create an execution for each payload, all of them or none, and return the batch. At most 10,000 at once.

        The options are those of each; `idempotency_key` is that of the batch. Raises InvalidRequest naming the item.
        """
        return run(self._seam, self._trigger_many(payloads, options))

    async def atrigger_many(self, payloads: Iterable[I], **options: Unpack[CreateOptions]) -> Batch[O]:
        """As `trigger_many`."""
        return await arun(self._seam, self._trigger_many(payloads, options))

    def list_executions(self, limit: int | None = None, offset: int | None = None, cursor: str | None = None) -> ExecutionList[O]:
        """One page of this job's executions, the newest first: 100 unless `limit` (1 to 1000) says otherwise."""
        return run(self._seam, self._list(limit, offset, cursor))

    async def alist_executions(
        self, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> ExecutionList[O]:
        """As `list_executions`."""
        return await arun(self._seam, self._list(limit, offset, cursor))

    def cancel_execution(self, execution_id: str) -> None:
        """End the execution for good. Raises NotFound, and IllegalTransition when it has completed or failed."""
        run(self._seam, self._act("cancel", execution_id))

    async def acancel_execution(self, execution_id: str) -> None:
        """As `cancel_execution`."""
        await arun(self._seam, self._act("cancel", execution_id))

    def stats(self) -> Figures:
        """Counts, waiting and running times, and what is left to do."""
        return run(self._seam, _figures_of(self._seam, self._name))

    async def astats(self) -> Figures:
        """As `stats`."""
        return await arun(self._seam, _figures_of(self._seam, self._name))

    def __repr__(self) -> str:
        return f"<Job {self._name}>"

    def _only(self) -> str:
        return self._name

    def _reader(self) -> Callable[[Any], O] | None:
        if self._definition is None:
            return None
        from .values import decode_output

        return partial(decode_output, self._definition.returns)

    def _checked(self, payload: Any) -> Any:
        if self._definition is None:
            return payload
        from .values import check_input

        return check_input(self._definition.accepts, payload)

    def _create(self, request: "CreateJobExecutionRequest | Mapping[str, Any]", options: CreateOptions) -> Flow[Execution[O]]:
        return self._made((yield from verbs.create_execution(self._seam, self._name, request, options)))

    def _trigger(self, payload: Any, options: CreateOptions) -> Flow[Execution[O]]:
        return (yield from self._create({"input": self._checked(payload)}, options))

    def _trigger_many(self, payloads: Iterable[Any], options: CreateOptions) -> Flow[Batch[O]]:
        if options.get("execution_id") is not None:
            raise InvalidRequest("execution_id names one execution, and this makes several", path="execution_id")
        if isinstance(payloads, Mapping | str | bytes):
            raise InvalidRequest(f"payloads is a list of payloads, not one {type(payloads).__name__}: use trigger", path="payloads")
        each: Any = {**options, "job": self._name, "idempotency_key": None}
        items = []
        for index, payload in enumerate(payloads):
            try:
                items.append({**each, "payload": self._checked(payload)})
            except InvalidRequest as error:
                path = f"payloads[{index}]{(error.path or '').removeprefix('input')}"
                raise InvalidRequest(f"payloads[{index}]: {error.message}", path=path) from None
        model = yield from verbs.create_batch(self._seam, items, options.get("idempotency_key"))
        return (yield from batch.made(self._seam, model, [self._name] * len(items), self._reader()))

    def _list(self, limit: int | None, offset: int | None, cursor: str | None) -> Flow[ExecutionList[O]]:
        answer = yield from verbs.list_executions(self._seam, self._name, limit, offset, cursor)
        rows = [self._made(model) for model in answer.data]
        return ExecutionList(self._seam, rows, answer.meta, lambda following: self._list(limit, None, following))


class Jobs(ExecutionVerbs[Any]):
    """All jobs at one place: what JobsClient (over HTTP) and JobManager (in process) share."""

    def __init__(self, seam: Seam) -> None:
        self._seam = seam

    @overload
    def job(self, name: str) -> Job[Any, Any]: ...
    @overload
    def job(self, name: JobDef[I, O]) -> Job[I, O]: ...
    def job(self, name: str | JobDef[I, O]) -> Job[I, O]:
        """The job of that name, or of a definition, whose types it has then. No I/O. Raises ValueError for what is no job name."""
        if isinstance(name, JobDef):
            return Job(name.name, self._seam, name)
        return Job(name, self._seam)

    @overload
    def trigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution[Any]: ...
    @overload
    def trigger(self, job: JobDef[I, O], payload: I = ..., **options: Unpack[CreateOptions]) -> Execution[O]: ...
    def trigger(self, job: Any, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution[Any]:
        """Create an execution of one task of `job`, a name or a definition, that is given `payload`, and return it."""
        return self.job(job).trigger(payload, **options)

    @overload
    async def atrigger(self, job: str, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution[Any]: ...
    @overload
    async def atrigger(self, job: JobDef[I, O], payload: I = ..., **options: Unpack[CreateOptions]) -> Execution[O]: ...
    async def atrigger(self, job: Any, payload: Any = None, **options: Unpack[CreateOptions]) -> Execution[Any]:
        """As `trigger`."""
        return await self.job(job).atrigger(payload, **options)

    def create_batch(
        self, items: Iterable[NewExecution], *, auto_start: bool = True, idempotency_key: str | None = None
    ) -> Batch[Any]:
        """Create executions of any jobs, all of them or none, and return the batch. At most 10,000 tasks at once.

        An item is a mapping: its `job`, its `payload` (or `tasks`), and the options of `trigger`. `auto_start=False` creates them
        without starting those that do not say otherwise. Raises InvalidRequest naming the item and the field.
        """
        return run(self._seam, self._create_batch(items, auto_start, idempotency_key))

    async def acreate_batch(
        self, items: Iterable[NewExecution], *, auto_start: bool = True, idempotency_key: str | None = None
    ) -> Batch[Any]:
        """As `create_batch`."""
        return await arun(self._seam, self._create_batch(items, auto_start, idempotency_key))

    def get_batch(self, batch_id: str) -> Batch[Any]:
        """The batch with its executions, as they stand. Raises NotFound."""
        return run(self._seam, batch.found(self._seam, batch_id))

    async def aget_batch(self, batch_id: str) -> Batch[Any]:
        """As `get_batch`."""
        return await arun(self._seam, batch.found(self._seam, batch_id))

    def list_executions(
        self,
        *,
        job: str | None = None,
        status: str | Iterable[str] | None = None,
        batch: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> ExecutionList[Any]:
        """One page of the executions of all jobs, the newest first: 100 unless `limit` (1 to 1000) says otherwise.

        Only those of `job`, with `status` (one or several) and of `batch` (its id), where these are given.
        """
        return run(self._seam, self._list(job, status, batch, limit, offset, cursor))

    async def alist_executions(
        self,
        *,
        job: str | None = None,
        status: str | Iterable[str] | None = None,
        batch: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> ExecutionList[Any]:
        """As `list_executions`."""
        return await arun(self._seam, self._list(job, status, batch, limit, offset, cursor))

    def cancel_execution(self, execution_id: str) -> Execution[Any]:
        """End the execution for good. Raises NotFound, and IllegalTransition when it has completed or failed."""
        return run(self._seam, self._act("cancel", execution_id))

    async def acancel_execution(self, execution_id: str) -> Execution[Any]:
        """As `cancel_execution`."""
        return await arun(self._seam, self._act("cancel", execution_id))

    @overload
    def stats(self) -> dict[str, Figures]: ...
    @overload
    def stats(self, job: str) -> Figures: ...
    @overload
    def stats(self, job: None) -> dict[str, Figures]: ...
    def stats(self, job: str | None = None) -> Figures | dict[str, Figures]:
        """Counts, waiting and running times, and what is left to do: of one job, or of all that there is something to say of."""
        return run(self._seam, self._stats(job))

    @overload
    async def astats(self) -> dict[str, Figures]: ...
    @overload
    async def astats(self, job: str) -> Figures: ...
    @overload
    async def astats(self, job: None) -> dict[str, Figures]: ...
    async def astats(self, job: str | None = None) -> Figures | dict[str, Figures]:
        """As `stats`."""
        return await arun(self._seam, self._stats(job))

    def _stats(self, job: str | None) -> Flow[Figures | dict[str, Figures]]:
        if job is not None:
            return (yield from _figures_of(self._seam, job))
        stats = yield from verbs.get_stats(self._seam, None)
        return {name: read_figures(model) for name, model in stats.jobs.additional_properties.items()}

    def _create_batch(self, items: Iterable[NewExecution], auto_start: bool, key: str | None) -> Flow[Batch[Any]]:
        listed: list[Mapping[str, Any]] = [*items]
        if not auto_start:
            listed = [{"auto_start": False, **item} if isinstance(item, Mapping) else item for item in listed]
        model = yield from verbs.create_batch(self._seam, listed, key)
        return (yield from batch.made(self._seam, model, [item["job"] for item in listed]))

    def _list(
        self,
        job: str | None,
        status: str | Iterable[str] | None,
        batch: str | None,
        limit: int | None,
        offset: int | None,
        cursor: str | None,
    ) -> Flow[ExecutionList[Any]]:
        words = status if status is None or isinstance(status, str) else ",".join(status)
        answer = yield from verbs.list_executions(self._seam, job, limit, offset, cursor, words, batch)
        rows = [self._made(model) for model in answer.data]
        more = partial(self._list, job, words, batch, limit, None)
        return ExecutionList(self._seam, rows, answer.meta, more)


def _figures_of(seam: Seam, job: str) -> Flow[Figures]:
    stats = yield from verbs.get_stats(seam, check_job_name(job))
    model = stats.jobs.additional_properties.get(job)
    return Figures() if model is None else read_figures(model)


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


def bl_job(name: str) -> Job[Any, Any]:
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


def __getattr__(name: str) -> Any:
    """`bl_start_job`, where the platform's SDK has it; loaded when it is asked for."""
    if name == "bl_start_job":
        from .runner import bl_start_job

        return bl_start_job
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
