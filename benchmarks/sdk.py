"""The SDK: what a call costs beside the same call of httpx, and what importing it costs beside importing httpx."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import httpx

from blaxel_jobs import CreateJobExecutionRequest, JobsClient
from blaxel_jobs.jobs import Job
from blaxel_jobs.system import new_key

from .processes import server
from .report import Bar, Measured, Topic
from .scratch import JOB, Scratch

STATUS = Bar("SDK: get_execution_status against the same httpx call (CPU)", "x", 1.15, 1.08)
CREATE = Bar("SDK: create_execution with 10 tasks against the same httpx call (CPU)", "x", 1.15, 1.08)
IMPORT = Bar("SDK: import of bl_job, CreateJobExecutionRequest against import httpx (process)", "x", 1.3, 1.15)

HEADERS = {
    "Accept": "application/json, application/problem+json", "User-Agent": "blaxel-jobs/bench", "Jobs-Contract": "1",
    "Blaxel-Version": "2026-09-22",
}  # fmt: skip
OURS = "from blaxel_jobs import bl_job, CreateJobExecutionRequest"


@attrs.frozen
class Sides:
    """The same server through httpx and through the SDK, and an execution on it."""

    base: str
    client: httpx.Client
    job: Job
    execution: str


@contextmanager
def sides(scratch: Scratch) -> Iterator[Sides]:
    """Both clients, warm."""
    with server(scratch, "memory") as (url, _), httpx.Client(headers=HEADERS) as client, JobsClient(base_url=url) as jobs:
        job = jobs.job(JOB)
        execution = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 0}]))
        job.get_execution_status(execution)
        yield Sides(f"{url}/v0/jobs/{JOB}/executions", client, job, execution)


def _cpu(bar: Bar, bare: Callable[[], object], ours: Callable[[], object], calls: int) -> Measured:
    """CPU of this thread, in blocks by turns."""
    taken = [0.0, 0.0]
    blocks = 10
    for _ in range(blocks):
        for place, call in enumerate((bare, ours)):
            before = time.thread_time()
            for _ in range(calls):
                call()
            taken[place] += time.thread_time() - before
    us = [seconds * 1e6 / (blocks * calls) for seconds in taken]
    return Measured({bar: us[1] / us[0]}, {"httpx, us of CPU a call": us[0], "SDK, us of CPU a call": us[1]})


def status_cpu(scratch: Scratch) -> Measured:
    side = scratch.keep(sides)
    url = f"{side.base}/{side.execution}/status"

    def bare() -> Any:
        return side.client.request("GET", url).json()["status"]

    return _cpu(STATUS, bare, lambda: side.job.get_execution_status(side.execution), scratch.size(50, 2))


def create_cpu(scratch: Scratch) -> Measured:
    side = scratch.keep(sides)
    tasks = [{"duration": 0}] * 10

    def bare() -> Any:
        body, headers = {"tasks": tasks}, {"Idempotency-Key": new_key()}
        return side.client.request("POST", side.base, json=body, headers=headers).json()["executionId"]

    def ours() -> str:
        return side.job.create_execution(CreateJobExecutionRequest(tasks=tasks))

    return _cpu(CREATE, bare, ours, scratch.size(40, 2))


def imports(scratch: Scratch) -> Measured:
    """Wall time of a whole process; the fastest of each, by turns."""
    bare = ours = 60.0
    for _ in range(scratch.size(8, 1)):
        bare, ours = min(bare, _process("import httpx")), min(ours, _process(OURS))
    return Measured({IMPORT: ours / bare}, {"import httpx, ms": bare * 1000, "ours, ms": ours * 1000})


def _process(code: str) -> float:
    before = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - before


TOPICS = (
    Topic("sdk-status", (STATUS,), status_cpu),
    Topic("sdk-create", (CREATE,), create_cpu),
    Topic("sdk-import", (IMPORT,), imports),
)
