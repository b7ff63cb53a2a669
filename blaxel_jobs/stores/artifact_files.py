"""Artifacts as files in a folder."""

import contextlib
import errno
import hashlib
import io
import itertools
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from ..artifacts import MAX_BYTES, OCTETS, PIECE, Artifact, Content, checked, damaged, too_large
from ..errors import Unavailable
from .artifacts import Upload, missing, sweep_keys

if sys.platform != "win32":
    import fcntl

log = logging.getLogger("blaxel_jobs.stores")

_ID: Final = re.compile(r"[0-9a-f]{64}")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DRAFTS: Final = ".drafts"
_TYPE: Final = ".type"
_LONGEST_NAME: Final = 255
"""Bytes. The contract's longest id fits, unless all of it are capitals."""


class FolderArtifacts:
    """Keeps artifacts as files `<workspace>/<execution>/<SHA-256>` in a folder, which is made for the first of them. Beside each
    that has a content type is `<SHA-256>.type`, which holds it. Processes may share the folder.

    Each is written in `.drafts`, synced and renamed, so that nothing half-written is ever seen. What dead processes left there is
    removed when a FolderArtifacts is made.
    """

    local = False

    def __init__(self, folder: str | os.PathLike[str], limit: int = MAX_BYTES) -> None:
        self.folder = Path(folder).absolute()
        self.limit = limit
        self._drafts = self.folder / _DRAFTS
        self._count = itertools.count(1)
        _remove_dead(self._drafts)

    def begin(self, workspace: str, execution_id: str) -> Upload:
        with _meaning(self.folder):
            self._drafts.mkdir(parents=True, exist_ok=True)
            return _FileUpload(self, workspace, execution_id, *self.new_draft())

    def open(self, workspace: str, execution_id: str, id: str) -> Content:
        if not _ID.fullmatch(id):
            raise missing(id)
        path = self._path(workspace, execution_id) / id
        with _meaning(self.folder):
            try:
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                raise missing(id) from None
            size = os.fstat(file.fileno()).st_size
            return Content(size, _read_type(path), checked(self._pieces(file), id, damaged(id)), file.close)

    def remove(self, workspace: str, execution_ids: Collection[str]) -> None:
        for execution_id in execution_ids:
            path = self._path(workspace, execution_id)
            try:
                while path.exists():
                    self._remove(path)
            except OSError as error:
                about = {"execution_id": execution_id}
                log.warning("artifacts of the execution %s cannot be removed: %s", execution_id, error, extra=about)

    def sweep(self, living: Callable[[str, Sequence[str]], Collection[str]]) -> int:
        return sweep_keys(list(self._executions()), living, self.remove)

    def new_draft(self) -> tuple[Path, int]:
        """A new file in `.drafts`, open and locked for as long as it is written. Raises OSError."""
        while True:
            path = self._draft_path()
            with contextlib.suppress(FileExistsError):  # left by a process that had our number
                file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                if sys.platform == "win32":
                    return path, file
                fcntl.flock(file, fcntl.LOCK_EX)
                if os.fstat(file).st_nlink:
                    return path, file
                os.close(file)  # another process took it for a dead one's before it was locked

    def place(self, draft: Path, workspace: str, execution_id: str, name: str) -> None:
        """Give a draft its name, for good. Raises OSError."""
        folder = self._path(workspace, execution_id)
        for last in (False, False, True):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                draft.replace(folder / name)
                break
            except FileNotFoundError:  # removed with its execution meanwhile, or by a sweep that came before us
                if last:
                    raise
        for changed in (folder, folder.parent, self.folder, self.folder.parent):
            _sync(changed)

    def _remove(self, path: Path) -> None:
        """Gone at once as a whole; what a crash leaves of it is removed with the drafts."""
        gone = self._draft_path()
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # seen again, and tried again
            gone.mkdir(parents=True)
            path.rename(gone / path.name)
            shutil.rmtree(gone, ignore_errors=True)

    def _executions(self) -> Iterator[tuple[str, str]]:
        for workspace in _names_in(self.folder):
            if workspace != _DRAFTS:
                for name in _names_in(self.folder / workspace):
                    if not (name.startswith("~") or workspace.startswith("~")):
                        yield id_of(workspace), id_of(name)

    def _path(self, workspace: str, execution_id: str) -> Path:
        return self.folder / file_name(workspace) / file_name(execution_id)

    def _draft_path(self) -> Path:
        return self._drafts / f"{os.getpid()}-{next(self._count)}"

    def _pieces(self, file: io.FileIO) -> Iterator[bytes]:
        while True:
            with _meaning(self.folder):
                piece = file.read(PIECE)
            if not piece:
                return
            yield piece


class _FileUpload:
    """A draft, until it gets its name. Its lock is for `discard`, which may come from another thread than a write that goes on."""

    def __init__(self, store: FolderArtifacts, workspace: str, execution_id: str, path: Path, file: int) -> None:
        self._store = store
        self._of = (workspace, execution_id)
        self._path = path
        self._file: int | None = file
        self._digest = hashlib.sha256()
        self._size = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        with self._lock, _meaning(self._store.folder):
            file = self._opened()
            if self._size + len(data) > self._store.limit:
                raise too_large(self._store.limit)
            _write(file, data)
            self._digest.update(data)
            self._size += len(data)

    def commit(self, content_type: str | None = None) -> Artifact:
        workspace, execution_id = self._of
        id = self._digest.hexdigest()
        with self._lock, _meaning(self._store.folder):
            os.fsync(self._opened())
            if content_type is not None:  # first: a type without its artifact is seen by nobody
                self._place_type(content_type, f"{id}{_TYPE}")
            self._store.place(self._path, workspace, execution_id, id)
            self._close()
            found = content_type or _read_type(self._store.folder / file_name(workspace) / file_name(execution_id) / id)
        return Artifact(execution_id, id, self._size, found)

    def discard(self) -> None:
        with self._lock:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink()
                self._close()

    def _place_type(self, content_type: str, name: str) -> None:
        path, file = self._store.new_draft()
        try:
            _write(file, content_type.encode())
            os.fsync(file)
            self._store.place(path, *self._of, name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def _opened(self) -> int:
        if self._file is None:
            raise ValueError("this upload has ended")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def file_name(id: str) -> str:
    """The name of the folder of a workspace or execution: no other id has it, not even on a file system that takes capitals for
    small letters. Those are written `=a`, whatever else is not plain is quoted, and what gets too long is named by a hash."""
    encoded = id.encode("utf-8", "surrogatepass")
    name = "".join(map(_QUOTED.__getitem__, encoded)) or "%"
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    return name if len(name) <= _LONGEST_NAME else f"~{hashlib.sha256(encoded).hexdigest()}"


def id_of(name: str) -> str:
    """The id that has this file name, which is no hash."""
    return unquote(re.sub(r"=([a-z])", lambda found: found[1].upper(), name), errors="surrogatepass")


def _quoted(byte: int) -> str:
    letter = chr(byte)
    if letter in "abcdefghijklmnopqrstuvwxyz0123456789_-.":
        return letter
    return f"={letter.lower()}" if "A" <= letter <= "Z" else f"%{byte:02X}"


_QUOTED: Final = [_quoted(byte) for byte in range(256)]


@contextlib.contextmanager
def _meaning(folder: Path) -> Generator[None, None, None]:
    """What the disk does wrong as Unavailable."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable(f"the disk of {folder} is full: the artifact was not kept", retry_after=5) from error
        raise Unavailable(f"{folder} cannot be used now: {error.strerror}", retry_after=1) from error


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _read_type(path: Path) -> str:
    try:
        return path.with_name(f"{path.name}{_TYPE}").read_text(encoding="ascii")
    except FileNotFoundError:
        return OCTETS


def _names_in(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_dead(drafts: Path) -> None:
    """What no process writes any more: whoever writes holds the lock of its file, however it ends."""
    if sys.platform == "win32":
        return
    for name in _names_in(drafts):
        path = drafts / name
        try:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                _remove_unlocked(path)
        except (FileNotFoundError, BlockingIOError):
            continue
        except OSError as error:
            log.warning("the draft %s cannot be removed: %s", path, error)


def _remove_unlocked(path: Path) -> None:
    """Raises BlockingIOError for one that is being written."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(file)
