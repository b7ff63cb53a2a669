"""Batches: executions that were created in one atomic call."""

import hashlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from ...core.records import Execution
from ...core.requests import check_durations, read_batch
from ...core.views import View, batch_view
from ...errors import IdempotencyConflict, NotFound
from ...stores.base import Position, Where
from ..commands import CreateBatch
from ..effects import Created
from .asking import Asked, Commit, Read, Verb
from .executions import check_same

if TYPE_CHECKING:
    from ..engine import Engine

MOST: Final = 10_000


def create_batch(engine: "Engine", workspace: str, *, body: Any, idempotency_key: str | None = None) -> Verb:
    batch = read_batch(workspace, body, idempotency_key)
    for place, create in enumerate(batch.creates):
        if engine.simulates(create.job):
            check_durations(create.inputs, create.spec.single, f"items[{place}].")
    key = batch.idempotency_key
    id = engine.new_id() if key is None else f"batch-{hashlib.sha256(key.encode()).hexdigest()[:32]}"
    if key is not None:
        existing = yield from _members(engine, workspace, id)
        if existing:
            return (yield from _same(engine, id, batch.creates, existing))
    created: list[Created] = yield Commit(CreateBatch(id, batch.creates))
    return batch_view(id, [each.execution for each in created])


def get_batch(engine: "Engine", workspace: str, *, batch_id: str) -> Verb:
    found = yield from _members(engine, workspace, batch_id)
    if not found:
        raise NotFound(f"there is no batch {batch_id!r}", path="batchId")
    return batch_view(batch_id, found)


def _members(engine: "Engine", workspace: str, id: str) -> Generator[Asked, Any, list[Execution]]:
    """The executions of a batch, in the order in which they were given."""
    found: list[Execution] = yield Read(lambda: engine.store.page(workspace, Where(batch=id), Position(), MOST))
    return found[::-1]


def _same(engine: "Engine", id: str, creates: Any, existing: list[Execution]) -> Generator[Asked, Any, View]:
    """The batch that is there, when it is what these creates ask for."""
    if len(creates) != len(existing):
        raise IdempotencyConflict("the idempotency key was used before with another body", path="idempotencyKey")
    for create, execution in zip(creates, existing, strict=True):
        yield from check_same(engine, create, execution)
    return batch_view(id, existing)
