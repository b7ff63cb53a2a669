"""Jobs: the definitions that workers register, and what is known of a name."""

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from ...core.documents import beside
from ...core.paging import check_limit, read_cursor, write_cursor
from ...core.reading import check_job
from ...core.records import Execution
from ...core.requests import read_definition
from ...core.views import job_view, page_view
from ...errors import NotFound
from ...stores.base import Position, Where
from ..commands import Define
from .asking import Commit, Read, Verb

if TYPE_CHECKING:
    from ..engine import Engine


def get_job(engine: "Engine", workspace: str, *, job: str) -> Verb:
    check_job(job)
    served, definition = engine.serves(workspace, job), engine.definitions.get(workspace, job)
    if not served and definition is None and not engine.knows(job):
        found: list[Execution] = yield Read(lambda: engine.store.page(workspace, Where(job=job), Position(), 1))
        if not found:
            raise NotFound(f"there is no job {job!r}", path="job")
    return job_view(workspace, job, served, definition)


def list_jobs(engine: "Engine", workspace: str, *, limit: int | None = None, cursor: str | None = None) -> Verb:
    limit = check_limit(limit)
    query = f"jobs {workspace}"
    offset = read_cursor(query, cursor) if cursor is not None else 0
    yield from ()
    found = engine.definitions.of(workspace)[offset : offset + limit + 1]
    data = [job_view(workspace, each.job, engine.serves(workspace, each.job), each) for each in found[:limit]]
    return page_view(data, write_cursor(query, offset + limit) if len(found) > limit else None)


def put_job(engine: "Engine", workspace: str, *, job: str, body: Any) -> Verb:
    known = engine.definitions.get(workspace, job)
    definition = beside(read_definition(workspace, job, body), known)
    if known is None or replace(known, updated_at=0.0) != definition:
        known = yield Commit(Define(replace(definition, updated_at=engine.clock.now())))
    return job_view(workspace, job, engine.serves(workspace, job), known)
