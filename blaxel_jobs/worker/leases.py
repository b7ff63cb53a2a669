"""The port that a worker runs on: in process over the engine, or over HTTP."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

from ..artifacts import ArtifactPort
from ..core.records import Leased, LeaseRef
from ..core.reports import Answer, Holding, Report
from ..define import JobDef


class Leases(Protocol):
    """Who hands out tasks. Every call that names a lease which is lost changes nothing and says so."""

    worker: str
    """The worker's id: another one for each start."""
    heartbeat_every: float
    """Seconds between two heartbeats."""
    in_place: float
    """Seconds that a durable sleep may last without giving the task up: a lease, at most."""
    on_lost: Callable[[Collection[LeaseRef]], None]
    """Set by the worker: told of leases that it holds no longer, from any thread."""
    on_stop: Callable[[Collection[LeaseRef]], None]
    """Set by the worker: told of leases whose handlers are to unwind at their next step, from any thread."""

    def register(self, jobs: Sequence[JobDef[Any, Any]]) -> None: ...
    def open(self) -> None: ...
    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]: ...
    def report(self, lease: LeaseRef, report: Report) -> Awaitable[Answer]:
        """From the worker's loop. Raises LeaseLost; where it may be tried again Unavailable, ConnectionFailed, or
        ContractError for an answer that cannot be read."""
        ...

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        """The same, from any thread but that of the loop; it waits for the answer there."""
        ...

    def artifacts(self, workspace: str) -> ArtifactPort:
        """Where handlers of a workspace put what is too large for a result."""
        ...

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...
