"""Many short stories of workers that stall, die and come back: every answer and every execution is what it must be."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from blaxel_jobs.core.records import Event, Execution, LeaseRef, Task
from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from blaxel_jobs.stores.base import Transaction
from tests.chaos.audit import History
from tests.chaos.simulation import MAX_RECOVERIES, World

SEEDS = 200
MANY_SEEDS = 10_000


def tell(store: JobStore, seed: int) -> dict[str, History]:
    """One story, to its end."""
    world = World(store, seed)
    try:
        return world.run()
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        world.close()


@pytest.mark.parametrize(
    "seeds",
    [range(SEEDS), pytest.param(range(SEEDS, MANY_SEEDS), marks=[pytest.mark.soak, pytest.mark.timeout(1200)])],
    ids=lambda seeds: f"{len(seeds)}-seeds",
)
def test_every_story_ends_as_it_must(seeds: range) -> None:
    tasks, losses, given_up = 0, 0, 0
    for seed in seeds:
        for history in tell(MemoryJobStore(), seed).values():
            tasks += history.execution.total
            losses += len(history.execution.recoveries)
            given_up += sum(task.losses > MAX_RECOVERIES for task in history.tasks)
    print(f"{len(seeds)} stories: {tasks} tasks, {losses} times lost, {given_up} lost once too often")
    assert losses > given_up > len(seeds), "the workers of these stories lose too little: they show nothing"


def test_a_seed_is_one_story() -> None:
    assert tell(MemoryJobStore(), 1) == tell(MemoryJobStore(), 1) != tell(MemoryJobStore(), 2)


@pytest.mark.parametrize("seed", range(5))
def test_stores_tell_the_same_story(seed: int, tmp_path: Path) -> None:
    in_memory = tell(MemoryJobStore(), seed)
    in_sqlite = tell(open_store(f"sqlite:///{tmp_path}/jobs.db"), seed)
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

    def held(self, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        running = [self._sound.held([LeaseRef(ref.task, token)]) for ref in refs for token in range(1, 20)]
        tokens = {ref.task: ref.token for ref in refs}
        return [(replace(task, token=tokens[task.seq]), execution) for found in running for task, execution in found]


class UnfencedHeartbeat(Broken):
    """A heartbeat with an old token is answered as if it had held the lease."""

    def extend(self, refs: Collection[LeaseRef], until: float) -> set[LeaseRef]:
        self._sound.extend(refs, until)
        return set(refs)


class Impatient(Broken):
    """Leases end a second too soon."""

    def expired(self, now: float, workers: Collection[str], limit: int) -> list[tuple[Task, Execution]]:
        return self._sound.expired(now + 1.0, workers, limit)


class Forgetful(Broken):
    """Recoveries are not told."""

    def save(self, executions: Iterable[Execution], tasks: Iterable[Task], events: Iterable[Event]) -> None:
        self._sound.save(executions, tasks, [event for event in events if event.type != "task.recovered"])


class Reviving(Broken):
    """What was cancelled while it ran can still be completed."""

    def save(self, executions: Iterable[Execution], tasks: Iterable[Task], events: Iterable[Event]) -> None:
        self._sound.save(executions, [task for task in tasks if not (task.status == "cancelled" and task.attempt)], events)


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
        (Unfenced, "a report under the old LeaseRef"),
        (UnfencedHeartbeat, "these are lost: set()"),
        (Impatient, "tasks were taken back"),
        (Forgetful, "have gaps"),
        (Reviving, "a report under the old LeaseRef"),
    ],
)
def test_a_broken_store_is_found_out(broken: Callable[[Transaction], Any], complaint: str) -> None:
    complaints = []
    for seed in range(20):
        try:
            tell(BrokenStore(broken), seed)
        except AssertionError as error:
            complaints.append(str(error))
    assert len(complaints) >= 10, f"only {len(complaints)} of 20 stories show it"
    assert any(complaint in text for text in complaints), complaints
