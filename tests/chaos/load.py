"""Clients that create, wait, cancel and repeat themselves while the server is killed, and remember what they were promised."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from random import Random
from typing import Any

import attrs
import msgspec

from blaxel_jobs import ConnectionFailed, Execution, IllegalTransition, JobsClient, Unavailable, WaitTimeoutError
from blaxel_jobs.core.records import Task
from tests.chaos.audit import History
from tests.chaos.work import answer
from tests.pace import PATIENCE

OPEN = 12
"""Executions that a client leaves unfinished before it waits for one."""


@attrs.define
class Request:
    """A create, and what its client knows of it."""

    key: str
    job: str
    body: dict[str, Any]
    id: str | None = None
    """Set when it was acknowledged."""
    cancelled: bool = False
    """A cancel was acknowledged."""
    cancel_tried: bool = False

    @classmethod
    def random(cls, key: str, rng: Random) -> "Request":
        """One task or several, in the loop or in threads, most of them short, some of them failing."""
        payloads = [
            {"n": rng.randrange(1000), "pause": rng.uniform(0, 0.4) if rng.random() < 0.12 else 0, "fail": rng.random() < 0.1}
            for _ in range(rng.choice((1, 1, 1, 4)))
        ]
        body = {"input": payloads[0]} if len(payloads) == 1 else {"tasks": payloads}
        return cls(key, rng.choice(("in-loop", "in-thread")), body)

    def payloads(self) -> list[dict[str, Any]]:
        return self.body["tasks"] if "tasks" in self.body else [self.body["input"]]

    def expected(self) -> Any:
        """The result, where no payload fails: the one answer for an input, a list of them for tasks."""
        answers = [answer(payload) for payload in self.payloads()]
        return answers if "tasks" in self.body else answers[0]

    def check(self, history: History, max_recoveries: int = 5) -> None:
        """The execution ended as it had to: every task with its own answer, or with a reason."""
        execution, tasks, _ = history
        assert (execution.job, execution.idempotency_key) == (self.job, self.key)
        assert [msgspec.json.decode(task.input) for task in tasks] == self.payloads(), f"{execution.id} has other inputs"
        if self.cancelled:
            assert execution.status == "cancelled", f"{execution.id} was cancelled and is {execution.status}"
        for task, payload in zip(tasks, self.payloads(), strict=True):
            if task.status == "cancelled":
                assert self.cancel_tried, f"{execution.id} was cancelled by nobody"
            elif task.losses <= max_recoveries:
                assert _outcome(task) == _expected(payload), f"{execution.id} {task.id}"


def _outcome(task: Task) -> Any:
    return msgspec.json.decode(task.result) if task.result is not None else task.error and (task.error.type, task.error.message)


def _expected(payload: dict[str, Any]) -> Any:
    try:
        return answer(payload)
    except ValueError as error:
        return type(error).__name__, str(error)


class Client(threading.Thread):
    """One of several that call the same server. `finish` ends it; whatever it met that was no broken connection is in `errors`."""

    def __init__(self, name: str, url: str, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self._rng = Random(seed)
        self._ending = threading.Event()
        # Every other client leaves it to this test to repeat itself, the others to the SDK.
        self._client = JobsClient(base_url=url, connect_retries=seed % 2 * 2)

    def finish(self) -> None:
        """Let it settle what it has begun; raise what went wrong in it."""
        self._ending.set()
        self.join(PATIENCE)
        assert not self.is_alive(), f"{self.name} does not end"
        if self.errors:
            raise self.errors[0]

    def run(self) -> None:
        unfinished: deque[tuple[Request, Execution]] = deque()
        try:
            while not self._ending.is_set():
                self.requests.append(Request.random(f"{self.name}-{len(self.requests)}", self._rng))
                execution = self._create(self.requests[-1])
                if execution is not None:
                    unfinished.append((self.requests[-1], execution))
                if len(unfinished) > OPEN:
                    self._await(*unfinished.popleft())
        except BaseException as error:
            self.errors.append(error)
        finally:
            self._client.close()

    def _create(self, request: Request) -> Execution | None:
        """Send it until it is acknowledged, or until the client has had enough of it; then it may exist once or not at all."""
        job = self._client.job(request.job)
        end = time.monotonic() + PATIENCE
        while request.id is None:
            try:
                request.id = job.create_execution(request.body, idempotency_key=request.key)
            except (ConnectionFailed, Unavailable):
                if self._rng.random() < 0.2:
                    return None
                assert time.monotonic() < end, "the server does not come back"
                time.sleep(0.01)
        if self._rng.random() < 0.1:
            self._repeat(request)
        if self._rng.random() < 0.05:
            self._cancel(request)
        try:
            return job.get_execution(request.id)
        except (ConnectionFailed, Unavailable):
            return None

    def _repeat(self, request: Request) -> None:
        try:
            again = self._client.job(request.job).create_execution(request.body, idempotency_key=request.key)
        except (ConnectionFailed, Unavailable):
            return
        assert again == request.id, f"{request.key} is {request.id} and {again}"

    def _cancel(self, request: Request) -> None:
        assert request.id is not None
        request.cancel_tried = True
        try:
            self._client.job(request.job).cancel_execution(request.id)
        except (ConnectionFailed, Unavailable, IllegalTransition):
            return
        request.cancelled = True

    def _await(self, request: Request, execution: Execution) -> None:
        """Across restarts: an execution that is waited for ends, and ends as it had to."""
        while not self._ending.is_set():
            try:
                execution.wait_done(max_wait=1)
            except WaitTimeoutError:
                continue
            assert execution.stats["total"] == len(request.payloads())
            return


def check_requests(sent: Iterable[Request], found: dict[str, History], max_recoveries: int = 5) -> int:
    """What was acknowledged exists and ended right; what was not exists once at the most; nothing else exists.

    Returns how many were acknowledged.
    """
    requests = {request.key: request for request in sent}
    by_key = {history.execution.idempotency_key: history for history in found.values()}
    assert len(by_key) == len(found), "an execution was made twice"
    assert by_key.keys() <= requests.keys(), "executions that nobody asked for"
    for key, request in requests.items():
        history = by_key.get(key)
        if request.id is not None:
            assert history is not None, f"{request.id} was acknowledged and is gone"
            assert history.execution.id == request.id, f"{key} was acknowledged as {request.id}"
        if history is not None:
            request.check(history, max_recoveries)
    return sum(request.id is not None for request in requests.values())
