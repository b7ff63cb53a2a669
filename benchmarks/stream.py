"""Thousands of executions awaited by one client on one stream: how many requests that takes, and how much memory of the server."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from blaxel_jobs import JobsClient
from blaxel_jobs.config import Settings
from blaxel_jobs.flow import Op

from .processes import DEADLINE, resident, server
from .report import Bar, Measured, Topic
from .scratch import JOB, Scratch
from .wait import CountingSeam

REQUESTS = Bar("5,000 executions awaited by one client: requests", "", 1, 1)
MEMORY = Bar("5,000 executions awaited by one client: server memory for each", "bytes", 1024, 1024)

AT_ONCE = 50
"""Callers that create and cancel."""
FEW = 20


class StreamSeam(CountingSeam):
    """Counts streams as well, and tells when they have brought so many updates."""

    def __init__(self, settings: Settings, awaited: int) -> None:
        super().__init__(settings)
        self.all_seen = asyncio.Event()
        self._left = awaited

    async def astream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        self.asked += 1
        async for models in super().astream(op):
            self._left -= len(models)
            if self._left <= 0:
                self.all_seen.set()
            yield models


async def _create(url: str, count: int) -> list[str]:
    """The ids of so many executions that nobody runs."""
    ids: list[str] = []
    async with JobsClient(base_url=url, max_connections=AT_ONCE) as client:
        job = client.job(JOB)

        async def create_some() -> None:
            while len(ids) < count:
                ids.append(await job.acreate_execution({"tasks": [{}]}))

        await asyncio.gather(*(create_some() for _ in range(AT_ONCE)))
    return ids[:count]


async def _cancel(url: str, ids: list[str]) -> None:
    """End them all."""
    left = iter(ids)
    async with JobsClient(base_url=url, max_connections=AT_ONCE) as client:
        job = client.job(JOB)

        async def cancel_some() -> None:
            for id in left:
                await job.acancel_execution(id)

        await asyncio.gather(*(cancel_some() for _ in range(AT_ONCE)))


async def _see_all(url: str, ids: list[str]) -> None:
    """A stream over all of them, closed once it has shown each."""
    seam = StreamSeam(Settings(base_url=url), len(ids))
    client = JobsClient(seam=seam)
    waiting = asyncio.create_task(client.await_for_executions(ids))
    await asyncio.wait_for(seam.all_seen.wait(), DEADLINE)
    waiting.cancel()
    await asyncio.wait({waiting})
    await client.aclose()


async def _await_all(url: str, pid: int, ids: list[str]) -> tuple[int, int]:
    """Requests until all have ended, and by how many bytes the server had grown while all were awaited."""
    seam = StreamSeam(Settings(base_url=url), len(ids))
    client = JobsClient(seam=seam)
    before = resident(pid)
    waiting = asyncio.create_task(client.await_for_executions(ids))
    await asyncio.wait_for(seam.all_seen.wait(), DEADLINE)
    grown = max(0, resident(pid) - before)
    await _cancel(url, ids)
    ended = await waiting
    assert [one.id for one in ended] == ids and all(one.status == "cancelled" for one in ended)
    await client.aclose()
    return seam.asked, grown


def stream(scratch: Scratch) -> Measured:
    awaited = scratch.size(5000, 20)
    with server(scratch, "memory") as (url, child):
        ids = asyncio.run(_create(url, awaited))
        # A stream of few, so that what the first of all takes is taken; one of all would leave the room that the next one needs.
        asyncio.run(_see_all(url, ids[:FEW]))
        requests, grown = asyncio.run(_await_all(url, child.process.pid, ids))
    return Measured({REQUESTS: requests, MEMORY: grown / awaited}, {"server memory for all, MB": grown / 2**20})


TOPICS = (Topic("stream", (REQUESTS, MEMORY), stream),)
