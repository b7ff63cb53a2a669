"""The operations of the contract as flows: what is sent, what an answer means, and what is done when one is lost."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .errors import Conflict, ConnectionFailed, ContractError, IllegalTransition, JobsError, NotFound, RequestError
from .flow import OFFSET_CURSOR, PASSING, Flow, Op, Seam, Sleep, across_jobs, backoff, call, checked_id, given, ours
from .options import batch_item, create_body, for_platform, is_ours, rerun_body

if TYPE_CHECKING:
    from .client.models import (
        Batch,
        CreateJobExecutionOutput,
        CreateJobExecutionRequest,
        ExecutionStepList,
        JobExecution,
        JobExecutionEventList,
        JobExecutionList,
        JobExecutionTask,
        JobExecutionTaskList,
        Stats,
    )


def create_execution(
    seam: Seam, job: str, request: "CreateJobExecutionRequest | Mapping[str, Any]", options: Mapping[str, Any]
) -> "Flow[CreateJobExecutionOutput | JobExecution]":
    """Create an execution of `request` and the `options` that are set, which win. However often it is sent, it is created once.

    The platform knows no idempotency keys. There it is sent again only when it was not sent, or has an id of the caller's.
    """
    body = create_body(request, options)
    key = {} if body.idempotency_key else {"idempotency_key": seam.new_key()}
    if seam.peer.contract is None and seam.peer.doubtful and is_ours(body):
        yield from _settle(seam, job)
    tries = 0
    while True:
        arguments = {"job": job, "body": for_platform(body) if seam.peer.is_platform else body, **key}
        try:
            return (yield Op("create_job_execution", "CreateJobExecutionOutput", arguments))  # type: ignore[no-any-return]
        except PASSING as error:
            if tries >= seam.retries:
                raise
            lost = error
        except Conflict:
            # The platform has no keys: that the id is taken means that the try whose answer was lost has made it.
            if tries and seam.peer.is_platform and body.execution_id:
                return (yield from get_execution(seam, job, body.execution_id))
            raise
        unsent = isinstance(lost, ConnectionFailed) and not lost.sent
        tries = yield from _before_next_try(seam, job, lost, tries, harmless=unsent or bool(body.execution_id))


def _before_next_try(seam: Seam, job: str, lost: JobsError, tries: int, *, harmless: bool) -> Flow[int]:
    """Pause; the number of tries until now. Raises `lost` when a next one could create a second execution."""
    while True:
        yield Sleep(backoff(seam, lost, tries))
        tries += 1
        if harmless:
            return tries
        yield from _settle(seam, job)
        if seam.peer.contract:
            return tries
        if seam.peer.is_platform or tries >= seam.retries:
            raise lost


def _settle(seam: Seam, job: str) -> Flow[None]:
    """Ask for something harmless that both have, unless it is known whether the other side is the platform."""
    if seam.peer.contract is None:
        with suppress(ConnectionFailed, ContractError, RequestError):
            yield Op("get_job", "Job", {"job": job})


def get_execution(seam: Seam, job: str | None, execution_id: str, prefer: str | None = None) -> "Flow[JobExecution]":
    try:
        return (yield from call(seam, get_op(seam, job, execution_id, prefer)))  # type: ignore[no-any-return]
    except NotFound:
        if job is None and seam.peer.is_platform:
            raise across_jobs() from None
        raise


def get_op(seam: Seam, job: str | None, execution_id: str, prefer: str | None) -> Op:
    """The operation that reads an execution, of this job or of any. Raises InvalidRequest where it takes a job."""
    if job is None and seam.peer.is_platform:
        raise across_jobs()
    arguments = given(job=job, execution_id=checked_id(execution_id), prefer=prefer)
    return Op("get_execution" if job is None else "get_job_execution", "JobExecution", arguments)


_STATUS: Final = "get_job_execution_status"


def get_execution_status(seam: Seam, job: str, execution_id: str) -> Flow[str]:
    arguments = {"job": job, "execution_id": checked_id(execution_id)}
    if seam.peer.contract or _STATUS not in seam.peer.missing:
        try:
            return (yield from call(seam, Op(_STATUS, "JobExecutionStatus", arguments))).status  # type: ignore[no-any-return]
        except NotFound:
            if seam.peer.contract:
                raise
            # No such execution, or no such route: the platform has none.
            seam.peer.missing.add(_STATUS)
    return (yield from get_execution(seam, job, execution_id)).status


def cancel_execution(seam: Seam, job: str, execution_id: str) -> "Flow[JobExecution]":
    arguments = {"job": job, "execution_id": checked_id(execution_id)}
    return (yield from call(seam, Op("cancel_job_execution", "JobExecution", arguments)))  # type: ignore[no-any-return]


def act(seam: Seam, job: str | None, execution_id: str, verb: str) -> "Flow[JobExecution]":
    """Start, pause, resume, cancel or retry an execution, of this job or of any."""
    if verb == "cancel" and job is not None:
        return (yield from cancel_execution(seam, job, execution_id))
    op = Op(f"{verb}_execution", "JobExecution", given(job=job, execution_id=checked_id(execution_id)))
    # The others are answered alike the second time.
    acted = yield from ours(seam, f"{verb} an execution", op, IllegalTransition if verb == "retry" else None)
    return (yield from get_execution(seam, job, execution_id)) if acted is None else acted


def rerun_execution(seam: Seam, job: str | None, execution_id: str, options: Mapping[str, Any]) -> "Flow[CreateJobExecutionOutput]":
    """Create a new execution of the same work; once, however often it is sent."""
    body = rerun_body(options)
    key = None if body.idempotency_key else seam.new_key()
    arguments = given(job=job, execution_id=checked_id(execution_id), body=body, idempotency_key=key)
    op = Op("rerun_execution", "CreateJobExecutionOutput", arguments)
    return (yield from ours(seam, "rerun an execution", op))  # type: ignore[no-any-return]


def delete_execution(seam: Seam, job: str | None, execution_id: str, force: bool) -> Flow[None]:
    from .client.models import DeleteExecutionRequest

    body = DeleteExecutionRequest(force=True) if force else DeleteExecutionRequest()
    op = Op("delete_execution", "NoneType", given(job=job, execution_id=checked_id(execution_id), body=body))
    yield from ours(seam, "delete an execution", op, NotFound)


def send_event(seam: Seam, job: str | None, execution_id: str, name: str, payload: Any, event_id: str | None) -> Flow[str]:
    """What became of the event: taken, kept or existing."""
    from .client.models import SendExecutionEventRequest

    body = SendExecutionEventRequest(name=name, payload=payload, id=event_id or seam.new_key())
    op = Op("send_execution_event", "SendExecutionEventOutput", given(job=job, execution_id=checked_id(execution_id), body=body))
    return (yield from ours(seam, "send an event to an execution", op)).disposition  # type: ignore[no-any-return]


def create_batch(seam: Seam, items: Sequence[Mapping[str, Any]], idempotency_key: str | None) -> "Flow[Batch]":
    """Create many executions, all or none; once, however often it is sent."""
    from .client.models import CreateBatchRequest

    body = CreateBatchRequest(items=[batch_item(item, index) for index, item in enumerate(items)])
    arguments = {"body": body, "idempotency_key": idempotency_key or seam.new_key()}
    return (yield from ours(seam, "create a batch", Op("create_batch", "Batch", arguments)))  # type: ignore[no-any-return]


def get_batch(seam: Seam, batch_id: str) -> "Flow[Batch]":
    op = Op("get_batch", "Batch", {"batch_id": checked_id(batch_id, "batchId", "a batch id")})
    return (yield from ours(seam, "find a batch", op))  # type: ignore[no-any-return]


def get_stats(seam: Seam, job: str | None) -> "Flow[Stats]":
    return (yield from ours(seam, "count what its jobs did", Op("get_stats", "Stats", given(job=job))))  # type: ignore[no-any-return]


def list_executions(
    seam: Seam,
    job: str | None,
    limit: int | None,
    offset: int | None,
    cursor: str | None,
    status: str | None = None,
    batch: str | None = None,
) -> "Flow[JobExecutionList]":
    """One page, the newest first."""
    if cursor is not None and cursor.startswith(OFFSET_CURSOR) and seam.peer.is_platform:
        offset, cursor = int(cursor.removeprefix(OFFSET_CURSOR)), None
    arguments = given(job=job, limit=limit, offset=offset, cursor=cursor, status=status, batch=batch)
    if job is None or status is not None or batch is not None:
        if job is None and seam.peer.is_platform:
            raise across_jobs()
        op = Op("list_executions", "JobExecutionList", arguments)
        return (yield from ours(seam, "list executions of all jobs, or by status or batch", op))  # type: ignore[no-any-return]
    return (yield from call(seam, Op("list_job_executions", "JobExecutionList", arguments)))  # type: ignore[no-any-return]


def list_steps(seam: Seam, job: str | None, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[ExecutionStepList]":
    """One page, in the order in which they were stored."""
    arguments = given(job=job, execution_id=checked_id(execution_id), limit=limit, cursor=cursor)
    op = Op("list_execution_steps", "ExecutionStepList", arguments)
    return (yield from ours(seam, "list the steps of an execution", op))  # type: ignore[no-any-return]


def get_data_url(seam: Seam, job: str | None, execution_id: str) -> Flow[str]:
    """It answers the inputs without a key."""
    op = Op("get_data_url", "DataUrl", given(job=job, execution_id=checked_id(execution_id)))
    answer = yield from ours(seam, "make data URLs", op)
    return str(answer.url)


def list_tasks(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionTaskList]":
    """One page, in the order they were given."""
    arguments = given(job=job, execution_id=checked_id(execution_id), limit=limit, cursor=cursor)
    return (yield from call(seam, Op("list_job_execution_tasks", "JobExecutionTaskList", arguments)))  # type: ignore[no-any-return]


def list_events(seam: Seam, job: str, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[JobExecutionEventList]":
    """One page, the oldest first."""
    arguments = given(job=job, execution_id=checked_id(execution_id), limit=limit, cursor=cursor)
    return (yield from call(seam, Op("list_job_execution_events", "JobExecutionEventList", arguments)))  # type: ignore[no-any-return]


def all_tasks(seam: Seam, job: str, execution_id: str) -> "Flow[list[JobExecutionTask]]":
    """Every task, page by page."""
    tasks: list[JobExecutionTask] = []
    cursor: str | None = None
    while True:
        page = yield from list_tasks(seam, job, execution_id, None, cursor)
        tasks += page.data
        cursor = page.meta.next_cursor or None
        if not page.meta.has_more or cursor is None:
            return tasks
