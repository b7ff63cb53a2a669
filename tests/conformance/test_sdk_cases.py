"""The shared table of cases, with the Python SDK. typescript/tests/cases.test.ts is the same with the other one."""

import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

import blaxel_jobs
from blaxel_jobs import JobsClient, Settings
from blaxel_jobs.jobs import Job
from blaxel_jobs.transport import HttpSeam

CASES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("sdk_cases.yaml").read_text())
HANGS = 10.0
"""Seconds after which a reply that hangs is given up, whatever the client does."""


class Clock:
    """Time that only sleeping and slow replies move."""

    def __init__(self) -> None:
        self.now = 0.0


class Seam(HttpSeam):
    """Over real sockets, on a clock of the case's."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(settings)
        self._clock, self._keys = clock, 0

    def monotonic(self) -> float:
        return self._clock.now + self._time._ahead

    def random(self) -> float:
        return 1.0

    def new_key(self) -> str:
        self._keys += 1
        return f"key-{self._keys}"

    def sleep(self, seconds: float) -> None:
        if not self._time._skip(seconds):
            self._clock.now += seconds


class Script(ThreadingHTTPServer):
    """Gives the replies of a case in their order, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self, replies: list[dict[str, Any]], clock: Clock) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies, self.clock = list(replies), clock
        self.seen: list[dict[str, Any]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v0"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that a client gave up are part of the cases."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Script

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        call = f"{self.command} {self.path.removeprefix('/v0')}"
        self.server.seen.append({"call": call, "headers": self.headers, "body": body, "at": self.server.clock.now})
        reply = self.server.replies.pop(0) if self.server.replies else {"problem": {"status": 599, "error": "one_too_many"}}
        self.server.clock.now += reply.get("took", 0)
        if reply.get("hang"):
            self.server.over.wait(HANGS)
        if reply.get("hang") or reply.get("drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, kind, text = answer_of(reply)
        headers = {"Content-Type": kind, "Content-Length": str(len(text))}
        if reply.get("echo", True):
            headers["Jobs-Contract"] = "1"
        self.send_response_only(status)
        for name, value in {**headers, **reply.get("headers", {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = do_PUT = handle_one  # noqa: N815  the names that http.server calls

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def answer_of(reply: dict[str, Any]) -> tuple[int, str, bytes]:
    """Status, type and body of a reply."""
    if "problem" in reply:
        problem = {"type": "about:blank", "title": "-", "message": "refused", **reply["problem"]}
        problem.setdefault("code", problem["status"])
        return problem["status"], "application/problem+json", json.dumps(problem).encode()
    if "events" in reply:
        events = [f"event: update\ndata: {json.dumps(event)}\n\n" for event in reply["events"]]
        text = "".join(events) + ("event: end\ndata: {}\n\n" if reply.get("end") else "")
        return 200, "text/event-stream", text.encode()
    if "text" in reply:
        return reply.get("status", 200), "text/html", reply["text"].encode()
    body = reply["json"] if "json" in reply else spelled_out(reply)
    if isinstance(body, dict) and isinstance(body.get("data"), list):
        body = {**body, "data": [spelled_out(row) for row in body["data"]]}
    return reply.get("status", 200), "application/json", json.dumps(body).encode()


def spelled_out(short: dict[str, Any]) -> Any:
    """JobExecution, or what a create answers, for what a case says of it."""
    if "created" in short:
        view = spelled_out({"execution": short["created"]})
        return {"executionId": view["metadata"]["id"], "disposition": "created", **view}
    if "execution" not in short:
        return short
    more = dict(short["execution"])
    status = more.pop("status", "pending")
    at = "2026-11-22T12:00:00Z"
    return {
        "metadata": {"id": more.pop("id", "e-1"), "job": "my-job", "workspace": "default", "createdAt": at, "updatedAt": at},
        "spec": {"taskCount": 1, "priority": "medium"}, "status": status, "done": status in ("completed", "failed", "cancelled"),
        "stats": {"total": 1, "success": 0, "failure": 0, "running": 0, "retried": 0, "cancelled": 0}, **more,
    }  # fmt: skip


def page(found: Any) -> dict[str, Any]:
    return {"rows": [row.id for row in found], "more": found.has_more, "cursor": found.next_cursor}


def given(call: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: call[name] for name in names if name in call}


CALLS: dict[str, Callable[[Job, JobsClient, dict[str, Any]], Any]] = {
    "create": lambda job, _, call: job.create_execution(call["request"], **call.get("options", {})),
    "run": lambda job, _, call: job.run(call["tasks"], **call.get("options", {})),
    "trigger": lambda job, _, call: job.trigger(call["payload"], **call.get("options", {})),
    "batch": lambda job, _, call: batch(job.trigger_many(call["payloads"], **call["options"])),
    "get": lambda job, _, call: job.get_execution(call["id"]),
    "status": lambda job, _, call: job.get_execution_status(call["id"]),
    "statuses": lambda job, _, call: [update(one) for one in job.get_execution_statuses(call["ids"])],
    "result": lambda job, _, call: job.get_execution_result(call["id"]),
    "list": lambda job, _, call: page(job.list_executions(**given(call, "limit", "offset", "cursor"))),
    "list_all": lambda job, _, call: [row.id for row in job.list_executions(limit=call["limit"]).auto_paging_iter()],
    "find": lambda _, jobs, call: page(jobs.list_executions(**given(call, "limit", "status"))),
    "wait": lambda job, _, call: job.wait_for_execution(call["id"], **given(call, "max_wait", "interval", "raise_on_failure")),
    "wait_many": lambda job, _, call: [
        {"id": one.id, "status": one.status} for one in job.wait_for_executions(call["ids"], call["max_wait"])
    ],
    "watch": lambda job, _, call: [update(one) for one in job.watch(call["id"])],
    "cancel": lambda job, _, call: job.cancel_execution(call["id"]),
    "start": lambda job, _, call: job.start_execution(call["id"]),
    "pause": lambda job, _, call: job.pause_execution(call["id"]),
    "resume": lambda job, _, call: job.resume_execution(call["id"]),
    "retry": lambda job, _, call: job.retry_execution(call["id"]),
    "rerun": lambda job, _, call: job.rerun_execution(call["id"], **call["options"]),
    "delete": lambda job, _, call: job.delete_execution(call["id"], call["force"]),
    "send_event": lambda job, _, call: job.send_event(call["id"], call["name"], call["payload"]),
}


def update(one: Any) -> dict[str, Any]:
    progress = one.progress and one.progress.to_dict()
    return {"id": one.id, "status": one.status, "done": one.done, "progress": progress}


def batch(made: Any) -> dict[str, Any]:
    return {"id": made.id, "executions": [execution.id for execution in made.executions]}


def wire(result: Any) -> Any:
    return result.to_dict() if isinstance(result, blaxel_jobs.Execution) else result


def within(wanted: Any, found: Any) -> bool:
    """Everything that is wanted is found, in its place."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(within(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(within, wanted, found))
    return bool(wanted == found)


def check_call(call: dict[str, Any], job: Job, jobs: JobsClient) -> None:
    perform = CALLS[call["call"]]
    if "error" not in call:
        result = wire(perform(job, jobs, call))
        assert within(call["result"], result), result
        return
    wanted = dict(call["error"])
    with pytest.raises(getattr(blaxel_jobs, wanted["class"])) as raised:
        perform(job, jobs, call)
    error: Any = raised.value
    assert type(error).__name__ == wanted.pop("class")
    assert wanted.pop("says", "") in str(error)
    names = {"status": "status_code"}
    for name, value in wanted.items():
        assert within(value, getattr(error, names.get(name, name))), name


def check_requests(wanted: list[Any], seen: list[dict[str, Any]]) -> None:
    calls = [one if isinstance(one, str) else one["call"] for one in wanted]
    assert [without_order(one["call"]) for one in seen] == [without_order(call) for call in calls]
    for one, request in zip(wanted, seen, strict=True):
        if isinstance(one, str):
            continue
        for name, value in one.get("headers", {}).items():
            assert request["headers"].get(name) == value, name
        if "body" in one:
            assert request["body"] == one["body"]
        if "at" in one:
            assert math.isclose(request["at"], one["at"], abs_tol=1e-6), request["at"]


def without_order(call: str) -> tuple[str, list[str]]:
    path, _, query = call.partition("?")
    return path, sorted(query.split("&"))


@contextmanager
def serving(case: dict[str, Any], clock: Clock) -> Iterator[Script]:
    with Script(case["replies"], clock) as server:
        if case.get("server") == "none":
            server.server_close()
            yield server
            return
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    clock = Clock()
    options = dict(case.get("settings", {}))
    retries = options.pop("retries", 2)
    with serving(case, clock) as server:
        seam = Seam(Settings(base_url=server.url, connect_retries=retries, **options), clock)
        jobs = JobsClient(seam=seam)
        try:
            if "knows" in case:
                seam.peer.contract = case["knows"] == "ours"
            for call in case["do"]:
                check_call(call, jobs.job("my-job"), jobs)
        finally:
            jobs.close()
        check_requests(case["requests"], server.seen)
        assert not server.replies
        if "slept" in case:
            assert math.isclose(clock.now, case["slept"])


def test_the_table_is_long_enough_and_names_each_case_once() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names)) >= 60
