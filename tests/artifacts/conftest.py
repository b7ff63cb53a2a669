"""Artifact stores under test, a server over one, and the port to it. A new store is a line in STORES."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blaxel_jobs.artifacts import ArtifactPort, LocalArtifacts
from blaxel_jobs.config import Settings
from blaxel_jobs.server.app import App
from blaxel_jobs.stores.artifact_files import FolderArtifacts
from blaxel_jobs.stores.artifacts import ArtifactStore, MemoryArtifacts
from blaxel_jobs.system import new_key
from blaxel_jobs.transport import HttpSeam
from blaxel_jobs.transport.artifacts import HttpArtifacts
from tests.serving import live

WORKSPACE = "default"
EXECUTION = "execution-1"

STORES: dict[str, Callable[[Path], ArtifactStore]] = {
    "memory": lambda _: MemoryArtifacts(),
    "folder": lambda folder: FolderArtifacts(folder / "jobs.db-artifacts"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return STORES[request.param](tmp_path)


class BareEngine:
    """As much of an engine as artifacts need."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self.artifacts = artifacts

    def release_waiters(self) -> None:
        """Nobody waits."""


def serving(store: ArtifactStore, **options: Any) -> AbstractContextManager[str]:
    """A server over this store on a real socket, in a thread; the value is its URL."""
    return live(App(BareEngine(store), version="1", new_id=new_key, **options))


@contextmanager
def remote(url: str, **settings: Any) -> Iterator[HttpArtifacts]:
    """The port to the server at a URL."""
    with closing(HttpSeam(Settings(base_url=f"{url}/v0", connect_retries=0, **settings))) as seam:
        yield HttpArtifacts(seam)


class Place(NamedTuple):
    """A store, and a port to it."""

    store: ArtifactStore
    port: ArtifactPort


@pytest.fixture(scope="module", params=[(kind, over) for kind in STORES for over in ("in process", "over HTTP")], ids=", ".join)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kind, over = request.param
    store = STORES[kind](tmp_path_factory.mktemp("place"))
    if over == "in process":
        yield Place(store, LocalArtifacts(store, WORKSPACE))
        return
    with serving(store) as url, remote(url) as artifacts:
        yield Place(store, artifacts)


def keep(store: ArtifactStore, data: bytes, workspace: str = WORKSPACE, execution: str = EXECUTION) -> str:
    """Put bytes into a store; their id."""
    upload = store.begin(workspace, execution)
    upload.write(data)
    return upload.commit().id


def read(store: ArtifactStore, id: str, workspace: str = WORKSPACE, execution: str = EXECUTION) -> bytes:
    with closing(store.open(workspace, execution, id)) as content:
        data = b"".join(content.pieces)
    assert len(data) == content.size
    return data
