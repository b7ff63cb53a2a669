"""The SQLite file when it is large, when much waits in it, when another process writes it, and when one was killed."""

import asyncio
import re
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from blaxel_jobs.define import define_job
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim
from blaxel_jobs.stores.sql.statements import Statements

from .engine import create, create_many
from .processes import child
from .report import Bar, Measured, Topic, percentile
from .scratch import JOB, WORKSPACE, Scratch, open_engine, url_of
from .worker import PATIENCE, Countdown, hire

PLANS = Bar("1,000,000 finished rows: statements whose plan differs from an empty file's", "", 0, 0)
PAGE = Bar("1,000,000 finished rows: page (the slower of the first and one in the middle)", "ms", 10, 3)
FILTER = Bar("1,000,000 finished rows: page of a filter (the slowest of them)", "ms", 10, 3)
OFFSET = Bar("1,000,000 finished rows: page at offset 500,000", "ms")
CLAIM_FINISHED = Bar("1,000,000 finished rows: claim of 10 against an empty file's", "x")
CLAIM_PENDING = Bar("SQLite: 20,000 pending: claim of 10 against an empty queue's", "x", 1.5, 1.2)
CLAIM_BLOCKED = Bar("SQLite: 20,000 of a blocked key ahead of the free ones: claim of 10 against an empty queue's", "x", 1.5, 1.2)
CLAIM_BLOCKED_FIRST = Bar("SQLite: the claims that first meet those 20,000, until one has seen them all", "ms")
CLAIM_BLOCKED_LONGEST = Bar("SQLite: the longest of those claims", "ms", 100, 50)
CLAIM_PENDING_MEMORY = Bar("memory: 20,000 pending: claim of 10 against an empty queue's", "x", 1.5, 1.2)
CLAIM_BLOCKED_MEMORY = Bar(
    "memory: 20,000 of a blocked key ahead of the free ones: claim of 10 against an empty queue's", "x", 1.5, 1.2
)
CLAIM_BLOCKED_FIRST_MEMORY = Bar("memory: the claims that first meet those 20,000, until one has seen them all", "ms")
CLAIM_BLOCKED_LONGEST_MEMORY = Bar("memory: the longest of those claims", "ms", 100, 50)
SECOND = Bar("second process on the SQLite file beside a busy one: p99 of a write", "ms", 50, 20)
TAKEOVER = Bar("takeover after kill -9, by a process that runs", "s", 15, 12)
RESTART = Bar("takeover after kill -9, by the next process that opens the store", "s")

_PLANNED = (
    "claimable", "claimable_of", "ready_jobs", "leased_tasks", "timed_tasks", "due", "next_due", "overdue", "leases", "find",
    "tasks_in", "tasks", "tasks_without_results", "events", "steps_of_task", "signals", "lease_tokens", "added", "having_key",
    "holders", "parked", "keyed_waiting", "backlog",
)  # fmt: skip


_FILTERS: dict[str, tuple[bool | None, dict[str, str]]] = {
    "completed ones": (True, {"status": "completed"}),
    "completed ones of a job": (True, {"job": JOB, "status": "completed"}),
    "failed ones": (False, {"status": "failed"}),
    "pending ones of a job": (False, {"job": JOB, "status": "pending"}),
    "failed and pending ones": (False, {"status": "failed,pending"}),
    "all but completed ones of a job": (None, {"job": JOB, "status": "pending,running,paused,failed,cancelled"}),
    "another job": (False, {"job": "another"}),
    "a batch": (False, {"batch": "batch-that-is-not-there"}),
}
"""Each with whether it finds anything: there are none but completed ones of one job."""
_CLAIM = Claim(WORKSPACE, (JOB,), 10, "bench", 3600.0)


@contextmanager
def finished(scratch: Scratch) -> Iterator[tuple[Path, Engine, Engine]]:
    """The folder with the files, an engine on an empty one, and one on a file with 1,000,000 finished executions."""
    with scratch.folder() as folder:
        files = {name: folder / name for name in ("empty", "full")}
        for path in files.values():
            path.mkdir()
        with open_engine(url_of(files["full"])) as engine:
            create(engine)
            engine.start()
            countdown = Countdown(1)
            worker = hire(engine, countdown.job(is_async=True), slots=1)
            worker.start()
            assert countdown.over.wait(PATIENCE)
            worker.stop(PATIENCE)
        multiply(files["full"] / "jobs.db", scratch.size(1_000_000, 2_000))
        with open_engine(url_of(files["empty"])) as empty, open_engine(url_of(files["full"])) as full:
            yield folder, empty, full


def multiply(path: Path, count: int) -> None:
    """Copy the file's one execution, with its task and events, until there are `count`."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode = off")
    connection.execute("pragma synchronous = off")
    connection.execute("pragma cache_size = -400000")
    indexes = connection.execute("select name, sql from sqlite_master where type = 'index' and sql is not null").fetchall()
    for name, _ in indexes:
        connection.execute(f"drop index {name}")
    name = "lower(hex(randomblob(16)))"
    other = {
        "executions": {"seq": "i", "id": name, "idempotency_key": name},
        "tasks": {"seq": "i", "execution": "i"},
        "events": {"execution": "i"},
    }
    connection.execute("begin")
    for table, changed in other.items():
        columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
        values = ", ".join(changed.get(column, column) for column in columns)
        first = "seq = 1" if "seq" in columns else "execution = 1"
        connection.execute(
            "with recursive numbers (i) as (select 2 union all select i + 1 from numbers where i < ?) "
            f"insert into {table} ({', '.join(columns)}) select {values} from numbers cross join "
            f"(select * from {table} where {first})",
            (count,),
        )
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("commit")
    connection.close()


def million(scratch: Scratch) -> Measured:
    folder, empty, full = scratch.keep(finished)
    plans = [_plans(folder / name / "jobs.db") for name in ("empty", "full")]
    cursor = _page(full, offset=scratch.size(500_000, 1_000))["meta"]["nextCursor"]
    first, middle = _seconds(lambda: _page(full)), _seconds(lambda: _page(full, cursor=cursor))
    offset = _seconds(lambda: _page(full, offset=scratch.size(500_000, 1_000)), times=5)
    filters = {name: _seconds(partial(_filtered, full, found, **query), times=5) for name, (found, query) in _FILTERS.items()}
    at_empty, at_full = _claims(empty, full, scratch.size(30, 3))
    return Measured(
        {
            PLANS: sum(plans[0][name] != plans[1][name] for name in _PLANNED),
            PAGE: max(first, middle) * 1000,
            FILTER: max(filters.values()) * 1000,
            OFFSET: offset * 1000,
            CLAIM_FINISHED: at_full / at_empty,
        },
        {
            "first page, ms": first * 1000,
            "middle page, ms": middle * 1000,
        }
        | {f"page of {name}, ms": seconds * 1000 for name, seconds in filters.items()}
        | {
            "claim of 10, empty, ms": at_empty * 1000,
            "claim of 10, 1,000,000 finished, ms": at_full * 1000,
        },
    )


def _plans(path: Path) -> dict[str, list[str]]:
    """How SQLite would run each hot statement on this file."""
    connection = sqlite3.connect(path)
    statements = Statements("")
    plans = {}
    for name in _PLANNED:
        sql = getattr(statements, name)
        numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
        values = [None] * (max(numbered) if numbered else sql.count("?"))
        plans[name] = [row[3] for row in connection.execute(f"explain query plan {sql}", values)]
        assert plans[name], f"{name} has no plan"
    connection.close()
    return plans


def _page(engine: Engine, **position: object) -> dict[str, dict[str, str]]:
    page: dict[str, dict[str, str]] = engine.call("list_job_executions", WORKSPACE, {"job": JOB, **position})
    return page


def _filtered(engine: Engine, found: bool | None, **query: str) -> None:
    """None: what earlier runs have claimed may be found."""
    data = engine.call("list_executions", WORKSPACE, query)["data"]
    assert found in (None, bool(data)), f"{query} found {len(data)}"


def _seconds(call: Callable[[], object], times: int = 20) -> float:
    """The median."""
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        call()
        taken.append(time.perf_counter() - before)
    return statistics.median(taken)


def _claims(one: Engine, other: Engine, times: int) -> tuple[float, float]:
    """Median seconds of a claim of 10 on each of two engines, by turns; what is claimed is replaced before."""
    taken: dict[Engine, list[float]] = {one: [], other: []}
    for _ in range(times):
        for engine in (one, other):
            asyncio.run(create_many(engine, 10, callers=10))
            before = time.perf_counter()
            leased = engine.submit(_CLAIM)
            taken[engine].append(time.perf_counter() - before)
            assert len(leased) == 10, "the claim found too little"
    return statistics.median(taken[one]), statistics.median(taken[other])


class Queues(NamedTuple):
    """Engines on stores of one kind."""

    empty: Engine
    full: Engine
    """20,000 wait in it, and any of them can be claimed."""
    blocked: Engine
    """20,000 wait in it for the slot of one concurrency key; they are older than all that is free."""
    first: list[float]
    """Seconds of each of the claims that met those first: the last has seen them all."""


@contextmanager
def sqlite_queues(scratch: Scratch) -> Iterator[Queues]:
    with scratch.engine("sqlite") as empty, scratch.engine("sqlite") as full, scratch.engine("sqlite") as blocked:
        yield _filled(scratch, empty, full, blocked)


@contextmanager
def memory_queues(scratch: Scratch) -> Iterator[Queues]:
    with scratch.engine("memory") as empty, scratch.engine("memory") as full, scratch.engine("memory") as blocked:
        yield _filled(scratch, empty, full, blocked)


def _filled(scratch: Scratch, empty: Engine, full: Engine, blocked: Engine) -> Queues:
    pending = scratch.size(20_000, 200)
    asyncio.run(create_many(full, pending))
    asyncio.run(create_many(blocked, 10, callers=10, concurrency_key="one at a time"))
    claimed = blocked.submit(_CLAIM)
    assert len(claimed) == 1, "the key had more than one slot"
    asyncio.run(create_many(blocked, pending, concurrency_key="one at a time"))
    first, claimed = [], None
    while claimed is None:
        before = time.perf_counter()
        claimed = blocked.submit(_CLAIM)
        first.append(time.perf_counter() - before)
    assert not claimed, "the key had another slot"
    return Queues(empty, full, blocked, first)


def _claim_pending(scratch: Scratch, queues: Queues, full: Bar, blocked: Bar, first: Bar, longest: Bar) -> Measured:
    times = scratch.size(100, 3)
    at_empty, at_full = _claims(queues.empty, queues.full, times)
    at_empty_again, at_blocked = _claims(queues.empty, queues.blocked, times)
    return Measured(
        {
            full: at_full / at_empty,
            blocked: at_blocked / at_empty_again,
            first: sum(queues.first) * 1000,
            longest: max(queues.first) * 1000,
        },
        {"claim of 10, empty, ms": at_empty * 1000, "full, ms": at_full * 1000, "blocked, ms": at_blocked * 1000},
    )


def claim_sqlite(scratch: Scratch) -> Measured:
    queues = scratch.keep(sqlite_queues)
    return _claim_pending(scratch, queues, CLAIM_PENDING, CLAIM_BLOCKED, CLAIM_BLOCKED_FIRST, CLAIM_BLOCKED_LONGEST)


def claim_memory(scratch: Scratch) -> Measured:
    queues = scratch.keep(memory_queues)
    return _claim_pending(
        scratch, queues, CLAIM_PENDING_MEMORY, CLAIM_BLOCKED_MEMORY, CLAIM_BLOCKED_FIRST_MEMORY, CLAIM_BLOCKED_LONGEST_MEMORY
    )


def second_process(scratch: Scratch) -> Measured:
    taken = []
    with scratch.folder() as folder, open_engine(url_of(folder)) as engine, child("hammer", url_of(folder)):
        create(engine)
        for _ in range(scratch.size(400, 20)):
            before = time.perf_counter()
            create(engine)
            taken.append((time.perf_counter() - before) * 1000)
            time.sleep(0.005)
    return Measured({SECOND: percentile(taken, 0.99)}, {"p50, ms": statistics.median(taken), "slowest, ms": max(taken)})


def takeover(scratch: Scratch) -> Measured:
    """A worker is killed with a task in its hands; another that runs takes it over, or one that starts then."""
    taken = []
    lease = 1.0 if scratch.quick else 10.0
    for runs_before in (True, False):
        with scratch.folder() as folder:
            url = url_of(folder)
            with open_engine(url) as creator:
                create(creator)
            with child("hang", url, str(lease)) as victim:
                taken.append(_taken_over(url, lease, victim.kill, runs_before))
    return Measured({TAKEOVER: taken[0], RESTART: taken[1]}, {})


def _taken_over(url: str, lease: float, kill: Callable[[], None], runs_before: bool) -> float:
    """Seconds from the kill to the first line of the handler in this process."""
    picked = threading.Event()
    job = define_job(JOB, run=picked.set)
    if not runs_before:
        kill()
    before = time.perf_counter()
    with open_engine(url, lease) as engine:
        engine.start()
        worker = hire(engine, job, slots=1)
        worker.start()
        if runs_before:
            assert not picked.wait(lease / 50), "the task was taken from a living worker"
            kill()
            before = time.perf_counter()
        assert picked.wait(PATIENCE), "the task was not taken over"
        seconds = time.perf_counter() - before
        worker.stop(PATIENCE)
    return seconds


TOPICS = (
    Topic("million", (PLANS, PAGE, FILTER, OFFSET, CLAIM_FINISHED), million),
    Topic("pending", (CLAIM_PENDING, CLAIM_BLOCKED, CLAIM_BLOCKED_FIRST, CLAIM_BLOCKED_LONGEST), claim_sqlite),
    Topic(
        "pending-memory",
        (CLAIM_PENDING_MEMORY, CLAIM_BLOCKED_MEMORY, CLAIM_BLOCKED_FIRST_MEMORY, CLAIM_BLOCKED_LONGEST_MEMORY),
        claim_memory,
    ),
    Topic("second-process", (SECOND,), second_process),
    Topic("takeover", (TAKEOVER, RESTART), takeover, once=True),
)
