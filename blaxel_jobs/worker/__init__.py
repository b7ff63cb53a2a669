"""The worker: runs handlers under leases. Knows neither engine nor server; its tasks come through the `Leases` port."""

from typing import TYPE_CHECKING

from .. import _imported_late

if TYPE_CHECKING:
    from .context import AsyncTaskContext, TaskContext
    from .hold import Suspended
    from .leases import Leases
    from .worker import Worker

__all__ = ["AsyncTaskContext", "Leases", "Suspended", "TaskContext", "Worker"]

_MODULES = {
    "AsyncTaskContext": "context", "Leases": "leases", "Suspended": "hold", "TaskContext": "context", "Worker": "worker",
}  # fmt: skip

if not TYPE_CHECKING:
    # A mock uses modules of this package before there is anything to run, and is to be there soon.
    __getattr__ = _imported_late(__name__, _MODULES)
