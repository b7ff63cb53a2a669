"""What a run works with: its sizes, its files, its engines, and what it keeps for the runs after it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from blaxel_jobs.engine import Engine
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng

T = TypeVar("T")

WORKSPACE = "default"
JOB = "bench"


class Scratch:
    """A temporary folder and everything that stays open between the runs of a topic; gone at the end of the block."""

    def __init__(self, quick: bool) -> None:
        self.quick = quick
        self._kept: dict[Callable[..., Any], Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="blaxel-jobs-bench-")))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.close()

    def size(self, full: int, quick: int) -> int:
        """How many: of a real run, or of one that only shows that it works."""
        return quick if self.quick else full

    def keep(self, make: Callable[["Scratch"], AbstractContextManager[T]]) -> T:
        """What `make` opens, once for all runs."""
        if make not in self._kept:
            self._kept[make] = self._open.enter_context(make(self))
        kept: T = self._kept[make]
        return kept

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder on the disk that is measured; deleted at the end of the block, so that 1 GB files do not pile up."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @contextmanager
    def engine(self, store: str) -> Iterator[Engine]:
        """An engine over a new store: `memory` or `sqlite`."""
        with self.folder() as folder, open_engine("memory:" if store == "memory" else url_of(folder)) as engine:
            yield engine


def url_of(folder: Path) -> str:
    """The store file of a folder, as a URL."""
    return f"sqlite:///{folder}/jobs.db"


@contextmanager
def open_engine(url: str, lease: float = 10.0) -> Iterator[Engine]:
    """An engine as the product puts it together."""
    engine = Engine(open_store(url), clock=SystemClock(), new_id=id_factory(), rng=rng, lease=lease)
    try:
        yield engine
    finally:
        engine.close()


def a_create(job: str = JOB, tasks: int | None = None, concurrency_key: str | None = None) -> dict[str, Any]:
    """The arguments of a create, as the SDK sends them: a body and an idempotency key."""
    body: dict[str, Any] = {"input": {"duration": 0}} if tasks is None else {"tasks": [{"duration": 0}] * tasks}
    if concurrency_key is not None:
        body["concurrencyKey"] = concurrency_key
    return {"job": job, "body": body, "idempotency_key": new_key()}
