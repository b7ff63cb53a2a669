"""Artifacts: bytes that are too large for a result, kept beside an execution and named by a short text, their ref.

`context.artifacts` is an `Artifacts`, or an `AsyncArtifacts` for async handlers, over a port: a store of this process, or a server.
"""

import asyncio
import hashlib
import io
import os
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from ..errors import InvalidRequest, JobsError, ServerError
from .source import MAX_BYTES, PIECE, Data, Readable, Source, StoppedError, too_large

if TYPE_CHECKING:
    from ..stores.artifacts import ArtifactStore

__all__ = [
    "MAX_BYTES", "OCTETS", "PIECE", "Artifact", "ArtifactPort", "ArtifactReader", "Artifacts", "AsyncArtifactReader",
    "AsyncArtifacts", "Content", "Data", "LocalArtifacts", "Readable", "Source", "StoppedError", "check_content_type", "checked",
    "damaged", "read_ref", "too_large", "write_ref",
]  # fmt: skip

T = TypeVar("T")

Watch = Callable[[str, object, Callable[[], Coroutine[Any, Any, Any]]], Coroutine[Any, Any, Any]]
"""Given a verb, what it is called with, and what does it: the coroutine that the handler is to await."""

OCTETS: Final = "application/octet-stream"
"""The content type of what has no other."""

_REF: Final = re.compile(r"artifact:(?P<execution>[^\x00-\x1f\x7f]{1,255})/(?P<id>[0-9a-f]{64})")
_CONTENT_TYPE: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;[ -~]*)?", re.ASCII)
_LONGEST_TYPE: Final = 255
_NAMED: Final = 20
"""Bytes that an error shows of what is put."""


class Artifact(NamedTuple):
    """What is known of an artifact. Its `id` is the SHA-256 of its bytes in hex digits: the same bytes are the same artifact."""

    execution_id: str
    id: str
    size: int
    """Bytes."""
    content_type: str = OCTETS

    @property
    def ref(self) -> str:
        """What to pass on."""
        return write_ref(self.execution_id, self.id)


class Content(NamedTuple):
    """An artifact that is open for reading; whoever has it calls `close`. At their end the pieces raise ServerError when together
    they are not what was put."""

    size: int
    content_type: str
    pieces: Iterator[bytes]
    close: Callable[[], object]


def write_ref(execution_id: str, id: str) -> str:
    """The ref of an artifact."""
    return f"artifact:{execution_id}/{id}"


def read_ref(ref: str) -> tuple[str, str]:
    """The ids of execution and artifact that a ref names. Raises InvalidRequest."""
    found = _REF.fullmatch(ref) if isinstance(ref, str) else None
    if found is None:
        raise InvalidRequest(f"{str(ref)[:100]!r} is no ref of an artifact: pass on what put() returned", path="ref")
    return found["execution"], found["id"]


def check_content_type(text: str) -> str:
    """The text itself. Raises InvalidRequest for what is no media type."""
    if len(text) > _LONGEST_TYPE or not _CONTENT_TYPE.fullmatch(text):
        raise InvalidRequest(
            f"{text[:100]!r} is no content type such as text/csv, of at most {_LONGEST_TYPE} characters", path="content_type"
        )
    return text


def damaged(id: str) -> ServerError:
    """The error for an artifact whose bytes are not those that were put."""
    return ServerError(f"the artifact {id} is damaged: its bytes have another SHA-256 than those that were put; put them again")


def checked(pieces: Iterable[bytes], id: str, wrong: JobsError) -> Iterator[bytes]:
    """The pieces; raises `wrong` at their end when together they are not the artifact of this id."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != id:
        raise wrong


class ArtifactPort(Protocol):
    """Where artifacts are: in a store of this process, or behind a server. From any thread."""

    local: bool
    """A call takes microseconds and may be made on an event loop."""

    def put(self, execution_id: str, source: Source, content_type: str | None) -> str:
        """Keep it, and return its ref. Raises NotFound, TooLarge, Unavailable and what reading the source raises."""
        ...

    def open(self, execution_id: str, id: str) -> Content:
        """Raises NotFound, Unavailable."""
        ...


class LocalArtifacts:
    """The port in process: the artifacts of one workspace of a store."""

    def __init__(self, store: "ArtifactStore", workspace: str) -> None:
        self.local = store.local
        self._store = store
        self._workspace = workspace

    def put(self, execution_id: str, source: Source, content_type: str | None) -> str:
        upload = self._store.begin(self._workspace, execution_id)
        try:
            for piece in source:
                upload.write(piece)
            return upload.commit(content_type).ref
        finally:
            upload.discard()

    def open(self, execution_id: str, id: str) -> Content:
        return self._store.open(self._workspace, execution_id, id)


class ArtifactReader(io.BufferedReader):
    """An artifact as a file that is open for reading bytes, from its beginning to its end. Use it in `with`.

    Reading its end raises ServerError when its bytes are not those that were put.
    """

    def __init__(self, content: Content) -> None:
        super().__init__(_Raw(content), PIECE)
        self.size = content.size
        """Bytes."""
        self.content_type = content.content_type


class _Raw(io.RawIOBase):
    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content
        self._pieces = filter(None, content.pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def readall(self) -> bytes:
        rest, self._rest = self._rest, memoryview(b"")
        return b"".join([rest, *self._pieces])

    def close(self) -> None:
        if not self.closed:
            self._content.close()
        super().close()


class Artifacts:
    """Artifacts as a handler sees them. What it puts belongs to its execution and is deleted with it; it reads those of any."""

    def __init__(self, port: ArtifactPort, execution_id: str) -> None:
        self._port = port
        self._execution_id = execution_id
        self._stopped = threading.Event()

    def put(self, data: Data, *, content_type: str | None = None) -> str:
        """Keep bytes, the file at a path, or the rest of an open file; 100 MB at most. Returns the ref to pass on.

        The same bytes have the same ref, so that doing it again changes nothing. Raises TooLarge, NotFound when the execution was
        deleted, Unavailable when nothing can be kept now, InvalidRequest for a bad content type, TypeError, OSError.
        """
        if content_type is not None:
            check_content_type(content_type)
        return self._port.put(self._execution_id, Source(data, self._stopped), content_type)

    def get(self, ref: str) -> bytes:
        """All bytes of an artifact. Raises NotFound, ServerError for a damaged one, InvalidRequest for what is no ref."""
        with closing(self._open(ref)) as content:
            return b"".join(content.pieces)

    def open(self, ref: str) -> ArtifactReader:
        """An artifact as a file to read from, which holds 256 KB of it at a time. Raises as `get`; for damage at its end."""
        return ArtifactReader(self._open(ref))

    def save(self, ref: str, path: str | os.PathLike[str]) -> None:
        """Write an artifact to a file. The file is there when all of it is, and what it was before until then. Raises as `get`,
        and OSError."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
        with closing(self._open(ref)) as content:
            try:
                with draft.open("wb") as file:
                    for piece in content.pieces:
                        file.write(piece)
                draft.replace(target)
            finally:
                draft.unlink(missing_ok=True)

    def _open(self, ref: str) -> Content:
        content = self._port.open(*read_ref(ref))
        return content._replace(pieces=self._until_stopped(content.pieces))

    def _until_stopped(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._stopped.is_set():
                raise StoppedError
            yield piece

    def stop(self) -> None:
        """End what runs in another thread, at its next piece: it leaves nothing behind."""
        self._stopped.set()


class AsyncArtifacts:
    """`Artifacts` for async handlers: the same verbs, awaited, in threads. A cancelled one stops soon and leaves nothing behind."""

    def __init__(self, port: ArtifactPort, execution_id: str, watch: Watch | None = None) -> None:
        self._port = port
        self._execution_id = execution_id
        self._watch: Watch = watch or (lambda verb, name, work: work())

    def watched(self, watch: Watch) -> "AsyncArtifacts":
        """The same; `watch` makes what is awaited, and so can tell what never is."""
        return AsyncArtifacts(self._port, self._execution_id, watch)

    def put(self, data: Data, *, content_type: str | None = None) -> Coroutine[Any, Any, str]:
        """As `Artifacts.put`."""
        name = data[:_NAMED] if isinstance(data, bytes | bytearray | memoryview) else data
        return self._watch("artifacts.put", name, lambda: self._call(lambda to: to.put(data, content_type=content_type)))

    def get(self, ref: str) -> Coroutine[Any, Any, bytes]:
        """As `Artifacts.get`."""
        return self._watch("artifacts.get", ref, lambda: self._call(lambda of: of.get(ref)))

    def save(self, ref: str, path: str | os.PathLike[str]) -> Coroutine[Any, Any, None]:
        """As `Artifacts.save`."""
        return self._watch("artifacts.save", ref, lambda: self._call(lambda of: of.save(ref, path)))

    @asynccontextmanager
    async def open(self, ref: str) -> AsyncGenerator["AsyncArtifactReader", None]:
        """As `Artifacts.open`, for `async with`."""
        reader = await self._call(lambda artifacts: artifacts.open(ref))
        try:
            yield AsyncArtifactReader(reader, self._port.local)
        finally:
            await _run(reader.close, self._port.local)

    async def _call(self, verb: Callable[[Artifacts], T]) -> T:
        artifacts = Artifacts(self._port, self._execution_id)
        try:
            return await _run(lambda: verb(artifacts), self._port.local)
        except asyncio.CancelledError:
            artifacts.stop()
            raise


class AsyncArtifactReader:
    """An artifact that is open for reading, from its beginning to its end: `await reader.read(size)`, or `async for` its pieces."""

    def __init__(self, reader: ArtifactReader, local: bool) -> None:
        self._reader = reader
        self._local = local

    @property
    def size(self) -> int:
        """Bytes."""
        return self._reader.size

    @property
    def content_type(self) -> str:
        return self._reader.content_type

    async def read(self, size: int = -1) -> bytes:
        """The next so many bytes, fewer at the end; all that are left unless a size is given."""
        return await _run(lambda: self._reader.read(size), self._local)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read(PIECE):
            yield piece


async def _run(call: Callable[[], T], local: bool) -> T:
    return call() if local else await asyncio.to_thread(call)
