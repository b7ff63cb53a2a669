"""The hot statements for SQLite, as text. Nothing here needs more than SQLite 3.35.

`{executions}`, `{tasks}` and so on are the tables with their prefix; `{x}`, `{t}`, `{e}`, `{s}`, `{g}` all columns of an execution,
a task, an event, a step, a signal; `{pairs}` selects tasks with their executions. A partial index is read only by a statement that
repeats its condition.
"""

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ..base import Order
from .columns import (
    DEFINITION,
    EVENT,
    EXECUTION,
    EXECUTION_ALIKE,
    EXECUTION_COURSE,
    EXECUTION_OWN,
    EXECUTION_REST,
    SIGNAL,
    STEP,
    TALLY,
    TASK,
    TASK_ALIKE,
    TASK_COURSE,
    TASK_OWN,
    TASK_REST,
    Value,
)

Source = tuple[str | None, str]
"""An index of executions, or None, and conditions."""

MAX_JOBS: Final = 400
"""Jobs in one statement: SQLite joins at most 500 selects by UNION ALL."""


_encode: Final = msgspec.json.Encoder().encode
_ORDERS: Final = {
    Order.NEWEST: ("x.seq <", "x.seq desc"),
    Order.OLDEST: ("x.seq >", "x.seq"),
    Order.ID: ("x.id >", "x.id"),
    Order.ID_DOWN: ("x.id <", "x.id desc"),
}
"""What is behind a place, and sorted by what."""


class Statements:
    """The statements for one table prefix."""

    def __init__(self, table_prefix: str) -> None:
        text = self._text = _names(table_prefix)
        self._first_of: dict[int, str] = {}
        self._pages: dict[tuple[tuple[Source, ...], Order], str] = {}

        # The last numbers given out. Read under the write lock, so that nobody else gets the next ones.
        self.last_numbers = text(
            "select max(case name when '{executions}' then seq else 0 end), max(case name when '{tasks}' then seq else 0 end) "
            "from sqlite_sequence where name in ('{executions}', '{tasks}')"
        )
        self.insert_execution = text("insert into {executions} {execution_values} on conflict do nothing")
        self.insert_new_execution = text("insert into {executions} {new_execution_values} on conflict do nothing")
        self.insert_new_task = text("insert into {tasks} {new_task_values}")
        self.insert_task = text("insert into {tasks} {task_values}")
        self.insert_event = text("insert into {events} {event_columns} values {event_values}")
        self.insert_events = text("insert into {events} {event_columns} select {event_marks}, value from json_each(?)")
        self.added = text("select seq from {executions} where seq > ?")
        self.having_key = text("select {x} from {executions} x where x.workspace = ? and x.job = ? and x.idempotency_key = ?")
        self.save_execution = text("update {executions} set {execution_course}, {execution_rest} where seq = ?")
        self.save_executions = text("update {executions} set {execution_course}, {execution_rest} where seq {listed}")
        self.save_course_of_execution = text("update {executions} set {execution_course} where seq = ?")
        self.save_course_of_executions = text("update {executions} set {execution_course} where seq {listed}")
        self.save_task = text("update {tasks} set {task_course}, {task_rest} where seq = ?")
        self.save_tasks = text("update {tasks} set {task_course}, {task_rest} where seq {listed}")
        self.save_course_of_task = text("update {tasks} set {task_course} where seq = ?")
        self.save_course_of_tasks = text("update {tasks} set {task_course} where seq {listed}")
        self.save_step = text(
            "insert into {steps} {step_values} on conflict (task, name) do update set {step_changes} where kind = 'wait'"
        )
        self.save_signal = text("insert into {signals} {signal_values} on conflict (execution, id) do update set {signal_changes}")
        self.remove = (
            text("delete from {steps} where task in (select seq from {tasks} where execution {listed})"),
            text("delete from {tasks} where execution {listed}"),
            text("delete from {events} where execution {listed}"),
            text("delete from {signals} where execution {listed}"),
            text("delete from {executions} where seq {listed}"),
        )

        self._find(text)
        self._claim(text)
        self._limit(text)
        self._count(text)

    def _find(self, text: Callable[[str], str]) -> None:
        self.find = text("select {x} from {executions} x where x.workspace = ? and x.id = ?")
        self.find_many = text(
            "select {x} from json_each(?) j cross join {executions} x on x.workspace = ? and x.id = j.value order by x.seq"
        )
        self.tasks_in = text("select {t} from {tasks} t where t.execution = ? and t.status {listed} order by t.position")
        self.tasks = text("select {t} {page_of_tasks}")
        self.tasks_without_results = text("select {t_without_result} {page_of_tasks}")
        self.events = text(
            "select {e} from {executions} x cross join {events} e on e.execution = x.seq "
            "where x.seq = ? and x.workspace = ? and e.id > ? order by e.id limit ?"
        )
        self.steps_of_task = text("select {s} from {steps} s where s.task = ? order by s.at, s.name")
        self.step_of_task = text("select {s} from {steps} s where s.task = ? and s.name = ?")
        self.steps_of_tasks = text(
            "select {s} from json_each(?) j cross join {steps} s on s.task = j.value order by s.task, s.at, s.name"
        )
        self.steps_of_execution = text(
            "select t.id, {s_without_value} from {tasks} t cross join {steps} s on s.task = t.seq "
            "where t.execution = ? and t.workspace = ? order by t.position, s.at, s.name limit ? offset ?"
        )
        self.waits = text(
            "select waiting_for, min(due_at) from {tasks} where execution = ? and status = 'pending' group by waiting_for"
        )
        self.next_rest = text("select min(due_at) from {steps} where task = ? and kind in ('sleep', 'wait') and due_at > ?")
        self.lines = text(
            "select count(*) from {events} e where e.execution = ? and e.id > coalesce("
            "(select max(s.id) from {events} s where s.execution = ? and s.type = 'task.started' and s.task = ?), 0) "
            "and e.type = 'log' and e.task = ?"
        )
        self.signals = text("select {g} from {signals} g where g.execution = ? order by g.seq")
        self.signals_named = text("select {g} from {signals} g where g.execution = ? and g.name = ? and not g.taken order by g.seq")
        self.signal = text("select {g} from {signals} g where g.execution = ? and g.id = ?")

    def _claim(self, text: Callable[[str], str]) -> None:
        self.claimable = text(
            "{pairs} where t.state = 'ready' and t.workspace = ? and t.job = ? order by t.priority, t.seq limit ?"
        )
        # Numbers of an execution's tasks have no gaps, so that its ready ones are a part of the index.
        self.claimable_of = text(
            "select {t}, {x} from {executions} x cross join {tasks} f on f.execution = x.seq and f.position = 0 "
            "cross join {tasks} t on t.workspace = x.workspace and t.job = x.job and t.priority = x.priority "
            "and t.seq >= f.seq and t.seq < f.seq + x.total "
            "where x.workspace = ? and x.id = ? and t.state = 'ready' order by t.priority, t.seq limit ?"
        )
        # A walk from one ready job to the next by the index: as many steps as there are jobs, however long their queues are.
        self.ready_jobs = text(
            "with recursive ready (job) as ("
            "select min(job) from {tasks} where state = 'ready' and workspace = ? union all "
            "select (select min(job) from {tasks} where state = 'ready' and workspace = ? and job > ready.job) "
            "from ready where ready.job is not null) select job from ready where job is not null"
        )
        self.ready_tasks = text("{pairs_of} where t.state = 'ready'")
        self.leased_tasks = text("{pairs_of} where t.state = 'leased'")
        self.let_go_tasks = text("{pairs_of} where t.state <> 'leased'")
        self.timed_tasks = text("{pairs_of} where t.state in ('leased', 'waiting')")
        self.due = text(
            "select * from (select due_at, seq from {tasks} where state = 'leased' and due_at <= ? order by due_at, seq limit ?) "
            "union all "
            "select * from (select due_at, seq from {tasks} where state = 'waiting' and due_at <= ? order by due_at, seq limit ?)"
        )
        # Reads every lease, but nothing that has none.
        self.leases = text("select coalesce(due_at, 0), seq, worker from {tasks} where state = 'leased'")
        self.next_due = text(
            "select min(at) from (select min(due_at) at from {tasks} where state = 'leased' "
            "union all select min(due_at) from {tasks} where state = 'waiting' and due_at is not null "
            "union all select min(deadline) from {executions} where deadline is not null)"
        )
        self.lease_tokens = text(
            "select t.seq, t.token, t.workspace, x.paused from json_each(?) j cross join {tasks} t on t.seq = j.value {with_x} "
            "where t.state = 'leased'"
        )
        self.extend = text("update {tasks} set due_at = ? where seq {listed}")

    def _limit(self, text: Callable[[str], str]) -> None:
        self.overdue = text("select {x} from {executions} x where x.deadline <= ? order by x.deadline, x.seq limit ?")
        self.holders = text("select count(*) from {executions} x where x.slot and {of_job}")
        self.holders_of_key = text("select count(*) from {executions} x where x.slot and {of_key}")
        self.parked = text("{parked} and {of_job} order by x.priority, x.seq limit ?")
        # By the index that has the keys: what is left out is not looked up in the table, however much that is.
        self.parked_without = text(
            "select {x} from (select x.seq from {executions} x indexed by {executions}_parked_of_key "
            "where x.waiting_for = 'concurrency' and x.workspace = ? and x.job = ? "
            "and (x.concurrency_key is null or x.concurrency_key not {listed}) order by x.priority, x.seq limit ?) o "
            "cross join {executions} x on x.seq = o.seq order by x.priority, x.seq"
        )
        self.parked_of_key = text("{parked} and {of_key} order by x.priority, x.seq limit ?")
        self.keyed = text("{keyed} order by x.seq limit 1")
        self.keyed_waiting = text("{keyed} and x.status = 'pending' and x.started_at is null order by x.seq limit ?")

    def _count(self, text: Callable[[str], str]) -> None:
        self.define = text(
            "insert into {jobs} {job_values} on conflict (workspace, job) do update set definition = excluded.definition"
        )
        self.definitions = text("select definition from {jobs} order by workspace, job")
        self.count = text(
            "insert into {tallies} {tally_values} "
            "on conflict (minute, workspace, job, server) do update set numbers = excluded.numbers"
        )
        self.tallies = text("select {y} from {tallies}")
        self.forget_tallies = text("delete from {tallies} where minute < ? returning {y}")
        self.backlog = text(
            "select workspace, job, 'pending', {backlog} = 'ready' group by workspace, job "
            "union all select workspace, job, 'running', {backlog} = 'leased' group by workspace, job "
            "union all select workspace, job, status, {backlog} in ('waiting', 'paused') group by workspace, job, status"
        )

    def first_of(self, jobs: int) -> str:
        """(priority, seq) of the first ready tasks of each of so many jobs; workspace, job and limit for each. At most MAX_JOBS."""
        known = self._first_of.get(jobs)
        if known is None:
            one = self._text(
                "select * from (select priority, seq from {tasks} where state = 'ready' and workspace = ? and job = ? "
                "order by priority, seq limit ?)"
            )
            known = self._first_of[jobs] = " union all ".join([one] * jobs)
        return known

    def page(self, sources: tuple[Source, ...], order: Order = Order.NEWEST) -> str:
        """Executions of a workspace by some of their indexes. For each: workspace, what the conditions take, then the number, or
        the id, behind which they come; with several, how many it gives at most. Then limit and offset. A source without an index
        has those that have not ended, by their tasks, and before all else the workspace three times."""
        known = self._pages.get((sources, order))
        if known is None:
            behind, by = _ORDERS[order]
            parts = [
                f"{'{open_executions}' if index is None else f'{{executions_by}}{index}'} "
                f"where x.workspace = ? {conditions} and {behind} ? order by {by}"
                for index, conditions in sources
            ]
            if len(parts) > 1:
                together = " union all ".join(f"{{all_of}} ({part} limit ?)" for part in parts)
                parts = [f"{{all_of}} ({together}) x order by {by}"]
            known = self._pages[sources, order] = self._text(f"{parts[0]} limit ? offset ?")
        return known


def _names(table_prefix: str) -> Callable[[str], str]:
    """Fills in what stands in braces."""
    names = {
        table: f"{table_prefix}{table}" for table in ("executions", "tasks", "events", "steps", "signals", "jobs", "tallies")
    } | {
        "x": _columns("x", EXECUTION),
        "t": _columns("t", TASK),
        "t_without_result": _columns("t", TASK, without="result"),
        "e": _columns("e", EVENT),
        "s": _columns("s", STEP),
        "s_without_value": _columns("s", STEP, without="value"),
        "g": _columns("g", SIGNAL),
        "y": ", ".join(TALLY),
        "listed": "in (select value from json_each(?))",
        "of_job": "x.workspace = ? and x.job = ?",
        "of_key": "x.workspace = ? and x.job = ? and x.concurrency_key = ?",
        "execution_values": _values(EXECUTION),
        "task_values": _values(TASK),
        "event_columns": f"({', '.join(EVENT[1:])}, {EVENT[0]})",
        "event_values": f"({_marks(EVENT)})",
        "event_marks": _marks(EVENT[1:]),
        "step_values": _values(STEP),
        "signal_values": _values(SIGNAL),
        "job_values": _values(DEFINITION),
        "tally_values": _values(TALLY),
        "new_execution_values": _values(EXECUTION_OWN, EXECUTION_ALIKE),
        "new_task_values": _values(TASK_OWN, TASK_ALIKE),
        "execution_course": _changes(EXECUTION_COURSE),
        "execution_rest": _changes(EXECUTION_REST),
        "task_course": _changes(TASK_COURSE),
        "task_rest": _changes(TASK_REST),
        "step_changes": ", ".join(f"{column} = excluded.{column}" for column in STEP[2:]),
        "signal_changes": ", ".join(f"{column} = excluded.{column}" for column in SIGNAL[2:]),
    }
    names["with_x"] = "cross join {executions} x on x.seq = t.execution".format_map(names)
    names["page_of_tasks"] = (
        "from {tasks} t where t.execution = ? and t.position > ? and t.workspace = ? order by t.position limit ?".format_map(names)
    )
    names["all_of"] = "select * from"
    names["executions_by"] = "select {x} from {executions} x indexed by {executions}_".format_map(names)
    names["open_executions"] = (
        "select {x} from (select execution from {tasks} where state = 'ready' and workspace = ? "
        "union select execution from {tasks} where state = 'leased' and workspace = ? "
        "union select execution from {tasks} where state in ('waiting', 'paused') and workspace = ?) o "
        "cross join {executions} x on x.seq = o.execution".format_map(names)
    )
    names["parked"] = "select {x} from {executions} x where x.waiting_for = 'concurrency'".format_map(names)
    names["keyed"] = "select {x} from {executions} x where x.ended_at is null and {of_key}".format_map(names)
    names["backlog"] = "count(*), min(created_at) from {tasks} where state".format_map(names)
    names["pairs"] = "select {t}, {x} from {tasks} t {with_x}".format_map(names)
    # The tasks of a JSON list of their numbers, in its order.
    names["pairs_of"] = "select {t}, {x} from json_each(?) j cross join {tasks} t on t.seq = j.value {with_x}".format_map(names)
    return lambda template: template.format_map(names)


def _columns(alias: str, columns: tuple[str, ...], without: str | None = None) -> str:
    return ", ".join("null" if column == without else f"{alias}.{column}" for column in columns)


def _values(columns: tuple[str, ...], alike: Mapping[str, Value] = MappingProxyType({})) -> str:
    """For an insert of these columns; and of those which are alike in all rows, as they are."""
    values = [_marks(columns), *map(_literal, alike.values())]
    return f"({', '.join((*columns, *alike))}) values ({', '.join(values)})"


def _marks(columns: tuple[str, ...]) -> str:
    return ", ".join("?" * len(columns))


def _literal(value: Value) -> str:
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _changes(columns: tuple[str, ...]) -> str:
    return ", ".join(f"{column} = ?" for column in columns)


@functools.lru_cache(maxsize=256)
def of_rows(insert: str, rows: int) -> str:
    """The insert of a row, for so many of them."""
    before, row, after = re.split(r"(?<=values )(\([^()]*\))", insert, maxsplit=1)
    return f"{before}{', '.join([row] * rows)}{after}"


def finding(sql: Statements, workspace: str, ids: Collection[str]) -> tuple[str, tuple[Any, ...]]:
    if len(ids) == 1:
        return sql.find, (workspace, *ids)
    return sql.find_many, (_texts(dict.fromkeys(ids)), workspace)


def as_json(value: Any) -> str:
    """Text, never bytes: SQLite 3.45 takes those for its own binary form of JSON."""
    return _encode(value).decode()


def _texts(names: Iterable[str]) -> str:
    """A JSON list of names. SQLite's functions end a text of it at U+0000, so such a name would find another; none is stored."""
    return as_json([name for name in names if "\0" not in name])
