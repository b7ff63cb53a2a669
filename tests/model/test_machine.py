"""The engine against the reference: whatever is done to it, in whatever order, both say the same."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.core.reports import Awaited, Completed, Released, Slept, Stepped
from blaxel_jobs.engine.commands import Claim, Delete, Extend, SendEvent, Tell, Tick
from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from tests.chaos.audit import check_history, histories
from tests.model.reference import ENDED, OPEN, status
from tests.model.twin import MAX_RECOVERIES, WORKSPACE, Twin, failed, progress, steer

JOBS = ("a", "b")
KEYS = ("red", "blue")
NAMES = ("one", "two")
LEASE = 10.0
SHM = Path("/dev/shm")
SECONDS = (0.0, 0.5, 1.0, 3.0, 10.0, 60.0)

some = st.integers(0, 1000)
"""Chooses one of what there is."""
jobs = st.sampled_from(JOBS)
retries = {"maxRetries": st.integers(0, 2), "retryDelayMs": st.sampled_from([0, 500, 3000])}
plain = {
    "priority": st.sampled_from(["critical", "high", "medium", "low"]),
    "delayMs": st.sampled_from([0, 500, 3000]),
    "autoStart": st.just(False),
    "timeoutMs": st.sampled_from([500, 3000, 20_000]),
    "failFast": st.booleans(),
    "concurrencyKey": st.sampled_from(KEYS),
    "idempotencyKey": st.sampled_from(["k1", "k2", "k3"]),
}
limited = {"onConflict": st.sampled_from(["queue", "coalesce", "reject"]), "allowQueue": st.booleans()}


def options(**choices: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these; retries with a delay that is known, or none."""
    said = st.fixed_dictionaries({}, optional=choices)
    return st.one_of(said, st.tuples(said, st.fixed_dictionaries(retries)).map(lambda both: {**both[0], **both[1]}))


crowd = st.tuples(
    st.just("a"),
    st.sampled_from([0, 0, 2]),
    st.fixed_dictionaries(
        {}, optional={"concurrencyKey": st.sampled_from(KEYS), "failFast": st.just(True), "timeoutMs": st.just(20_000)}
    ),
)
limits = st.fixed_dictionaries({}, optional={"concurrency": st.integers(1, 3), "per_key": st.integers(1, 2)})
verbs = st.sampled_from(["start", "cancel", "retry", "retry", "pause", "pause", "pause", "resume", "resume", "resume"])
leaving = st.sampled_from(
    [Completed("1"), Released(), failed(), Slept("nap", 5.0, 0.0), Awaited("event-one"), Awaited("event-one", 60.0)]
)
items = st.tuples(
    jobs, st.integers(0, 3), options(**plain, onConflict=st.sampled_from(["queue", "reject"]), allowQueue=st.booleans())
)
definitions = st.fixed_dictionaries(
    {"per_key": st.integers(1, 2)},
    optional={
        "concurrency": st.integers(1, 3),
        "retries": st.just(1),
        "timeout": st.just(5.0),
        "priority": st.integers(0, 3),
    },
).map(lambda said: {**said, "retry_delay": 1.0})
steps = st.sampled_from(NAMES)
reports = st.one_of(
    st.just(Completed('"done"')),
    st.builds(failed, st.sampled_from(["error", "error", "permanent", "not_serializable"]), st.sampled_from([None, 0.0, 3.0])),
    st.just(Released()),
    st.builds(lambda name: Stepped(f"run-{name}", f'"{name}"'), steps),
    st.builds(
        lambda name, seconds, in_place: Slept(f"nap-{name}", seconds, in_place),
        steps,
        st.sampled_from(SECONDS),
        st.sampled_from([0.0, 3.0]),
    ),
    st.builds(
        lambda name, timeout, suspends: Awaited(f"event-{name}", timeout, suspends),
        steps,
        st.sampled_from([None, 0.0, 3.0, 60.0]),
        st.booleans(),
    ),
    st.just(progress(1.0)),
)


class Machine(RuleBasedStateMachine):
    """An engine and its reference, and what rules need."""

    def __init__(self) -> None:
        super().__init__()
        self.twin = Twin(self.open())
        self.leases: list[LeaseRef] = []
        """All that were ever given out."""

    def open(self) -> JobStore:
        return MemoryJobStore()

    @invariant()
    def same(self) -> None:
        self.twin.check()

    def lease(self, which: int) -> LeaseRef:
        """Mostly one that counts."""
        held = [lease for lease in self.leases if self.twin.name(lease) in self.twin.reference.live()]
        of = held if held and which % 8 != 7 else self.leases
        return of[which % len(of)]

    def execution(self, which: int, verb: str = "") -> str:
        """Mostly one that has not ended; to be retried, mostly one that has failed."""
        wanted = ("failed",) if verb == "retry" else OPEN
        every = self.twin.reference.executions
        ids = [id for id, each in every.items() if which % 4 == 3 or status(each) in wanted] or list(every)
        return ids[which % len(ids)]

    def few(self) -> bool:
        """So few have not ended that they get into each other's way often."""
        return sum(status(each) not in ENDED for each in self.twin.reference.executions.values()) < 6

    def teardown(self) -> None:
        try:
            self.twin.drain()
            for history in histories(self.twin.store).values():
                check_history(history, MAX_RECOVERIES)
        finally:
            self.twin.close()
            self.twin.store.close()


class Everything(Machine):
    """All that can be done, in any order."""

    @initialize(concurrency=st.sampled_from([None, 1, 2, 3]), per_key=st.sampled_from([1, 1, 2]), defined=st.booleans())
    def define(self, concurrency: int | None, per_key: int, defined: bool) -> None:
        """The job `a`, or neither."""
        if defined:
            self.twin.commit(self.twin.definition("a", concurrency=concurrency, per_key=per_key))

    @rule(job=jobs, tasks=st.integers(0, 3), said=options(**plain, **limited))
    def create(self, job: str, tasks: int, said: dict[str, Any]) -> None:
        self.twin.commit(self.twin.create(job, tasks, said))

    @precondition(lambda self: self.few())
    @rule(items=st.lists(crowd, min_size=2, max_size=4))
    def create_a_crowd(self, items: list[tuple[str, int, dict[str, Any]]]) -> None:
        """Plain ones that get into each other's way, in one transaction."""
        self.twin.commit(*[self.twin.create(*item) for item in items])

    @rule(
        worker=st.sampled_from(["w1", "w2", "w3"]), only=st.sampled_from([None, None, ("a",)]), limit=st.sampled_from([1, 2, 100])
    )
    def claim(self, worker: str, only: tuple[str, ...] | None, limit: int) -> None:
        [given] = self.twin.commit(Claim(WORKSPACE, only, limit, worker, LEASE))
        self.leases += [leased.lease for leased in given]

    @rule(limit=st.sampled_from([1, 100]), told=st.lists(st.tuples(some, reports), max_size=6), together=st.booleans())
    def work(self, limit: int, told: list[tuple[int, Any]], together: bool) -> None:
        """Claim, and tell this and that of what is held, in one transaction or one after the other."""
        self.claim("w1", None, limit)
        tells = [Tell(self.lease(which), report) for which, report in told if self.leases]
        for commands in [tells] if together else [[tell] for tell in tells]:
            self.twin.commit(*commands)

    @precondition(lambda self: self.leases)
    @rule(which=st.lists(some, min_size=1, max_size=3), report=leaving)
    def give_back(self, which: list[int], report: Any) -> None:
        self.twin.commit(*[Tell(self.lease(each), report) for each in which])

    @rule(seconds=st.sampled_from(SECONDS), dead=st.sampled_from([None, None, None, "w1"]))
    def wait(self, seconds: float, dead: str | None) -> None:
        self.twin.clock.advance(seconds)
        self.twin.commit(Tick(dead))

    @precondition(lambda self: self.twin.reference.executions)
    @rule(steered=st.lists(st.tuples(some, verbs), min_size=1, max_size=4))
    def steer(self, steered: list[tuple[int, str]]) -> None:
        for which, verb in steered:
            self.twin.commit(steer(self.execution(which, verb), verb))

    @precondition(lambda self: self.twin.reference.executions)
    @rule(which=some, name=steps, id=st.sampled_from(["1", "2", "3"]))
    def send_event(self, which: int, name: str, id: str) -> None:
        """Every other time one that is waited for, if any is."""
        execution, event = self.execution(which), f"event-{name}"
        waiting = [(each["id"], task["awaiting"]) for each in self.twin.reference.executions.values() for task in each["tasks"]]
        wanted = [each for each in waiting if each[1] is not None and which % 2]
        execution, event = wanted[which % len(wanted)] if wanted else (execution, event)
        self.twin.commit(SendEvent(WORKSPACE, None, execution, event, f'"{id}"', id))

    @rule(what=st.sampled_from(["define", "batch", "delete", "beat"]), data=st.data())
    def something_else(self, what: str, data: st.DataObject) -> None:
        twin, of = self.twin, self.twin.reference.executions
        if what == "define":
            twin.commit(twin.definition(data.draw(jobs), **data.draw(definitions)))
        elif what == "batch":
            twin.commit(twin.batch(twin.engine.new_id(), data.draw(st.lists(items, min_size=1, max_size=3))))
        elif what == "delete" and of:
            twin.commit(Delete(WORKSPACE, None, self.execution(data.draw(some)), data.draw(st.booleans())))
        elif self.leases:
            which = data.draw(st.lists(some, min_size=1, max_size=3))
            twin.commit(Extend(tuple({self.lease(each) for each in which}), LEASE))


class Line(Machine):
    """Executions of one job that get into each other's way: all is about slots."""

    @initialize(limits=limits)
    def define_first(self, limits: dict[str, int]) -> None:
        self.twin.commit(self.twin.definition("a", **limits))

    @precondition(lambda self: self.few())
    @rule(items=st.lists(crowd, min_size=1, max_size=4))
    def arrive(self, items: list[tuple[str, int, dict[str, Any]]]) -> None:
        self.twin.commit(*[self.twin.create(*item) for item in items])

    @rule(limit=st.sampled_from([1, 2, 100]))
    def claim(self, limit: int) -> None:
        [given] = self.twin.commit(Claim(WORKSPACE, None, limit, "w1", 1000.0))
        self.leases += [leased.lease for leased in given]

    @precondition(lambda self: self.leases)
    @rule(
        which=st.lists(some, min_size=1, max_size=3),
        report=st.sampled_from([Completed("1"), Completed("1"), Released(), Slept("nap", 5.0, 0.0), failed()]),
    )
    def leave(self, which: list[int], report: Any) -> None:
        self.twin.commit(*[Tell(self.lease(each), report) for each in which])

    @precondition(lambda self: self.twin.reference.executions)
    @rule(which=some, verb=st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "retry"]), stop=st.booleans())
    def steer(self, which: int, verb: str, stop: bool) -> None:
        id = self.execution(which, verb)
        self.twin.commit(steer(id, verb))
        if stop:
            held = [lease for lease in self.leases if self.twin.name(lease) in self.twin.reference.live()]
            self.twin.commit(*[Tell(lease, Released()) for lease in held if self.twin.name(lease)[0] == id])

    @rule(limits=limits)
    def define(self, limits: dict[str, int]) -> None:
        self.twin.commit(self.twin.definition("a", **limits))

    @rule()
    def wait(self) -> None:
        self.twin.clock.advance(5.0)
        self.twin.commit(Tick())


class OnSQLite(Machine):
    """In a file, where there is one in memory, so that nothing waits for a disk."""

    def open(self) -> JobStore:
        self.folder = tempfile.mkdtemp(dir=SHM if SHM.is_dir() else None)
        return open_store(f"sqlite:///{self.folder}/jobs.db")

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            shutil.rmtree(self.folder)


class EverythingOnSQLite(OnSQLite, Everything):
    pass


class LineOnSQLite(OnSQLite, Line):
    pass


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


MAKE_TEST = settings(
    max_examples=50, stateful_step_count=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SOAK = settings(MAKE_TEST, max_examples=2000, stateful_step_count=50, derandomize=False, print_blob=True)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(MAKE_TEST, marks=pytest.mark.timeout(300)),
        pytest.param(SOAK, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
    ids=["50x30", "2000x50"],
)
@pytest.mark.parametrize("machine", [Everything, Line, EverythingOnSQLite, LineOnSQLite])
def test_the_engine_does_what_the_reference_does(machine: type[Machine], size: settings) -> None:
    run_state_machine_as_test(machine, settings=size)
