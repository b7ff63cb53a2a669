"""The worker: runs handlers under leases. Knows neither engine nor server; its tasks come through the `Leases` port."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import AsyncTaskContext, TaskContext
    from .hold import Suspended
    from .leases import Leases
    from .worker import Worker

__all__ = ["AsyncTaskContext", "Leases", "Suspended", "TaskContext", "Worker"]

_MODULES = {
    "AsyncTaskContext": "context", "Leases": "leases", "Suspended": "hold", "TaskContext": "context", "Worker": "worker",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # A mock uses modules of this package before there is anything to run, and is to be there soon.
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return value
