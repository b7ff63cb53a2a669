"""What stands in for a server: views of the contract, a seam on a clock that only sleeping moves, and an echo over httpx."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx

from blaxel_jobs import JobsClient, Settings
from blaxel_jobs.client import models
from blaxel_jobs.errors import RequestTimeout
from blaxel_jobs.flow import Op, Peer
from blaxel_jobs.jobs import Job
from blaxel_jobs.transport import HttpSeam

ECHO = {"Jobs-Contract": "1"}
"""The header by which our server is known."""
NOON = "2026-11-22T12:00:00+00:00"
BASE = "http://jobs.test/v0"


def execution_view(execution_id: str = "exec-1", status: str = "pending", tasks: int = 1, **more: Any) -> dict[str, Any]:
    """Schema JobExecution, without tasks and results."""
    metadata = {"id": execution_id, "job": "my-job", "workspace": "default", "createdAt": NOON, "updatedAt": NOON}
    done = status in ("completed", "failed", "cancelled")
    return {
        "metadata": {**metadata, **more.pop("metadata", {})},
        "spec": {"taskCount": tasks, "priority": "medium"},
        "status": status,
        "done": done,
        "stats": {"total": tasks, "success": 0, "failure": 0, "running": 0, "retried": 0, "cancelled": 0},
        "recoveries": [],
        **more,
    }


def task_view(index: int = 0, **more: Any) -> dict[str, Any]:
    """Schema JobExecutionTask."""
    metadata = {"id": f"task-{index}", "name": f"task-{index}", "createdAt": NOON, "updatedAt": NOON}
    return {"metadata": metadata, "status": "completed", "attempts": 1, **more}


def created_view(**more: Any) -> dict[str, Any]:
    """Schema CreateJobExecutionOutput."""
    view = execution_view(**more)
    return {"executionId": view["metadata"]["id"], "disposition": "created", **view}


def problem(status: int, word: str, message: str, **more: Any) -> dict[str, Any]:
    return {"type": "about:blank", "title": "-", "status": status, "error": word, "code": status, "message": message, **more}


def execution(status: str = "pending", **more: Any) -> models.JobExecution:
    return models.JobExecution.from_dict(execution_view(status=status, **more))


class ClockSeam:
    """A seam on its own clock: sleeping and answering move it, nothing else. `answer` is asked for every operation."""

    def __init__(self, answer: "Callable[[Op, ClockSeam], Any]", *, retries: int = 2, randomness: float = 1.0) -> None:
        self.answer = answer
        self.retries = retries
        self.peer = Peer(contract=True)
        self.randomness = randomness
        self.now = 1000.0
        self.ops: list[tuple[float, Op]] = []
        self.sleeps: list[float] = []
        self.keys = 0

    def monotonic(self) -> float:
        return self.now

    def random(self) -> float:
        return self.randomness

    def new_key(self) -> str:
        self.keys += 1
        return f"key-{self.keys}"

    def perform(self, op: Op) -> Any:
        self.ops.append((self.now, op))
        return self.answer(op, self)

    async def aperform(self, op: Op) -> Any:
        await anyio.lowlevel.checkpoint()
        return self.perform(op)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.sleeps.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.sleep(seconds)


class Server:
    """Answers `get_job_execution` on a ClockSeam: done after `done_after` seconds, each answer takes `latency`.

    `failing` lists (from, to, error): what is raised for calls that start in that span of seconds.
    """

    def __init__(
        self,
        done_after: float = float("inf"),
        *,
        status: str = "completed",
        long_poll: bool = True,
        latency: float = 0.001,
        failing: tuple[tuple[float, float, Exception], ...] = (),
    ) -> None:
        self.done_after = done_after
        self.status = status
        self.long_poll = long_poll
        self.latency = latency
        self.failing = failing

    def __call__(self, op: Op, seam: ClockSeam) -> models.JobExecution:
        assert op.id == "get_job_execution"
        began = seam.now
        for start, end, error in self.failing:
            if start <= began - 1000.0 < end:
                seam.now += self.latency
                raise error
        hold = int(op.arguments["prefer"].removeprefix("wait=")) if "prefer" in op.arguments and self.long_poll else 0
        ready = min(began + hold, max(began, 1000.0 + self.done_after))
        if op.timeout is not None and ready + self.latency - began > op.timeout:
            seam.now = began + op.timeout
            raise RequestTimeout
        seam.now = ready + self.latency
        return execution(self.status if ready >= 1000.0 + self.done_after else "running")


class Echo:
    """An httpx handler that keeps what was sent and answers what it is told, in our contract, the last answer again and again."""

    def __init__(self, *answers: httpx.Response | Exception | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            return httpx.Response(200, json=answer, headers=ECHO)
        return httpx.Response(answer.status_code, headers={**ECHO, **answer.headers}, content=answer.content)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        return json.loads(self.last.content)

    def job(self, name: str = "my-job", **settings: Any) -> Job:
        return JobsClient(seam=self.seam(**settings)).job(name)

    def seam(self, **settings: Any) -> HttpSeam:
        return HttpSeam(Settings(**{"base_url": BASE, "connect_retries": 0, **settings}), transport=httpx.MockTransport(self))


class NoSleep(HttpSeam):
    """Over httpx, with pauses that take no time."""

    slept = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    async def asleep(self, seconds: float) -> None:
        self.slept += seconds


def client_of(answer: Callable[[httpx.Request], httpx.Response] | None, **settings: Any) -> JobsClient:
    """A client that does not sleep, of what answers its requests; None leaves that to respx."""
    transport = httpx.MockTransport(answer) if answer is not None else None
    return JobsClient(seam=NoSleep(Settings(**{"base_url": BASE, **settings}), transport=transport))


def slept(client: JobsClient) -> float:
    """Seconds that such a client would have slept."""
    seam = client._seam
    assert isinstance(seam, NoSleep)
    return seam.slept


def page(rows: list[dict[str, Any]], cursor: str | None = None) -> dict[str, Any]:
    meta: Mapping[str, Any] = {"hasMore": cursor is not None, **({"nextCursor": cursor} if cursor else {})}
    return {"data": rows, "meta": meta}
