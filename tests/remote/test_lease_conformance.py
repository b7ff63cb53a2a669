"""The leases port: one suite for the leases of this process, and for those over HTTP, in Python and in TypeScript."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import Settings, define_job
from blaxel_jobs.core.records import Failure, Leased, LeaseRef, Progress
from blaxel_jobs.core.reports import Answer, Awaited, Completed, Crashed, Failed, LogLine, Noted, Released, Report, Slept, Stepped
from blaxel_jobs.engine import Engine, LocalLeases
from blaxel_jobs.engine.recovery import tick
from blaxel_jobs.errors import ConfigError, LeaseLost
from blaxel_jobs.remote import RemoteLeases
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng
from blaxel_jobs.words import FailureKind
from blaxel_jobs.worker import Leases
from tests.pace import PATIENCE
from tests.serving import live_engine

from .node_leases import NodeLeases, NodeProcess

LEASE = 10.0
LONG = 20.0
JOBS = ("job",)

job = define_job("job", run=lambda context, payload: payload, max_retries=2, retry_delay=0)
other = define_job("other", run=lambda context, payload: payload)


class ShiftedClock(SystemClock):
    """Real time, which tests move forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:  # type: ignore[override]
        return SystemClock.now() + self.ahead

    def monotonic(self) -> float:  # type: ignore[override]
        return SystemClock.monotonic() + self.ahead


class Bench:
    """An engine, and leases of it: in this process, or through a server."""

    def __init__(self, engine: Engine, clock: ShiftedClock, make: Callable[[], Leases]) -> None:
        self.engine = engine
        self.clock = clock
        self.leases = make()
        self.leases.register([job, other])
        self.leases.open()

    def call(self, operation: str, **arguments: Any) -> Any:
        return json.loads(json.dumps(_plain(self.engine.call(operation, "default", arguments))))

    def create(self, name: str = "job", **body: Any) -> str:
        view = self.call("create_job_execution", job=name, body=body or {"input": None})
        return str(view["executionId"])

    def get(self, id: str) -> Any:
        return self.call("get_execution", execution_id=id)

    async def claim(self, limit: int = 100, wait: float = 0.0, jobs: tuple[str, ...] = ("job", "other")) -> list[Leased]:
        return await self.leases.claim(jobs, limit, wait)

    async def lease(self, **body: Any) -> tuple[str, Leased]:
        """A new execution, and the lease on its task."""
        id = self.create(**body)
        [leased] = await self.claim()
        return id, leased

    async def waiting_claim(self) -> "asyncio.Task[list[Leased]]":
        """A claim that waits for tasks, as there is none."""
        here = asyncio.Event()
        if isinstance(self.leases, LocalLeases):
            self.leases.on_empty = here.set
        claim = asyncio.create_task(self.claim(wait=LONG))
        await self.look(lambda: here.is_set() or bool(self.engine.arrivals._waiting))
        return claim

    async def look(self, condition: Callable[[], bool]) -> None:
        """Until it holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.005)

    def pass_time(self, seconds: float) -> None:
        self.clock.ahead += seconds
        tick(self.engine)


def _plain(view: Any) -> Any:
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(view))


@pytest.fixture(scope="module")
def node_process() -> Iterator[NodeProcess]:
    process = NodeProcess()
    yield process
    process.close()


@pytest.fixture(params=["local-memory", "local-sqlite", "remote-memory", "remote-sqlite", "typescript-memory"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    port, _, store = request.param.partition("-")
    clock = ShiftedClock()
    store_url = "memory:" if store == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    engine = Engine(open_store(store_url), clock=clock, new_id=id_factory(), rng=rng, lease=LEASE)
    with ExitStack() as stack:
        stack.callback(engine.close)
        make: Callable[[], Leases] = lambda: LocalLeases(engine, ["default"], new_key())  # noqa: E731
        if port == "remote":
            url = stack.enter_context(live_engine(engine))
            make = lambda: RemoteLeases(settings=Settings(base_url=url))  # noqa: E731
        if port == "typescript":
            process: NodeProcess = request.getfixturevalue("node_process")
            url = stack.enter_context(live_engine(engine))
            make = lambda: NodeLeases(process, url)  # noqa: E731
        bench = Bench(engine, clock, make)
        assert await bench.claim() == []  # nothing is there yet
        yield bench
        await asyncio.to_thread(bench.leases.close)


async def test_a_lease_has_all_that_a_handler_takes(bench: Bench) -> None:
    id, leased = await bench.lease(
        input={"a": [1, 2.5, "\u00e4"], "b": None}, metadata={"who": "me"}, env={"A": "1"}, timeoutMs=60_000
    )
    assert leased.execution_id == id
    assert (leased.job, leased.index, leased.attempt, leased.steps) == ("job", 0, 1, ())
    assert json.loads(leased.input) == {"a": [1, 2.5, "\u00e4"], "b": None}
    assert (leased.metadata, leased.env, leased.workspace) == ({"who": "me"}, {"A": "1"}, "default")
    assert leased.timeout is not None
    assert 50 < leased.timeout <= 60


async def test_tasks_are_leased_once_in_their_order_and_of_the_jobs_that_are_asked_for(bench: Bench) -> None:
    ids = [bench.create() for _ in range(5)]
    bench.create("other")
    first = await bench.claim(3, jobs=JOBS)
    second = await bench.claim(100, jobs=JOBS)
    assert [leased.execution_id for leased in first + second] == ids
    assert len(first) == 3
    assert await bench.claim(jobs=JOBS) == []
    assert [leased.job for leased in await bench.claim()] == ["other"]


async def test_a_claim_waits_for_the_first_task(bench: Bench) -> None:
    claim = await bench.waiting_claim()
    assert not claim.done()
    id = bench.create()
    [leased] = await asyncio.wait_for(claim, PATIENCE)
    assert leased.execution_id == id


async def test_an_interrupt_ends_a_claim_and_loses_nothing(bench: Bench) -> None:
    claim = await bench.waiting_claim()
    await asyncio.to_thread(bench.leases.interrupt)
    assert await asyncio.wait_for(claim, PATIENCE) == []
    await bench.look(lambda: not bench.engine.arrivals._waiting)  # the server has to see first that its caller hung up
    id = bench.create()
    [leased] = await bench.claim(wait=LONG)
    assert leased.execution_id == id


@pytest.mark.parametrize("here", [False, True], ids=["in the loop", "in a thread"])
async def test_what_a_handler_returned_is_kept_as_it_is(bench: Bench, here: bool) -> None:
    id, leased = await bench.lease()
    report = Completed('{"a":1.50,"b":"\u00e4"}')
    if here:
        answer = await asyncio.to_thread(bench.leases.report_here, leased.lease, report)
    else:
        answer = await bench.leases.report(leased.lease, report)
    assert answer == Answer()
    view = bench.get(id)
    assert (view["status"], view["result"]) == ("completed", {"a": 1.5, "b": "\u00e4"})


async def test_a_failure_is_tried_again_with_its_steps(bench: Bench) -> None:
    id, leased = await bench.lease()
    assert await bench.leases.report(leased.lease, Stepped("one", '{"n":1}')) == Answer()
    assert await bench.leases.report(leased.lease, Stepped("two", "null")) == Answer()
    failure = Failure(FailureKind.ERROR, "ValueError", "no luck", "line 1")
    assert await bench.leases.report(leased.lease, Failed(failure, 0.0)) == Answer()
    bench.pass_time(1.0)
    [again] = await bench.claim(wait=LONG)
    assert again.lease.task == leased.lease.task
    assert again.lease.token > leased.lease.token
    assert again.attempt == 2
    assert [(step.name, step.kind, step.value) for step in again.steps] == [("one", "value", '{"n":1}'), ("two", "value", "null")]
    final = Failure(FailureKind.PERMANENT, "PermanentError", "never")
    await bench.leases.report(again.lease, Failed(final))
    view = bench.get(id)
    assert (view["status"], view["error"]["kind"], view["error"]["message"]) == ("failed", "permanent", "never")


async def test_the_same_step_once_more_changes_nothing(bench: Bench) -> None:
    _, leased = await bench.lease()
    for _ in range(2):
        assert await bench.leases.report(leased.lease, Stepped("one", "1")) == Answer()
    await bench.leases.report(leased.lease, Released())
    [again] = await bench.claim(wait=LONG)
    assert [step.name for step in again.steps] == ["one"]


async def test_what_is_given_back_is_leased_again_at_once_and_as_the_same_attempt(bench: Bench) -> None:
    id, leased = await bench.lease()
    await asyncio.to_thread(bench.leases.report_here, leased.lease, Released())
    [again] = await bench.claim(wait=LONG)
    assert (again.execution_id, again.attempt) == (id, 1)
    assert bench.get(id)["recoveries"] == []


async def test_a_crash_is_a_loss_and_no_error(bench: Bench) -> None:
    id, leased = await bench.lease()
    assert await bench.leases.report(leased.lease, Crashed("exit code -9")) == Answer()
    [again] = await bench.claim(wait=LONG)
    assert again.attempt == 2
    [recovery] = bench.get(id)["recoveries"]
    assert recovery["reason"] == "exit code -9"


async def test_a_short_sleep_is_slept_in_place_and_a_long_one_suspends(bench: Bench) -> None:
    id, leased = await bench.lease()
    answer = await bench.leases.report(leased.lease, Slept("short", 5.0, 10.0))
    assert (answer.suspended, answer.kind) == (False, "sleep")
    assert 4.0 < answer.remaining <= 5.0
    assert (await bench.leases.report(leased.lease, Slept("long", 3600.0, 10.0))).suspended
    assert bench.get(id)["waitingFor"] == "time"
    bench.pass_time(3601.0)
    [again] = await bench.claim(wait=LONG)
    assert [(step.name, step.kind) for step in again.steps] == [("short", "sleep"), ("long", "sleep")]
    assert again.attempt == 1


async def test_an_event_is_taken_before_and_after_the_wait(bench: Bench) -> None:
    id, leased = await bench.lease()
    bench.call("send_execution_event", execution_id=id, body={"name": "paid", "payload": {"sum": 3}})
    answer = await bench.leases.report(leased.lease, Awaited("paid"))
    assert (answer.kind, json.loads(answer.value)) == ("event", {"sum": 3})
    assert (await bench.leases.report(leased.lease, Awaited("sent", 600.0))).suspended
    assert await bench.claim() == []
    bench.call("send_execution_event", execution_id=id, body={"name": "sent"})
    [again] = await bench.claim(wait=LONG)
    assert [(step.name, step.kind) for step in again.steps] == [("paid", "event"), ("sent", "event")]


async def test_progress_and_logs_are_kept(bench: Bench) -> None:
    id, leased = await bench.lease()
    noted = Noted(Progress(1, 4, "quarter"), (LogLine("info", "hello", {"n": 1}), LogLine("warning", "careful")))
    assert await bench.leases.report(leased.lease, noted) == Answer()
    assert bench.get(id)["progress"] == {"current": 1, "total": 4, "message": "quarter"}
    events = bench.call("list_job_execution_events", job="job", execution_id=id)["data"]
    assert [event["data"]["message"] for event in events if event["type"] == "log"] == ["hello", "careful"]


STALE: list[Report] = [
    Completed("1"),
    Failed(Failure(FailureKind.ERROR, "E", "m")),
    Released(),
    Crashed("exit code 1"),
    Stepped("s", "1"),
    Slept("s", 1.0, 10.0),
    Awaited("s"),
    Noted(Progress(1)),
]


@pytest.mark.parametrize("report", STALE, ids=lambda report: type(report).__name__)
async def test_a_stale_report_changes_nothing_and_is_told_so(bench: Bench, report: Report) -> None:
    id, leased = await bench.lease()
    await bench.leases.report(leased.lease, Released())
    [now] = await bench.claim(wait=LONG)
    before = bench.get(id)
    with pytest.raises(LeaseLost):
        await bench.leases.report(leased.lease, report)
    with pytest.raises(LeaseLost):
        await asyncio.to_thread(bench.leases.report_here, leased.lease, report)
    assert bench.get(id) == before
    assert await bench.leases.report(now.lease, Completed("2")) == Answer()


async def test_a_stale_report_fails_no_other(bench: Bench) -> None:
    for _ in range(6):
        bench.create()
    leased = await bench.claim()
    await bench.leases.report(leased[2].lease, Completed("0"))
    reports = [bench.leases.report(each.lease, Stepped("s", "1")) for each in leased]
    outcomes = await asyncio.gather(*reports, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Answer, Answer, LeaseLost, Answer, Answer, Answer]


async def test_a_heartbeat_holds_a_lease_and_says_what_is_lost(bench: Bench) -> None:
    id, leased = await bench.lease()
    for _ in range(3):
        bench.pass_time(LEASE * 0.8)
        assert await beat(bench, leased) == (False, False)
    assert await bench.claim() == []
    bench.pass_time(LEASE * 1.1)
    assert await beat(bench, leased) == (True, False)
    [again] = await bench.claim(wait=LONG)
    assert again.execution_id == id
    [recovery] = bench.get(id)["recoveries"]
    assert recovery["worker"] == bench.leases.worker


async def test_a_heartbeat_brings_a_cancel_and_a_pause(bench: Bench) -> None:
    cancelled, first = await bench.lease()
    paused, second = await bench.lease()
    bench.call("cancel_execution", execution_id=cancelled)
    bench.call("pause_execution", execution_id=paused)
    assert await beat(bench, first) == (True, False)
    assert await beat(bench, second) == (False, True)
    assert (await bench.leases.report(second.lease, Stepped("s", "1"))).stop
    await bench.leases.report(second.lease, Released())
    assert bench.get(paused)["status"] == "paused"


async def beat(bench: Bench, leased: Leased) -> tuple[bool, bool]:
    """Whether the lease is lost, and whether its handler is to stop."""
    holding = await asyncio.to_thread(bench.leases.heartbeat, [leased.lease])
    return leased.lease in holding.lost, leased.lease in holding.stop


async def test_a_lease_that_never_was_is_lost(bench: Bench) -> None:
    never = LeaseRef(999_999, 1)
    assert never in (await asyncio.to_thread(bench.leases.heartbeat, [never])).lost
    with pytest.raises(LeaseLost):
        await bench.leases.report(never, Completed("1"))


async def test_definitions_are_registered(bench: Bench) -> None:
    id = bench.create()
    assert bench.get(id)["spec"]["maxRetries"] == 2
    with pytest.raises(ConfigError):
        bench.leases.register([define_job("job", run=print)])


async def test_the_port_says_how_often_to_beat(bench: Bench) -> None:
    assert bench.leases.heartbeat_every == pytest.approx(0.3 * LEASE)
    assert bench.leases.in_place == pytest.approx(LEASE)
