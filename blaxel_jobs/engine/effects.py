"""What a batch is given, and what others are told of it once it is committed."""

import math
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from ..core.ports import Rng
from ..core.records import Definition, Event, Execution, LeaseRef
from ..stores.base import Tally

Gate = tuple[str, str, str | None]
"""(workspace, job, concurrency key): None for the job itself."""


class Created(Struct, frozen=True, gc=False):
    """The answer to a create. An existing execution has the id or the key, and may yet be of another body."""

    execution: Execution
    disposition: str


class Rules(Struct, frozen=True):
    """What the engine was set up with and the batch needs."""

    new_id: Callable[[], str]
    rng: Rng
    definition_of: Callable[[str, str], Definition | None]
    """The definition of a workspace's job, as it is known here."""
    max_recoveries: int
    count: Callable[[Iterable["Told"], float], list[Tally]]
    """The rows that these events change at a time."""
    waking: Mapping[Gate, float]
    """Gates at which transactions before left some parked that have room by now, and how many may be put back in line."""


class Told(Struct, frozen=True, gc=False):
    """An event, and the execution as it was after it."""

    execution: Execution
    event: Event
    seconds: float | None = None
    """How long the task had waited, for its start, or had run, for its end."""
    attempt: int | None = None
    """Of the task."""

    @property
    def ends(self) -> bool:
        """Did the execution end with it."""
        return self.execution.done and self.event.id == self.execution.version


class Effects(Struct):
    """What others are told once the batch is committed."""

    changed: dict[tuple[str, str], bool] = {}
    """(workspace, id) of executions that changed, and whether they have ended."""
    ready: set[tuple[str, str]] = set()
    """(workspace, job) that have something to claim."""
    revoked: list[LeaseRef] = []
    """Leases that were taken from their worker."""
    stopped: list[LeaseRef] = []
    """Leases whose handlers are to stop at their next step."""
    removed: list[tuple[str, str]] = []
    """(workspace, id) of executions that are no more."""
    defined: list[Definition] = []
    waking: dict[Gate, float] = {}
    """Gates at which some were put back in line, and how many more may be: none, where all were that have room."""
    due: float = math.inf
    """When the first of what began to wait here is due, on the wall clock."""
    tallies: list[Tally] = []
    """The rows of counts that it wrote."""
    told: list[Told] = []
    """Every event, in order."""
