"""A fake of the Blaxel platform's jobs API, as its published SDKs know it: its own words, its own lists, none of our routes."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from blaxel_jobs import JobsClient, Settings
from blaxel_jobs.jobs import Job
from blaxel_jobs.transport import HttpSeam
from tests.sdk.fakes import BASE

BEGAN = "2026-11-22T12:00:00.123456789Z"
ENDED = "2026-11-22T12:01:00Z"
TERMINAL = ("succeeded", "failed", "cancelled", "timeout")


class Platform:
    """Answers requests. Each look at an execution moves it on by one of `words`; the last one stays."""

    def __init__(self, *words: str, lists: str = "pages") -> None:
        self.words = words or ("queued", "running", "succeeded")
        self.lists = lists
        self.executions: dict[str, dict[str, Any]] = {}
        self.requests: list[httpx.Request] = []
        self.lose: Callable[[httpx.Request], Exception | None] = lambda _: None
        """What breaks the line after a request was done."""
        self.refuse: Callable[[httpx.Request], httpx.Response | Exception | None] = lambda _: None
        """What is answered, or raised, instead of doing it."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        refused = self.refuse(request)
        if isinstance(refused, Exception):
            raise refused
        response = refused or self._answer(request)
        lost = self.lose(request)
        if lost is not None:
            raise lost
        return response

    def job(self, **settings: Any) -> Job:
        return self.client(**settings).job("my-job")

    def client(self, **settings: Any) -> JobsClient:
        settings = {"base_url": BASE, **settings}
        return JobsClient(seam=HttpSeam(Settings(**settings), transport=httpx.MockTransport(self)))

    def add(self, execution_id: str, *words: str, tasks: list[dict[str, Any]] | None = None) -> None:
        self.executions[execution_id] = {"words": list(words or self.words), "tasks": tasks or [{}]}

    def asked(self, method: str, path: str) -> int:
        """How often it was asked for what ends so."""
        return sum(request.method == method and request.url.path.endswith(path) for request in self.requests)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v0")
        found = re.fullmatch(r"/jobs/(?P<job>[^/]+)(?P<rest>/executions(?:/(?P<id>[^/]+)(?P<tasks>/tasks)?)?)?", path)
        if not found:
            return self._not_found()
        id = found["id"]
        if not found["rest"]:
            return httpx.Response(200, json={"metadata": {"name": found["job"]}, "spec": {"enabled": True}, "status": "DEPLOYED"})
        if id is None:
            return self._create(json.loads(request.content)) if request.method == "POST" else self._list(request)
        if id not in self.executions:
            return self._not_found()
        if found["tasks"]:
            rows = self._view(id, look=False)["tasks"]
            return httpx.Response(200, json={"data": rows, "meta": {"hasMore": False, "nextCursor": "", "total": len(rows)}})
        if request.method == "DELETE":
            self.executions[id]["words"] = ["cancelling", "cancelled"]
        return httpx.Response(200, json=self._view(id))

    def _not_found(self) -> httpx.Response:
        return httpx.Response(404, json={"error": "not_found", "code": 404, "message": "there is no such thing"})

    def _create(self, body: dict[str, Any]) -> httpx.Response:
        id = body.get("executionId") or f"exec-{len(self.executions) + 1}"
        if id in self.executions:
            return httpx.Response(409, json={"error": "conflict", "code": 409, "message": "the id is taken"})
        self.add(id, tasks=body.get("tasks"))
        answer = {"executionId": id, "id": id, "jobId": "my-job", "workspaceId": "team"}
        return httpx.Response(200, json=answer, headers={"Date": "Sun, 22 Nov 2026 12:00:00 GMT"})

    def _list(self, request: httpx.Request) -> httpx.Response:
        rows = [{**self._view(id, look=False), "tasks": None} for id in reversed(self.executions)]
        limit, offset = int(request.url.params.get("limit", 20)), int(request.url.params.get("offset", 0))
        if self.lists == "bare":
            return httpx.Response(200, json=rows[offset : offset + limit])
        begin = int(request.url.params.get("cursor", offset))
        more = begin + limit < len(rows)
        meta = {"hasMore": more, "nextCursor": str(begin + limit) if more else "", "total": len(rows), "totalIsPartial": False}
        return httpx.Response(200, json={"data": rows[begin : begin + limit], "meta": meta})

    def _view(self, id: str, *, look: bool = True) -> dict[str, Any]:
        execution = self.executions[id]
        word = execution["words"][0]
        if look and len(execution["words"]) > 1:
            execution["words"].pop(0)
        ended = word in TERMINAL
        state = {"succeeded": "succeeded", "failed": "failed", "timeout": "failed"}.get(word, "reconciling")
        conditions = [{"type": "Ready", "state": "false", "severity": "error", "reason": "ExitCode", "message": "exit code 1"}]
        metadata = {"id": id, "job": "my-job", "workspace": "team", "cluster": "eu", "createdAt": BEGAN, "updatedAt": BEGAN}
        return {
            "metadata": {**metadata, "startedAt": "", "completedAt": ENDED if ended else None, "deletedAt": None},
            "spec": {"parallelism": 1, "taskCount": len(execution["tasks"]), "tasks": execution["tasks"], "timeout": 60,
                     "memoryOverride": None, "envOverride": None},
            "status": word,
            "stats": None,
            "tasks": [
                {
                    "metadata": {"name": f"task-{n}", "createdAt": BEGAN, "startedAt": BEGAN if ended else "", "updatedAt": BEGAN},
                    "spec": {"maxRetries": 0, "timeout": "30m"},
                    "status": state,
                    "conditions": conditions if state == "failed" else [],
                }
                for n in range(len(execution["tasks"]))
            ],
        }  # fmt: skip


class Tokens:
    """Its token endpoint in front of it: only what bears the newest token gets through."""

    def __init__(self, platform: Platform, *, seconds: float = 3600) -> None:
        self.platform = platform
        self.seconds = seconds
        self.issued = 0
        self.credentials = base64.b64encode(b"id:verysecret").decode()
        platform.refuse = self._check

    @property
    def newest(self) -> str:
        return f"token-{self.issued}"

    def revoke(self) -> None:
        self.issued += 1

    def _check(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/v0/oauth/token":
            assert request.method == "POST"
            if request.headers["Authorization"] != f"Basic {self.credentials}":
                return httpx.Response(401, json={"error": "invalid_client", "code": 401, "message": "no such client"})
            assert json.loads(request.content) == {"grant_type": "client_credentials"}
            self.issued += 1
            answer = {"access_token": self.newest, "refresh_token": "r", "expires_in": self.seconds, "token_type": "Bearer"}
            return httpx.Response(200, json=answer)
        if request.headers.get("X-Blaxel-Authorization") != f"Bearer {self.newest}":
            return httpx.Response(401, json={"error": "unauthorized", "code": 401, "message": "the token is no good"})
        return None
