"""Artifacts between a process and its worker: handed over as files, in a folder that is the worker's and goes with it."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from ..artifacts import OCTETS, PIECE, Artifacts, Content, Source, write_ref

if TYPE_CHECKING:
    from ..artifacts import ArtifactPort


class Parcel(Struct):
    """An artifact on its way: its bytes are in a file."""

    path: str
    execution_id: str
    content_type: str | None
    size: int = 0


class Put(Struct, tag=True):
    """To the worker: keep this, and answer with its ref."""

    run: int
    number: int
    parcel: Parcel


class Get(Struct, tag=True):
    """To the worker: answer with a parcel."""

    run: int
    number: int
    execution_id: str
    id: str


class Carrier(Protocol):
    """What a process has of its worker for this."""

    def put(self, parcel: Parcel) -> str: ...
    def get(self, execution_id: str, id: str) -> Parcel: ...


class ParcelPort:
    """The artifacts of a process: an ArtifactPort. Its worker has the store, or the connection."""

    local = False

    def __init__(self, carrier: Carrier, folder: str) -> None:
        self._carrier = carrier
        self._folder = folder

    def put(self, execution_id: str, source: Source, content_type: str | None) -> str:
        path = new_file(self._folder)
        with path.open("wb") as file:
            for piece in source:
                file.write(piece)
        return self._carrier.put(Parcel(str(path), execution_id, content_type))

    def open(self, execution_id: str, id: str) -> Content:
        parcel = self._carrier.get(execution_id, id)
        file = Path(parcel.path).open("rb", buffering=0)  # noqa: SIM115  whoever gets the content closes it
        pieces = iter(partial(file.read, PIECE), b"")
        return Content(parcel.size, parcel.content_type or OCTETS, pieces, partial(_close, file.close, parcel))


def keep(port: "ArtifactPort", parcel: Parcel) -> str:
    """In the worker: its ref. The file is gone then."""
    path = Path(parcel.path)
    try:
        return port.put(parcel.execution_id, Source(path), parcel.content_type)
    finally:
        path.unlink(missing_ok=True)


def fetch(port: "ArtifactPort", execution_id: str, id: str, folder: str) -> Parcel:
    """In the worker: an artifact as a parcel, whose file is the process's to take away."""
    path = new_file(folder)
    try:
        with Artifacts(port, execution_id).open(write_ref(execution_id, id)) as reader, path.open("wb") as file:
            while piece := reader.read(PIECE):
                file.write(piece)
            return Parcel(str(path), execution_id, reader.content_type, reader.size)
    except BaseException:
        path.unlink()
        raise


def new_file(folder: str) -> Path:
    """An empty file."""
    handle, path = tempfile.mkstemp(dir=folder)
    os.close(handle)
    return Path(path)


def _close(close: Callable[[], None], parcel: Parcel) -> None:
    close()
    Path(parcel.path).unlink(missing_ok=True)
