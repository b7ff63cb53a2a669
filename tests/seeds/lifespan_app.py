"""A web app whose runtime wires the worker: `uvicorn tests.seeds.lifespan_app:app`, on jobs.db in the working directory.

POST / starts a job and answers with its id, GET /ID says its status. The job writes to notes.log and waits for a file called gate.
"""

import asyncio
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from blaxel_jobs import JobManager, define_job
from tests.seeds.five_steps import note


@define_job("gated")
async def gated(step: Any) -> bool:
    note(f"begins {step.attempt}")
    while not Path("gate").exists():
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop() in LOOPS


LOOPS: list[asyncio.AbstractEventLoop] = []
manager = JobManager("sqlite:///jobs.db", grace=0.2)
manager.register(gated)


async def start(request: Request) -> PlainTextResponse:
    LOOPS[:] = [asyncio.get_running_loop()]
    jobs: JobManager = request.state.jobs
    return PlainTextResponse((await jobs.atrigger("gated")).id)


async def look(request: Request) -> PlainTextResponse:
    execution = await request.state.jobs.aget_execution(request.path_params["id"])
    return PlainTextResponse(f"{execution.status} {execution.result}")


app = Starlette(routes=[Route("/", start, methods=["POST"]), Route("/{id}", look)], lifespan=manager.lifespan)
