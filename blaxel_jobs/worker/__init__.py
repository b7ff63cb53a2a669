"""The worker: runs handlers under leases. Knows neither engine nor server; its tasks come through the `Leases` port."""

from .context import AsyncTaskContext, TaskContext
from .hold import Suspended
from .leases import Leases
from .worker import Worker

__all__ = ["AsyncTaskContext", "Leases", "Suspended", "TaskContext", "Worker"]
