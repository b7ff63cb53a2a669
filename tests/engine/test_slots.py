"""Limits of a job and of a key: in order, never above, and no slot is ever left empty while somebody waits for it."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core.records import Execution, Failure
from blaxel_jobs.core.reports import Completed, Failed, Released, Slept
from blaxel_jobs.core.requests import read_create
from blaxel_jobs.engine import LocalLeases, claiming, slots
from blaxel_jobs.engine.commands import Claim, CreateExecution, Define, Tell
from blaxel_jobs.errors import InvalidRequest, KeyInUse, TooManyRequests, Unavailable
from blaxel_jobs.stores.base import MAX_BYTES
from blaxel_jobs.stores.sql.transaction import SQLiteTransaction
from blaxel_jobs.words import FailureKind, WaitingFor
from tests.pace import until

from .conftest import Harness

DONE = Completed("1")
NO = Failed(Failure(FailureKind.ERROR, "ValueError", "no"))


def create(harness: Harness, **body: object) -> str:
    if "tasks" not in body:
        body.setdefault("input", None)
    return str(harness.create(**body)["executionId"])


def claimed(harness: Harness, limit: int = 100) -> list[str]:
    return [leased.execution_id for leased in harness.claim(limit)]


@pytest.mark.parametrize("limit", [1, 3])
def test_s2_17_as_many_of_a_key_as_the_definition_says(harness: Harness, limit: int) -> None:
    harness.define(concurrencyPerKey=limit)
    ids = [create(harness, concurrencyKey="k") for _ in range(5)]
    other = create(harness, concurrencyKey="other")
    leased = harness.claim()
    assert [each.execution_id for each in leased] == [*ids[:limit], other]
    assert claimed(harness) == []
    harness.tell(leased[0], DONE)
    assert claimed(harness) == [ids[limit]]


@pytest.mark.parametrize("limits", [{"concurrencyPerKey": 3}, {"concurrency": 3, "concurrencyPerKey": 3}, {}], ids=repr)
@pytest.mark.parametrize("before", [{"concurrencyPerKey": 1}, {"concurrency": 1}], ids=repr)
def test_what_a_server_parks_by_limits_that_were_raised_elsewhere_is_woken(
    tmp_path: Path, before: dict[str, int], limits: dict[str, int]
) -> None:
    """It reads what others define once a second; until then it goes by what it knows."""
    server, other = (Harness(f"sqlite:///{tmp_path}/jobs.db") for _ in range(2))
    server.define(**before)
    ids = [create(server, concurrencyKey=f"k{number % 2}" if limits == {} else "k") for number in range(3)]
    other.define(**limits)
    stale = claimed(server)
    assert len(stale) < len(ids)
    server.engine.poll()
    wanted = len(ids) if limits else 2  # without a limit of the job, one of each key
    assert len(stale + claimed(server)) == wanted
    for harness in (server, other):
        harness.engine.close()


def test_what_a_server_parked_before_it_knew_the_limits_is_woken(tmp_path: Path) -> None:
    server, other = (Harness(f"sqlite:///{tmp_path}/jobs.db") for _ in range(2))
    ids = [create(server, concurrencyKey="k") for _ in range(3)]
    other.define(concurrencyPerKey=2)
    assert claimed(server) == ids[:1]
    server.engine.poll()
    assert claimed(server) == ids[1:2]
    for harness in (server, other):
        harness.engine.close()


def test_reject_refuses_when_all_slots_of_the_key_are_taken_or_spoken_for(harness: Harness) -> None:
    harness.define(concurrencyPerKey=3)
    create(harness, concurrencyKey="k")
    assert len(claimed(harness)) == 1
    for _ in range(2):  # one runs, none, and then one, waits for a worker, and there are three slots
        create(harness, concurrencyKey="k", onConflict="reject")
    with pytest.raises(KeyInUse):
        create(harness, concurrencyKey="k", onConflict="reject")
    assert len(claimed(harness)) == 2


@pytest.mark.parametrize("wait", [{"delayMs": 1000}, {"autoStart": False}], ids=repr)
def test_reject_refuses_beside_one_of_the_key_that_is_to_begin_later(harness: Harness, wait: dict[str, object]) -> None:
    create(harness, concurrencyKey="k", **wait)
    with pytest.raises(KeyInUse):
        create(harness, concurrencyKey="k", onConflict="reject")


def test_who_may_not_queue_is_refused_behind_those_in_line(harness: Harness) -> None:
    harness.define(concurrency=3)
    create(harness)
    assert len(claimed(harness)) == 1
    create(harness, delayMs=1000)  # takes no slot now
    create(harness, tasks=[{}, {}], allowQueue=False)
    create(harness, allowQueue=False)
    with pytest.raises(TooManyRequests):
        create(harness, allowQueue=False)
    assert len(claimed(harness)) == 3  # two of one execution


def test_those_who_were_parked_stand_in_line_as_soon_as_there_is_room(harness: Harness) -> None:
    """Also in the transaction that makes the room: whoever may not queue has come behind them."""
    harness.define(concurrency=1)
    first, parked = create(harness), create(harness)
    assert claimed(harness) == [first]
    definition = harness.engine.definitions.get("default", "job")
    assert definition is not None
    raised = Define(replace(definition, concurrency=2))
    late = CreateExecution(read_create("default", "job", {"input": None, "allowQueue": False}))
    _, refused = harness.engine._apply([raised, late])
    assert isinstance(refused, TooManyRequests)
    assert claimed(harness) == [parked]


def test_those_behind_a_full_key_are_not_in_line(harness: Harness) -> None:
    harness.define(concurrency=3)
    for _ in range(5):
        create(harness, concurrencyKey="k")
    create(harness, allowQueue=False)
    create(harness, concurrencyKey="other", allowQueue=False)
    with pytest.raises(TooManyRequests):
        create(harness, allowQueue=False)
    assert len(claimed(harness)) == 3


def batch(harness: Harness, *items: dict[str, object], key: str | None = None) -> list[str]:
    arguments = {"body": {"items": [{"job": "job", "input": None, **item} for item in items]}, "idempotency_key": key}
    ids: list[str] = harness.engine.call("create_batch", "default", arguments)["executionIds"]
    return ids


def test_items_of_a_batch_heed_the_limits_and_one_that_is_refused_refuses_all(harness: Harness) -> None:
    harness.define(concurrencyPerKey=2)
    one = {"concurrencyKey": "k", "onConflict": "reject"}
    with pytest.raises(KeyInUse, match=r"items\[2\].*nothing was created") as refused:
        batch(harness, one, one, one)
    assert refused.value.path == "items[2].concurrencyKey"
    assert claimed(harness) == []
    ids = batch(harness, one, {}, one, key="again")
    assert batch(harness, one, {}, one, key="again") == ids, "what is there already is not refused"
    harness.define("full", concurrency=1)
    with pytest.raises(TooManyRequests):
        batch(harness, {}, {"job": "full", "allowQueue": False}, {"job": "full", "allowQueue": False})
    assert claimed(harness) == ids


def test_items_of_a_batch_do_not_coalesce(harness: Harness) -> None:
    with pytest.raises(InvalidRequest) as refused:
        batch(harness, {}, {"concurrencyKey": "k", "onConflict": "coalesce"})
    assert refused.value.path == "items[1].onConflict"


def test_s2_16_a_key_is_served_in_order(harness: Harness) -> None:
    ids = [create(harness, concurrencyKey="k", priority=priority) for priority in ("low", "medium", "medium", "high")]
    order = []
    while leased := harness.claim():
        [only] = leased
        order.append(only.execution_id)
        harness.tell(only, DONE)
    assert order == [ids[3], ids[1], ids[2], ids[0]]


def test_a_slot_is_held_through_sleep_and_backoff(harness: Harness) -> None:
    first = create(harness, concurrencyKey="k", maxRetries=1, retryDelayMs=1000)
    second = create(harness, concurrencyKey="k")
    [leased] = harness.claim()
    harness.tell(leased, Slept("nap", 5.0, 1.0))
    assert claimed(harness) == []
    harness.pass_time(5.0)
    [leased] = harness.claim()
    harness.tell(leased, NO)
    assert claimed(harness) == []
    harness.pass_time(1.0)
    [leased] = harness.claim()
    assert leased.execution_id == first
    harness.tell(leased, DONE)
    assert claimed(harness) == [second]


def test_a_slot_is_given_back_at_pause_and_taken_again_in_turn(harness: Harness) -> None:
    first, second = (create(harness, concurrencyKey="k") for _ in range(2))
    [leased] = harness.claim()
    assert claimed(harness) == []
    harness.do("pause", first)
    assert claimed(harness) == [], "it runs until it has stopped"
    harness.tell(leased, Released())
    [other] = harness.claim()
    assert other.execution_id == second
    harness.do("resume", first)
    assert claimed(harness) == []
    harness.tell(other, DONE)
    assert claimed(harness) == [first]


def test_a_limit_that_is_raised_lets_in_who_waits(harness: Harness) -> None:
    harness.define(concurrency=1)
    ids = [create(harness) for _ in range(4)]
    assert (claimed(harness), claimed(harness)) == (ids[:1], [])
    harness.define(concurrency=3)
    assert claimed(harness) == ids[1:3]
    harness.define()
    assert claimed(harness) == ids[3:]


def test_two_that_leave_at_once_make_room_for_two_of_different_keys(harness: Harness) -> None:
    harness.define(concurrency=2)
    before = [create(harness) for _ in range(2)]
    red, also_red, plain = create(harness, concurrencyKey="red"), create(harness, concurrencyKey="red"), create(harness)
    leased = harness.claim()
    assert ([each.execution_id for each in leased], claimed(harness)) == (before, [])
    harness.engine._apply([Tell(each.lease, DONE) for each in leased])
    assert claimed(harness) == [red, plain]
    assert harness.waits(also_red) == [WaitingFor.CONCURRENCY]


def test_one_after_the_other_leaves_and_room_is_for_two_of_different_keys(harness: Harness) -> None:
    harness.define(concurrency=2)
    for _ in range(2):
        create(harness)
    red, _, _, plain = (create(harness, **body) for body in (*[{"concurrencyKey": "red"}] * 3, {}))
    leased = harness.claim()
    assert claimed(harness) == []
    for each in leased:
        harness.tell(each, DONE)
    assert claimed(harness) == [red, plain]


@pytest.mark.parametrize("verb", ["cancel", "pause", "delete"])
def test_who_leaves_the_line_after_a_break_makes_way(harness: Harness, verb: str) -> None:
    harness.define(concurrency=1)
    first, second = create(harness), create(harness)
    [leased] = harness.claim()
    harness.do("pause", first)
    harness.tell(leased, Released())
    [leased] = harness.claim()
    assert leased.execution_id == second
    harness.do("resume", first)
    third = create(harness)
    assert claimed(harness) == []
    harness.tell(leased, DONE)  # first is called now
    harness.do(verb, first, **({"body": {"force": True}} if verb == "delete" else {}))
    assert claimed(harness) == [third]


def test_who_waits_for_a_slot_is_not_forgotten_when_another_task_of_it_is_due(harness: Harness) -> None:
    tasks = create(harness, tasks=[{}, {}], concurrencyKey="k")
    nap, rest = harness.claim()
    harness.tell(nap, Slept("nap", 100.0, 0.0))
    harness.do("pause", tasks)
    harness.tell(rest, Released())
    other = create(harness, concurrencyKey="k")
    [leased] = harness.claim(lease=1000.0)
    assert leased.execution_id == other
    harness.do("resume", tasks)
    assert claimed(harness) == []
    harness.pass_time(100.0)
    harness.tell(leased, DONE)
    assert claimed(harness) == [tasks, tasks]


def test_who_has_ended_tasks_and_waits_for_a_slot_is_called(harness: Harness) -> None:
    tasks = create(harness, tasks=[{}, {}], concurrencyKey="k")
    one, two = harness.claim()
    harness.do("pause", tasks)
    harness.tell(one, DONE)
    harness.tell(two, Released())
    create(harness, concurrencyKey="k")
    [leased] = harness.claim()
    harness.do("resume", tasks)
    assert claimed(harness) == []
    view = harness.get(tasks)
    assert (view["status"], view["waitingFor"]) == ("running", "concurrency")
    harness.tell(leased, DONE)
    assert claimed(harness) == [tasks]


def test_one_that_began_before_there_was_a_limit_goes_on(harness: Harness) -> None:
    early = create(harness, tasks=[{}, {}, {}], priority="low")
    [one] = harness.claim(1)
    harness.define(concurrency=1)
    other = create(harness)
    first, two = harness.claim(2)
    assert [first.execution_id, two.execution_id] == [other, early]
    harness.tell(one, DONE)
    harness.tell(two, DONE)
    assert claimed(harness) == [], "nothing of it runs any more: the limit holds for it too"
    harness.tell(first, DONE)
    assert claimed(harness) == [early]


def test_a_retried_one_stands_in_line_again(harness: Harness) -> None:
    first, second = (create(harness, concurrencyKey="k") for _ in range(2))
    [leased] = harness.claim()
    harness.tell(leased, NO)
    [leased] = harness.claim()
    assert leased.execution_id == second
    harness.do("retry", first)
    assert claimed(harness) == []
    harness.tell(leased, DONE)
    assert claimed(harness) == [first]


def test_coalesce_joins_the_first_that_has_not_begun(harness: Harness) -> None:
    harness.define(concurrencyPerKey=2)
    running = create(harness, concurrencyKey="k")
    harness.claim()
    waiting = harness.create(concurrencyKey="k", input=1, onConflict="coalesce")
    again = harness.create(concurrencyKey="k", input=2, onConflict="coalesce")
    assert (waiting["disposition"], again["disposition"]) == ("created", "coalesced")
    assert running != again["executionId"] == waiting["executionId"]
    assert [bytes(task["input"]) for task in harness.get(again["executionId"])["tasks"]] == [b"1"]


def test_reject_is_about_the_key_and_not_about_the_job(harness: Harness) -> None:
    harness.define(concurrency=2, concurrencyPerKey=2)
    create(harness, concurrencyKey="k")
    create(harness)
    assert len(harness.claim()) == 2
    create(harness, concurrencyKey="k", onConflict="reject")
    with pytest.raises(KeyInUse):
        create(harness, concurrencyKey="k", onConflict="reject")


def test_what_may_not_queue_is_refused_when_the_job_is_full(harness: Harness) -> None:
    harness.define(concurrency=1)
    create(harness, allowQueue=False)
    [leased] = harness.claim()
    with pytest.raises(TooManyRequests):
        create(harness, allowQueue=False)
    harness.tell(leased, DONE)
    create(harness, allowQueue=False)


@pytest.mark.parametrize("option", [{"onConflict": "coalesce"}, {"onConflict": "reject"}, {"allowQueue": False}])
def test_a_repeated_create_is_answered_with_its_execution_whatever_the_limits_say(
    harness: Harness, option: dict[str, object]
) -> None:
    harness.define(concurrency=1)
    first = create(harness, concurrencyKey="k", idempotencyKey="mine", **option)
    [leased] = harness.claim()
    harness.tell(leased, DONE)
    create(harness, concurrencyKey="k")
    assert len(harness.claim()) == 1
    create(harness, concurrencyKey="k")
    again = harness.create(concurrencyKey="k", idempotencyKey="mine", input=None, **option)
    assert (again["disposition"], again["executionId"]) == ("existing", first)


def test_a_refused_create_leaves_nothing(harness: Harness) -> None:
    create(harness, concurrencyKey="k")
    with pytest.raises(KeyInUse):
        create(harness, concurrencyKey="k", onConflict="reject", idempotencyKey="mine", executionId="mine")
    assert len(harness.claim()) == 1
    assert create(harness, idempotencyKey="mine", executionId="mine") == "mine"


@pytest.fixture
def few_are_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction."""
    monkeypatch.setattr(claiming, "PARK_LIMIT", 5)


def blocked(harness: Harness, *free: str, of_it: int = 22) -> list[str]:
    """So many of a key wait whose slot is taken, and behind them these."""
    [held] = [create(harness, concurrencyKey="k")]
    assert claimed(harness) == [held]
    ids = [create(harness, concurrencyKey="k") for _ in range(of_it)]
    for id in free:
        create(harness, executionId=id)
    return ids


@pytest.mark.usefixtures("few_are_parked")
def test_one_claim_parks_a_few_and_asks_to_be_repeated(harness: Harness) -> None:
    ids = blocked(harness, "free")
    parked = [0]
    answers: list[Any] = []
    while not answers or answers[-1] is None:
        answers.append(harness.engine.submit(Claim("default", None, 3, "w", 10.0)))
        parked.append(harness.waits(*ids).count(WaitingFor.CONCURRENCY))
    assert [each.execution_id for each in answers[-1]] == ["free"]
    assert parked[-1] == len(ids)
    assert max(after - before for before, after in pairwise(parked)) == 5
    assert harness.claim() == []


@pytest.mark.usefixtures("few_are_parked")
async def test_claims_that_meet_in_one_commit_park_a_few_together(tmp_path: Path) -> None:
    harness = Harness(f"sqlite:///{tmp_path}/jobs.db")
    ids = blocked(harness)
    answers = await asyncio.gather(*(harness.engine.asubmit(Claim("default", None, 3, "w", 10.0)) for _ in range(4)))
    assert answers == [None] * 4
    assert harness.waits(*ids).count(WaitingFor.CONCURRENCY) == 5
    harness.engine.close()


@pytest.mark.usefixtures("few_are_parked")
def test_an_execution_is_parked_as_a_whole(harness: Harness) -> None:
    blocked(harness, of_it=0)
    large = create(harness, concurrencyKey="k", tasks=[{}] * 12)
    assert harness.engine.submit(Claim("default", None, 3, "w", 10.0)) is None
    assert claimed(harness) == []
    assert harness.waits(large) == [WaitingFor.CONCURRENCY]


@pytest.mark.usefixtures("few_are_parked")
async def test_a_worker_here_gets_what_is_behind_all_that_is_blocked(harness: Harness) -> None:
    leases = LocalLeases(harness.engine, ["default"], "w")
    empty: list[bool] = []
    leases.on_empty = lambda: empty.append(True)
    blocked(harness, "free")
    leased = await leases.claim(None, 3, 0)
    assert [each.execution_id for each in leased] == ["free"]
    assert empty == []  # nor is it idle, then


@pytest.mark.usefixtures("few_are_parked")
async def test_a_worker_elsewhere_gets_what_is_behind_all_that_is_blocked(harness: Harness) -> None:
    blocked(harness, "free")
    body = {"worker": "w", "jobs": ["job"], "limit": 3}
    answer = await harness.engine.acall("claim_leases", "default", {"body": body})
    assert [lease["executionId"] for lease in answer["leases"]] == ["free"]


def test_a_claim_that_parks_has_no_more_bytes_than_another(harness: Harness) -> None:
    """It looks again and again, and each look might take as much."""
    blocked(harness, of_it=0)
    for _ in range(4):
        create(harness, concurrencyKey="k")
        create(harness, input="x" * (MAX_BYTES * 2 // 5))
    leased = [harness.engine.submit(Claim("default", None, 3, "w", 10.0)) for _ in range(2)]
    assert [len(each) for each in leased] == [2, 2]
    assert harness.claim() == []


@pytest.fixture
def few_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one transaction."""
    monkeypatch.setattr(slots, "WAKE_LIMIT", 5)
    monkeypatch.setattr(slots, "WINDOW", 3)
    monkeypatch.setattr(claiming, "WAKE_LIMIT", 5)


def in_line(harness: Harness, ids: list[str]) -> list[str]:
    """Those that wait for no slot."""
    return [id for id, why in zip(ids, harness.waits(*ids), strict=True) if why is not WaitingFor.CONCURRENCY]


def behind_one(harness: Harness, count: int = 22) -> list[str]:
    """So many that wait for the job's only slot."""
    harness.define(concurrency=1)
    ids = [create(harness) for _ in range(count + 1)]
    assert claimed(harness) == ids[:1]
    assert in_line(harness, ids) == ids[:1]
    return ids[1:]


def noting(harness: Harness, note: Callable[[], None]) -> None:
    """After every transaction."""
    committer: Any = harness.engine._committer
    apply = committer._apply

    def applied(commands: Any) -> list[Any]:
        outcomes: list[Any] = apply(commands)
        note()
        return outcomes

    committer._apply = applied


@pytest.mark.usefixtures("few_are_woken")
def test_a_limit_that_is_raised_lets_in_a_few_in_each_transaction(harness: Harness) -> None:
    ids = behind_one(harness)
    seen = [0]
    noting(harness, lambda: seen.append(len(in_line(harness, ids))))
    harness.define()
    assert in_line(harness, ids) == ids[:5]
    while harness.engine.poll() == 0.0:
        woken = in_line(harness, ids)
        assert woken == ids[: len(woken)]
    assert in_line(harness, ids) == ids
    assert max(after - before for before, after in pairwise(seen)) == 5


@pytest.mark.usefixtures("few_are_woken")
@pytest.mark.parametrize("limits", [{}, {"concurrency": 100}, {"concurrency": 13}], ids=repr)
@pytest.mark.parametrize("many", [2, 7])
def test_claims_call_on_who_was_there_before(harness: Harness, limits: dict[str, int], many: int) -> None:
    ids = behind_one(harness)
    harness.define(**limits)
    ids.append(create(harness))
    order: list[str] = []
    while (leased := harness.engine.submit(Claim("default", None, many, "w", 10.0))) != []:
        order += [each.execution_id for each in leased or ()]
    assert order == ids[: limits.get("concurrency", 100) - 1]


@pytest.mark.usefixtures("few_are_woken")
async def test_claims_that_meet_call_on_who_was_there_before(tmp_path: Path) -> None:
    harness = Harness(f"sqlite:///{tmp_path}/jobs.db")
    ids = behind_one(harness)
    harness.define()
    ids.append(create(harness))
    order: list[str] = []
    while len(order) < len(ids):
        answers = await asyncio.gather(*(harness.engine.asubmit(Claim("default", None, 4, "w", 10.0)) for _ in range(4)))
        order += [each.execution_id for leased in answers for each in leased or ()]
    assert order == ids
    harness.engine.close()


@pytest.mark.usefixtures("few_are_woken")
def test_as_many_are_woken_as_have_left_together(harness: Harness) -> None:
    harness.define(concurrency=12)
    ids = [create(harness, timeoutMs=1000) for _ in range(40)]
    assert claimed(harness) == ids[:12]
    while harness.engine.poll() == 0.0:
        pass
    assert in_line(harness, ids) == ids[:12]
    harness.clock.advance(2.0)
    while harness.engine.poll() == 0.0:
        pass
    assert in_line(harness, ids) == ids[:24]


@pytest.mark.usefixtures("few_are_woken")
@pytest.mark.parametrize("there", ["before", "after"])
def test_who_is_killed_amid_the_waking_leaves_the_others_to_the_next(tmp_path: Path, there: str) -> None:
    url = f"sqlite:///{tmp_path}/jobs.db"
    killed = Harness(url)
    ids = behind_one(killed)
    next_one = Harness(url) if there == "before" else None
    if next_one is not None:
        next_one.engine.poll()
    killed.define()
    assert in_line(killed, ids) == ids[:5]
    next_one = next_one or Harness(url)
    while next_one.engine.poll() == 0.0:
        pass
    assert in_line(next_one, ids) == ids
    for harness in (killed, next_one):
        harness.engine.close()


@pytest.mark.usefixtures("few_are_woken")
def test_the_loops_go_on_at_once(harness: Harness) -> None:
    ids = behind_one(harness)
    harness.engine.start()
    harness.define()
    until(lambda: in_line(harness, ids) == ids)


@pytest.mark.usefixtures("few_are_woken")
def test_what_could_not_be_woken_is_tried_again(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = behind_one(harness)
    harness.define()
    with monkeypatch.context() as patch:
        patch.setattr(harness.engine.store, "begin", lambda: (_ for _ in ()).throw(Unavailable("the disk is full")))
        harness.engine.poll()
    assert in_line(harness, ids) == ids[:5]
    while harness.engine.poll() == 0.0:
        pass
    assert in_line(harness, ids) == ids


@pytest.mark.usefixtures("few_are_woken")
def test_who_is_behind_full_keys_is_called_and_they_are_hardly_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness = Harness(f"sqlite:///{tmp_path}/jobs.db")
    harness.define(concurrency=3)
    held = [create(harness, concurrencyKey=key) for key in ("k1", "k2")] + [create(harness)]
    leased = {each.execution_id: each for each in harness.claim()}
    blocked = [create(harness, concurrencyKey=f"k{1 + number % 2}") for number in range(40)]
    behind = [create(harness), create(harness, concurrencyKey="k3"), create(harness, concurrencyKey="k3")]
    assert harness.claim() == []
    read = [0]
    parked = SQLiteTransaction.parked

    def counted(*arguments: Any) -> list[Execution]:
        found = parked(*arguments)
        read[0] += len(found)
        return found

    monkeypatch.setattr(SQLiteTransaction, "parked", counted)
    harness.tell(leased[held[2]], DONE)
    assert in_line(harness, [*blocked, *behind]) == behind[:1]
    assert claimed(harness) == behind[:1]
    harness.tell(leased[held[0]], DONE)
    assert in_line(harness, blocked) == blocked[:1]
    assert read[0] < 15
    harness.engine.close()
