"""Executions for the tests of stores, and what an engine does with them: claim, report, cancel."""

from collections.abc import Collection, Iterable

from blaxel_jobs.core.records import Event, Execution, LeaseRef, Spec, Task
from blaxel_jobs.core.states import Claimed, Completed, TaskEvent, cancel, step
from blaxel_jobs.stores.base import JobStore, Position, Transaction

WORKSPACE = "default"
FIRST = Position()

New = tuple[Execution, list[Task]]


def new(
    name: str,
    *,
    job: str = "job",
    workspace: str = WORKSPACE,
    priority: int = 2,
    tasks: int = 1,
    key: str | None = None,
    spec: Spec | None = None,
) -> New:
    execution = Execution(
        workspace=workspace,
        id=name,
        job=job,
        priority=priority,
        total=tasks,
        created_at=1.0,
        updated_at=1.0,
        idempotency_key=key,
        spec=spec or Spec(single=tasks == 1),
    )
    return execution, [
        Task(
            workspace=workspace,
            job=job,
            index=index,
            id=f"task-{index}",
            priority=priority,
            input=f'{{"of":"{name}","index":{index}}}',
            created_at=1.0,
            updated_at=1.0,
        )
        for index in range(tasks)
    ]


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
    worker: str = "w1",
    until: float = 10.0,
) -> list[Task]:
    with store.begin() as transaction:
        return move(transaction, transaction.claimable(workspace, jobs, limit), Claimed(worker, until))


def report(store: JobStore, leases: Collection[LeaseRef], event: TaskEvent | None = None, now: float = 3.0) -> list[Task]:
    with store.begin() as transaction:
        return move(transaction, transaction.held(leases), event or Completed('"done"'), now)


def cancel_all(store: JobStore, name: str, workspace: str = WORKSPACE) -> None:
    with store.begin() as transaction:
        (found,) = transaction.find(workspace, [name])
        execution, tasks, event = cancel(found, transaction.open_tasks(found.seq), 4.0)
        transaction.save([execution], tasks, [event])


def get(store: JobStore, name: str, workspace: str = WORKSPACE) -> Execution:
    (found,) = store.get(workspace, [name])
    return found


def ids(executions: Iterable[Execution]) -> list[str]:
    return [execution.id for execution in executions]


def names(tasks: Iterable[Task]) -> list[str]:
    """What tells tasks of different executions apart."""
    return [task.input for task in tasks]


def claimable(store: JobStore, jobs: Collection[str] | None = None, limit: int = 100, workspace: str = WORKSPACE) -> list[Task]:
    """What a claim would get; nothing is claimed."""
    with store.begin() as transaction:
        return [task for task, _ in transaction.claimable(workspace, jobs, limit)]


def contents(store: JobStore, workspaces: Iterable[str] = (WORKSPACE,)) -> list[object]:
    """All that can be read, to compare before and after."""
    rows: list[object] = [store.next_expiry(), sorted(store.workers())]
    for workspace in workspaces:
        for execution in store.page(workspace, None, FIRST, 1000):
            rows.append(execution)
            rows += store.tasks(workspace, execution.seq, -1, 1000)
            rows += store.events(workspace, execution.seq, 0, 1000)
        rows += claimable(store, workspace=workspace)
    return rows
