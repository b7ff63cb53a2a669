"""Lists in an order that the caller chooses, and of those whose names have a part in common."""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from ...core.paging import check_limit, read_cursor, read_name_cursor, write_cursor
from ...core.reading import check_job
from ...core.records import Execution, Task
from ...core.views import View, page_view, summary_view, task_view
from ...stores.base import Order, Position, Where
from .asking import Asked, Read, Verb, find
from .executions import check_offset

if TYPE_CHECKING:
    from ..engine import Engine


def list_sorted_executions(
    engine: "Engine",
    workspace: str,
    *,
    job: str,
    order: Order,
    q: str | None = None,
    limit: int | None = None,
    offset: int | None = None,
    cursor: str | None = None,
) -> Verb:
    """Executions of a job; `q` is a part of their ids. With a cursor, offset says nothing."""
    limit, offset = check_limit(limit), check_offset(offset)
    where = Where(job=check_job(job), id_has=q or None)
    query = f"executions {workspace} {job} {order} {q or ''}"
    if cursor is None:
        position = Position(offset=offset or 0, order=order)
    else:
        position = Position((read_name_cursor if order.by_id else read_cursor)(query, cursor), order=order)
    rows: list[Execution] = yield Read(lambda: engine.store.page(workspace, where, position, limit + 1))
    listed = rows[:limit]
    data = [summary_view(execution, engine.waiting_for(execution)) for execution in listed]
    if len(rows) <= limit:
        return page_view(data, None)
    return page_view(data, write_cursor(query, listed[-1].id if order.by_id else listed[-1].seq))


def list_sorted_tasks(
    engine: "Engine",
    workspace: str,
    *,
    job: str,
    execution_id: str,
    order: Order,
    q: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Verb:
    """Tasks of an execution, which comes with them, without their results; `q` is a part of their ids."""
    limit = check_limit(limit)
    query = f"tasks {workspace} {execution_id} {order} {q or ''}"
    after = read_cursor(query, cursor) if cursor is not None else -1
    execution = yield from find(engine, workspace, job, execution_id)
    waiting_for = engine.waiting_for(execution)
    if order is Order.OLDEST and not q:
        rows = yield from _tasks(engine, execution, after, limit + 1)
    else:
        everything = yield from _tasks(engine, execution, -1, execution.total)
        chosen = [task for task in everything if not q or q in task.id]
        chosen.sort(key=(lambda task: task.id) if order.by_id else (lambda task: task.index))
        if order in (Order.NEWEST, Order.ID_DOWN):
            chosen.reverse()
        rows = chosen[after + 1 : after + 2 + limit]
    data = [task_view(task, waiting_for) for task in rows[:limit]]
    # Tasks never move, so that a place among them is as good as the last one's name.
    view: View = page_view(data, write_cursor(query, after + limit) if len(rows) > limit else None)
    return {**view, "execution": summary_view(execution, waiting_for)}


def _tasks(engine: "Engine", execution: Execution, after: int, limit: int) -> Generator[Asked, Any, list[Task]]:
    """So many tasks, whatever one read of the store carries."""
    found: list[Task] = []
    while len(found) < limit:
        begin = found[-1].index if found else after
        read = partial(engine.store.tasks, execution.workspace, execution.seq, begin, limit - len(found), results=False)
        rows: list[Task] = yield Read(read)
        if not rows:
            break
        found += rows
    return found
