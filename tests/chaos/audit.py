"""What must hold of every execution that is stored, however it came there: its events are replayed and compared with its records.

The rules are written here a second time, on purpose: nothing of blaxel_jobs.core.states is used.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import NamedTuple

from blaxel_jobs.core.records import Event, Execution, Task
from blaxel_jobs.stores import JobStore, open_store
from blaxel_jobs.stores.base import ALL, Position
from blaxel_jobs.words import FailureKind

ENDED = ("completed", "failed", "cancelled")
PAGE = 500

MOVES = {
    "task.started": ("pending", "running"),
    "task.completed": ("running", "completed"),
    "task.failed": ("running", "failed"),
    "task.retrying": ("running", "pending"),
    "task.suspended": ("running", "pending"),
    "task.released": ("running", "pending"),
    "task.recovered": ("running", "pending"),
}
"""What an event tells of one task. Those of a paused execution are shown as paused while they are pending."""
ENDS = {"cancelled": "cancelled", "failed_fast": "cancelled", "timed_out": "failed"}
"""What an event makes of every task that has not ended."""
NOTES = ("created", "started", "event.sent", "log", "progress")
"""Events that change no status."""


class History(NamedTuple):
    """All that a store has of one execution."""

    execution: Execution
    tasks: list[Task]
    events: list[Event]


def histories(store: JobStore, workspace: str = "default") -> dict[str, History]:
    """Every execution of a workspace by its id, read page by page."""
    found: dict[str, History] = {}
    position = Position()
    while page := store.page(workspace, ALL, position, PAGE):
        for execution in page:
            found[execution.id] = History(execution, _tasks(store, execution), _events(store, execution))
        position = Position(after=page[-1].seq)
    return found


def _tasks(store: JobStore, execution: Execution) -> list[Task]:
    tasks: list[Task] = []
    while page := store.tasks(execution.workspace, execution.seq, tasks[-1].index if tasks else -1, PAGE):
        tasks += page
    return tasks


def _events(store: JobStore, execution: Execution) -> list[Event]:
    events: list[Event] = []
    while page := store.events(execution.workspace, execution.seq, events[-1].id if events else 0, PAGE):
        events += page
    return events


def check_history(history: History, max_recoveries: int = 5) -> None:
    """The events are gapless and a legal path that ends at most once, and they lead to exactly what the records say."""
    execution, tasks, events = history
    assert [task.index for task in tasks] == list(range(execution.total)), f"tasks of {execution.id} are missing"
    assert [event.id for event in events] == list(range(1, len(events) + 1)), f"the events of {execution.id} have gaps"
    assert execution.version == len(events), f"{execution.id}: not one event for each change"
    replayed = _Replay(execution)
    for event in events:
        replayed.take(event)
    replayed.check(tasks, max_recoveries)


class _Told:
    """A task, as its execution's events tell it."""

    def __init__(self) -> None:
        self.status = "pending"
        self.starts = 0
        self.attempt = 0
        self.goes_on = False
        self.errors = 0
        self.losses = 0
        self.recoveries = 0

    def reopen(self) -> bool:
        if self.status not in ("failed", "cancelled"):
            return False
        self.status, self.goes_on, self.errors, self.losses = "pending", False, 0, 0
        return True

    def move(self, event: Event) -> None:
        self.status = MOVES[event.type][1]
        if event.type == "task.started":
            self.starts += 1
            self.attempt += not self.goes_on
        self.goes_on = event.type in ("task.suspended", "task.released")
        kind = None if event.error is None else event.error.kind
        self.errors += event.type in ("task.retrying", "task.failed") and kind is FailureKind.ERROR
        lost = event.type == "task.recovered" or (event.type == "task.failed" and kind is FailureKind.WORKER_LOST)
        self.losses += lost
        self.recoveries += lost


class _Replay:
    """The statuses of an execution and its tasks, as its events tell them."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._tasks = {f"task-{index}": _Told() for index in range(execution.total)}
        self._paused = False
        self._cancelled = False
        self._retried = 0
        self._status: str | None = None

    def take(self, event: Event) -> None:
        what = f"{self._execution.id}, event {event.id} ({event.type})"
        assert self._status not in ENDED or event.type == "retried", f"{what}: comes after the end"
        assert (event.type == "created") == (event.id == 1), f"{what}: an execution is created first and once"
        if event.type in MOVES:
            self._move(event, what)
        elif event.type in ENDS:
            for task in self._tasks.values():
                task.status = task.status if task.status in ENDED else ENDS[event.type]
            self._cancelled = event.type == "cancelled"
        elif event.type in ("paused", "resumed"):
            assert self._paused == (event.type == "resumed"), f"{what}: it was so already"
            self._paused = event.type == "paused"
        elif event.type == "retried":
            assert self._status == "failed", f"{what}: it was {self._status}"
            self._retried += sum([task.reopen() for task in self._tasks.values()])
        else:
            assert event.type in NOTES, f"{what}: is no event"
        self._status = self._expected()
        self._paused = self._paused and self._status not in ENDED
        assert event.status == self._status, f"{what}: says {event.status}, and its tasks say {self._status}"

    def _move(self, event: Event, what: str) -> None:
        assert event.task in self._tasks, f"{what}: of no task"
        task, before = self._tasks[event.task], MOVES[event.type][0]
        assert task.status == before, f"{what}: {event.task} was {task.status}"
        assert not (self._paused and event.type == "task.started"), f"{what}: the execution was paused"
        task.move(event)
        self._retried += event.type == "task.retrying"

    def _expected(self) -> str:
        counts = Counter(task.status for task in self._tasks.values())
        ended = sum(counts[status] for status in ENDED)
        if ended < self._execution.total:
            return "paused" if self._paused else "running" if counts["running"] or ended else "pending"
        return "cancelled" if self._cancelled else "failed" if counts["failed"] else "completed"

    def check(self, tasks: list[Task], max_recoveries: int) -> None:
        execution = self._execution
        assert execution.status == self._status, f"{execution.id} is {execution.status}, and its events end {self._status}"
        assert (execution.ended_at is not None) == execution.done == (self._status in ENDED)
        assert execution.paused == self._paused, f"{execution.id}: paused, and not by its events, or the other way round"
        counts = Counter(task.status for task in self._tasks.values())
        counted = (execution.running, execution.completed, execution.failed, execution.cancelled)
        assert counted == tuple(counts[status] for status in ("running", *ENDED)), f"the counts of {execution.id} are wrong"
        assert execution.retried == self._retried, f"{execution.id}: {execution.retried} tries again, by its events {self._retried}"
        assert (execution.error is not None) == (counts["failed"] > 0), f"{execution.id}: {execution.error}, and {counts} tasks"
        assert not (execution.slot and execution.done), f"{execution.id} has ended and holds a slot"
        assert not (execution.done and execution.deadline), f"{execution.id} has ended and may run out of time"
        for task in tasks:
            self._check_task(task, max_recoveries)
        recorded = Counter(recovery.task for recovery in execution.recoveries)
        losses = Counter({id: task.recoveries for id, task in self._tasks.items() if task.recoveries})
        assert recorded == losses, f"{execution.id}: recoveries {recorded}, and by its events {losses}"

    def _check_task(self, task: Task, max_recoveries: int) -> None:
        what, told = f"{self._execution.id} {task.id}", self._tasks[task.id]
        status = "paused" if self._paused and told.status == "pending" else told.status
        assert task.status == status, f"{what} is {task.status}, and its events say {status}"
        assert (task.token, task.attempt) == (told.starts, told.attempt), f"{what}: token or attempt is not what its starts say"
        assert (task.errors, task.losses) == (told.errors, told.losses), f"{what}: errors or losses"
        assert task.errors <= (self._execution.policy.max_retries or 0) + 1, f"{what} failed {task.errors} times"
        assert task.losses <= max_recoveries + 1, f"{what} was lost {task.losses} times"
        worker_lost = task.status == "failed" and task.error.kind is FailureKind.WORKER_LOST
        assert worker_lost == (task.losses == max_recoveries + 1), f"{what}: lost {task.losses} times, and its error {task.error}"
        assert (task.result is not None) == (task.status == "completed"), f"{what}: a result and {task.status}"
        assert task.status != "failed" or task.error is not None, f"{what}: no error and {task.status}"
        assert (task.ended_at is not None) == (task.status in ENDED), f"{what}: an end and {task.status}"
        assert task.status != "running" or (task.due_at is not None and task.worker is not None), f"{what}: runs without a lease"
        tries = [attempt.number for attempt in task.history]
        assert tries == sorted(set(tries)), f"{what}: its history has the tries {tries}"
        assert all(1 <= number <= task.attempt for number in tries), f"{what}: {task.attempt} tries, and a history of {tries}"
        assert task.status not in ("running", "completed") or task.attempt not in tries, f"{what}: the last try is no history"


class Found(NamedTuple):
    """What stands in a file at one moment."""

    ids: set[str]
    running: set[tuple[str, str, int]]
    """(execution id, task id, attempt) of the tasks that run."""


WRONG = {
    "counts that are not those of the tasks": (
        "select x.id from executions x join (select execution, count(*) n, sum(status = 'running') r, sum(status = 'completed') c, "
        "sum(status = 'failed') f, sum(status = 'cancelled') k from tasks group by execution) t on t.execution = x.seq "
        "where (x.total, x.running, x.completed, x.failed, x.cancelled) <> (t.n, t.r, t.c, t.f, t.k)"
    ),
    "executions without a task": "select id from executions where seq not in (select execution from tasks)",
    "tasks, events, signals and steps of nothing": (
        "select execution from tasks where execution not in (select seq from executions) "
        "union select execution from events where execution not in (select seq from executions) "
        "union select execution from signals where execution not in (select seq from executions) "
        "union select task from steps where task not in (select seq from tasks)"
    ),
    "tasks that run without a lease, or have one and do not run": (
        "select seq from tasks where (status = 'running') <> (state = 'leased') "
        "or (status = 'running' and (worker is null or due_at is null))"
    ),
    "tasks that nobody would find": (
        "select seq from tasks where (status = 'pending' and waiting_for is null) <> (state = 'ready') "
        "or (status = 'pending' and waiting_for is not null) <> (state = 'waiting') or (status = 'paused') <> (state = 'paused') "
        "or (status in ('pending', 'paused') and worker is not null)"
    ),
    "tasks that are paused, or not, and their execution is not, or is": (
        "select t.seq from tasks t join executions x on x.seq = t.execution "
        "where (t.status = 'paused' and not x.paused) or (t.status = 'pending' and x.paused)"
    ),
    "executions that have ended and hold on to something": (
        "select id from executions where ended_at is not null "
        "and (slot or paused or deadline is not null or time_left is not null or waiting_for is not null)"
    ),
    "ended tasks that are not filed so": (
        "select seq from tasks where (status in ('completed', 'failed', 'cancelled')) <> (state = 'ended') "
        "or (state = 'ended') <> (ended_at is not null)"
    ),
    "event logs with gaps, or not as long as their execution's version": (
        "select x.id from executions x join (select execution, count(*) n, min(id) a, max(id) z from events group by execution) e "
        "on e.execution = x.seq where (e.a, e.n, e.z) <> (1, x.version, x.version)"
    ),
    "executions that ended not exactly once, and once more for each retry": (
        "select x.id from executions x left join events e on e.execution = x.seq group by x.seq having "
        "coalesce(sum(e.status in ('completed', 'failed', 'cancelled')), 0) - coalesce(sum(e.type = 'retried'), 0) <> "
        "(x.status in ('completed', 'failed', 'cancelled'))"
    ),
    "idempotency keys that stand twice": (
        "select idempotency_key from executions where idempotency_key is not null "
        "group by workspace, job, idempotency_key having count(*) > 1"
    ),
}
"""Queries that find nothing in a sound file."""


def check_file(path: Path) -> Found:
    """Look into a SQLite file without going through blaxel_jobs: it is whole, and nothing in it contradicts itself."""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("pragma integrity_check").fetchall() == [("ok",)]
        for what, query in WRONG.items():
            assert not (rows := file.execute(query).fetchall()), f"{path.name} has {what}: {rows[:5]}"
        running = file.execute(
            "select x.id, t.id, t.attempt from tasks t join executions x on x.seq = t.execution where t.status = 'running'"
        )
        return Found({id for (id,) in file.execute("select id from executions")}, set(running))


def unfinished(path: Path) -> int:
    """How many executions of a file in use have not ended."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        (count,) = file.execute(f"select count(*) from executions where status not in {ENDED}").fetchone()
        return int(count)


def autopsy(path: Path) -> Found:
    """`check_file` of a copy, as a killed process left it: what the next process will find stays as it is."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for suffix in ("", "-wal"):
            source = path.with_name(path.name + suffix)
            if source.exists():
                copyfile(source, copy.with_name(copy.name + suffix))
        return check_file(copy)


def check_store(path: Path, max_recoveries: int = 5) -> dict[str, History]:
    """Check the file and the history of every execution in it, and that all have ended."""
    check_file(path)
    store = open_store(f"sqlite:///{path}")
    try:
        found = histories(store)
    finally:
        store.close()
    for history in found.values():
        check_history(history, max_recoveries)
        assert history.execution.done, f"{history.execution.id} is {history.execution.status}"
    return found


def runs(path: Path) -> Iterator[tuple[str, str, int]]:
    """The lines that handlers wrote so far: (execution id, task id, attempt)."""
    for line in path.read_text().splitlines() if path.exists() else ():
        id, task, attempt = line.split()
        yield id, task, int(attempt)


def check_runs(path: Path, found: dict[str, History]) -> None:
    """No attempt ran twice unless it was given back, none that was not given out, and each that counts did run."""
    counted = Counter(runs(path))
    given_back = Counter(
        (id, event.task) for id, history in found.items() for event in history.events if event.type == "task.released"
    )
    twice = [run for run, times in counted.items() if times > 1 + given_back[run[:2]]]
    assert not twice, f"attempts that ran twice: {twice[:5]}"
    attempts = {(id, task.id): task.attempt for id, history in found.items() for task in history.tasks}
    wild = [run for run in counted if not 1 <= run[2] <= attempts.get(run[:2], 0)]
    assert not wild, f"runs that nobody gave out: {wild[:5]}"
    missing = [
        (id, task.id)
        for id, history in found.items()
        for task in history.tasks
        if task.status == "completed" and (id, task.id, task.attempt) not in counted
    ]
    assert not missing, f"completed without having run: {missing[:5]}"
