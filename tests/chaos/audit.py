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
from blaxel_jobs.stores.base import Position
from blaxel_jobs.words import FailureKind

ENDED = ("completed", "failed", "cancelled")
PAGE = 500

MOVES = {
    "task.started": ("pending", "running"),
    "task.completed": ("running", "completed"),
    "task.failed": ("running", "failed"),
    "task.released": ("running", "pending"),
    "task.recovered": ("running", "pending"),
}


class History(NamedTuple):
    """All that a store has of one execution."""

    execution: Execution
    tasks: list[Task]
    events: list[Event]


def histories(store: JobStore, workspace: str = "default") -> dict[str, History]:
    """Every execution of a workspace by its id, read page by page."""
    found: dict[str, History] = {}
    position = Position()
    while page := store.page(workspace, None, position, PAGE):
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


class _Replay:
    """The statuses of an execution's tasks, as its events tell them."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._tasks = {f"task-{index}": "pending" for index in range(execution.total)}
        self._starts: Counter[str | None] = Counter()
        self._losses: Counter[str | None] = Counter()
        self._status: str | None = None

    def take(self, event: Event) -> None:
        what = f"{self._execution.id}, event {event.id} ({event.type})"
        assert self._status not in ENDED, f"{what}: comes after the end"
        assert (event.type == "created") == (event.id == 1), f"{what}: an execution is created first and once"
        if event.type == "cancelled":
            self._tasks = {id: status if status in ENDED else "cancelled" for id, status in self._tasks.items()}
        elif event.type != "created":
            self._move(event, what)
        self._status = self._expected()
        assert event.status == self._status, f"{what}: says {event.status}, and its tasks say {self._status}"

    def _move(self, event: Event, what: str) -> None:
        assert event.task in self._tasks, f"{what}: of no task"
        before, after = MOVES[event.type]
        assert self._tasks[event.task] == before, f"{what}: {event.task} was {self._tasks[event.task]}"
        self._tasks[event.task] = after
        self._starts[event.task] += event.type == "task.started"
        lost = event.error is not None and event.error.kind is FailureKind.WORKER_LOST
        self._losses[event.task] += event.type == "task.recovered" or (event.type == "task.failed" and lost)

    def _expected(self) -> str:
        counts = Counter(self._tasks.values())
        ended = sum(counts[status] for status in ENDED)
        if ended < self._execution.total:
            return "running" if counts["running"] or ended else "pending"
        return "cancelled" if counts["cancelled"] else "failed" if counts["failed"] else "completed"

    def check(self, tasks: list[Task], max_recoveries: int) -> None:
        execution = self._execution
        assert execution.status == self._status, f"{execution.id} is {execution.status}, and its events end {self._status}"
        assert (execution.ended_at is not None) == execution.done == (self._status in ENDED)
        counts = Counter(self._tasks.values())
        counted = (execution.running, execution.completed, execution.failed, execution.cancelled)
        assert counted == tuple(counts[status] for status in ("running", *ENDED)), f"the counts of {execution.id} are wrong"
        assert execution.retried == sum(starts - 1 for starts in self._starts.values() if starts)
        for task in tasks:
            self._check_task(task, max_recoveries)
        recorded = Counter(recovery.task for recovery in execution.recoveries)
        assert recorded == +self._losses, f"{execution.id}: recoveries {recorded}, and by its events {self._losses}"

    def _check_task(self, task: Task, max_recoveries: int) -> None:
        what = f"{self._execution.id} {task.id}"
        assert task.status == self._tasks[task.id], f"{what} is {task.status}, and its events say {self._tasks[task.id]}"
        assert task.attempt == task.token == self._starts[task.id], f"{what}: attempt, token and starts differ"
        assert task.losses == self._losses[task.id], f"{what}: losses"
        assert task.losses <= max_recoveries + 1, f"{what} was lost {task.losses} times"
        worker_lost = task.error is not None and task.error.kind is FailureKind.WORKER_LOST
        assert worker_lost == (task.losses == max_recoveries + 1), f"{what}: lost {task.losses} times, and its error {task.error}"
        assert (task.result is not None) == (task.status == "completed"), f"{what}: a result and {task.status}"
        assert (task.error is not None) == (task.status == "failed"), f"{what}: an error and {task.status}"
        assert (task.lease_until is not None) == (task.status == "running"), f"{what}: a lease and {task.status}"


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
    "tasks and events without an execution": (
        "select execution from tasks where execution not in (select seq from executions) "
        "union select execution from events where execution not in (select seq from executions)"
    ),
    "tasks that run without a lease, or have one and do not run": (
        "select seq from tasks where (status = 'running') <> (lease_until is not null) "
        "or (status = 'running') <> (state = 'leased') or (status = 'running' and worker is null)"
    ),
    "pending tasks that nobody would find": (
        "select seq from tasks where (status = 'pending') <> (state = 'ready') or (status = 'pending' and worker is not null)"
    ),
    "ended tasks that are not filed so": (
        "select seq from tasks where (status in ('completed', 'failed', 'cancelled')) <> (state = 'ended') "
        "or (state = 'ended') <> (ended_at is not null)"
    ),
    "event logs with gaps, or not as long as their execution's version": (
        "select x.id from executions x join (select execution, count(*) n, min(id) a, max(id) z from events group by execution) e "
        "on e.execution = x.seq where (e.a, e.n, e.z) <> (1, x.version, x.version)"
    ),
    "executions that ended not exactly once": (
        "select x.id from executions x left join events e "
        "on e.execution = x.seq and e.status in ('completed', 'failed', 'cancelled') group by x.seq having count(e.id) <> "
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
    """No attempt ran twice, none that was not given out, and each that counts did run."""
    counted = Counter(runs(path))
    twice = [run for run, times in counted.items() if times > 1]
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
