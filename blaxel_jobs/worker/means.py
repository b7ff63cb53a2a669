"""What a worker gives to each task that it runs."""

from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING

from msgspec import Struct

from ..artifacts import ArtifactPort, Artifacts, AsyncArtifacts
from ..core.ports import Clock, Rng
from ..core.records import Leased, LeaseRef
from ..errors import ContextUnavailable
from .leases import Leases
from .threads import Threads

if TYPE_CHECKING:
    from .processes import Processes


class Means(Struct, frozen=True):
    """The same for all."""

    leases: Leases
    clock: Clock
    rng: Rng | None
    threads: Threads
    processes: "Callable[[], Processes]"
    ports: Callable[[str], ArtifactPort] | None
    """Where artifacts are kept, by workspace; None where there are none."""
    own: Context
    """Of what the worker does by itself."""
    ending: Callable[[], bool]
    """Is the loop being taken down around the worker."""
    free: Callable[[], None]
    """Called once for each task, in the loop, when its handler has left its slot: before the report is acknowledged, and for one
    that was stopped only when its thread, or its process, is free."""
    on_gone: Callable[[LeaseRef], None]
    """Called once for a lease, from any thread, when it is held no longer."""

    def artifacts(self, leased: Leased) -> Artifacts:
        """For a `def` handler. Raises ContextUnavailable."""
        return Artifacts(self._port(leased), leased.execution_id)

    def async_artifacts(self, leased: Leased) -> AsyncArtifacts:
        """For an `async def` handler. Raises ContextUnavailable."""
        return AsyncArtifacts(self._port(leased), leased.execution_id)

    def _port(self, leased: Leased) -> ArtifactPort:
        if self.ports is None:
            raise ContextUnavailable("there are no artifacts where this handler runs")
        return self.ports(leased.workspace)
