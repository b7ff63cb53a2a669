"""Waiting over HTTP: how many requests it takes, and how late a hundred waiters learn that their execution has ended."""

import asyncio
import json
import selectors
import socket
import statistics
import time
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from blaxel_jobs.config import Settings
from blaxel_jobs.flow import Op
from blaxel_jobs.jobs import JobsClient
from blaxel_jobs.transport import HttpSeam

from .processes import DEADLINE, server
from .report import Bar, Measured, Topic, percentile
from .scratch import JOB, Scratch
from .server import head, read_body

REQUESTS = Bar("wait over HTTP: requests for each that waits (all end within 30 s)", "", 1, 1)
P50 = Bar("wait over HTTP: delay after completion p50, 100 waiting", "ms", 5, 1)
P99 = Bar("wait over HTTP: delay after completion p99, 100 waiting", "ms", 20, 5)
BARE_P50 = Bar("the same with bare sockets for a client: p50", "ms")
BARE_P99 = Bar("the same with bare sockets for a client: p99", "ms")

FIRST_END = 2.0
"""Seconds: by then everybody waits."""
SPREAD = 3.0


class CountingSeam(HttpSeam):
    """Counts what is asked; each is one request."""

    asked = 0

    async def aperform(self, op: Op) -> Any:
        self.asked += 1
        return await super().aperform(op)


async def _wait(url: str, waiting: int, spread: float) -> tuple[float, list[float]]:
    """Requests a waiter, and the seconds between the end of each execution, as the server has it, and the answer here."""
    seam = CountingSeam(Settings(base_url=url, max_connections=2 * waiting))
    client = JobsClient(seam=seam)
    job = client.job(JOB)
    ids = await asyncio.gather(*(job.acreate_execution(create) for create in _creates(waiting, spread)))
    seam.asked = 0

    async def wait(id: str) -> float:
        ended = await job.await_for_execution(id, max_wait=25)
        answered = time.time()
        assert ended.status == "completed" and ended.ended_at is not None
        return answered - ended.ended_at.timestamp()

    late = await asyncio.gather(*(wait(id) for id in ids))
    await client.aclose()
    return seam.asked / waiting, late


def _creates(waiting: int, spread: float) -> list[dict[str, Any]]:
    """Executions that end one after the other."""
    return [{"tasks": [{"duration": FIRST_END + spread * number / waiting}]} for number in range(waiting)]


def _wait_barely(url: str, waiting: int, spread: float) -> list[float]:
    """The delays without an SDK: what the server and the kernel take."""
    port = urlsplit(url).port or 0
    with JobsClient(base_url=url) as client, selectors.DefaultSelector() as selector:
        job = client.job(JOB)
        for id in [job.create_execution(create) for create in _creates(waiting, spread)]:
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(head("GET", f"/v0/jobs/{JOB}/executions/{id}", "Prefer: wait=25"))
            selector.register(connection, selectors.EVENT_READ)
        late: list[float] = []
        while len(late) < waiting:
            ready = selector.select(DEADLINE)
            answered = time.time()
            assert ready, "no answer came"
            for key, _ in ready:
                connection = key.fileobj  # type: ignore[assignment]
                view = json.loads(read_body(connection))
                late.append(answered - datetime.fromisoformat(view["metadata"]["completedAt"]).timestamp())
                selector.unregister(connection)
                connection.close()
    return late


def wait(scratch: Scratch) -> Measured:
    waiting, spread = scratch.size(100, 5), SPREAD if not scratch.quick else 0.1
    with server(scratch, "sqlite", "--simulate", "--slots", "200") as (url, _):
        bare = [1000 * seconds for seconds in _wait_barely(url, waiting, spread)]
        requests, late = asyncio.run(_wait(url, waiting, spread))
    ms = [1000 * seconds for seconds in late]
    p50, p99 = statistics.median(ms), percentile(ms, 0.99)
    bare_p50, bare_p99 = statistics.median(bare), percentile(bare, 0.99)
    return Measured({REQUESTS: requests, P50: p50, P99: p99, BARE_P50: bare_p50, BARE_P99: bare_p99}, {"slowest, ms": max(ms)})


TOPICS = (Topic("wait", (REQUESTS, P50, P99, BARE_P50, BARE_P99), wait),)
