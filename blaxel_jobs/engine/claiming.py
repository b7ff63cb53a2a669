"""Leases: tasks are claimed, held, and taken back; and what else comes by itself with time."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from ..core import states
from ..core.records import Execution, Leased, Step, Task
from ..core.reports import Holding
from ..stores.base import MAX_BYTES
from ..words import JobStatus
from .commands import Claim, Extend, Tick, Ticked
from .journals import Journals
from .reporting import fail_fast, take_over
from .scope import Outcome, Scope
from .slots import WAKE_LIMIT
from .work import Work

TICK_LIMIT: Final = 500
"""Tasks that are due and taken up in one transaction; the loop comes again at once for more."""
PARK_LIMIT: Final = 250
"""Tasks that are parked in one transaction: heartbeats and reports wait for it. An execution is parked as a whole."""
_encode: Final = msgspec.json.Encoder().encode


def extend(scope: Scope, commands: list[Extend]) -> list[Outcome]:
    """A Holding to each."""
    return [_extend(scope, command) for command in commands]


def _extend(scope: Scope, command: Extend) -> Holding:
    held = scope.transaction.extend(command.workspace, command.leases, scope.now + command.lease)
    lost = frozenset(lease for lease in command.leases if lease not in held)
    return Holding(lost, frozenset(lease for lease, paused in held.items() if paused))


def tick(scope: Scope, commands: list[Tick]) -> list[Outcome]:
    """A Ticked to each."""
    return [_tick(scope, command) for command in commands]


def _tick(scope: Scope, command: Tick) -> Ticked:
    due = scope.transaction.due(scope.now, command.dead, TICK_LIMIT)
    work = scope.work(due)
    recovered = 0
    for seq in [task.seq for task, _ in due]:
        task = work.tasks[seq]
        if task.status is JobStatus.RUNNING:
            _take_back(scope, work, task)
            recovered += 1
        elif not task.done:  # as by the failure of another one
            work.move(task, states.Woken())
    work.save()
    overdue = scope.transaction.overdue(scope.now, TICK_LIMIT)
    for execution in overdue:
        tasks = scope.transaction.tasks_in(execution.seq, states.OPEN)
        take_over(scope, work, execution, states.expire(execution, tasks, scope.now), tasks)
        work.save()
    return Ticked(recovered, len(due) == TICK_LIMIT or len(overdue) == TICK_LIMIT)


def _take_back(scope: Scope, work: Work, task: Task) -> None:
    reason = "lease_expired" if task.due_at is not None and task.due_at <= scope.now else "worker_dead"
    before = work.executions[task.execution]
    after = work.step(task, states.Lost(reason, scope.rules.max_recoveries)).execution
    scope.effects.revoked.append(task.lease)
    scope.moved(before, after)
    fail_fast(scope, work, after)


def claim(scope: Scope, commands: list[Claim]) -> list[Outcome]:
    """A list of Leased to each, or None where there may be more that has a slot."""
    scope.go_on()
    scope.give_back()
    outcomes: list[Outcome] = []
    room, line = PARK_LIMIT, WAKE_LIMIT
    for command in commands:
        most = command.limit
        if scope.wakes_more:  # what is behind those that were just woken may have come later than who is parked
            most = min(most, line)
        leased: list[Leased] | None = None
        if most:
            leased, room = _claim(scope, command, most, room)
        line -= len(leased or ())
        outcomes.append(leased or (None if scope.wakes_more else leased))
    return outcomes


def _claim(scope: Scope, command: Claim, most: int, room: int) -> tuple[list[Leased] | None, int]:
    """What it is answered, and how many tasks may still be parked then."""
    leased: list[Leased] = []
    window, size = most, 0
    while True:
        found = scope.transaction.claimable(command.workspace, command.jobs, window, command.execution)
        work = scope.work(found)
        refused: dict[int, Execution] = {}
        more, size = _take(scope, work, [task for task, _ in found], command, most - len(leased), size, refused)
        leased += more
        for execution in refused.values():
            if room > 0:
                room -= scope.slots.park(work, execution)
        work.save()
        if not refused or len(leased) == most:
            return leased, room
        if room <= 0:
            return leased or None, room
        window = room


def _take(
    scope: Scope, work: Work, found: list[Task], command: Claim, most: int, size: int, refused: dict[int, Execution]
) -> tuple[list[Leased], int]:
    """Of the tasks that were found those that get a slot, as many as are wanted and as fit beside those that were taken before,
    which have this size: one in any case. And the size of all of them."""
    taken: list[tuple[Task, Sequence[Step]]] = []
    journals = Journals(scope.transaction, found)
    for task in found:
        execution = work.executions[task.execution]
        if execution.seq in refused:
            continue
        if len(taken) == most:
            break
        steps = journals.of(task, MAX_BYTES - size)
        adds = _size(task, execution, steps)
        if size and size + adds > MAX_BYTES:
            break
        admitted = scope.slots.take(_bound(scope, execution))
        if admitted is None:
            refused[execution.seq] = execution
        else:
            work.executions[execution.seq] = admitted
            taken.append((task, steps))
            size += adds
    event = states.Claimed(command.worker, scope.now + command.lease)
    changes = [(work.step(task, event), steps) for task, steps in taken]
    return [Leased.of(change.task, change.execution, scope.now, steps) for change, steps in changes], size


def _size(task: Task, execution: Execution, steps: Sequence[Step]) -> int:
    """Bytes of what goes to the worker with this task."""
    custom, env = execution.spec.custom, execution.spec.env
    own = 0 if custom is None and env is None else len(_encode((custom, env)))
    return task.size + own + sum(step.size for step in steps)


def _bound(scope: Scope, execution: Execution) -> Execution:
    """One that is older than its job's definition takes what that says at its first claim."""
    if execution.policy.bound or execution.started_at is not None:
        return execution
    definition = scope.definition_of(execution.workspace, execution.job)
    return execution if definition is None else replace(execution, policy=execution.policy.over(definition.policy))
