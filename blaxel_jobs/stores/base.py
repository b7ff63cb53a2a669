"""The store's contract: synchronous verbs, the workspace first.

A store keeps records and compares versions; it decides nothing. What a task becomes is computed by `core.states` between a load and
a `save` of one transaction. Any object with these verbs is a store; the suite in tests/stores proves it.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from ..core.records import Definition, Event, Execution, LeaseRef, Signal, Step, Task
from ..words import JobStatus, WaitingFor

MAX_BYTES: Final = 8 * 1024 * 1024
"""The inputs and results that one read of tasks carries; and what one claim hands out, with steps, metadata and environment."""


class Order(StrEnum):
    """How executions are sorted: by when they were created, or by their ids, character by character."""

    NEWEST = "newest"
    OLDEST = "oldest"
    ID = "id"
    ID_DOWN = "id-down"

    @property
    def by_id(self) -> bool:
        return self in (Order.ID, Order.ID_DOWN)


class Position(Struct, frozen=True):
    """Where a page begins: after the row with this `seq`, or in an order by id with this id (keyset), or after `offset` rows."""

    after: int | str | None = None
    offset: int = 0
    order: Order = Order.NEWEST


class Where(Struct, frozen=True):
    """Which executions of a workspace. What is None says nothing."""

    job: str | None = None
    statuses: tuple[JobStatus, ...] | None = None
    batch: str | None = None
    id_has: str | None = None
    """A part of the id."""


ALL: Final = Where()


class Tally(Struct, frozen=True):
    """Numbers that a server counted of one job within one minute, or (minute 0) before all minutes that are kept."""

    workspace: str
    job: str
    server: str
    minute: int
    """Minutes since 1970."""
    numbers: dict[str, float]


class Backlog(Struct, frozen=True):
    """Tasks of a job that have not ended, in one status; `oldest` is when the first of them was created."""

    workspace: str
    job: str
    status: JobStatus
    count: int
    oldest: float


class Transaction(Protocol):
    """One write transaction: commits when its block ends, and leaves nothing when the block raises."""

    def find(self, workspace: str, ids: Collection[str]) -> list[Execution]:
        """The executions with these ids; unknown ids are left out. They cannot change until the transaction ends."""
        ...

    def tasks_in(self, execution: int, statuses: Collection[JobStatus]) -> list[Task]:
        """The tasks of an execution (its `seq`) in these statuses, by their index."""
        ...

    def insert(self, news: Sequence[tuple[Execution, Sequence[Task]]]) -> list[Execution | None]:
        """Add executions, each with its tasks and its first event. The answer has one place for each: None where it was added, and
        where its id or idempotency key was taken the execution that has it, nothing being added. No id or (job, key) may stand
        twice in one call."""
        ...

    def remove(self, executions: Collection[int]) -> None:
        """Forget executions (their `seq`), with their tasks, events, steps and signals."""
        ...

    def claimable(
        self, workspace: str, jobs: Collection[str] | None, limit: int, execution: str | None = None
    ) -> list[tuple[Task, Execution]]:
        """Pending tasks that wait for nothing but a worker, the first by (priority, created) first; of these jobs, or of all, or of
        the one execution with this id. No other transaction gets the same ones."""
        ...

    def held(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        """The tasks that are running under exactly these leases, in their order; a stale lease is left out, as is one of another
        workspace."""
        ...

    def let_go(self, workspace: str | None, refs: Collection[LeaseRef]) -> list[tuple[Task, Execution]]:
        """The tasks that ran under these leases last, and run no more."""
        ...

    def due(self, now: float, dead: str | None, limit: int) -> list[tuple[Task, Execution]]:
        """Tasks whose `due_at` is at or before `now`: leases that ended, waits that are over. With `dead`, also those that run with
        workers whose name begins so. The longest due first."""
        ...

    def overdue(self, now: float, limit: int) -> list[Execution]:
        """Executions whose `deadline` is at or before `now`."""
        ...

    def extend(self, workspace: str | None, refs: Collection[LeaseRef], until: float | None) -> dict[LeaseRef, bool]:
        """Move the end of these leases; None leaves it. The answer names those that still hold, each with whether its execution is
        paused; the others are lost."""
        ...

    def steps(self, tasks: Collection[int], name: str | None = None) -> list[Step]:
        """The steps of these tasks (their `seq`), or those with this name: by task, and within one by time, then by name."""
        ...

    def waits(self, execution: int) -> list[tuple[WaitingFor | None, float | None]]:
        """Why the pending tasks of an execution (its `seq`) wait: each reason once, with the first time at which such a wait ends
        by itself; None for one that never does."""
        ...

    def next_rest(self, task: int, after: float) -> float | None:
        """When the first of a task's sleeps and waits ends, of those that end after this time; None without one."""
        ...

    def lines(self, execution: int, task: str) -> int:
        """How many events of type `log` an execution (its `seq`) has of one of its tasks (its id), after the task's last
        `task.started`. May read all events of the execution."""
        ...

    def signals(self, execution: int, *, name: str | None = None, id: str | None = None) -> list[Signal]:
        """The events that were sent to an execution, taken ones too, in the order in which they came; with a name those of it that
        nobody has taken, with an id the one."""
        ...

    def holders(self, workspace: str, job: str, key: str | None) -> int:
        """How many executions of a job hold a slot; with a key, of this concurrency key."""
        ...

    def parked(self, workspace: str, job: str, key: str | None, limit: int, without: Collection[str] = ()) -> list[Execution]:
        """Executions of a job that wait for a slot (`waiting_for` is concurrency), but of none of these keys; with a key, of this
        one. The first by (priority, created) first."""
        ...

    def keyed(self, workspace: str, job: str, key: str, limit: int = 1) -> list[Execution]:
        """Executions of a concurrency key that have not ended: the first that are pending and have not begun, or else any one; or
        nothing."""
        ...

    def save(
        self,
        executions: Collection[Execution],
        tasks: Collection[Task],
        events: Collection[Event],
        steps: Collection[Step] = (),
        signals: Collection[Signal] = (),
    ) -> None:
        """Write records back, or add them. Loaded and saved in one transaction, they are the newest. A step replaces the
        open wait of the same task and name; any other that is there stays. A signal replaces that of the same execution and id."""
        ...

    def define(self, definition: Definition) -> None:
        """Keep a job's definition, instead of the one before."""
        ...

    def count(self, tallies: Iterable[Tally]) -> None:
        """Keep these numbers, instead of those before of the same (workspace, job, server, minute)."""
        ...

    def forget_tallies(self, before: int) -> list[Tally]:
        """Remove the tallies of minutes before this one, minute 0 too, and return them."""
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

    def page(self, workspace: str, where: Where, position: Position, limit: int) -> list[Execution]:
        """Executions, in the order of the position."""
        ...

    def tasks(self, workspace: str, execution: int, after: int, limit: int, *, results: bool = True) -> list[Task]:
        """Tasks of an execution (its `seq`) whose index is above `after`, in order; -1 starts at the first. As many of them as
        `within_size` takes. Without `results` the records have none."""
        ...

    def events(self, workspace: str, execution: int, after: int, limit: int) -> list[Event]:
        """Events of an execution (its `seq`) whose id is above `after`, in order; 0 starts at the first."""
        ...

    def steps(self, workspace: str, execution: int, offset: int, limit: int) -> list[tuple[str, Step]]:
        """Steps of an execution's tasks without their values, each with its task's id: by task, then by time, then by name."""
        ...

    def definitions(self) -> list[Definition]:
        """The definitions of all jobs, of every workspace."""
        ...

    def tallies(self) -> list[Tally]:
        """All that was counted."""
        ...

    def backlog(self) -> list[Backlog]:
        """What has not ended, by job and status. Its cost grows with that, not with what has ended."""
        ...

    def next_due(self) -> float | None:
        """When the first task or execution is due, or None without one."""
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
