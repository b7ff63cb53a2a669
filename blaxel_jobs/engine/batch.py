"""Commands applied together, in one transaction: load, decide in the core, save.

The commands of a batch are concurrent (nobody has an answer yet), so they are taken kind by kind, each kind with one load and one
save. A command that cannot be done gets an error for its outcome; it never fails the batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import attrs
from msgspec import Struct

from ..core import states
from ..core.records import Event, Execution, Leased, LeaseRef, Task
from ..errors import JobsError, LeaseLost, NotFound
from ..stores.base import Transaction
from ..words import JobStatus
from .commands import CancelExecution, Claim, Command, CreateExecution, Extend, Recover, Report

RECOVER_LIMIT: Final = 500
"""Tasks taken back in one transaction; the loop comes again at once for more."""

Outcome = Any | JobsError
C = TypeVar("C", bound=Command)


class Created(Struct, frozen=True, gc=False):
    """The answer to a create. An existing execution has the id or the key, and may yet be of another body."""

    execution: Execution
    disposition: str


@attrs.frozen
class Rules:
    """What the engine was set up with and the batch needs."""

    new_id: Callable[[], str]
    queue_of: Callable[[str], str]
    max_recoveries: int


class Effects:
    """What others are told once the batch is committed."""

    __slots__ = ("changed", "ready", "revoked")

    def __init__(self) -> None:
        self.changed: dict[tuple[str, str], bool] = {}
        """(workspace, id) of executions that changed, and whether they have ended."""
        self.ready: set[tuple[str, str]] = set()
        """(workspace, job) that have something to claim."""
        self.revoked: list[LeaseRef] = []
        """Leases that were taken from their worker."""


class Batch:
    """One transaction's worth of commands."""

    def __init__(self, transaction: Transaction, rules: Rules, now: float) -> None:
        self.effects = Effects()
        self._transaction = transaction
        self._rules = rules
        self._now = now

    def apply(self, commands: Sequence[Command]) -> list[Outcome]:
        """The outcome of each command, in their order."""
        if len(commands) == 1:
            return _KINDS[type(commands[0])](self, list(commands))
        outcomes: list[Outcome] = [None] * len(commands)
        for kind, handle in _KINDS.items():
            places = [place for place, command in enumerate(commands) if type(command) is kind]
            if places:
                answers = handle(self, [commands[place] for place in places])
                for place, answer in zip(places, answers, strict=True):
                    outcomes[place] = answer
        return outcomes

    def _create(self, commands: list[CreateExecution]) -> list[Outcome]:
        rules, now = self._rules, self._now
        news = [
            create.records(create.execution_id or rules.new_id(), rules.queue_of(create.job), now)
            for create in [command.create for command in commands]
        ]
        if len(news) == 1:
            return [self._created(news[0][0], self._transaction.insert(news)[0])]
        outcomes: list[Outcome] = [None] * len(news)
        for group in _without_repeats([execution for execution, _ in news]):
            taken = self._transaction.insert([news[place] for place in group])
            for place, existing in zip(group, taken, strict=True):
                outcomes[place] = self._created(news[place][0], existing)
        return outcomes

    def _created(self, new: Execution, existing: Execution | None) -> Created:
        if existing is not None:
            return Created(existing, "existing")
        self.effects.ready.add((new.workspace, new.job))
        return Created(new, "created")

    def _report(self, commands: list[Report]) -> list[Outcome]:
        work = self._work(self._transaction.held([command.lease for command in commands]))
        outcomes: list[Outcome] = []
        for command in commands:
            task = work.tasks.get(command.lease.task)
            if task is None or task.lease != command.lease or task.status is not JobStatus.RUNNING:
                outcomes.append(LeaseLost())
                continue
            work.step(task, command.event)
            outcomes.append(None)
        work.save()
        return outcomes

    def _cancel(self, commands: list[CancelExecution]) -> list[Outcome]:
        return [_guarded(self._cancel_one, command) for command in commands]

    def _cancel_one(self, command: CancelExecution) -> Execution:
        found = self._transaction.find(command.workspace, [command.id])
        if not found or found[0].job != command.job:
            raise no_such_execution(command.job, command.id)
        if found[0].status is JobStatus.CANCELLED:
            return found[0]
        before = self._transaction.open_tasks(found[0].seq)
        execution, tasks, event = states.cancel(found[0], before, self._now)
        self._transaction.save([execution], tasks, [event])
        self.effects.revoked += [task.lease for task in before if task.status is JobStatus.RUNNING]
        self.effects.changed[execution.workspace, execution.id] = True
        return execution

    def _extend(self, commands: list[Extend]) -> list[Outcome]:
        return [set(command.leases) - self._transaction.extend(command.leases, self._now + command.lease) for command in commands]

    def _recover(self, commands: list[Recover]) -> list[Outcome]:
        return [self._recover_one(command) for command in commands]

    def _recover_one(self, command: Recover) -> int:
        lost = self._transaction.expired(self._now, command.workers, RECOVER_LIMIT)
        work = self._work(lost)
        for task, _ in lost:
            reason = "lease_expired" if task.lease_until is not None and task.lease_until <= self._now else "worker_dead"
            work.step(task, states.Lost(reason, self._rules.max_recoveries))
            self.effects.revoked.append(task.lease)
        work.save()
        return len(lost)

    def _claim(self, commands: list[Claim]) -> list[Outcome]:
        return [self._claim_one(command) for command in commands]

    def _claim_one(self, command: Claim) -> list[Leased]:
        found = self._transaction.claimable(command.workspace, command.jobs, command.limit)
        work = self._work(found)
        event = states.Claimed(command.worker, self._now + command.lease)
        changes = [work.step(task, event) for task, _ in found]
        work.save()
        return [Leased.of(change.task, change.execution) for change in changes]

    def _work(self, rows: list[tuple[Task, Execution]]) -> "_Work":
        return _Work(self._transaction, self.effects, self._now, rows)


class _Work:
    """What one kind of command loaded: stepped here, each record from what the step before made of it, and saved once."""

    def __init__(self, transaction: Transaction, effects: Effects, now: float, rows: list[tuple[Task, Execution]]) -> None:
        self.tasks = {task.seq: task for task, _ in rows}
        self._executions = {execution.seq: execution for _, execution in rows}
        self._transaction = transaction
        self._effects = effects
        self._now = now
        self._stepped: dict[int, Task] = {}
        self._events: list[Event] = []

    def step(self, task: Task, event: states.TaskEvent) -> states.Change:
        change = states.step(self._executions[task.execution], task, event, self._now)
        execution, after = change.execution, change.task
        self._executions[execution.seq] = execution
        self.tasks[after.seq] = self._stepped[after.seq] = after
        self._events.append(change.event)
        self._effects.changed[execution.workspace, execution.id] = execution.done
        if after.status is JobStatus.PENDING:
            self._effects.ready.add((after.workspace, after.job))
        return change

    def save(self) -> None:
        if self._events:
            changed = dict.fromkeys(event.execution for event in self._events)
            self._transaction.save([self._executions[seq] for seq in changed], self._stepped.values(), self._events)


def no_such_execution(job: str, id: str) -> NotFound:
    """The error for an id that this job does not have."""
    return NotFound(f"job {job!r} has no execution {id!r}", path="executionId")


def _guarded(handle: Callable[[C], Outcome], command: C) -> Outcome:
    try:
        return handle(command)
    except JobsError as error:
        return error


def _without_repeats(executions: list[Execution]) -> list[list[int]]:
    """Places in groups within which no id and no key stands twice. One group, but for callers that race with the same key."""
    groups: list[tuple[set[tuple[str, ...]], list[int]]] = []
    for place, execution in enumerate(executions):
        names: set[tuple[str, ...]] = {(execution.workspace, execution.id)}
        if execution.idempotency_key is not None:
            names.add((execution.workspace, execution.job, execution.idempotency_key))
        for seen, places in groups:
            if not names & seen:
                seen.update(names)
                places.append(place)
                break
        else:
            groups.append((names, [place]))
    return [places for _, places in groups]


_KINDS: Final[dict[type[Command], Callable[[Batch, list[Any]], list[Outcome]]]] = {
    CreateExecution: Batch._create,
    Report: Batch._report,
    CancelExecution: Batch._cancel,
    Extend: Batch._extend,
    Recover: Batch._recover,
    Claim: Batch._claim,
}
"""In the order in which a batch takes them: what frees and what adds comes before what claims."""
