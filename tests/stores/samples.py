"""Executions for the tests of stores, and what an engine does with them: claim, report, verbs on the whole."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from blaxel_jobs.core.records import Definition, Event, Execution, LeaseRef, NewTasks, Signal, Spec, Step, Task
from blaxel_jobs.core.reports import Completed
from blaxel_jobs.core.states import OPEN, Claimed, TaskEvent, Whole, cancel, step
from blaxel_jobs.stores.base import ALL, JobStore, Position, Tally, Transaction
from blaxel_jobs.words import JobStatus, WaitingFor

WORKSPACE = "default"
FIRST = Position()
EVER = float("inf")

New = tuple[Execution, Sequence[Task]]
Verb = Callable[[Execution, Iterable[Task], float], Whole]


def new(
    name: str,
    *,
    job: str = "job",
    workspace: str = WORKSPACE,
    priority: int = 2,
    tasks: int = 1,
    key: str | None = None,
    spec: Spec | None = None,
    wait: WaitingFor | None = None,
    until: float | None = None,
    lazy: bool = False,
    **fields: Any,
) -> New:
    """An execution that waits for this until then; its tasks in a list, or made when they are asked for."""
    execution = Execution(
        workspace=workspace, id=name, job=job, priority=priority, total=tasks, created_at=1.0, updated_at=1.0, idempotency_key=key,
        spec=spec or Spec(single=tasks == 1), waiting_for=wait, wait_until=until, **fields,
    )  # fmt: skip
    made = NewTasks(execution, [f'{{"of":"{name}","index":{index}}}' for index in range(tasks)])
    return execution, made if lazy else list(made)


def add(store: JobStore, *news: New) -> None:
    with store.begin() as transaction:
        assert transaction.insert(news) == [None] * len(news)


def move(transaction: Transaction, pairs: Iterable[tuple[Task, Execution]], event: TaskEvent, now: float = 2.0) -> list[Task]:
    """Apply the event to these tasks and save what came of it."""
    executions: dict[int, Execution] = {}
    tasks: list[Task] = []
    events: list[Event] = []
    for task, loaded in pairs:
        change = step(executions.get(loaded.seq, loaded), task, event, now)
        executions[loaded.seq] = change.execution
        tasks.append(change.task)
        events.append(change.event)
    transaction.save(executions.values(), tasks, events)
    return tasks


def claim(
    store: JobStore,
    limit: int = 1,
    *,
    jobs: Collection[str] | None = None,
    workspace: str = WORKSPACE,
    execution: str | None = None,
    worker: str = "w1",
    until: float = 10.0,
) -> list[Task]:
    with store.begin() as transaction:
        return move(transaction, transaction.claimable(workspace, jobs, limit, execution), Claimed(worker, until))


def report(store: JobStore, leases: Collection[LeaseRef], event: TaskEvent | None = None, now: float = 3.0) -> list[Task]:
    with store.begin() as transaction:
        return move(transaction, transaction.held(None, leases), event or Completed('"done"'), now)


def apply(store: JobStore, verb: Verb, name: str, statuses: Collection[JobStatus] = OPEN, workspace: str = WORKSPACE) -> Execution:
    """Do something to a whole execution, and to its tasks in these statuses."""
    with store.begin() as transaction:
        (found,) = transaction.find(workspace, [name])
        whole = verb(found, transaction.tasks_in(found.seq, statuses), 4.0)
        transaction.save([whole.execution], whole.tasks, [whole.event] if whole.event else [])
    return whole.execution


def cancel_all(store: JobStore, name: str, workspace: str = WORKSPACE) -> None:
    apply(store, cancel, name, workspace=workspace)


def change(store: JobStore, name: str, workspace: str = WORKSPACE, **fields: Any) -> None:
    """Save an execution with other values; nothing is told."""
    with store.begin() as transaction:
        (found,) = transaction.find(workspace, [name])
        transaction.save([replace(found, **fields)], [], [])


def get(store: JobStore, name: str, workspace: str = WORKSPACE) -> Execution:
    (found,) = store.get(workspace, [name])
    return found


def tasks_of(store: JobStore, name: str, workspace: str = WORKSPACE) -> list[Task]:
    return store.tasks(workspace, get(store, name, workspace).seq, -1, 10_000)


def ids(executions: Iterable[Execution]) -> list[str]:
    return [execution.id for execution in executions]


def names(tasks: Iterable[Task]) -> list[str]:
    """What tells tasks of different executions apart."""
    return [task.input for task in tasks]


def claimable(
    store: JobStore,
    jobs: Collection[str] | None = None,
    limit: int = 100,
    workspace: str = WORKSPACE,
    execution: str | None = None,
) -> list[Task]:
    """What a claim would get; nothing is claimed."""
    with store.begin() as transaction:
        return [task for task, _ in transaction.claimable(workspace, jobs, limit, execution)]


def due(store: JobStore, now: float = EVER, dead: str | None = None, limit: int = 100) -> list[Task]:
    with store.begin() as transaction:
        return [task for task, _ in transaction.due(now, dead, limit)]


def a_step(task: Task, name: str, **fields: Any) -> Step:
    return Step(**{"task": task.seq, "name": name, "kind": "value", "at": 3.0, "value": f'"{name}"', **fields})


def a_signal(execution: Execution, id: str, **fields: Any) -> Signal:
    return Signal(**{"execution": execution.seq, "id": id, "name": "go", "payload": f'"{id}"', "at": 3.0, **fields})


def a_definition(job: str = "job", workspace: str = WORKSPACE, **fields: Any) -> Definition:
    return Definition(workspace=workspace, job=job, **fields)


def a_tally(minute: int, job: str = "job", workspace: str = WORKSPACE, server: str = "s1", **numbers: float) -> Tally:
    return Tally(workspace, job, server, minute, numbers)


def tallies(found: Iterable[Tally]) -> list[Tally]:
    """In an order that does not depend on the store."""
    return sorted(found, key=lambda tally: (tally.workspace, tally.job, tally.server, tally.minute))


def contents(store: JobStore, workspaces: Iterable[str] = (WORKSPACE,)) -> list[object]:
    """All that can be read, to compare before and after."""
    rows: list[object] = [store.next_due(), store.backlog(), store.definitions(), tallies(store.tallies())]
    with store.begin() as transaction:
        rows += [transaction.due(EVER, None, 10_000), transaction.due(-1.0, "", 10_000), transaction.overdue(EVER, 10_000)]
        for workspace in workspaces:
            rows.append(transaction.claimable(workspace, None, 10_000))
            for execution in store.page(workspace, ALL, FIRST, 10_000):
                rows += contents_of(store, transaction, execution)
    return rows


def contents_of(store: JobStore, transaction: Transaction, execution: Execution) -> list[object]:
    of_job, key = (execution.workspace, execution.job), execution.concurrency_key
    tasks = store.tasks(execution.workspace, execution.seq, -1, 10_000)
    return [
        execution,
        tasks,
        store.events(execution.workspace, execution.seq, 0, 10_000),
        store.steps(execution.workspace, execution.seq, 0, 10_000),
        transaction.steps([task.seq for task in tasks]),
        transaction.signals(execution.seq),
        transaction.claimable(execution.workspace, None, 10_000, execution.id),
        [transaction.holders(*of_job, limited) for limited in (None, key)],
        [transaction.parked(*of_job, limited, 10_000) for limited in (None, key)],
        transaction.keyed(*of_job, key) if key is not None else [],
    ]
