"""Where artifacts are kept: the port, and its form in memory.

An artifact is named by the SHA-256 of its bytes, within its execution: putting the same again changes nothing, so neither a replay
nor an upload under a lease that is lost does any harm.
"""

import hashlib
import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from ..artifacts import MAX_BYTES, OCTETS, PIECE, Artifact, Content, too_large
from ..errors import NotFound
from .base import JobStore

_ASKED: Final = 500
"""Executions that are asked for at once."""


class Upload(Protocol):
    """An artifact that is being written. Nobody sees anything of it before `commit`. One thread at a time."""

    def write(self, data: bytes) -> None:
        """Add bytes. Raises TooLarge, and Unavailable when they cannot be kept now."""
        ...

    def commit(self, content_type: str | None = None) -> Artifact:
        """Make it the artifact that it is, for good. Without a content type an existing artifact keeps its own. Raises NotFound,
        Unavailable."""
        ...

    def discard(self) -> None:
        """Forget it, unless it is committed. Twice does no harm."""
        ...


class ArtifactStore(Protocol):
    """Keeps the artifacts of executions, those of each workspace apart. From any thread."""

    local: bool
    """A call takes microseconds and may be made on an event loop."""
    limit: int
    """Bytes that an artifact may have."""

    def begin(self, workspace: str, execution_id: str) -> Upload:
        """Begin to write one. Raises NotFound, Unavailable."""
        ...

    def open(self, workspace: str, execution_id: str, id: str) -> Content:
        """One of them, to be read. Raises NotFound, Unavailable."""
        ...

    def remove(self, workspace: str, execution_ids: Collection[str]) -> None:
        """Forget all artifacts of these executions. Never raises: what cannot be removed now is logged, and swept later."""
        ...

    def sweep(self, living: Callable[[str, Sequence[str]], Collection[str]]) -> int:
        """Forget the artifacts of executions that there are no more: those that `living` (workspace, ids) does not name. Returns
        of how many."""
        ...


class ExecutionArtifacts:
    """An ArtifactStore for the executions that a job store has: what belongs to none is neither taken nor found."""

    def __init__(self, artifacts: ArtifactStore, executions: JobStore) -> None:
        self.local = artifacts.local and executions.local
        self.limit = artifacts.limit
        self._artifacts = artifacts
        self._executions = executions

    def begin(self, workspace: str, execution_id: str) -> Upload:
        self._check(workspace, execution_id)
        upload = self._artifacts.begin(workspace, execution_id)
        return _Checked(upload, lambda: self._check_kept(workspace, execution_id))

    def open(self, workspace: str, execution_id: str, id: str) -> Content:
        self._check(workspace, execution_id)
        return self._artifacts.open(workspace, execution_id, id)

    def remove(self, workspace: str, execution_ids: Collection[str]) -> None:
        self._artifacts.remove(workspace, execution_ids)

    def sweep(self, living: Callable[[str, Sequence[str]], Collection[str]] | None = None) -> int:
        return self._artifacts.sweep(living or self._living)

    def _living(self, workspace: str, ids: Sequence[str]) -> set[str]:
        return {execution.id for execution in self._executions.get(workspace, ids)}

    def _check(self, workspace: str, execution_id: str) -> None:
        if not self._living(workspace, [execution_id]):
            raise NotFound(f"there is no execution {execution_id!r}", path="executionId")

    def _check_kept(self, workspace: str, execution_id: str) -> None:
        """Whoever deletes an execution removes its artifacts after that: one that came later still is removed here."""
        try:
            self._check(workspace, execution_id)
        except NotFound:
            self._artifacts.remove(workspace, [execution_id])
            raise


class _Checked:
    """An upload whose commit is followed by a check."""

    def __init__(self, upload: Upload, check: Callable[[], None]) -> None:
        self.write = upload.write
        self.discard = upload.discard
        self._upload = upload
        self._check = check

    def commit(self, content_type: str | None = None) -> Artifact:
        artifact = self._upload.commit(content_type)
        self._check()
        return artifact


class MemoryArtifacts:
    """Keeps artifacts as long as the process."""

    local = True

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self.limit = limit
        self._kept: dict[tuple[str, str], dict[str, tuple[bytes, str]]] = {}
        self._lock = threading.Lock()

    def begin(self, workspace: str, execution_id: str) -> Upload:
        return _MemoryUpload(self, workspace, execution_id)

    def open(self, workspace: str, execution_id: str, id: str) -> Content:
        found = self._kept.get((workspace, execution_id), {}).get(id)
        if found is None:
            raise missing(id)
        data, content_type = found
        pieces = (data[start : start + PIECE] for start in range(0, len(data), PIECE))
        return Content(len(data), content_type, pieces, pieces.close)

    def remove(self, workspace: str, execution_ids: Collection[str]) -> None:
        with self._lock:
            for execution_id in execution_ids:
                self._kept.pop((workspace, execution_id), None)

    def sweep(self, living: Callable[[str, Sequence[str]], Collection[str]]) -> int:
        with self._lock:
            keys = list(self._kept)
        return sweep_keys(keys, living, self.remove)

    def keep(self, workspace: str, execution_id: str, data: bytes, content_type: str | None) -> Artifact:
        """Keep these bytes."""
        id = hashlib.sha256(data).hexdigest()
        with self._lock:
            kept = self._kept.setdefault((workspace, execution_id), {})
            content_type = content_type or kept.get(id, (data, OCTETS))[1]
            kept[id] = (data, content_type)
        return Artifact(execution_id, id, len(data), content_type)


class _MemoryUpload:
    def __init__(self, store: MemoryArtifacts, workspace: str, execution_id: str) -> None:
        self._store = store
        self._of = (workspace, execution_id)
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        if len(self._data) + len(data) > self._store.limit:
            raise too_large(self._store.limit)
        self._data += data

    def commit(self, content_type: str | None = None) -> Artifact:
        return self._store.keep(*self._of, bytes(self._data), content_type)

    def discard(self) -> None:
        self._data = bytearray()


def sweep_keys(
    keys: Iterable[tuple[str, str]],
    living: Callable[[str, Sequence[str]], Collection[str]],
    remove: Callable[[str, Collection[str]], None],
) -> int:
    """Remove those of the (workspace, execution) that are not living. Returns how many."""
    removed = 0
    for workspace, group in itertools.groupby(sorted(keys), key=lambda key: key[0]):
        ids = [id for _, id in group]
        for start in range(0, len(ids), _ASKED):
            asked = ids[start : start + _ASKED]
            dead = set(asked) - set(living(workspace, asked))
            remove(workspace, dead)
            removed += len(dead)
    return removed


def missing(id: str) -> NotFound:
    """The error for an artifact that there is not."""
    return NotFound(f"there is no artifact {id[:100]!r} of this execution", path="artifactId")
