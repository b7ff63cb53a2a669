"""What is known of jobs: the definitions that live in this process, and those that any worker of the store has registered."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from msgspec.structs import replace

from ..core.records import Definition
from ..core.requests import read_definition
from ..define import JobDef
from ..errors import ConfigError
from ..stores.base import JobStore
from .loops import Loop


class Definitions(Loop):
    """By workspace and job, as last read from the store or committed here."""

    def __init__(self, store: JobStore, define: Callable[[Definition], object], now: Callable[[], float]) -> None:
        self._store = store
        self._define = define
        self._now = now
        self._here: dict[str, JobDef[Any, Any]] = {}
        self._known: dict[tuple[str, str], Definition] = {}
        self.poll(0.0)

    def register(self, jobs: Iterable[JobDef[Any, Any]], workspaces: Collection[str]) -> None:
        """Make definitions known here, and to everybody who uses the store.

        Raises ConfigError when a name has another definition here already.
        """
        for job in jobs:
            if not isinstance(job, JobDef):
                raise ConfigError(f"{job!r} is no job definition: put @define_job('name') above the handler")
            if self._here.setdefault(job.name, job) is not job:
                raise ConfigError(f"two definitions of the job {job.name!r}: a name is defined once in a process")
            for workspace in workspaces:
                definition = read_definition(workspace, job.name, job.definition())
                known = self._known.get((workspace, job.name))
                if known is None or replace(known, updated_at=0.0) != definition:
                    self._define(replace(definition, updated_at=self._now()))

    def here(self, job: str) -> bool:
        """Is there a definition of this job in this process."""
        return job in self._here

    def all_here(self) -> list[JobDef[Any, Any]]:
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
        self._known[definition.workspace, definition.job] = definition

    def poll(self, now: float) -> float:
        """Read what others have registered."""
        for definition in self._store.definitions():
            self.keep(definition)
        return 1.0
