"""Streams: the executions that somebody watches, and the events of one, as they are committed."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from typing import TYPE_CHECKING, Final

from ..core.records import Execution
from ..core.views import View, event_view
from .scope import no_such_execution
from .waiters import Key, LoopWaiter

if TYPE_CHECKING:
    from .engine import Engine

EVENTS: Final = 500
"""Events that are read at once."""


async def watch(engine: "Engine", workspace: str, ids: Sequence[str], quiet: float) -> AsyncGenerator[list[View], None]:
    """The status of these executions, then of those that changed, until all have ended or the engine drains."""
    left = dict.fromkeys((workspace, id) for id in ids)
    keys, waiter = list(left), LoopWaiter(engine.clock, every_change=True)
    engine.waiters.add(keys, waiter)
    try:
        changed: Collection[Key] = keys
        while left:
            wanted = [id for workspace, id in changed if (workspace, id) in left]
            # A watch that waits holds no records: it may wait for thousands.
            found = {execution.id: execution for execution in await engine.aread(workspace, wanted)}
            updates = [engine.update(id, found.get(id)) for id in wanted]
            for update in updates:
                if update["done"]:
                    del left[workspace, update["id"]]
            yield updates
            if left and engine.waiters.released:
                return
            changed = await waiter.wait(quiet) if left else ()
    finally:
        engine.waiters.discard(keys, waiter)


async def events(
    engine: "Engine", workspace: str, job: str | None, id: str, after: int, quiet: float
) -> AsyncGenerator[list[View], None]:
    """The events of an execution from `after` on, until it has ended or the engine drains. Raises NotFound."""
    keys, waiter = [(workspace, id)], LoopWaiter(engine.clock, every_change=True)
    engine.waiters.add(keys, waiter)
    try:
        while True:
            found: list[Execution] = await engine.aread(workspace, [id])
            if not found or job not in (None, found[0].job):
                raise no_such_execution(job, id)
            told = await _read(engine, workspace, found[0].seq, after)
            while told:
                after = told[-1]["id"]
                yield told
                told = await _read(engine, workspace, found[0].seq, after)
            if found[0].done or engine.waiters.released:
                return
            if not await waiter.wait(quiet):
                yield []
    finally:
        engine.waiters.discard(keys, waiter)


async def _read(engine: "Engine", workspace: str, execution: int, after: int) -> list[View]:
    def read() -> list[View]:
        return [event_view(event) for event in engine.store.events(workspace, execution, after, EVENTS)]

    return read() if engine.store.local else await asyncio.to_thread(read)
