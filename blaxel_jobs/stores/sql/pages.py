"""Pages of executions: which statement reads least for what is asked."""

from collections.abc import Collection
from typing import Any, Final

from ...core.states import OPEN
from ...words import JobStatus
from ..base import Order, Position, Where
from .statements import Source, Statements, as_json

MAX_INTEGER: Final = 2**63 - 1

_OPEN: Final = frozenset(OPEN)
_UNSUCCESSFUL: Final = frozenset({JobStatus.FAILED, JobStatus.CANCELLED})
_BEGINNINGS: Final[dict[Order, int | str]] = {
    Order.NEWEST: MAX_INTEGER, Order.OLDEST: -MAX_INTEGER, Order.ID: "", Order.ID_DOWN: "\x7f",
}  # fmt: skip
"""What lies before the first of all; ids are ASCII."""

Values = tuple[Any, ...]


def page_of(sql: Statements, workspace: str, where: Where, position: Position, limit: int) -> tuple[str, Values]:
    """The statement, and its values."""
    begin = _BEGINNINGS[position.order] if position.after is None else position.after
    begin = integer(begin) if isinstance(begin, int) else begin
    sources: list[Source] = []
    values: list[Any] = []
    parts = _parts(where)
    for statuses in parts:
        source, own = _source(workspace, where, statuses, position.order)
        sources.append(source)
        values += own
        values.append(begin)
        if len(parts) > 1:  # each gives what the page may need of it
            values.append(limit + position.offset)
    return sql.page(tuple(sources), position.order), (*values, limit, position.offset)


def integer(value: int) -> int:
    """The nearest that SQLite can hold: a client may send any."""
    return max(-MAX_INTEGER, min(value, MAX_INTEGER))


def _parts(where: Where) -> list[frozenset[JobStatus] | None]:
    """The statuses that are asked for, apart where each part has an index that holds few others. None for all."""
    if where.statuses is None:
        return [None]
    statuses = frozenset(where.statuses)
    if where.batch is not None or JobStatus.COMPLETED in statuses:
        return [statuses]
    return [part for part in (statuses & _OPEN, statuses & _UNSUCCESSFUL) if part] or [statuses]


def _source(workspace: str, where: Where, statuses: Collection[JobStatus] | None, order: Order) -> tuple[Source, Values]:
    """By which index, under which conditions; and the values up to the place behind which the page begins."""
    index: str | None = "id" if order.by_id else "of_all"
    conditions: list[str] = []
    values: list[Any] = [workspace]
    if where.job is not None:
        index = "id" if order.by_id else "of_job"
        conditions.append("and x.job = ?")
        values.append(where.job)
    if statuses is not None:
        if statuses and _OPEN.issuperset(statuses):
            index = None
            values = [workspace] * 3 + values
        elif _UNSUCCESSFUL.issuperset(statuses):
            index = "unsuccessful"
            conditions.append("and x.status in ('failed', 'cancelled')")
        conditions.append("and x.status {listed}")
        values.append(as_json(sorted(statuses)))
    if where.batch is not None:
        if index is None:
            values = values[3:]
        index = "of_batch"
        conditions.append("and x.batch = ?")
        values.append(where.batch)
    if where.id_has is not None:
        conditions.append("and instr(x.id, ?) > 0")
        values.append(where.id_has)
    return (index, " ".join(conditions)), tuple(values)
