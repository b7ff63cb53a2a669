"""Many short stories of workers that stall, die and come back: every answer and every execution is what it must be."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core.records import Event, Execution, LeaseRef, Signal, Step, Task
from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from blaxel_jobs.stores.base import Transaction
from tests.chaos.audit import History
from tests.chaos.simulation import World
from tests.model.twin import MAX_RECOVERIES

SEEDS = 200
MANY_SEEDS = 10_000
REPLAY = "python -c 'from tests.chaos.test_simulation import *; tell(MemoryJobStore(), {seed})'"
FAULTS = (
    "died", "stalled", "doubled", "request lost", "reply lost", "together", "told that it lost its lease", "lost", "task.retrying",
    "task.suspended", "task.released", "paused", "retried", "cancelled", "timed_out", "failed_fast", "event.sent",
)  # fmt: skip
"""Without these a story is no story."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def tell(store: JobStore, seed: int) -> tuple[dict[str, History], Counter[str]]:
    """One story, to its end: every execution, and how often what happened."""
    world = World(store, seed)
    try:
        histories = world.run()
        for history in histories.values():
            world.happened["lost"] += len(history.execution.recoveries)
            world.happened["lost once too often"] += sum(task.losses > MAX_RECOVERIES for task in history.tasks)
            world.happened.update(event.type for event in history.events)
        return histories, world.happened
    except AssertionError as error:
        error.add_note(f"seed {seed}: {REPLAY.format(seed=seed)}")
        raise
    finally:
        world.close()


def chunks(stop: int, size: int) -> list[range]:
    return [range(first, first + size) for first in range(0, stop, size)]


@pytest.mark.parametrize(
    "seeds",
    [
        *chunks(SEEDS, 50),
        *(pytest.param(seeds, marks=[pytest.mark.soak, pytest.mark.timeout(1200)]) for seeds in chunks(MANY_SEEDS, 1000)),
    ],
    ids=lambda seeds: f"seeds-{seeds.start}-to-{seeds.stop}",
)
def test_every_story_ends_as_it_must(seeds: range) -> None:
    happened: Counter[str] = Counter()
    for seed in seeds:
        happened += tell(MemoryJobStore(), seed)[1]
    print(f"{len(seeds)} stories: {dict(happened)}")
    rare = [what for what in FAULTS if happened[what] < len(seeds) / 10]
    assert not rare, f"these stories show next to nothing of: {rare}"


def test_a_seed_is_one_story() -> None:
    assert tell(MemoryJobStore(), 1)[0] == tell(MemoryJobStore(), 1)[0] != tell(MemoryJobStore(), 2)[0]


@pytest.mark.parametrize("seed", range(5))
def test_stores_tell_the_same_story(seed: int, tmp_path: Path) -> None:
    in_memory, _ = tell(MemoryJobStore(), seed)
    in_sqlite, _ = tell(open_store(f"sqlite:///{tmp_path}/jobs.db"), seed)
    assert {id: _without_row_numbers(history) for id, history in in_sqlite.items()} == {
        id: _without_row_numbers(history) for id, history in in_memory.items()
    }


def _without_row_numbers(history: History) -> History:
    execution, tasks, events = history
    return History(
        replace(execution, seq=0),
        [replace(task, seq=0, execution=0) for task in tasks],
        [replace(event, execution=0) for event in events],
    )


# Negative controls: each of these stores breaks one promise, and the simulation must see it.


class Broken:
    """A transaction that passes everything on to a sound one."""

    def __init__(self, sound: Transaction) -> None:
        self._sound = sound

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._sound, verb)


class Unfenced(Broken):
    """Any token of a task that runs will do."""

    def held(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        any_token = [LeaseRef(ref.task, token) for ref in refs for token in range(1, 20)]
        running = [self._sound.held(workspace, [ref]) for ref in any_token]
        tokens = {ref.task: ref.token for ref in refs}
        return [(replace(task, token=tokens[task.seq]), execution) for found in running for task, execution in found]


class UnfencedHeartbeat(Broken):
    """A heartbeat with an old token is answered as if it had held the lease."""

    def extend(self, workspace: str | None, refs: Collection[LeaseRef], until: float) -> dict[LeaseRef, bool]:
        return dict.fromkeys(refs, False) | self._sound.extend(workspace, refs, until)


class Impatient(Broken):
    """Leases end, and waits are over, a second too soon."""

    def due(self, now: float, dead: str | None, limit: int) -> list[tuple[Task, Execution]]:
        return self._sound.due(now + 1.0, dead, limit)


class Saving(Broken):
    def save(
        self,
        executions: Collection[Execution],
        tasks: Collection[Task],
        events: Collection[Event],
        steps: Collection[Step] = (),
        signals: Collection[Signal] = (),
    ) -> None:
        self._sound.save(executions, self.tasks(tasks), self.events(events), self.steps_of(steps), signals)

    def tasks(self, tasks: Iterable[Task]) -> Iterable[Task]:
        return tasks

    def events(self, events: Iterable[Event]) -> Iterable[Event]:
        return events

    def steps_of(self, steps: Iterable[Step]) -> Iterable[Step]:
        return steps


class Forgetful(Saving):
    """Recoveries are not told."""

    def events(self, events: Iterable[Event]) -> Iterable[Event]:
        return [event for event in events if event.type != "task.recovered"]


class Reviving(Saving):
    """What was cancelled while it ran can still be completed."""

    def tasks(self, tasks: Iterable[Task]) -> Iterable[Task]:
        return [task for task in tasks if not (task.status == "cancelled" and task.attempt)]


class Amnesic(Saving):
    """Steps are not kept."""

    def steps_of(self, steps: Iterable[Step]) -> Iterable[Step]:
        return [step for step in steps if step.kind != "value"]


class Generous(Broken):
    """Every slot is free."""

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        return 0


class Leaking(Broken):
    """Who waits for a slot is never found."""

    def parked(self, workspace: str, job: str, key: str | None, limit: int, without: Collection[str] = ()) -> list[Execution]:
        return []


class BrokenStore(MemoryJobStore):
    def __init__(self, broken: Callable[[Transaction], Any]) -> None:
        super().__init__()
        self._broken = broken

    def begin(self) -> AbstractContextManager[Transaction]:
        return self._begin()

    @contextmanager
    def _begin(self) -> Iterator[Transaction]:
        with super().begin() as transaction:
            yield self._broken(transaction)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (Unfenced, "lease_lost"),
        (UnfencedHeartbeat, "Extend("),
        (Impatient, "Tick("),
        (Forgetful, "have gaps"),
        (Reviving, "cancelled"),
        (Amnesic, "Claim("),
        (Generous, "too many of"),
        (Leaking, "Claim("),
    ],
)
def test_a_broken_store_is_found_out(broken: Callable[[Transaction], Any], complaint: str) -> None:
    complaints = []
    for seed in range(40):
        try:
            tell(BrokenStore(broken), seed)
        except AssertionError as error:
            complaints.append(str(error))
    assert len(complaints) >= 10, f"only {len(complaints)} of 40 stories show it"
    assert any(complaint in text for text in complaints), complaints
