"""What is known of jobs: the definitions that live in this process, and those that any worker of the store has registered."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ..core.documents import beside
from ..core.records import Definition
from ..core.requests import read_definition
from ..errors import ConfigError
from ..stores.base import JobStore
from .commands import Command, Define, WakeParked
from .loops import Loop

if TYPE_CHECKING:
    from ..define import JobDef

_Limits = tuple[int | None, int]
"""Of the job, and of each of its keys."""


class Definitions(Loop):
    """By workspace and job, as last read from the store or committed here."""

    def __init__(self, store: JobStore, submit: Callable[[Command], object], now: Callable[[], float]) -> None:
        self._store = store
        self._submit = submit
        self._now = now
        self._here: dict[str, JobDef[Any, Any]] = {}
        self._known: dict[tuple[str, str], Definition] = {}
        self._limits: dict[tuple[str, str], _Limits] = {}
        """Those by which nobody waits any more who need not, of each job."""
        self._read()

    def register(self, jobs: "Iterable[JobDef[Any, Any]]", workspaces: Collection[str]) -> None:
        """Make definitions known here, and to everybody who uses the store.

        Raises ConfigError when a name has another definition here already.
        """
        from ..define import JobDef  # only here: it takes a while to load, and a server by itself has no definitions

        for job in jobs:
            if not isinstance(job, JobDef):
                raise ConfigError(f"{job!r} is no job definition: put @define_job('name') above the handler")
            if self._here.setdefault(job.name, job) is not job:
                raise ConfigError(f"two definitions of the job {job.name!r}: a name is defined once in a process")
            for workspace in workspaces:
                known = self._known.get((workspace, job.name))
                definition = beside(read_definition(workspace, job.name, job.definition()), known)
                if known is None or replace(known, updated_at=0.0) != definition:
                    self._submit(Define(replace(definition, updated_at=self._now())))

    def here(self, job: str) -> bool:
        """Is there a definition of this job in this process."""
        return job in self._here

    def all_here(self) -> "list[JobDef[Any, Any]]":
        """The definitions of this process."""
        return list(self._here.values())

    def get(self, workspace: str, job: str) -> Definition | None:
        """The job's definition, or None for a job that nobody has defined."""
        return self._known.get((workspace, job))

    def of(self, workspace: str) -> list[Definition]:
        """All of a workspace, by name."""
        return sorted((each for each in list(self._known.values()) if each.workspace == workspace), key=lambda each: each.job)

    def keep(self, definition: Definition) -> None:
        """Note what was committed."""
        if definition.removed:
            self._known.pop((definition.workspace, definition.job), None)
        else:
            self._known[definition.workspace, definition.job] = definition

    def poll(self, now: float) -> float:
        """Read what others have registered; whoever was parked here by other limits than theirs gets another chance."""
        self._read()
        limits = {job: (each.concurrency, each.concurrency_per_key) for job, each in list(self._known.items())}
        changed = tuple(job for job, limit in limits.items() if limit != self._limits.get(job))
        if changed:
            self._submit(WakeParked(changed))
        self._limits = limits
        return 1.0

    def _read(self) -> None:
        for definition in self._store.definitions():
            self.keep(definition)
