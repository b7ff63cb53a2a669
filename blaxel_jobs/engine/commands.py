"""What can be asked to be written. The committer puts commands together; `batch` applies them in one transaction.

Leases, reports and verbs are urgent: they go before creates, so that a large create never costs anybody a lease.
"""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from ..core.records import Definition, Json, LeaseRef
from ..core.reports import Report
from ..core.requests import Create


class Command(Struct, frozen=True):
    """Something to write."""

    urgent: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Roughly how many rows it writes."""
        return 1


class CreateExecution(Command, frozen=True):
    """Answers Created."""

    urgent: ClassVar[bool] = False
    create: Create

    @property
    def size(self) -> int:
        return len(self.create.inputs)


class CreateBatch(Command, frozen=True):
    """All of these or none. Answers a list of Created; fails with what the first of them fails with."""

    urgent: ClassVar[bool] = False
    id: str
    creates: tuple[Create, ...]

    @property
    def size(self) -> int:
        return sum(len(create.inputs) for create in self.creates)


class Verb(StrEnum):
    """What can be done to an execution that there is."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"


class Steer(Command, frozen=True):
    """Do this to an execution; of this job, or of any. Answers the Execution."""

    workspace: str
    job: str | None
    id: str
    verb: Verb


class Delete(Command, frozen=True):
    """Forget an execution; one that has not ended only with `force`. Answers the Execution that it was."""

    workspace: str
    job: str | None
    id: str
    force: bool


class SendEvent(Command, frozen=True):
    """Send an event to an execution. Answers taken, kept or existing."""

    workspace: str
    job: str | None
    id: str
    name: str
    payload: Json
    event_id: str


class Tell(Command, frozen=True):
    """A worker's report. Answers an Answer; fails with LeaseLost. Without a workspace it is of any."""

    lease: LeaseRef
    report: Report
    workspace: str | None = None


class Extend(Command, frozen=True):
    """A worker is alive. Answers a Holding."""

    leases: tuple[LeaseRef, ...]
    lease: float
    """Seconds from now."""
    workspace: str | None = None


class Tick(Command, frozen=True):
    """Do what is due: take expired leases back, wake what has waited, end what is out of time. Answers Ticked."""

    dead: str | None = None
    """Take back what these workers hold, too: all those whose name begins so."""


class Ticked(Struct, frozen=True):
    """What a Tick did."""

    recovered: int
    more: bool
    """There may be more to do at once."""


class Claim(Command, frozen=True):
    """A worker asks for tasks of these jobs, or of any; or of one execution. Answers a list of Leased; or None when all that it has
    looked at had to be parked, and there is more: it is to ask again at once."""

    workspace: str
    jobs: tuple[str, ...] | None
    limit: int
    worker: str
    lease: float
    """Seconds."""
    execution: str | None = None


class FoldTallies(Command, frozen=True):
    """Add up what was counted in the minutes before this one. Answers None."""

    before: int


class WakeParked(Command, frozen=True):
    """The limits of these jobs are not what was known here: put those that wait for a slot back in line, as far as there is one;
    and those that transactions before left parked. Answers None."""

    jobs: tuple[tuple[str, str], ...]
    """Workspace and name of each."""


class Define(Command, frozen=True):
    """Keep a job's definition. Answers it."""

    definition: Definition
