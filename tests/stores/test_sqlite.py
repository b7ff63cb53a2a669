"""What only a file can show: it outlives the process, other processes share it, disks fill up."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.core.records import Spec
from blaxel_jobs.core.states import Claimed
from blaxel_jobs.errors import StoreBusy, StoreError, Unavailable
from blaxel_jobs.stores import open_store
from blaxel_jobs.stores.base import ALL, Where
from blaxel_jobs.stores.sql.connections import check_version
from blaxel_jobs.stores.sql.sqlite import SQLiteStore
from blaxel_jobs.stores.sql.turns import Turns
from blaxel_jobs.words import JobStatus
from tests.pace import PATIENCE, timed, within

from .samples import FIRST, WORKSPACE, a_step, add, cancel_all, claim, claimable, contents, due, get, ids, move, new, report


@pytest.fixture
def store(sqlite: SQLiteStore) -> SQLiteStore:
    return sqlite


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
    stopped.take()
    before = time.monotonic()
    add(store, new("a"))
    assert 0.2 < time.monotonic() - before < PATIENCE / 2
    stopped.give()
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
