"""A web service that runs an execution for every request and awaits it: `uvicorn examples.async_service:app`.

`POST /` with a JSON list of tasks, such as `[{"duration": 2}]`, answers when they are done. Any number of requests wait at once, on
one event loop. The service is plain ASGI, so that nothing but the two awaits in `process` has to be understood.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from blaxel_jobs import CreateJobExecutionRequest, JobsError, RequestError, bl_job

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

job = bl_job("data-processing")


async def process(tasks: list[dict[str, Any]]) -> dict[str, str]:
    """Run these tasks as one execution."""
    execution_id = await job.acreate_execution(CreateJobExecutionRequest(tasks=tasks))
    result = await job.await_for_execution(execution_id, max_wait=600)
    return {"execution": execution_id, "status": result.status}


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # no lifespan, no websockets
    try:
        status, answer = 200, await process(json.loads(await body_of(receive)))
    except ValueError as error:  # not JSON, or refused by the contract
        status, answer = 422, {"message": str(error)}
    except (JobsError, OSError) as error:
        status, answer = error.status_code if isinstance(error, RequestError) else 503, {"message": str(error)}
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


async def body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
