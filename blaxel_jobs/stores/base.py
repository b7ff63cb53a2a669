"""The store's contract: sixteen verbs at most, synchronous, the workspace first.

A store keeps records and compares versions; it decides nothing. What a task becomes is computed by `core.states` between a load and
a `save` of one transaction. Any object with these verbs is a store; the suite in tests/stores proves it.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from ..core.records import Event, Execution, LeaseRef, Task

MAX_BYTES: Final = 8 * 1024 * 1024
"""The inputs and results that one read of tasks carries."""


class Position(Struct, frozen=True):
    """Where a page begins: after the row with this `seq` (keyset), or after `offset` rows."""

    after: int | None = None
    offset: int = 0


class Transaction(Protocol):
    """One write transaction: commits when its block ends, and leaves nothing when the block raises."""

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        """The executions with these ids; unknown ids are left out. They cannot change until the transaction ends."""
        ...

    def open_tasks(self, execution: int) -> list[Task]:
        """The tasks of an execution that have not ended."""
        ...

    def insert(self, news: Sequence[tuple[Execution, Sequence[Task]]]) -> list[Execution | None]:
        """Add executions, each with its tasks and its first event. The answer has one place for each: None where it was added, and
        where its id or idempotency key was taken the execution that has it, nothing being added. No id or (job, key) may stand
        twice in one call."""
        ...

    def claimable(self, workspace: str, jobs: Collection[str] | None, limit: int) -> list[tuple[Task, Execution]]:
        """Pending tasks that wait for nothing but a worker, the first by (priority, created) first; of these jobs, or of all. No
        other transaction gets the same ones."""
        ...

    def held(self, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        """The tasks that are running under exactly these leases; a stale lease is left out."""
        ...

    def expired(self, now: float, workers: Collection[str], limit: int) -> list[tuple[Task, Execution]]:
        """Running tasks whose lease ended at or before `now`, or is held by one of these workers."""
        ...

    def extend(self, refs: Collection[LeaseRef], until: float) -> set[LeaseRef]:
        """Move the end of these leases. The answer names those that still hold; the others are lost."""
        ...

    def save(self, executions: Iterable[Execution], tasks: Iterable[Task], events: Iterable[Event]) -> None:
        """Write changed records back. Loaded and saved in one transaction, they are the newest."""
        ...


class JobStore(Protocol):
    """Where executions are kept. Reads may come from any thread, at any time."""

    shared: bool
    """Other processes may write it too, so that what is awaited must be polled as well."""
    local: bool
    """A read takes microseconds and may run on an event loop."""
    lock_path: Path | None
    """A file beside the store, for processes of this machine that run workers on it; None where the store is not one machine's."""

    def begin(self) -> AbstractContextManager[Transaction]:
        """Start the write transaction. Blocks while another runs."""
        ...

    def get(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        """The executions with these ids, as last committed; unknown ids are left out."""
        ...

    def page(self, workspace: str, job: str | None, position: Position, limit: int) -> list[Execution]:
        """Executions of one job, or of all, the newest first."""
        ...

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        """Tasks of an execution (its `seq`) whose index is above `after`, in order; -1 starts at the first. As many of them as
        `within_size` takes. Without `results` the records have none."""
        ...

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        """Events of an execution (its `seq`) whose id is above `after`, in order; 0 starts at the first."""
        ...

    def next_expiry(self) -> float | None:
        """When the first lease ends, or None without one."""
        ...

    def workers(self) -> set[str]:
        """The workers that hold a lease."""
        ...

    def close(self) -> None:
        """Let go of files and connections. Closing twice does no harm."""
        ...


def within_size(tasks: Iterable[Task]) -> list[Task]:
    """The first of these tasks, with inputs and results of at most MAX_BYTES together; one at least, where there is any."""
    taken: list[Task] = []
    room = MAX_BYTES
    for task in tasks:
        room -= task.size
        if room < 0 and taken:
            break
        taken.append(task)
    return taken
