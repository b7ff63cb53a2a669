"""A lease server in miniature, as an httpx handler: it keeps what it is sent and answers what it is told."""

import json
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from blaxel_jobs import Settings, define_job
from blaxel_jobs.core.records import LeaseRef
from blaxel_jobs.remote import RemoteLeases
from tests.pace import PATIENCE

BASE = "http://jobs.test/v0"

ECHO = {"Jobs-Contract": "1"}


@define_job("a-job")
def a_job() -> None:
    """What is run does not matter here."""


def lease(number: int) -> LeaseRef:
    return LeaseRef(number, 1)


def lease_view(number: int, **more: Any) -> dict[str, Any]:
    """Schema Lease."""
    return {
        "task": number, "token": 1, "job": "a-job", "executionId": f"e-{number}", "taskId": "task-0", "index": 0, "attempt": 1,
        "input": None, "metadata": {}, "env": {}, "steps": [], **more,
    }  # fmt: skip


def claimed(*leases: dict[str, Any], lease_ms: int = 9000, heartbeat_ms: int = 2700) -> dict[str, Any]:
    """Schema ClaimLeasesOutput."""
    return {"leases": list(leases), "leaseMs": lease_ms, "heartbeatMs": heartbeat_ms}


def problem(status: int, word: str, message: str = "no", **headers: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "-", "status": status, "error": word, "code": status, "message": message}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json", **headers})


LEASE_LOST = {"error": "lease_lost", "message": "another worker holds it"}

Reply = httpx.Response | Exception | dict[str, Any] | Awaitable[httpx.Response]


class FakeServer:
    """Answers with what the functions return that a test may replace. Claims are asked for in the loop, all else in threads."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[httpx.Headers] = []
        self.claim: Callable[[Any], Reply] = lambda body: claimed()
        self.report: Callable[[Any], Reply] = lambda body: {"answers": [{} for _ in body["reports"]]}
        self.heartbeat: Callable[[Any], Reply] = lambda body: {"lost": [], "stop": []}
        self.define: Callable[[Any], Reply] = lambda body: {"metadata": {"name": "a-job"}, "spec": {}}

    def __call__(self, request: httpx.Request) -> Any:
        path = request.url.path.removeprefix("/v0/")
        body = json.loads(request.content)
        self.requests.append((path, body))
        self.headers.append(request.headers)
        answers = {"leases/claim": self.claim, "leases/report": self.report, "leases/heartbeat": self.heartbeat}
        reply = answers.get(path, self.define)(body)
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(200, json=reply, headers=ECHO) if isinstance(reply, dict) else reply

    def bodies(self, path: str) -> list[Any]:
        """What was sent there."""
        return [body for sent_to, body in self.requests if sent_to == path]

    def leases(self, **options: Any) -> RemoteLeases:
        settings = Settings(base_url=BASE, **options.pop("settings", {}))
        return RemoteLeases(settings=settings, transport=httpx.MockTransport(self), **options)


class Gate:
    """Holds requests back: `came` is set when one has come, and it is answered when the gate is opened."""

    def __init__(self, then: Callable[[Any], Reply]) -> None:
        self.came = threading.Event()
        self._open = threading.Event()
        self._then = then

    def open(self) -> None:
        self._open.set()

    def __call__(self, body: Any) -> Reply:
        self.came.set()
        assert self._open.wait(PATIENCE)
        return self._then(body)
