"""What other processes on the same store do: looked at once a second, beside what this one is told."""

from collections.abc import Mapping

from ..core.records import Execution
from ..stores.base import JobStore
from .loops import Loop
from .waiters import Key, Waiters


class SharedWaits(Loop):
    """Another process may change what is awaited here: look once a second, at all of it together."""

    def __init__(self, waiters: Waiters, store: JobStore) -> None:
        self._waiters = waiters
        self._store = store
        self._seen: dict[Key, int] = {}

    def poll(self, now: float) -> float:
        keys = self._waiters.keys()
        by_workspace: dict[str, list[str]] = {}
        for workspace, id in keys:
            by_workspace.setdefault(workspace, []).append(id)
        found = {
            (workspace, execution.id): execution
            for workspace, ids in by_workspace.items()
            for execution in self._store.get(workspace, ids)
        }
        changed = {key: key not in found or found[key].done for key in keys if self._has_changed(key, found)}
        self._seen = {key: execution.version for key, execution in found.items()}
        self._waiters.wake(changed)
        return 1.0

    def _has_changed(self, key: Key, found: Mapping[Key, Execution]) -> bool:
        execution = found.get(key)
        return execution is None or execution.done or execution.version != self._seen.get(key)
