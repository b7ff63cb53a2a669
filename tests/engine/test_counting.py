"""What was counted is what happened: exactly once each, whoever committed it, and whatever became of him."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blaxel_jobs.core.records import Event, Execution, Failure, Spec
from blaxel_jobs.core.reports import Completed, Crashed, Failed, Noted, Released
from blaxel_jobs.core.requests import read_create
from blaxel_jobs.core.tallies import total
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import CreateExecution, FoldTallies, Tell
from blaxel_jobs.engine.counting import KEPT, Folding, InStore, fold
from blaxel_jobs.engine.effects import Told
from blaxel_jobs.errors import Conflict, StoreError
from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from blaxel_jobs.stores.base import Tally
from blaxel_jobs.stores.sql.statements import Statements
from blaxel_jobs.words import FailureKind, JobStatus
from tests.clocks import ManualClock

from .conftest import WORKSPACE, Harness

DONE = Completed("1")
NO = Failed(Failure(FailureKind.ERROR, "ValueError", "no"))
ENDS = ("completed", "failed", "cancelled")


class Server(Harness):
    """One of several on a store: its ids are its own."""

    def __init__(self, store: str | JobStore, name: str = "a", clock: Any = None) -> None:
        self.clock = clock or ManualClock()
        ids = count(1)
        store = open_store(store) if isinstance(store, str) else store
        self.engine = Engine(store, clock=self.clock, new_id=lambda: f"{name}{next(ids)}", rng=Random(0))

    def run(self, *reports: Any, job: str = "job", wait: float = 0.0, took: float = 0.0, **body: Any) -> str:
        """An execution, with what its worker says of it in each of its attempts."""
        id = self.create(job, **({} if "tasks" in body else {"input": None}), retryDelayMs=0, **body)["executionId"]
        for report in reports:
            self.pass_time(wait)
            for leased in self.claim():
                self.clock.advance(took)
                self.tell(leased, report)
        return str(id)

    def stats(self, job: str = "job", workspace: str = WORKSPACE) -> Any:
        return self.engine.call("get_stats", workspace, {"job": job})["jobs"][job]


@pytest.fixture
def server(store_url: str) -> Iterator[Server]:
    server = Server(store_url)
    yield server
    server.engine.close()


def numbers(stats: Any, *names: str) -> dict[str, int]:
    """These of the figures, or all that are not 0."""
    words = names or ("created", *ENDS, "retried", "recovered")
    return {name: stats[name] for name in words if stats[name] or names}


def test_s3_10_11_counts_are_exact_and_by_job(server: Server) -> None:
    rng = Random(1)
    waits, runs = [rng.expovariate(5) for _ in range(110)], [rng.lognormvariate(0, 2) for _ in range(110)]
    for place, (wait, took) in enumerate(zip(waits, runs, strict=True)):
        server.run(NO if place % 11 == 0 else DONE, job="word-count", wait=wait, took=took)
    server.run(DONE, job="other", took=7.0)
    stats = server.stats("word-count")
    assert numbers(stats) == {"created": 110, "completed": 100, "failed": 10}
    assert stats["failureRate"] == 10 / 110
    for shown, exact in ((stats["wait"], sorted(waits)), (stats["run"], sorted(runs))):
        assert shown["count"] == 110
        assert shown["mean"] == pytest.approx(sum(exact) / 110 * 1000, rel=1e-6)
        for name, place in (("p50", 54), ("p95", 104), ("p99", 108)):
            assert shown[name] == pytest.approx(exact[place] * 1000, rel=0.1, abs=0.1)
    other = server.stats("other")
    assert numbers(other) == {"created": 1, "completed": 1}
    assert other["run"]["mean"] == pytest.approx(7000)
    assert server.engine.call("get_stats", "elsewhere", {}) == {"jobs": {}}


def test_s3_10_each_way_to_go_and_to_end(server: Server) -> None:
    server.run(NO, NO, DONE, job="retried", maxRetries=2)
    server.run(Crashed("gone"), Crashed("gone"), DONE, job="recovered")
    server.run(Released(), DONE, job="released")
    server.cancel(server.run(job="cancelled"), "cancelled")
    server.run(job="expired")
    server.claim()
    server.pass_time(11.0)
    late = server.run(job="late", timeoutMs=1000)
    server.claim()
    server.pass_time(1.0)
    server.run(DONE, job="many", tasks=[{}, {}, {}])
    server.create("fast", tasks=[{}, {}], failFast=True)
    server.tell(server.claim()[0], NO)
    again = server.run(NO, job="again")
    server.do("retry", again)
    server.run(DONE, job="unrelated")  # takes that of `again` too
    rerun = server.run(DONE, job="rerun")
    server.do("rerun", rerun, body={})
    items = [{"job": "batch", "input": None}, {"job": "batch", "input": None}]
    server.engine.call("create_batch", WORKSPACE, {"body": {"items": items}})
    shown = {job: numbers(stats) for job, stats in server.engine.call("get_stats", WORKSPACE, {})["jobs"].items()}
    assert shown == {
        "retried": {"created": 1, "completed": 1, "retried": 2},
        "recovered": {"created": 1, "completed": 1, "recovered": 2},
        "released": {"created": 1, "completed": 1},
        "cancelled": {"created": 1, "cancelled": 1},
        "expired": {"created": 1, "recovered": 1},
        "late": {"created": 1, "failed": 1},
        "many": {"created": 1, "completed": 1},
        "fast": {"created": 1, "failed": 1},
        "again": {"created": 1, "failed": 1, "completed": 1, "retried": 1},
        "unrelated": {"created": 1, "completed": 1},
        "rerun": {"created": 2, "completed": 1},
        "batch": {"created": 2},
    }
    assert server.get(late, "late")["error"]["kind"] == "timeout"
    assert server.stats("many")["run"]["count"] == 3
    assert server.stats("retried")["wait"]["count"] == 3


def test_figures_are_the_sums_of_what_executions_say(server: Server) -> None:
    """Errors are `retried`, losses `recovered`, the last one too."""
    ids = [server.run(*[Crashed("gone")] * 6), server.run(NO, NO, maxRetries=1), server.run(Crashed("gone"), DONE)]
    server.do("retry", ids[1])
    views = [server.get(id) for id in ids]
    assert [(view["stats"]["retried"], len(view["recoveries"])) for view in views] == [(0, 6), (2, 0), (0, 1)]
    assert numbers(server.stats(), "retried", "recovered") == {"retried": 2, "recovered": 7}


def test_what_is_not_created_is_not_counted(server: Server) -> None:
    server.create(key="k")
    server.create(key="k")
    taken = server.create(executionId="x", input=1)["executionId"]
    items = [{"job": "job", "input": None}, {"job": "job", "input": None, "executionId": taken}]
    with pytest.raises(Conflict):
        server.engine.call("create_batch", WORKSPACE, {"body": {"items": items}})
    assert numbers(server.stats()) == {"created": 2}


def test_s3_10_throughput_is_of_the_last_minute(server: Server) -> None:
    for _ in range(60):
        server.run(DONE)
    seen = [server.stats()["throughput"]["perSecond"]]
    for seconds in (59.0, 31.0, 30.0, 3600.0):
        server.clock.advance(seconds)
        seen.append(server.stats()["throughput"]["perSecond"])
    assert seen == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
    server.clock.set(-7200.0)  # what is counted in the future is not of the last minute
    assert server.stats()["throughput"]["perSecond"] == 0.0
    assert numbers(server.stats()) == {"created": 60, "completed": 60}


def test_s3_13_the_backlog_is_by_status_and_has_an_age(server: Server) -> None:
    server.define(queue="slow")
    assert server.stats()["backlog"] == {"pending": 0, "running": 0, "paused": 0}
    server.create(tasks=[{}, {}])
    server.claim(1)
    server.clock.advance(2.5)
    paused = server.create()["executionId"]
    server.do("pause", paused)
    stats = server.stats()
    assert stats["backlog"] == {"pending": 1, "running": 1, "paused": 1, "oldestPendingMs": 2500}
    assert stats["queue"] == "slow"
    server.clock.set(-60.0)
    assert server.stats()["backlog"]["oldestPendingMs"] == 0


def _ended(rows: int, path: Path) -> int:
    """The instructions that SQLite takes to read the figures after so many executions have ended, and two have not."""
    server = Server(f"sqlite:///{path}")
    items = [{"job": "job", "input": None}] * rows
    server.engine.call("create_batch", WORKSPACE, {"body": {"items": items}})
    while leased := server.claim(1000):
        server.engine._apply([Tell(each.lease, DONE) for each in leased])
    server.create()
    server.create()
    server.claim(1)
    assert numbers(server.stats()) == {"created": rows + 2, "completed": rows}
    server.engine.close()
    steps = 0

    def tick() -> None:
        nonlocal steps
        steps += 1

    with closing(sqlite3.connect(path)) as file:
        file.set_progress_handler(tick, 1)
        sql = Statements("")
        for statement in (sql.backlog, sql.tallies):
            file.execute(statement).fetchall()
    return steps


def test_s3_13_figures_cost_the_same_however_much_has_ended(tmp_path: Path) -> None:
    few, many = _ended(20, tmp_path / "few.db"), _ended(1000, tmp_path / "many.db")
    assert many <= few + 5


def test_servers_on_one_store_count_their_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    clock = ManualClock()
    servers = [Server(url, "a", clock), Server(url, "b", clock)]
    for one in servers:
        one.run(DONE)
        one.run(NO)
    servers[0].create()
    [leased] = servers[1].claim()
    servers[0].tell(leased, DONE)
    for one in servers:
        assert numbers(one.stats()) == {"created": 5, "completed": 3, "failed": 2}
        assert one.stats()["run"]["count"] == 5
        one.engine.close()
    again = Server(url, "c", clock)
    again.run(DONE)
    assert numbers(again.stats()) == {"created": 6, "completed": 4, "failed": 2}
    again.engine.close()


def test_a_store_in_memory_keeps_what_was_counted() -> None:
    store = MemoryJobStore()
    for runs, name in enumerate(("a", "b"), 1):
        server = Server(store, name)
        server.run(DONE)
        assert numbers(server.stats()) == {"created": runs, "completed": runs}
        server.engine.close()
    assert total(tally.numbers for tally in store.tallies())["completed"] == 2


def test_a_lone_create_writes_one_small_row(tmp_path: Path) -> None:
    server = Server(f"sqlite:///{tmp_path}/jobs.db")
    for took in range(50):
        server.run(DONE, wait=took / 7, took=took / 3)
    written: list[Tally] = []
    begin = server.engine.store.begin

    @contextlib.contextmanager
    def noted() -> Iterator[Any]:
        with begin() as transaction:
            write = transaction.count

            def count(tallies: Any) -> None:
                written.extend(tallies)
                write(tallies)

            transaction.count = count  # type: ignore[method-assign]
            yield transaction

    server.engine.store.begin = noted  # type: ignore[method-assign]
    created = server.create()["executionId"]
    assert [tally.numbers.keys() for tally in written] == [{"created"}]
    written.clear()
    [leased] = server.claim()
    server.tell(leased, Noted(None, ()))
    assert {name.partition(".")[0] for tally in written for name in tally.numbers} == {"wait"}
    written.clear()
    server.do("pause", created)
    assert written == []
    server.engine.close()


# What fails


class Doubtful:
    """A store whose next commit fails: nothing was written, or everything was and nobody is told."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.fails: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Any]:
        fails, self.fails = self.fails, None
        with self._store.begin() as transaction:
            yield transaction
            if fails == "before":
                raise StoreError("the disk is full")
        if fails == "after":
            raise StoreError("the disk does not answer")


@pytest.mark.parametrize("fails", ["before", "after"])
def test_a_commit_that_fails_is_counted_as_the_store_has_it(fails: str, tmp_path: Path) -> None:
    store = Doubtful(open_store(f"sqlite:///{tmp_path}/jobs.db"))
    server = Server(store)
    server.run(DONE)
    store.fails = fails
    with pytest.raises(StoreError):
        server.create()
    server.run(DONE)
    server.run(DONE)
    there = len(server.engine.call("list_executions", WORKSPACE, {})["data"])
    assert there == (3 if fails == "before" else 4)
    assert server.stats()["created"] == there
    server.engine.close()


async def test_a_batch_that_falls_back_counts_each_once(tmp_path: Path) -> None:
    server = Server(f"sqlite:///{tmp_path}/jobs.db")
    whole: list[int] = []
    apply = server.engine._apply

    server.create()
    [leased] = server.claim()

    def noted(commands: Any) -> Any:
        whole.append(len(commands))
        return apply(commands)

    server.engine._committer._apply = noted  # type: ignore[attr-defined]
    creates = [server.engine.acall("create_job_execution", WORKSPACE, {"job": "job", "body": {"input": n}}) for n in range(5)]
    bad = server.engine.asubmit(Tell(leased.lease, object()))
    *_, failed = await asyncio.gather(*creates, bad, return_exceptions=True)
    assert isinstance(failed, KeyError)
    assert max(whole) > 1
    assert 1 in whole
    assert numbers(server.stats()) == {"created": 6}
    server.engine.close()


KILLED = """
import sys
from random import Random
from blaxel_jobs.core.reports import Completed
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory

engine = Engine(open_store(sys.argv[1]), clock=SystemClock(), new_id=id_factory(), rng=Random(0))
while True:
    engine.call("create_job_execution", "default", {"job": "job", "body": {"input": None}})
    print("created", flush=True)
    for leased in engine.submit(Claim("default", None, 1, "w", 100.0)):
        engine.submit(Tell(leased.lease, Completed("1")))
        print("completed", flush=True)
"""


def test_s3_10_what_was_acknowledged_is_counted_after_kill_9(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    said: list[str] = []
    for kill in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.strip())
            if len(said) == 40 * (kill + 1):
                os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    server = Server(url)
    stats = server.stats()
    executions = _all(server.engine)
    assert stats["created"] == len(executions) >= said.count("created")
    assert stats["completed"] == executions.count("completed") >= said.count("completed")
    assert stats["run"]["count"] == stats["completed"]
    server.engine.close()


def _all(engine: Engine) -> list[str]:
    """The status of every execution."""
    page = engine.call("list_executions", WORKSPACE, {"limit": 1000})
    assert not page["meta"]["hasMore"]
    return [str(view["status"]) for view in page["data"]]


def test_what_was_read_does_not_change() -> None:
    """Other threads go on counting while one adds up what it has read."""
    server = Server("memory:")
    server.run(DONE, took=1.0)
    rows = server.engine.counting.rows()
    before = deepcopy(rows)
    server.run(NO, took=2.0)
    assert rows == before
    assert server.engine.counting.rows() != before
    server.engine.close()


# The clock, and rows that are added up


def test_a_clock_that_is_set_loses_nothing(server: Server) -> None:
    for seconds in (0.0, 120.0, -120.0, -3600.0, 7200.0, -61.0):
        server.clock.set(seconds)
        server.run(DONE)
        server.run(NO)
    assert numbers(server.stats()) == {"created": 12, "completed": 6, "failed": 6}


def test_rows_stay_few(server: Server) -> None:
    folding = Folding(server.engine)
    for _ in range(200):
        server.run(DONE)
        server.clock.advance(60.0)
        folding.poll(server.clock.now())
    assert numbers(server.stats()) == {"created": 200, "completed": 200}
    assert server.stats()["run"]["count"] == 200
    rows = [*server.engine.store.tallies(), *server.engine.counting.rows()]
    assert len(rows) <= 3 * (2 * KEPT + 1) + 1


def test_folding_looks_every_few_minutes_and_after_the_clock_was_set_back(tmp_path: Path) -> None:
    server = Server(f"sqlite:///{tmp_path}/jobs.db")
    folding = Folding(server.engine)
    assert folding.poll(10_000.0) == 60 * KEPT
    assert folding.poll(10_001.0) == 60 * KEPT - 1
    assert folding.poll(5_000.0) == 60 * KEPT
    server.engine.close()
    assert Folding(Server(MemoryJobStore()).engine).poll(0.0) == float("inf"), "a virtual clock would never rest"


def test_folding_keeps_what_others_still_write(tmp_path: Path) -> None:
    """The clock of one server is half an hour late: the minute that it writes is long over for the other."""
    url, late, right = f"sqlite:///{tmp_path}/jobs.db", ManualClock(), ManualClock()
    late.set(-1800.0)
    servers = [Server(url, "late", late), Server(url, "right", right)]
    for clock_goes in (0.0, 10.0, 60.0, 600.0, 0.0):
        for one in servers:
            one.clock.advance(clock_goes)
            one.create()
            before = servers[1].stats()["created"]
            servers[1].engine.submit(FoldTallies(int(right.now() // 60) - KEPT))
            assert servers[1].stats()["created"] == before
            one.create()
    assert servers[0].stats()["created"] == 20
    for one in servers:
        one.engine.close()


CREATED = Told(
    Execution(
        seq=1, id="e", workspace="w", job="j", total=1, priority=0, created_at=0.0, updated_at=0.0, spec=Spec()
    ),
    Event(execution=1, id=1, at=0.0, type="created", status=JobStatus.PENDING),
)  # fmt: skip


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["commit", "commit", "commit", "fail", "doubtful", "fold", "restart"]),
            st.integers(0, 240),
            st.integers(-1200, 1200),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_or_counted_twice(story: list[tuple[int, str, int, int]]) -> None:
    """Servers whose clocks are up to twenty minutes off commit, fail, do not know, fold and come back as others."""
    store: dict[tuple[str, str, str, int], Tally] = {}
    names = count()
    servers = [InStore(f"s{next(names)}") for _ in range(3)]
    off = [0, 0, 0]
    now, happened = 1_000_000.0, 0

    def write(tallies: list[Tally]) -> None:
        store.update({(tally.workspace, tally.job, tally.server, tally.minute): tally for tally in tallies})

    for which, what, passed, set_to in story:
        now += passed
        if passed % 5 == 0:
            off[which] = set_to
        at = now + off[which]
        server = servers[which]
        if what == "fold":
            remaining = fold(store.values(), int(at // 60) - KEPT)
            store.clear()
            write(remaining)
        elif what == "restart":
            servers[which] = InStore(f"s{next(names)}")
        else:
            tallies = server.count([CREATED], at)
            if what != "fail":
                write(tallies)
                happened += 1
            if what == "commit":
                server.keep(tallies)
        assert total(tally.numbers for tally in store.values()).get("created", 0) == happened


def test_creates_of_one_batch_are_one_row(tmp_path: Path) -> None:
    server = Server(f"sqlite:///{tmp_path}/jobs.db")
    creates = [CreateExecution(read_create(WORKSPACE, "job", {"input": n}, None)) for n in range(20)]
    server.engine._apply(creates)
    assert [tally.numbers for tally in server.engine.store.tallies()] == [{"created": 20}]
    server.engine.close()
