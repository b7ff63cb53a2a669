"""What only a file can show: it outlives the process, other processes share it, disks fill up, and plans read no history."""

import contextlib
import itertools
import json
import random
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.core.records import Spec
from blaxel_jobs.core.states import Claimed, Parked, Suspended
from blaxel_jobs.core.states import move as moved
from blaxel_jobs.errors import StoreBusy, StoreError, Unavailable
from blaxel_jobs.stores import open_store
from blaxel_jobs.stores.base import ALL, Position, Where
from blaxel_jobs.stores.sql.connections import check_version
from blaxel_jobs.stores.sql.pages import page_of
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.stores.sql.statements import Statements
from blaxel_jobs.stores.sql.turns import Turns
from blaxel_jobs.words import JobStatus, WaitingFor
from tests.pace import PATIENCE, timed, within

from .samples import FIRST, WORKSPACE, a_step, add, cancel_all, claim, claimable, contents, due, get, ids, move, new, report


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(path, busy_timeout=5.0)
    yield opened
    opened.close()


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that has `store` and the samples, and runs the script."""
    header = """
import os, resource, sys
from blaxel_jobs.errors import *
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from tests.stores.samples import *
"""
    command = [sys.executable, "-c", header + script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=PATIENCE)
    return out


# it lasts


def test_all_is_there_after_reopening(path: Path) -> None:
    first = SQLiteStore(path)
    add(first, new("a", tasks=3, key="ka"), new("b"), new("c", workspace="other"))
    (task,) = claim(first, worker="w1")
    before = contents(first, [WORKSPACE, "other"])
    first.close()
    again = SQLiteStore(path)
    assert contents(again, [WORKSPACE, "other"]) == before
    assert report(again, [task.lease])
    with again.begin() as transaction:
        assert transaction.insert([new("z", key="ka")]) == [get(again, "a")]
    again.close()


def test_numbers_are_never_given_again(store: SQLiteStore, path: Path) -> None:
    add(store, new("a"), new("b", tasks=2))
    seq = get(store, "b").seq
    (last,) = store.tasks(WORKSPACE, seq, 0, 1)
    with sqlite3.connect(path) as other:
        other.execute("delete from executions where id = 'b'")
        other.execute("delete from tasks where execution = ?", (seq,))
    other.close()
    add(store, new("c"))
    assert get(store, "c").seq > seq
    assert store.tasks(WORKSPACE, get(store, "c").seq, -1, 1)[0].seq > last.seq


def test_commits_are_on_the_disk(store: SQLiteStore) -> None:
    with store.begin():
        connection = store._writer
        assert connection is not None
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        assert connection.execute("pragma synchronous").fetchone() == (2,)


@pytest.mark.parametrize("moment", range(4))
def test_a_killed_writer_leaves_whole_transactions(path: Path, moment: int) -> None:
    SQLiteStore(path).close()
    script = """
store = SQLiteStore(sys.argv[1])
for batch in range(1000):
    add(store, *[new(f"{batch}-{number}", key=f"k{batch}-{number}") for number in range(1000)])
    print(batch, flush=True)
"""
    process = start(script, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    pause = random.Random(moment).random() * 0.06  # a moment, not a condition: somewhere in one of the next inserts
    time.sleep(pause)
    process.kill()
    acknowledged = 1 + len(finish(process).splitlines())
    process.wait()
    assert_whole(path, at_least=acknowledged * 1000)


def test_a_writer_killed_before_its_commit_leaves_nothing(path: Path) -> None:
    script = """
import signal
store = SQLiteStore(sys.argv[1])
add(store, *[new(f"a{number}") for number in range(1000)])
with store.begin() as transaction:
    transaction.insert([new(f"b{number}") for number in range(1000)])
    os.kill(os.getpid(), signal.SIGKILL)
"""
    process = start(script, path)
    finish(process)
    assert process.returncode == -9
    assert_whole(path, at_least=1000)
    survivor = SQLiteStore(path)
    assert survivor.get(WORKSPACE, ["b0", "b999"]) == []
    survivor.close()


def assert_whole(path: Path, at_least: int) -> None:
    store = SQLiteStore(path)
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    counts = [connection.execute(f"select count(*) from {table}").fetchone()[0] for table in ("executions", "tasks", "events")]
    connection.close()
    assert counts[0] >= at_least
    assert counts[0] % 1000 == 0
    assert counts == [counts[0]] * 3


# several processes


def test_two_processes_write_one_file(store: SQLiteStore, path: Path) -> None:
    script = """
store = SQLiteStore(sys.argv[1])
print("ready", flush=True)
count = 0
while not os.path.exists(sys.argv[2]):
    add(store, new(f"theirs{count}"))
    count += 1
store.close()
print(count)
"""
    stop = path.with_name("stop")
    process = start(script, path, stop)
    assert process.stdout is not None
    process.stdout.readline()
    ours = itertools.count()

    def p99() -> float:
        return sorted(timed(lambda: add(store, new(f"ours{next(ours)}"))) for _ in range(100))[98]

    within(0.5, p99, tries=10)
    stop.touch()
    theirs = int(finish(process))
    assert theirs > 0
    assert len(store.page(WORKSPACE, ALL, FIRST, 10**6)) == next(ours) + theirs


def test_a_process_sees_what_another_committed(store: SQLiteStore, path: Path) -> None:
    add(store, new("a"), new("b"))
    finish(start('store = SQLiteStore(sys.argv[1]); add(store, new("c")); claim(store, worker="theirs"); store.close()', path))
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["c", "b", "a"]
    assert [task.worker for task in due(store)] == ["theirs"]
    assert len(claim(store, 10)) == 2


def test_a_file_that_stays_locked_is_busy(store: SQLiteStore, path: Path) -> None:
    other = SQLiteStore(path, busy_timeout=0.2)
    with store.begin() as transaction:
        transaction.insert([new("a")])
        before = time.monotonic()
        with pytest.raises(StoreBusy, match=r"another process has held .*jobs\.db for 0\.2 s"):
            add(other, new("b"))
        assert time.monotonic() - before < PATIENCE / 2
        assert other.page(WORKSPACE, ALL, FIRST, 10) == []
    add(other, new("b"))
    assert ids(other.page(WORKSPACE, ALL, FIRST, 10)) == ["b", "a"]
    other.close()


def test_a_turn_that_never_comes_is_not_waited_for(store: SQLiteStore, path: Path) -> None:
    stopped = Turns(path.with_name("jobs.db-turn"))
    with stopped.taken():
        before = time.monotonic()
        add(store, new("a"))
        assert 0.2 < time.monotonic() - before < PATIENCE / 2
    stopped.close()
    stopped.close()


# reads


def test_reads_do_not_wait_for_the_writer_and_see_what_was_committed(store: SQLiteStore) -> None:
    add(store, new("a"))
    before = contents_read(store)
    with store.begin() as transaction:
        transaction.insert([new("b")])
        move(transaction, transaction.claimable(WORKSPACE, None, 5), Claimed("w1", 10.0))
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.append(contents_read(store)))
        reader.start()
        reader.join()
        assert seen == [before]
        assert contents_read(store) == before
    assert contents_read(store) != before


def contents_read(store: SQLiteStore) -> list[Any]:
    executions = store.page(WORKSPACE, ALL, FIRST, 10)
    return [
        executions,
        [store.tasks(WORKSPACE, execution.seq, -1, 10) for execution in executions],
        store.next_due(),
        store.backlog(),
    ]


def test_a_closed_store_says_so_and_leaves_no_log(path: Path) -> None:
    store = SQLiteStore(path)
    add(store, new("a"))
    barrier = threading.Barrier(20)

    def read() -> None:
        barrier.wait()
        for _ in range(20):
            store.get(WORKSPACE, ["a"])

    readers = [threading.Thread(target=read) for _ in range(20)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    store.close()
    assert not path.with_name("jobs.db-wal").exists(), "a connection is still open"
    for use in (lambda: store.get(WORKSPACE, ["a"]), lambda: add(store, new("b")), store.next_due):
        with pytest.raises(Unavailable, match="closed"):
            use()


def test_nothing_is_bound_as_bytes(store: SQLiteStore) -> None:
    """SQLite 3.45 takes bytes that are given to a JSON function for its own binary form of JSON."""
    add(store, new("warm"))
    get(store, "warm")
    statements: list[str] = []
    for connection in (store._writer, *store._readers):
        assert connection is not None
        connection.set_trace_callback(statements.append)
    add(store, new("a", tasks=3, key="k", spec=Spec(tags=["x"])), new("b", job="other", priority=0))
    with store.begin() as transaction:
        assert ids(e for e in transaction.insert([new("a"), new("z", tasks=2, key="k")]) if e) == ["a", "a"]
        assert len(transaction.find(WORKSPACE, ["a", "b"])) == 2
    tasks = claim(store, 2, jobs=["job", "other"]) + claim(store, 3)
    leases = [task.lease for task in tasks]
    with store.begin() as transaction:
        assert set(transaction.extend(None, leases, 5.0)) == set(leases)
        assert len(transaction.due(6.0, None, 10)) == len(transaction.due(1.0, "w", 10)) == len(leases)
        transaction.save([], [], [], [a_step(tasks[0], "s"), a_step(tasks[1], "s")])
        assert len(transaction.steps([task.seq for task in tasks])) == 2
    report(store, leases)
    add(store, new("c", tasks=2))
    cancel_all(store, "c")
    contents(store)
    assert store.page(WORKSPACE, Where(statuses=(JobStatus.PENDING,)), FIRST, 5) == []
    with store.begin() as transaction:
        transaction.remove([get(store, "c").seq])
    assert len(store.get(WORKSPACE, ["a", "b"])) == 2
    assert any("json_each('" in statement for statement in statements)
    assert [statement for statement in statements if re.search(r"\b[xX]'[0-9A-Fa-f]*'", statement)] == []


# failures


def test_invariant_17_a_disk_that_refuses_loses_nothing_and_heals(path: Path) -> None:
    """A limit on the size of files stands in for the full disk; the process is its own, since the limit is."""
    script = """
import json
store = SQLiteStore(sys.argv[1])
acknowledged, refused = [], 0
def create(prefix):
    global refused
    for number in range(40):
        name = f"{prefix}{number}"
        try:
            add(store, new(name, tasks=20))
            acknowledged.append(name)
        except Unavailable as error:
            assert error.status_code == 503 and error.retry_after
            refused += 1
create("before")
limit = max(os.path.getsize(sys.argv[1] + end) for end in ("", "-wal")) + 100_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
create("during")
while_full = [execution.id for execution in store.page(WORKSPACE, ALL, FIRST, 1000)]
assert sorted(while_full) == sorted(acknowledged)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
create("after")
assert sorted(e.id for e in store.page(WORKSPACE, ALL, FIRST, 1000)) == sorted(acknowledged)
store.close()
print(json.dumps([acknowledged, refused]))
"""
    acknowledged, refused = json.loads(finish(start(script, path)))
    assert refused > 0
    assert {name for name in acknowledged if name.startswith(("before", "after"))} == {
        f"{when}{number}" for when in ("before", "after") for number in range(40)
    }
    store = SQLiteStore(path)
    assert sorted(ids(store.page(WORKSPACE, ALL, FIRST, 1000))) == sorted(acknowledged)
    assert len(claimable(store, limit=10**6)) == 20 * len(acknowledged)
    store.close()


def test_a_full_database_is_named_and_the_rest_of_the_transaction_refused(store: SQLiteStore) -> None:
    add(store, new("a"))
    assert store._writer is not None
    pages = store._writer.execute("pragma page_count").fetchone()[0]
    store._writer.execute(f"pragma max_page_count = {pages}")

    def create() -> None:
        with store.begin() as transaction:
            with pytest.raises(Unavailable, match="full"):
                transaction.insert([new("b", tasks=1000)])
            with pytest.raises(Unavailable, match="failed"):
                transaction.insert([new("c")])

    with pytest.raises(Unavailable, match="full"):
        create()
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["a"]
    add(store, new("d"))


def test_a_constraint_that_breaks_is_not_called_an_outage(store: SQLiteStore) -> None:
    add(store, new("a"))
    (task,) = claim(store)
    events = store.events(WORKSPACE, task.execution, 0, 10)
    with pytest.raises(sqlite3.IntegrityError), store.begin() as transaction:
        transaction.save([], [], events[:1])
    assert report(store, [task.lease])


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to be looked at" * 20, b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"jobs\.db is not a SQLite database"):
        SQLiteStore(path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no directory {tmp_path}/nowhere"):
        SQLiteStore(tmp_path / "nowhere" / "jobs.db")
    with pytest.raises(StoreError, match="unable to open"):
        SQLiteStore(tmp_path)


def test_an_old_sqlite_is_refused() -> None:
    check_version((3, 35, 0))
    with pytest.raises(StoreError, match=r"SQLite 3\.34\.1: blaxel-jobs needs 3\.35\.0"):
        check_version((3, 34, 1))


GONE = r"jobs\.db was deleted or replaced"


def replace_nothing(path: Path) -> None:
    """The file is only deleted."""


def replace_with_empty(path: Path) -> None:
    path.touch()


def replace_with_store(path: Path) -> None:
    SQLiteStore(path).close()


@pytest.mark.parametrize("put", [replace_nothing, replace_with_empty, replace_with_store])
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_file_that_was_deleted_or_replaced_takes_nothing(
    store: SQLiteStore, path: Path, put: Callable[[Path], None], warm: bool
) -> None:
    add(store, new("a"))
    get(store, "a")
    names = ("jobs.db", "jobs.db-wal", "jobs.db-shm")
    kept = path.with_name("kept")
    kept.mkdir()
    for name in names:
        path.with_name(name).rename(kept / name)
    put(path)
    if not warm:
        store._close_readers()
        store._drop_writer()
    for use in (lambda: add(store, new("b")), lambda: store.get(WORKSPACE, ["a"]), store.backlog):
        with pytest.raises(Unavailable, match=GONE):
            use()
    assert path.exists() is (put is not replace_nothing), "made by a store that had lost its file"
    for name in names:
        (kept / name).replace(path.with_name(name))
    add(store, new("c"))
    assert ids(store.page(WORKSPACE, ALL, FIRST, 10)) == ["c", "a"]


def test_tables_that_are_gone_are_an_outage(store: SQLiteStore, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("drop table executions")
    for use in (lambda: add(store, new("b")), lambda: store.get(WORKSPACE, ["a"])):
        with pytest.raises(Unavailable, match="no such table"):
            use()


def test_without_descriptors_a_read_is_refused_and_leaks_nothing(path: Path) -> None:
    script = """
store = SQLiteStore(sys.argv[1])
store.get("default", ["x"])
store._close_readers()
before = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    store.get("default", ["x"])
except Unavailable as error:
    print(error.status_code)
while held:
    os.close(held.pop())
print(store.get("default", ["x"]))
store._close_readers()
print(len(os.listdir("/proc/self/fd")) - before)
"""
    assert finish(start(script, path)).split() == ["503", "[]", "0"]


# plans


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
    "parked_of_key": ["executions_parked_of_key (workspace=? AND job=? AND concurrency_key=?)"],
    "keyed": ["executions_keyed (workspace=? AND job=? AND concurrency_key=?)"],
    "keyed_waiting": ["executions_keyed (workspace=? AND job=? AND concurrency_key=?)"],
    "save_execution": [BY_NUMBER],
    "save_course_of_execution": [BY_NUMBER],
    "save_task": [BY_NUMBER],
    "save_course_of_task": [BY_NUMBER],
    "forget_tallies": ["PRIMARY KEY (minute<?)"],
}
"""How each table is searched, in the order in which SQLite does it."""
SORTED = {"find_many", "steps_of_task", "steps_of_tasks", "steps_of_execution", "signals", "signals_named"}
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


# what an update carries


def test_an_update_carries_only_what_was_loaded_otherwise(store: SQLiteStore) -> None:
    add(store, new("a", tasks=2), new("b", tasks=2))
    statements: list[str] = []
    with store.begin():
        assert store._writer is not None
        store._writer.set_trace_callback(statements.append)

    def updates() -> list[tuple[str, bool]]:
        found = [re.match(r"update (\w+)", statement) for statement in statements]
        whole = [(match[1], "error = " in match.string) for match in found if match]
        statements.clear()
        return whole

    one, two, three, _ = claim(store, 4)
    assert updates() == [("executions", False)] * 2 + [("tasks", False)] * 4
    report(store, [one.lease, two.lease])
    assert updates() == [("executions", False)] + [("tasks", False)] * 2
    report(store, [three.lease], Suspended(5.0))
    assert updates() == [("executions", False), ("tasks", True)]
    inserts = [statement for statement in statements if statement.startswith("insert")]
    assert inserts == []


def test_the_fewest_statements_for_the_hot_path(store: SQLiteStore) -> None:
    """Each of them may wait for the interpreter's lock."""
    add(store, new("warm", lazy=True))
    statements: list[str] = []
    with store.begin():
        assert store._writer is not None
        store._writer.set_trace_callback(statements.append)

    def kinds() -> list[str]:
        found = [" ".join(statement.split()[:3]) for statement in statements[1:-1]]
        assert statements[0].startswith("begin")
        assert statements[-1] == "commit"
        statements.clear()
        return found

    statements.clear()
    add(store, new("a", lazy=True))
    insert = ["insert into executions", "insert into events", "insert into tasks"]
    assert [kind for kind in kinds() if not kind.startswith("select")] == insert
    (task,) = claim(store, execution="a")
    changes = ["update executions set", "update tasks set", "insert into events"]
    assert kinds()[1:] == changes
    with store.begin() as transaction:
        ((held, _),) = transaction.held(WORKSPACE, [task.lease])
        transaction.save([], [], [], [a_step(held, "fetch")])
    assert kinds()[1:] == ["insert into steps"]
    report(store, [task.lease])
    assert kinds()[1:] == changes


def test_the_url_is_bound_to_where_the_process_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///here.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    add(store, new("a"))
    assert ids(store.get(WORKSPACE, ["a"])) == ["a"]
    store.close()
    assert (tmp_path / "here.db").exists()
    assert store.lock_path == tmp_path / "here.db-workers"
