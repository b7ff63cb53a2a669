"""A port for workers with nothing behind it: tasks, their journals, fencing and suspension, in memory."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs
import msgspec

from blaxel_jobs.core.records import Leased, LeaseRef, StoredStep
from blaxel_jobs.core.reports import (
    Answer,
    Awaited,
    Completed,
    Crashed,
    Failed,
    Holding,
    LogLine,
    Noted,
    Released,
    Report,
    Slept,
    Stepped,
)
from blaxel_jobs.errors import ContractError, LeaseLost, Unavailable
from tests.pace import PATIENCE

ENDED = ("completed", "failed", "cancelled")


@attrs.define(eq=False)
class FakeTask:
    """One task, and all that was reported of it."""

    number: int
    job: str
    input: str
    timeout: float | None = None
    max_retries: int = 0
    status: str = "pending"
    paused: bool = False
    attempt: int = 0
    token: int = 0
    claims: int = 0
    due: float = 0.0
    awaiting: str | None = None
    steps: dict[str, tuple[str, str | None, float]] = attrs.Factory(dict)
    """name -> (kind, value, due)"""
    signals: list[tuple[str, str]] = attrs.Factory(list)
    reports: list[Report] = attrs.Factory(list)
    """Those that counted."""
    refused: list[Report] = attrs.Factory(list)

    @property
    def lease(self) -> LeaseRef:
        return LeaseRef(self.number, self.token)

    @property
    def result(self) -> Any:
        assert self.status == "completed", self.reports[-1:]
        last = self.reports[-1]
        assert isinstance(last, Completed)
        return msgspec.json.decode(last.result)

    @property
    def failed(self) -> Failed:
        last = self.reports[-1]
        assert isinstance(last, Failed), (self.status, last)
        return last

    @property
    def kinds(self) -> list[str]:
        return [type(report).__name__ for report in self.reports if not isinstance(report, Noted)]

    @property
    def notes(self) -> list[Noted]:
        return [report for report in self.reports if isinstance(report, Noted)]

    @property
    def lines(self) -> list[LogLine]:
        return [line for noted in self.notes for line in noted.logs]


class FakeLeases:
    """The engine's part of the protocol, as the contract says it."""

    def __init__(self, in_place: float = 5.0, heartbeat_every: float = 0.05) -> None:
        self.worker = "fake"
        self.heartbeat_every = heartbeat_every
        self.in_place = in_place
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self.on_stop: Callable[[Collection[LeaseRef]], None] = lambda stop: None
        self.registered: list[str] = []
        self.served: list[tuple[str, ...] | None] = []
        self.held: set[LeaseRef] = set()
        """What the last heartbeat was for."""
        self.unavailable = 0
        """So many reports are refused with Unavailable."""
        self.garbled = 0
        """So many reports get an answer that cannot be read; what counts of them counts."""
        self.opened = self.closed = False
        self.before_report: Callable[[FakeTask, Report], None] = lambda task, report: None
        self._tasks: dict[int, FakeTask] = {}
        self._changed = threading.Condition(threading.RLock())
        self._claims: dict[asyncio.AbstractEventLoop, _Claim] = {}

    def add(self, job: str, input: Any = None, **options: Any) -> FakeTask:
        with self._changed:
            task = FakeTask(len(self._tasks), job, msgspec.json.encode(input).decode(), **options)
            self._tasks[task.number] = task
        self._wake()
        return task

    def wait(
        self, task: FakeTask, until: Callable[[FakeTask], bool] = lambda task: task.status in ENDED, seconds: float = PATIENCE
    ) -> FakeTask:
        """Until something is true of a task: unless told, that it has ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: until(task), seconds), (task.status, task.reports)
        return task

    def pause(self, task: FakeTask, *, tell: bool = True) -> None:
        with self._changed:
            task.paused = True
        if tell:
            self.on_stop([task.lease])

    def resume(self, task: FakeTask) -> None:
        with self._changed:
            task.paused = False
        self._wake()

    def take_away(self, task: FakeTask, status: str = "cancelled", *, tell: bool = True) -> None:
        """The lease is lost."""
        with self._changed:
            lost = task.lease
            task.status, task.token = status, task.token + 1
            self._changed.notify_all()
        if tell:
            self.on_lost([lost])
        self._wake()

    def send(self, task: FakeTask, name: str, payload: Any) -> None:
        with self._changed:
            text = msgspec.json.encode(payload).decode()
            if task.status == "pending" and task.steps.get(name, ("",))[0] == "wait":
                task.steps[name] = ("event", text, 0.0)
                task.awaiting, task.due = None, 0.0
            else:
                task.signals.append((name, text))
        self._wake()

    # The port

    def register(self, jobs: Sequence[Any]) -> None:
        self.registered += [job.name for job in jobs]

    def open(self) -> None:
        self.opened = True

    def close(self) -> None:
        self.closed = True

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        self.served.append(jobs)
        self._claims[asyncio.get_running_loop()] = claim = _Claim()
        deadline = time.monotonic() + wait
        while True:
            claim.arrived.clear()
            if claim.interrupted:
                return []
            leased, due = self._claim(jobs, limit)
            left = min(deadline, due) - time.monotonic()
            if leased or time.monotonic() >= deadline:
                return leased
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.001)):
                    await claim.arrived.wait()

    async def report(self, lease: LeaseRef, report: Report) -> Answer:
        await asyncio.sleep(0)
        return self._report(lease, report)

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        assert _loop_here() not in self._claims, "in a loop that claims, report is for that"
        return self._report(lease, report)

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding:
        with self._changed:
            self.held = set(leases)
            tasks = {lease: self._tasks[lease.task] for lease in leases}
            lost = frozenset(lease for lease, task in tasks.items() if task.lease != lease or task.status != "running")
            return Holding(lost, frozenset(lease for lease, task in tasks.items() if task.paused and lease not in lost))

    def interrupt(self) -> None:
        for loop in list(self._claims):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._interrupt, loop)

    def _interrupt(self, loop: asyncio.AbstractEventLoop) -> None:
        self._claims[loop].interrupt()

    def _claim(self, jobs: tuple[str, ...] | None, limit: int) -> tuple[list[Leased], float]:
        leased: list[Leased] = []
        now, next_due = time.monotonic(), float("inf")
        with self._changed:
            for task in self._tasks.values():
                if task.status != "pending" or task.paused or (jobs is not None and task.job not in jobs):
                    continue
                if task.due > now:
                    next_due = min(next_due, task.due)
                elif len(leased) < limit:
                    task.awaiting = None
                    leased.append(self._begin(task, now))
            self._changed.notify_all()
        return leased, next_due

    def _begin(self, task: FakeTask, now: float) -> Leased:
        if task.reports == [] or isinstance(task.reports[-1], Failed | Crashed):
            task.attempt += 1
        task.status, task.token, task.claims = "running", task.token + 1, task.claims + 1
        steps = tuple(StoredStep(name, kind, value, max(0.0, due - now)) for name, (kind, value, due) in task.steps.items())
        return Leased(
            lease=task.lease, workspace="default", job=task.job, execution_id=f"e{task.number}", task_id="task-0", index=0,
            attempt=task.attempt, input=task.input, metadata={"owner": "x"}, env={"A": "b"}, timeout=task.timeout, steps=steps,
        )  # fmt: skip

    def _report(self, lease: LeaseRef, report: Report) -> Answer:
        task = self._tasks[lease.task]
        self.before_report(task, report)
        with self._changed:
            if self.unavailable:
                self.unavailable -= 1
                raise Unavailable("the disk is full")
            if task.lease != lease or task.status != "running":
                task.refused.append(report)
                self._changed.notify_all()
                raise LeaseLost
            garbled, self.garbled = self.garbled > 0, max(0, self.garbled - 1)
            task.reports.append(report)
            answer = self._apply(task, report)
            self._changed.notify_all()
        if task.status == "pending":
            self._wake()
        if garbled:
            raise ContractError("the answer is not a ReportLeasesOutput")
        return answer

    def _apply(self, task: FakeTask, report: Report) -> Answer:
        now = time.monotonic()
        match report:
            case Completed():
                task.status = "completed"
            case Failed():
                retried = report.failure.kind == "error" and task.attempt <= task.max_retries
                task.status, task.due = "pending" if retried else "failed", now + (report.retry_after or 0)
            case Released() | Crashed():
                task.status, task.due = "pending", 0.0
            case Stepped():
                task.steps.setdefault(report.name, ("value", report.value, 0.0))
                return Answer(stop=task.paused)
            case Noted():
                return Answer(stop=task.paused)
            case Slept():
                _, _, due = task.steps.setdefault(report.name, ("sleep", None, now + report.seconds))
                if due - now > report.in_place:
                    task.status, task.due = "pending", self._next_rest(task, now)
                    return Answer(suspended=True)
                return Answer(stop=task.paused, kind="sleep", remaining=max(0.0, due - now))
            case Awaited():
                return self._await(task, report, now)
        return Answer()

    def _await(self, task: FakeTask, report: Awaited, now: float) -> Answer:
        sent = next((signal for signal in task.signals if signal[0] == report.name), None)
        if sent is not None:
            task.signals.remove(sent)
            task.steps[report.name] = ("event", sent[1], 0.0)
            return Answer(stop=task.paused, kind="event", value=sent[1])
        due = float("inf") if report.timeout is None else now + report.timeout
        _, _, due = task.steps.setdefault(report.name, ("wait", None, due))
        if due <= now:
            task.steps[report.name] = ("timeout", None, 0.0)
            return Answer(stop=task.paused, kind="timeout")
        if not report.suspends:
            return Answer(stop=task.paused, remaining=0.0 if due == float("inf") else due - now)
        task.status, task.due, task.awaiting = "pending", self._next_rest(task, now), report.name
        return Answer(suspended=True)

    def _next_rest(self, task: FakeTask, now: float) -> float:
        rests = [due for kind, _, due in task.steps.values() if kind in ("sleep", "wait") and due > now]
        return min(rests, default=float("inf"))

    def _wake(self) -> None:
        for loop, claim in list(self._claims.items()):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(claim.arrived.set)


class _Claim:
    """One that waits."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.interrupted = False

    def interrupt(self) -> None:
        self.interrupted = True
        self.arrived.set()


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
