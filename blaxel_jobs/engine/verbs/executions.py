"""Executions: created, read, listed."""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ...core.paging import check_limit, read_cursor, write_cursor
from ...core.reading import check_job
from ...core.records import Execution, Task
from ...core.requests import Create, check_durations, read_create, read_ids, read_rerun, read_statuses
from ...core.views import (
    View,
    created_view,
    event_view,
    page_view,
    runner_view,
    status_view,
    step_view,
    summary_view,
    task_view,
)
from ...errors import ConfigError, IdempotencyConflict, InvalidRequest
from ...stores.base import Position, Where
from ..commands import CreateExecution
from ..effects import Created
from ..scope import no_such_execution
from .asking import Asked, Commit, Read, Verb, find, shown

if TYPE_CHECKING:
    from ..engine import Engine

MAX_OFFSET: Final = 1_000_000_000


def create_job_execution(engine: "Engine", workspace: str, *, job: str, body: Any, idempotency_key: str | None = None) -> Verb:
    create = read_create(workspace, job, body, idempotency_key)
    if engine.simulates(job):
        check_durations(create.inputs, create.spec.single)
    return (yield from _create(engine, create))


def rerun_execution(
    engine: "Engine", workspace: str, *, execution_id: str, body: Any, job: str | None = None, idempotency_key: str | None = None
) -> Verb:
    rerun = read_rerun(body, idempotency_key)
    execution = yield from find(engine, workspace, job, execution_id)
    inputs = yield from _inputs(engine, execution)
    return (yield from _create(engine, rerun.create(execution, inputs)))


def get_runner_tasks(engine: "Engine", workspace: str, *, execution_id: str) -> Verb:
    execution = yield from find(engine, workspace, None, execution_id)
    inputs = yield from _inputs(engine, execution)
    return runner_view(inputs)


def get_data_url(_engine: "Engine", _workspace: str, **_arguments: object) -> Verb:
    yield from ()
    raise ConfigError("a data URL is a server's, and here is none: run `blaxel-jobs serve` on the same store")


def _inputs(engine: "Engine", execution: Execution) -> Generator[Asked, Any, list[str]]:
    inputs: list[str] = []
    while len(inputs) < execution.total:
        read = partial(engine.store.tasks, execution.workspace, execution.seq, len(inputs) - 1, execution.total, results=False)
        tasks: list[Task] = yield Read(read)
        if not tasks:  # deleted meanwhile
            raise no_such_execution(None, execution.id)
        inputs += [task.input for task in tasks]
    return inputs


def _create(engine: "Engine", create: Create) -> Generator[Asked, Any, View]:
    created: Created = yield Commit(CreateExecution(create))
    if created.disposition == "existing":
        yield from check_same(engine, create, created.execution)
    return created_view(created.execution, created.disposition, engine.waiting_for(created.execution))


def check_same(engine: "Engine", create: Create, existing: Execution) -> Generator[Asked, Any, None]:
    """Raise IdempotencyConflict unless the existing execution is what this create asks for."""
    read = partial(engine.store.tasks, create.workspace, existing.seq, limit=existing.total, results=False)
    after, same = -1, True
    while same and after + 1 < existing.total:
        tasks = yield Read(partial(read, after))
        same = bool(tasks) and create.made(existing, tasks)
        after += len(tasks)
    if not same:
        by_id = existing.id == create.execution_id
        what = f"execution id {existing.id!r}" if by_id else f"idempotency key {create.idempotency_key!r}"
        path = "executionId" if by_id else "idempotencyKey"
        raise IdempotencyConflict(f"the {what} was used before with another body", path=path)


def get_job_execution(engine: "Engine", workspace: str, *, job: str, execution_id: str, prefer: str | None = None) -> Verb:
    execution = yield from find(engine, workspace, job, execution_id, prefer)
    return (yield from shown(engine, execution))


def get_execution(
    engine: "Engine", workspace: str, *, execution_id: str, job: str | None = None, prefer: str | None = None
) -> Verb:
    execution = yield from find(engine, workspace, job, execution_id, prefer)
    return (yield from shown(engine, execution))


def get_job_execution_status(engine: "Engine", workspace: str, *, job: str, execution_id: str, prefer: str | None = None) -> Verb:
    execution = yield from find(engine, workspace, job, execution_id, prefer)
    return status_view(execution, engine.waiting_for(execution))


def get_execution_statuses(engine: "Engine", workspace: str, *, body: Any) -> Verb:
    ids = read_ids(body)
    found: list[Execution] = yield Read(lambda: engine.store.get(workspace, list(dict.fromkeys(ids))))
    by_id = {execution.id: execution for execution in found}
    return {"data": [engine.update(id, by_id.get(id)) for id in ids]}


def list_job_executions(
    engine: "Engine", workspace: str, *, job: str, limit: int | None = None, offset: int | None = None, cursor: str | None = None
) -> Verb:
    check_job(job)
    return (yield from _list(engine, workspace, Where(job=job), f"executions {workspace} {job}", limit, offset, cursor))


def list_executions(
    engine: "Engine",
    workspace: str,
    *,
    job: str | None = None,
    status: str | None = None,
    batch: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
    cursor: str | None = None,
) -> Verb:
    where = Where(
        job=None if job is None else check_job(job), statuses=None if status is None else read_statuses(status), batch=batch
    )
    query = f"executions {workspace} {job} {status} {batch}"
    return (yield from _list(engine, workspace, where, query, limit, offset, cursor))


def _list(
    engine: "Engine", workspace: str, where: Where, query: str, limit: int | None, offset: int | None, cursor: str | None
) -> Generator[Asked, Any, View]:
    limit, offset = check_limit(limit), check_offset(offset)
    if offset is not None and cursor is not None:
        raise InvalidRequest("send cursor or offset, not both", path="offset")
    position = Position(after=read_cursor(query, cursor)) if cursor is not None else Position(offset=offset or 0)
    rows: list[Execution] = yield Read(lambda: engine.store.page(workspace, where, position, limit + 1))
    listed = rows[:limit]
    data = [summary_view(execution, engine.waiting_for(execution)) for execution in listed]
    return page_view(data, write_cursor(query, listed[-1].seq) if len(rows) > limit else None)


def check_offset(offset: int | None) -> int | None:
    """The offset itself. Raises InvalidRequest."""
    if offset is not None and not 0 <= offset <= MAX_OFFSET:
        raise InvalidRequest(f"offset is 0 to {MAX_OFFSET}, not {offset}", path="offset")
    return offset


def list_job_execution_tasks(
    engine: "Engine", workspace: str, *, job: str, execution_id: str, limit: int | None = None, cursor: str | None = None
) -> Verb:
    limit = check_limit(limit)
    query = f"tasks {workspace} {execution_id}"
    after = read_cursor(query, cursor) if cursor is not None else -1
    execution = yield from find(engine, workspace, job, execution_id)
    rows: list[Task] = yield Read(lambda: engine.store.tasks(workspace, execution.seq, after, limit))
    waiting_for = engine.waiting_for(execution)
    data = [task_view(task, waiting_for) for task in rows]
    more = bool(rows) and rows[-1].index + 1 < execution.total
    return page_view(data, write_cursor(query, rows[-1].index) if more else None)


def list_job_execution_events(
    engine: "Engine", workspace: str, *, job: str, execution_id: str, limit: int | None = None, cursor: str | None = None
) -> Verb:
    limit = check_limit(limit)
    query = f"events {workspace} {execution_id}"
    after = read_cursor(query, cursor) if cursor is not None else 0
    execution = yield from find(engine, workspace, job, execution_id)
    rows = yield Read(lambda: engine.store.events(workspace, execution.seq, after, limit + 1))
    data = [event_view(event) for event in rows[:limit]]
    return page_view(data, write_cursor(query, rows[limit - 1].id) if len(rows) > limit else None)


def list_execution_steps(
    engine: "Engine",
    workspace: str,
    *,
    execution_id: str,
    job: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Verb:
    limit = check_limit(limit)
    query = f"steps {workspace} {execution_id}"
    offset = read_cursor(query, cursor) if cursor is not None else 0
    execution = yield from find(engine, workspace, job, execution_id)
    rows = yield Read(lambda: engine.store.steps(workspace, execution.seq, offset, limit + 1))
    data = [step_view(task, step) for task, step in rows[:limit]]
    return page_view(data, write_cursor(query, offset + limit) if len(rows) > limit else None)
