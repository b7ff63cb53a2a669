"""What can be asked to be written. The committer puts commands together; `batch` applies them in one transaction.

Leases, reports and cancels are urgent: they go before creates, so that a large create never costs anybody a lease.
"""

from typing import ClassVar

from msgspec import Struct

from ..core.records import LeaseRef
from ..core.requests import Create
from ..core.states import Completed, Failed, Released


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


class CancelExecution(Command, frozen=True):
    """Answers the Execution."""

    workspace: str
    job: str
    id: str


class Report(Command, frozen=True):
    """A worker tells how a task ended, or gives it back. Answers None; fails with LeaseLost."""

    lease: LeaseRef
    event: Completed | Failed | Released


class Extend(Command, frozen=True):
    """A worker is alive. Answers the set of leases that are lost."""

    leases: tuple[LeaseRef, ...]
    lease: float
    """Seconds from now."""


class Recover(Command, frozen=True):
    """Take back what expired, and what dead workers hold. Answers how many tasks that were."""

    workers: tuple[str, ...] = ()


class Claim(Command, frozen=True):
    """A worker asks for tasks of these jobs, or of any. Answers a list of Leased."""

    workspace: str
    jobs: tuple[str, ...] | None
    limit: int
    worker: str
    lease: float
    """Seconds."""
