"""The TypeScript SDK: what a status call costs beside the same fetch, and what importing it costs beside an empty script."""

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

from blaxel_jobs import CreateJobExecutionRequest, JobsClient

from .processes import server
from .report import Bar, Measured, Topic
from .scratch import JOB, Scratch

STATUS = Bar("TypeScript: getExecutionStatus against the same fetch and json, with its limit in time (CPU)", "x", 1.15, 1.08)
IMPORT = Bar("TypeScript: import of blJob against a bare start of node (CPU)", "x", 1.5, 1.2)

PACKAGE = Path(__file__).parent.parent / "typescript"


def status_cpu(scratch: Scratch) -> Measured:
    with server(scratch, "memory") as (url, _), JobsClient(base_url=url) as jobs:
        execution = jobs.job(JOB).create_execution(CreateJobExecutionRequest(tasks=[{"duration": 0}]))
        command = ["node", "--expose-gc", "scripts/bench.js", url, JOB, execution, str(scratch.size(200, 5))]
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True)
    us = json.loads(done.stdout)
    seen = {
        "fetch, us of CPU a call": us["limited"], "TypeScript SDK, us of CPU a call": us["ours"],
        "fetch that waits for ever, us of CPU a call": us["bare"],
    }  # fmt: skip
    return Measured({STATUS: us["ours"] / us["limited"]}, seen)


def imports(scratch: Scratch) -> Measured:
    rounds = scratch.size(10, 2)
    bare = _cpu_of(rounds, lambda: _node(""))
    ours = _cpu_of(rounds, lambda: _node('import { blJob } from "blaxel-jobs"; blJob("x")'))
    return Measured({IMPORT: ours / bare}, {"node, ms of CPU to start": bare * 1e3, "import of blJob, ms of CPU": ours * 1e3})


def _node(code: str) -> None:
    subprocess.run(["node", "--input-type=module", "-e", code], cwd=PACKAGE, check=True)


def _cpu_of(rounds: int, action: Callable[[], None]) -> float:
    """Seconds of CPU of the children that one of so many rounds starts: the least."""
    return min(_children(action) for _ in range(rounds))


def _children(action: Callable[[], None]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


TOPICS = (Topic("typescript-status", (STATUS,), status_cpu), Topic("typescript-import", (IMPORT,), imports))
