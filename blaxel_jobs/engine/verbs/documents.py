"""Jobs as the platform's clients describe them, and their end."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from ...core.documents import described, document_view, read_document
from ...core.reading import check_job
from ...core.records import Definition, Execution
from ...core.states import OPEN
from ...errors import Conflict, IllegalTransition, NotFound
from ...stores.base import Position, Where
from .. import commands
from ..commands import Define, Steer
from .asking import Asked, Commit, CommitAll, Read, Verb

if TYPE_CHECKING:
    from ..engine import Engine

_AT_ONCE: Final = 1000
"""Executions that are cancelled in one go."""


def put_job_document(engine: "Engine", workspace: str, *, body: Any, job: str | None = None) -> Verb:
    """Describe a job; without its name in `job` one that nobody has described yet."""
    name, document = read_document(body, job)
    known = engine.definitions.get(workspace, name)
    if job is None and known is not None and known.document is not None:
        raise Conflict(f"there is a job {name!r} already", path="metadata.name")
    bare = Definition(workspace=workspace, job=name, updated_at=engine.clock.now())
    definition: Definition = yield Commit(Define(described(document, known, bare)))
    return document_view(definition)


def get_job_document(engine: "Engine", workspace: str, *, job: str) -> Verb:
    yield from ()
    return document_view(_known(engine, workspace, job))


def list_job_documents(engine: "Engine", workspace: str) -> Verb:
    """All of them: a workspace has few."""
    yield from ()
    return {"data": [document_view(each) for each in engine.definitions.of(workspace)]}


def remove_job(engine: "Engine", workspace: str, *, job: str) -> Verb:
    """Cancel what runs of the job and forget its definition; answers what that was. Executions that have ended stay."""
    known = _known(engine, workspace, job)
    yield from _cancel_all(engine, workspace, job)
    yield Commit(Define(Definition(workspace=workspace, job=job, updated_at=engine.clock.now(), removed=True)))
    return document_view(known)


def _known(engine: "Engine", workspace: str, job: str) -> Definition:
    known = engine.definitions.get(workspace, check_job(job))
    if known is None:
        raise NotFound(f"there is no job {job!r}", path="job")
    return known


def _cancel_all(engine: "Engine", workspace: str, job: str) -> Generator[Asked, Any, None]:
    where = Where(job=job, statuses=OPEN)
    while True:
        found: list[Execution] = yield Read(lambda: engine.store.page(workspace, where, Position(), _AT_ONCE))
        if not found:
            return
        answers = yield CommitAll([Steer(workspace, job, each.id, commands.Verb.CANCEL) for each in found])
        for answer in answers:
            # One that has ended or is gone by now is not looked at again.
            if isinstance(answer, Exception) and not isinstance(answer, IllegalTransition | NotFound):
                raise answer
