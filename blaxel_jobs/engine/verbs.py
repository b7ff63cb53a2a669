"""The operations of the contract as the engine does them: generators that yield what they need, like the SDK's flows.

A verb yields `Commit` (write this, durably), `Read` (ask the store) and `Until` (wait for an execution to end), and returns the
view that the contract shows. `Engine.call` and `Engine.acall` drive it, for a thread and for an event loop. Nothing here knows of
HTTP.
"""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ..core.paging import check_limit, read_cursor, write_cursor
from ..core.records import Execution, Task
from ..core.requests import Create, check_durations, check_job, parse_prefer, read_create, read_ids
from ..core.views import View, created_view, event_view, execution_view, page_view, status_view, summary_view, task_view
from ..errors import IdempotencyConflict, InvalidRequest, NotFound
from ..stores.base import Position
from .batch import Created, no_such_execution
from .commands import CancelExecution, Command, CreateExecution

if TYPE_CHECKING:
    from .engine import Engine

SHOWN_TASKS: Final = 100
"""Tasks that a get carries."""
MAX_OFFSET: Final = 1_000_000_000
RESULT_TASKS: Final = 1000
"""Executions of at most so many tasks carry their results."""


class Commit(Struct, frozen=True):
    """Write this, durably; answers what the command answers."""

    command: Command


class Read(Struct, frozen=True):
    """Call this; it reads the store."""

    read: Callable[[], Any]


class Until(Struct, frozen=True):
    """Wait until the execution has ended, for at most so many seconds; answers it as it is then."""

    workspace: str
    id: str
    seconds: float


Verb = Generator[Commit | Read | Until, Any, View]


def create_job_execution(engine: "Engine", workspace: str, *, job: str, body: Any, idempotency_key: str | None = None) -> Verb:
    create = read_create(workspace, job, body, idempotency_key)
    if engine.simulates(job):
        check_durations(create.inputs, create.spec.single)
    created: Created = yield Commit(CreateExecution(create))
    if created.disposition == "existing":
        yield from _check_same(engine, create, created.execution)
    return created_view(created.execution, created.disposition, engine.waiting_for(created.execution))


def _check_same(engine: "Engine", create: Create, existing: Execution) -> Generator[Read, Any, None]:
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
    execution: Execution = yield from _find(engine, workspace, job, execution_id, prefer)
    if not execution.spec.single and execution.done and execution.total <= RESULT_TASKS:
        wanted = RESULT_TASKS
    else:
        wanted = SHOWN_TASKS
    tasks = yield Read(lambda: engine.store.tasks(workspace, execution.seq, -1, wanted))
    return execution_view(execution, tasks, engine.waiting_for(execution), SHOWN_TASKS)


def get_job_execution_status(engine: "Engine", workspace: str, *, job: str, execution_id: str, prefer: str | None = None) -> Verb:
    execution: Execution = yield from _find(engine, workspace, job, execution_id, prefer)
    return status_view(execution, engine.waiting_for(execution))


def cancel_job_execution(engine: "Engine", workspace: str, *, job: str, execution_id: str) -> Verb:
    check_job(job)
    execution: Execution = yield Commit(CancelExecution(workspace, job, execution_id))
    tasks = yield Read(lambda: engine.store.tasks(workspace, execution.seq, -1, SHOWN_TASKS))
    return execution_view(execution, tasks, None, SHOWN_TASKS)


def list_job_executions(
    engine: "Engine", workspace: str, *, job: str, limit: int | None = None, offset: int | None = None, cursor: str | None = None
) -> Verb:
    check_job(job)
    limit = check_limit(limit)
    query = f"executions {workspace} {job}"
    if offset is not None and not 0 <= offset <= MAX_OFFSET:
        raise InvalidRequest(f"offset is 0 to {MAX_OFFSET}, not {offset}", path="offset")
    if offset is not None and cursor is not None:
        raise InvalidRequest("send cursor or offset, not both", path="offset")
    position = Position(after=read_cursor(query, cursor)) if cursor is not None else Position(offset=offset or 0)
    rows: list[Execution] = yield Read(lambda: engine.store.page(workspace, job, position, limit + 1))
    shown = rows[:limit]
    data = [summary_view(execution, engine.waiting_for(execution)) for execution in shown]
    return page_view(data, write_cursor(query, shown[-1].seq) if len(rows) > limit else None)


def list_job_execution_tasks(
    engine: "Engine", workspace: str, *, job: str, execution_id: str, limit: int | None = None, cursor: str | None = None
) -> Verb:
    limit = check_limit(limit)
    query = f"tasks {workspace} {execution_id}"
    after = read_cursor(query, cursor) if cursor is not None else -1
    execution: Execution = yield from _find(engine, workspace, job, execution_id)
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
    execution: Execution = yield from _find(engine, workspace, job, execution_id)
    rows = yield Read(lambda: engine.store.events(workspace, execution.seq, after, limit + 1))
    data = [event_view(event) for event in rows[:limit]]
    return page_view(data, write_cursor(query, rows[limit - 1].id) if len(rows) > limit else None)


def get_job(engine: "Engine", workspace: str, *, job: str) -> Verb:
    check_job(job)
    served = engine.serves(workspace, job)
    if not served and not engine.knows(job):
        found: list[Execution] = yield Read(lambda: engine.store.page(workspace, job, Position(), 1))
        if not found:
            raise NotFound(f"there is no job {job!r}", path="job")
    return {"metadata": {"name": job, "workspace": workspace}, "served": served}


def get_execution_statuses(engine: "Engine", workspace: str, *, body: Any) -> Verb:
    ids = read_ids(body)
    found: list[Execution] = yield Read(lambda: engine.store.get(workspace, list(dict.fromkeys(ids))))
    by_id = {execution.id: execution for execution in found}
    return {"data": [engine.update(id, by_id.get(id)) for id in ids]}


def _find(
    engine: "Engine", workspace: str, job: str, execution_id: str, prefer: str | None = None
) -> Generator[Commit | Read | Until, Any, Execution]:
    """The execution; after the wait that `prefer` asks for, when it has not ended."""
    check_job(job)
    found: list[Execution] = yield Read(lambda: engine.store.get(workspace, [execution_id]))
    if not found or found[0].job != job:
        raise no_such_execution(job, execution_id)
    seconds = parse_prefer(prefer)
    if found[0].done or not seconds:
        return found[0]
    found = yield Until(workspace, execution_id, seconds)
    if not found:
        raise no_such_execution(job, execution_id)
    return found[0]


OPERATIONS: Final[Mapping[str, Callable[..., Verb]]] = {
    verb.__name__: verb
    for verb in (
        create_job_execution,
        get_job_execution,
        get_job_execution_status,
        cancel_job_execution,
        list_job_executions,
        list_job_execution_tasks,
        list_job_execution_events,
        get_job,
        get_execution_statuses,
    )
}
"""By operation id, in snake case."""
