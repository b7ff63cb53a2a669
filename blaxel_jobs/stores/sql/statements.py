"""The hot statements for SQLite, as text. Nothing here needs more than SQLite 3.35.

`{executions}`, `{tasks}`, `{events}` are the tables with their prefix; `{x}`, `{t}`, `{e}` all their columns; `{pairs}` selects
tasks with their executions.
"""

from collections.abc import Callable
from typing import Final

from .rows import EVENT, EXECUTION, EXECUTION_CHANGING, TASK, TASK_CHANGING

MAX_JOBS: Final = 400
"""Jobs in one statement: SQLite joins at most 500 selects by UNION ALL."""


class Statements:
    """The statements for one table prefix."""

    def __init__(self, table_prefix: str) -> None:
        text = self._text = _names(table_prefix)
        self._first_of: dict[int, str] = {}

        # The last numbers given out. Read under the write lock, so that nobody else gets the next ones.
        self.last_numbers = text(
            "select max(case name when '{executions}' then seq else 0 end), max(case name when '{tasks}' then seq else 0 end) "
            "from sqlite_sequence where name in ('{executions}', '{tasks}')"
        )
        self.insert_execution = text("insert into {executions} {execution_values} on conflict do nothing")
        self.insert_task = text("insert into {tasks} {task_values}")
        self.insert_event = text("insert into {events} {event_values}")
        self.added = text("select seq from {executions} where seq > ?")
        self.having_key = text("select {x} from {executions} x where x.workspace = ? and x.job = ? and x.idempotency_key = ?")

        self.find = text("select {x} from {executions} x where x.workspace = ? and x.id = ?")
        self.find_many = text(
            "select {x} from json_each(?) j cross join {executions} x on x.workspace = ? and x.id = j.value order by x.seq"
        )
        self.page_of_job = text(
            "select {x} from {executions} x where x.workspace = ? and x.job = ? and x.seq < ? order by x.seq desc limit ? offset ?"
        )
        self.page_of_all = text(
            "select {x} from {executions} x where x.workspace = ? and x.seq < ? order by x.seq desc limit ? offset ?"
        )
        self.open_tasks = text("select {t} from {tasks} t where t.execution = ? and t.state <> 'ended' order by t.position")
        self.tasks = text("select {t} {page_of_tasks}")
        self.tasks_without_results = text("select {t_without_result} {page_of_tasks}")
        self.events = text(
            "select {e} from {executions} x cross join {events} e on e.execution = x.seq "
            "where x.seq = ? and x.workspace = ? and e.id > ? order by e.id limit ?"
        )

        self.claimable = text(
            "{pairs} where t.state = 'ready' and t.workspace = ? and t.job = ? order by t.priority, t.seq limit ?"
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
        self.expired = text("{pairs} where t.state = 'leased' and t.lease_until <= ? order by t.lease_until, t.seq limit ?")
        # Reads every lease, but nothing that has none.
        self.expired_or_held_by = text(
            "{pairs} where t.state = 'leased' and (t.lease_until <= ? or t.worker in (select value from json_each(?))) "
            "order by t.lease_until, t.seq limit ?"
        )
        self.lease_tokens = text(
            "select t.seq, t.token from json_each(?) j cross join {tasks} t on t.seq = j.value where t.state = 'leased'"
        )
        self.extend = text("update {tasks} set lease_until = ? where seq in (select value from json_each(?))")
        self.next_expiry = text("select min(lease_until) from {tasks} where state = 'leased'")
        self.workers = text("select distinct worker from {tasks} where state = 'leased' and worker is not null")

        self.save_execution = text("update {executions} set {execution_changes} where seq = ?")
        self.save_task = text("update {tasks} set {task_changes} where seq = ?")

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


def _names(table_prefix: str) -> Callable[[str], str]:
    """Fills in what stands in braces."""
    names = {
        "executions": f"{table_prefix}executions",
        "tasks": f"{table_prefix}tasks",
        "events": f"{table_prefix}events",
        "x": ", ".join(f"x.{column}" for column in EXECUTION),
        "t": ", ".join(f"t.{column}" for column in TASK),
        "t_without_result": ", ".join("null" if column == "result" else f"t.{column}" for column in TASK),
        "e": ", ".join(f"e.{column}" for column in EVENT),
        "execution_values": _values(EXECUTION),
        "task_values": _values(TASK),
        "event_values": _values(EVENT),
        "execution_changes": ", ".join(f"{column} = ?" for column in EXECUTION_CHANGING),
        "task_changes": ", ".join(f"{column} = ?" for column in TASK_CHANGING),
    }
    names["with_x"] = "cross join {executions} x on x.seq = t.execution".format_map(names)
    names["page_of_tasks"] = (
        "from {tasks} t where t.execution = ? and t.position > ? and t.workspace = ? order by t.position limit ?".format_map(names)
    )
    names["pairs"] = "select {t}, {x} from {tasks} t {with_x}".format_map(names)
    # The tasks of a JSON list of their numbers, in its order.
    names["pairs_of"] = "select {t}, {x} from json_each(?) j cross join {tasks} t on t.seq = j.value {with_x}".format_map(names)
    return lambda template: template.format_map(names)


def _values(columns: tuple[str, ...]) -> str:
    return f"({', '.join(columns)}) values ({', '.join('?' * len(columns))})"
