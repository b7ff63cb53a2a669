"""The statements on a SQLite file: their plans read no history, and there are no more of them than need be."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.core.reports import Completed
from blaxel_jobs.core.states import Parked, Suspended, step
from blaxel_jobs.core.states import move as moved
from blaxel_jobs.stores.base import ALL, Position, Where
from blaxel_jobs.stores.sql.pages import page_of
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.stores.sql.statements import Statements
from blaxel_jobs.words import JobStatus, WaitingFor

from .samples import WORKSPACE, a_step, add, claim, new, report


@pytest.fixture
def store(sqlite: SQLiteStore) -> SQLiteStore:
    return sqlite


BY_NUMBER = "INTEGER PRIMARY KEY (rowid=?)"
PLANS = {
    "find": ["executions_id (workspace=? AND id=?)"],
    "find_many": ["executions_id (workspace=? AND id=?)"],
    "having_key": ["executions_key (workspace=? AND job=? AND idempotency_key=?)"],
    "added": ["INTEGER PRIMARY KEY (rowid>?)"],
    "tasks": ["tasks_of_execution (execution=? AND position>?)"],
    "tasks_without_results": ["tasks_of_execution (execution=? AND position>?)"],
    "tasks_in": ["tasks_of_execution (execution=?)"],
    "events": ["rowid=?", "PRIMARY KEY (execution=? AND id>?)"],
    "step_of_task": ["PRIMARY KEY (task=? AND name=?)"],
    "steps_of_task": ["PRIMARY KEY (task=?)"],
    "steps_of_tasks": ["PRIMARY KEY (task=?)"],
    "steps_of_execution": ["tasks_of_execution (execution=?)", "PRIMARY KEY (task=?)"],
    "waits": ["tasks_of_execution (execution=?)"],
    "next_rest": ["PRIMARY KEY (task=?)"],
    "lines": ["PRIMARY KEY (execution=? AND id>?)", "PRIMARY KEY (execution=?)"],
    "signals": ["signals_of_execution (execution=?)"],
    "signals_named": ["signals_of_execution (execution=?)"],
    "signal": ["signals_of_execution (execution=? AND id=?)"],
    "claimable": ["tasks_ready (workspace=? AND job=?)", BY_NUMBER],
    "claimable_of": [
        "executions_id (workspace=? AND id=?)",
        "tasks_of_execution (execution=? AND position=?)",
        "tasks_ready (workspace=? AND job=? AND priority=? AND seq>? AND seq<?)",
    ],
    "ready_jobs": ["tasks_ready (workspace=?)", "tasks_ready (workspace=? AND job>?)"],
    "ready_tasks": [BY_NUMBER] * 2,
    "leased_tasks": [BY_NUMBER] * 2,
    "let_go_tasks": [BY_NUMBER] * 2,
    "timed_tasks": [BY_NUMBER] * 2,
    "lease_tokens": [BY_NUMBER] * 2,
    "due": ["tasks_leased (due_at<?)", "tasks_timed (due_at<?)"],
    "next_due": ["tasks_leased", "tasks_timed", "executions_deadline"],
    "extend": [BY_NUMBER],
    "overdue": ["executions_deadline (deadline<?)"],
    "holders": ["executions_slots (workspace=? AND job=?)"],
    "holders_of_key": ["executions_slots (workspace=? AND job=? AND concurrency_key=?)"],
    "parked": ["executions_parked (workspace=? AND job=?)"],
    "parked_without": ["executions_parked_of_key (workspace=? AND job=?)", BY_NUMBER],
    "parked_of_key": ["executions_parked_of_key (workspace=? AND job=? AND concurrency_key=?)"],
    "keyed": ["executions_keyed (workspace=? AND job=? AND concurrency_key=?)"],
    "keyed_waiting": ["executions_keyed (workspace=? AND job=? AND concurrency_key=?)"],
    "save_execution": [BY_NUMBER],
    "save_executions": [BY_NUMBER],
    "save_course_of_execution": [BY_NUMBER],
    "save_course_of_executions": [BY_NUMBER],
    "save_task": [BY_NUMBER],
    "save_tasks": [BY_NUMBER],
    "save_course_of_task": [BY_NUMBER],
    "save_course_of_tasks": [BY_NUMBER],
    "forget_tallies": ["PRIMARY KEY (minute<?)"],
}
"""How each table is searched, in the order in which SQLite does it."""
SORTED = {"find_many", "steps_of_task", "steps_of_tasks", "steps_of_execution", "signals", "signals_named", "parked_without"}
"""What is put into its order after it was read: never more than what is asked for."""


@pytest.mark.parametrize("name", PLANS)
def test_plans_search_by_index(store: SQLiteStore, path: Path, name: str) -> None:
    assert_searches(plan(path, getattr(Statements(""), name)), PLANS[name], is_sorted=name in SORTED)


def assert_searches(lines: list[str], expected: list[str], *, is_sorted: bool = False) -> None:
    found = [line for line in lines if re.match(rf"(SEARCH|SCAN) (TABLE )?({TABLES})\b", line)]
    assert len(found) == len(expected), found
    for line, search in zip(found, expected, strict=True):
        assert line.startswith("SEARCH")
        assert re.search(rf"{re.escape(search)}(?![\w(])", line), f"{line} is not by {search}"
    assert any("ORDER BY" in line for line in lines) is is_sorted


TABLES = "executions|tasks|events|steps|signals|jobs|tallies|x|t|f|e|s|g"


def test_every_statement_on_tables_that_grow_has_a_plan() -> None:
    """What has none: what reads all of a small table, what inserts, and what the tests below look at."""
    others = {"last_numbers", "leases", "definitions", "tallies", "backlog", "define", "count", "save_step", "save_signal"}
    names = {name for name, value in vars(Statements("")).items() if isinstance(value, str) and not name.startswith("insert_")}
    assert names == set(PLANS) | others


def test_plans_of_removals_search_by_index(store: SQLiteStore, path: Path) -> None:
    expected = [
        ["PRIMARY KEY (task=?)", "tasks_of_execution (execution=?)"],
        ["tasks_of_execution (execution=?)"],
        ["PRIMARY KEY (execution=?)"],
        ["signals_of_execution (execution=?)"],
        [BY_NUMBER],
    ]
    for sql, searches in zip(Statements("").remove, expected, strict=True):
        assert_searches(plan(path, sql), searches)


PAGES = {
    ALL: ["executions_of_all (workspace=? AND seq<?)"],
    Where(job="job"): ["executions_of_job (workspace=? AND job=? AND seq<?)"],
    Where(job="job", statuses=(JobStatus.COMPLETED,)): ["executions_of_job (workspace=? AND job=? AND seq<?)"],
    Where(job="job", statuses=tuple(JobStatus), batch="b"): ["executions_of_batch (workspace=? AND batch=? AND seq<?)"],
    Where(statuses=(JobStatus.FAILED,)): ["executions_unsuccessful (workspace=? AND seq<?)"],
    Where(statuses=(JobStatus.FAILED, JobStatus.COMPLETED)): ["executions_of_all (workspace=? AND seq<?)"],
}


@pytest.mark.parametrize("where", PAGES)
def test_plans_of_pages_read_what_is_asked_for_in_its_order(store: SQLiteStore, path: Path, where: Where) -> None:
    sql, _ = page_of(Statements(""), WORKSPACE, where, Position(), 10)
    assert_searches(plan(path, sql), PAGES[where])


@pytest.mark.parametrize("where", [Where(statuses=(JobStatus.RUNNING,)), Where("job", (JobStatus.PENDING, JobStatus.PAUSED))])
def test_plans_of_pages_of_open_executions_read_only_what_is_live(store: SQLiteStore, path: Path, where: Where) -> None:
    sql, _ = page_of(Statements(""), WORKSPACE, where, Position(), 10)
    tables = [line for line in plan(path, sql) if re.match(rf"(SEARCH|SCAN) (TABLE )?({TABLES})\b", line)]
    assert_only_live(tables[:3])
    assert BY_NUMBER in tables[3]
    assert len(tables) == 4


def test_the_plan_of_a_page_of_open_and_unsuccessful_executions_reads_no_others(store: SQLiteStore, path: Path) -> None:
    sql, values = page_of(Statements(""), WORKSPACE, Where("job", (JobStatus.RUNNING, JobStatus.FAILED)), Position(), 10)
    assert sql.count("?") == len(values)
    tables = [line for line in plan(path, sql) if re.match(rf"(SEARCH|SCAN) (TABLE )?({TABLES})\b", line) and "SCAN x" not in line]
    assert_only_live(tables[:3])
    assert BY_NUMBER in tables[3]
    assert "executions_unsuccessful (workspace=? AND seq<?)" in tables[4]
    assert len(tables) == 5


def test_plans_of_the_backlog_read_only_what_is_live(store: SQLiteStore, path: Path) -> None:
    tables = [line for line in plan(path, Statements("").backlog) if "tasks" in line]
    assert_only_live(tables)
    assert len(tables) == 3


def test_plans_of_the_leases_read_only_leases(store: SQLiteStore, path: Path) -> None:
    (line,) = plan(path, Statements("").leases)
    assert_only_live([line])


def assert_only_live(lines: list[str]) -> None:
    for line in lines:
        assert re.search(r"INDEX tasks_(ready|leased|timed|held_back)\b", line), line


def test_plans_of_several_jobs_search_each(store: SQLiteStore, path: Path) -> None:
    searches = [line for line in plan(path, Statements("").first_of(3)) if "tasks_ready (workspace=? AND job=?)" in line]
    assert len(searches) == 3


def plan(path: Path, sql: str) -> list[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute(f"explain query plan {sql}", [None] * sql.count("?")).fetchall()
    connection.close()
    return [row[3] for row in rows]


def test_a_claim_reads_no_more_beside_history_and_other_jobs(store: SQLiteStore, path: Path) -> None:
    """Rows read are counted in steps of SQLite's machine, which do not depend on how fast this one is."""
    add(store, *[new(f"e{number}") for number in range(200)])
    alone = [claim_steps(store, None), claim_steps(store, ["job"]), claim_steps(store, ["job", "none"])]
    add(store, *[new(f"h{number}", job="history") for number in range(2000)])
    report(store, [task.lease for task in claim(store, 2000, jobs=["history"])])
    add(store, *[new(f"f{number}", job="foreign", priority=0, workspace="other") for number in range(2000)])
    add(store, *[new(f"l{number}") for number in range(2000)])
    beside = [claim_steps(store, None), claim_steps(store, ["job"]), claim_steps(store, ["job", "none"])]
    assert beside == pytest.approx(alone, rel=0.1)
    add(store, *[new(f"o{number}", job="foreign", priority=0) for number in range(2000)])
    assert claim_steps(store, ["job"]) == pytest.approx(alone[1], rel=0.1)
    assert claim_steps(store, None) < 2.5 * alone[0]


def test_hot_reads_cost_the_same_beside_what_ended_is_delayed_or_parked(store: SQLiteStore) -> None:
    """Counted as above: 5,000 of each kind around a few that are ready, running, due, limited."""

    def reads() -> dict[str, int]:
        with store.begin() as transaction:
            return {
                name: machine_steps(store, lambda call=call: call(transaction))  # type: ignore[misc]
                for name, call in {
                    "claim": lambda transaction: transaction.claimable(WORKSPACE, ["job"], 20),
                    "claim of one": lambda transaction: transaction.claimable(WORKSPACE, None, 20, "one"),
                    "due": lambda transaction: transaction.due(10.0, None, 20),
                    "dead": lambda transaction: transaction.due(1.0, "w", 20),
                    "overdue": lambda transaction: transaction.overdue(10.0, 20),
                    "holders": lambda transaction: transaction.holders(WORKSPACE, "job", "few"),
                    "parked": lambda transaction: transaction.parked(WORKSPACE, "job", None, 5),
                    "parked of a key": lambda transaction: transaction.parked(WORKSPACE, "job", "few", 5),
                    "keyed": lambda transaction: transaction.keyed(WORKSPACE, "job", "few"),
                }.items()
            }

    add(store, new("one", tasks=20), *[new(f"a{number}", deadline=5.0) for number in range(60)])
    add(store, *[new(f"k{number}", concurrency_key="few", wait=WaitingFor.CONCURRENCY) for number in range(10)])
    for task in claim(store, 20):
        report(store, [task.lease], Suspended(4.0))
    claim(store, 20)
    alone = reads()
    fill(store)
    add(store, *[new(f"m{number}", tasks=2) for number in range(1000)])
    assert reads() == pytest.approx(alone, rel=0.15, abs=5)


def fill(store: SQLiteStore) -> None:
    """What must not matter."""
    many = range(5000)
    add(store, *[new(f"ended{number}", priority=0, concurrency_key="few") for number in many])
    ended = claim(store, len(many))
    assert {task.priority for task in ended} == {0}
    report(store, [task.lease for task in ended])
    add(store, *[new(f"late{number}", priority=0, wait=WaitingFor.TIME, until=99.0, deadline=99.0) for number in many])
    add(store, *[new(f"parked{number}", concurrency_key="other", wait=WaitingFor.CONCURRENCY, priority=3) for number in many])
    add(store, *[new(f"paused{number}", priority=0, wait=WaitingFor.START) for number in range(100)])


def test_a_wait_for_a_slot_is_found_by_its_key_alone(store: SQLiteStore) -> None:
    add(store, *[new(f"e{number}", concurrency_key=f"k{number % 100}") for number in range(1000)])
    with store.begin() as transaction:
        for execution in transaction.find(WORKSPACE, [f"e{number}" for number in range(1000)]):
            (task,) = transaction.tasks_in(execution.seq, (JobStatus.PENDING,))
            after, parked = moved(execution, task, Parked(), 2.0)
            transaction.save([after], [parked], [])
        of_one = machine_steps(store, lambda: transaction.parked(WORKSPACE, "job", "k7", 5))
        assert machine_steps(store, lambda: transaction.parked(WORKSPACE, "job", None, 5)) == pytest.approx(of_one, rel=0.2)
        assert [found.id for found in transaction.parked(WORKSPACE, "job", "k7", 3)] == ["e7", "e107", "e207"]


def claim_steps(store: SQLiteStore, jobs: list[str] | None) -> int:
    with store.begin() as transaction:
        return machine_steps(store, lambda: transaction.claimable(WORKSPACE, jobs, 100), expect=100)


def machine_steps(store: SQLiteStore, read: Callable[[], Any], expect: int | None = None) -> int:
    """How many steps SQLite's machine takes for a read in the open transaction."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    assert store._writer is not None
    store._writer.set_progress_handler(tick, 10)
    found = read()
    store._writer.set_progress_handler(None, 0)
    assert expect is None or len(found) == expect
    return count


# which statements there are


@pytest.fixture
def statements(store: SQLiteStore) -> list[str]:
    """What runs on the connection that writes, from now on."""
    found: list[str] = []
    with store.begin():
        assert store._writer is not None
        store._writer.set_trace_callback(found.append)
    return found


def updates(statements: list[str]) -> list[tuple[str, bool]]:
    """Of which tables since the last call, and whether they carried all that may change."""
    found = [re.match(r"update (\w+)", statement) for statement in statements]
    whole = [(match[1], "error = " in match.string) for match in found if match]
    statements.clear()
    return whole


def kinds(statements: list[str]) -> list[str]:
    """What each of the last transaction does, but for reads of what is known without a table."""
    begin, version, *found, commit = [" ".join(statement.split()[:3]) for statement in statements]
    assert (begin, version, commit) == ("begin immediate", "pragma data_version", "commit")
    statements.clear()
    return found


def test_an_update_carries_only_what_was_loaded_otherwise(store: SQLiteStore, statements: list[str]) -> None:
    add(store, new("a", tasks=2), new("b", tasks=2))
    one, two, three, _ = claim(store, 4)
    assert updates(statements) == [("executions", False), ("tasks", False)]
    report(store, [one.lease, two.lease])
    assert updates(statements) == [("executions", False), ("tasks", False)]
    report(store, [three.lease], Suspended(5.0))
    inserts = [statement for statement in statements if statement.startswith("insert")]
    assert updates(statements) == [("executions", False), ("tasks", True)]
    assert [statement.split()[2] for statement in inserts] == ["events"]


def test_what_changes_alike_is_one_statement_and_what_does_not_is_kept_apart(store: SQLiteStore, statements: list[str]) -> None:
    add(store, *[new(f"e{number}") for number in range(5)])
    statements.clear()
    tasks = claim(store, 5)
    assert len(statements) == len(["begin", "version", "jobs", "tasks", "executions", "tasks", "events", "commit"])
    statements.clear()
    with store.begin() as transaction:
        pairs = transaction.held(None, [task.lease for task in tasks])
        ends = [step(execution, task, Completed(str(task.seq % 2)), 3.0) for task, execution in pairs]
        transaction.save([end.execution for end in ends], [end.task for end in ends], [end.event for end in ends])
    assert updates(statements) == [("executions", False)] + [("tasks", False)] * 2
    results = {task.seq: task.result for name in range(5) for task in store.tasks(WORKSPACE, name + 1, -1, 10)}
    assert results == {task.seq: str(task.seq % 2) for task in tasks}
    for name in range(5):
        assert [event.type for event in store.events(WORKSPACE, name + 1, 0, 10)] == ["created", "task.started", "task.completed"]


def test_the_fewest_statements_for_the_hot_path(store: SQLiteStore, statements: list[str]) -> None:
    """Each of them may wait for the interpreter's lock."""
    add(store, new("warm", lazy=True))
    statements.clear()
    add(store, new("a", lazy=True))
    insert = ["insert into executions", "insert into events", "insert into tasks"]
    assert [kind for kind in kinds(statements) if not kind.startswith("select")] == insert
    (task,) = claim(store, execution="a")
    changes = ["update executions set", "update tasks set", "insert into events"]
    assert kinds(statements)[1:] == changes
    with store.begin() as transaction:
        ((held, _),) = transaction.held(WORKSPACE, [task.lease])
        transaction.save([], [], [], [a_step(held, "fetch")])
    assert kinds(statements) == ["insert into steps"]
    report(store, [task.lease])
    assert kinds(statements) == changes


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 191])
def test_rows_are_inserted_by_statements_for_many(store: SQLiteStore, statements: list[str], count: int) -> None:
    statements.clear()
    add(store, new("a", tasks=count, lazy=True))
    inserts = [statement for statement in statements if statement.startswith("insert into tasks")]
    assert len(inserts) == count // 64 + (count % 64).bit_count()
    assert [task.index for task in store.tasks(WORKSPACE, 1, -1, 1000)] == list(range(count))
