"""What is done to an execution that there is: the verbs, events that are sent to it, its end; and to a job's definition."""

from collections.abc import Callable, Iterable
from typing import Final

from ..core import states
from ..core.records import Execution, Signal, Step, Task
from ..errors import IllegalTransition
from ..words import JobStatus, WaitingFor
from .commands import Define, Delete, FoldTallies, SendEvent, Steer, Verb, WakeParked
from .counting import EVER, fold
from .reporting import take_over
from .scope import Outcome, Scope, guarded

_VERBS: Final[dict[Verb, tuple[Callable[[Execution, Iterable[Task], float], states.Whole], tuple[JobStatus, ...]]]] = {
    Verb.START: (states.start, (JobStatus.PENDING,)),
    Verb.PAUSE: (states.pause, (JobStatus.PENDING, JobStatus.RUNNING)),
    Verb.RESUME: (states.resume, (JobStatus.PAUSED,)),
    Verb.CANCEL: (states.cancel, states.OPEN),
    Verb.RETRY: (states.retry, (JobStatus.FAILED, JobStatus.CANCELLED)),
}
"""What each does, and to which of the tasks."""
_RESTS: Final = (WaitingFor.TIME, WaitingFor.EVENT)
"""Of a task that is suspended."""


def steer(scope: Scope, commands: list[Steer]) -> list[Outcome]:
    """The Execution after each."""
    return guarded(_steer, scope, commands)


def _steer(scope: Scope, command: Steer) -> Execution:
    execution = scope.find(command)
    change, statuses = _VERBS[command.verb]
    tasks = scope.transaction.tasks_in(execution.seq, statuses)
    work = scope.work()
    after = take_over(scope, work, execution, change(execution, tasks, scope.now), tasks)
    work.save()
    return work.executions.get(after.seq, after)


def delete(scope: Scope, commands: list[Delete]) -> list[Outcome]:
    """The Execution that each deleted was."""
    return guarded(_delete, scope, commands)


def _delete(scope: Scope, command: Delete) -> Execution:
    execution, effects = scope.find(command), scope.effects
    if not (execution.done or command.force):
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: it is deleted only with force", path="force")
    if execution.running:
        effects.revoked += [task.lease for task in scope.transaction.tasks_in(execution.seq, (JobStatus.RUNNING,))]
    scope.transaction.remove([execution.seq])
    effects.removed.append((execution.workspace, execution.id))
    effects.changed[execution.workspace, execution.id] = True
    if not execution.done:
        scope.leaves(execution)
    return execution


def send_event(scope: Scope, commands: list[SendEvent]) -> list[Outcome]:
    """To each: taken by a wait, kept for one, or existing, when an event of its id was sent before."""
    return guarded(_send_event, scope, commands)


def _send_event(scope: Scope, command: SendEvent) -> str:
    execution, now = scope.find(command), scope.now
    if scope.transaction.signals(execution.seq, id=command.event_id):
        return "existing"
    if execution.done:
        raise IllegalTransition(f"execution {execution.id} is {execution.status}: no event reaches it any more")
    after, event = states.signalled(execution, command.name, now)
    work = scope.work()
    work.put(after, (), [event])
    taker = _first_waiting(scope, after, command.name)
    if taker is not None:
        work.steps.append(Step(task=taker.seq, name=command.name, kind="event", at=now, value=command.payload))
        work.move(taker, states.Woken())
    work.signals.append(
        Signal(
            execution=after.seq, id=command.event_id, name=command.name, payload=command.payload, at=now, taken=taker is not None
        )
    )  # fmt: skip
    work.save()
    return "kept" if taker is None else "taken"


def _first_waiting(scope: Scope, execution: Execution, name: str) -> Task | None:
    """The task that has waited longest for an event of this name, though it may wait for something else beside."""
    held_back = scope.transaction.tasks_in(execution.seq, (JobStatus.PENDING, JobStatus.PAUSED))
    resting = {task.seq: task for task in held_back if task.continues and task.waiting_for in _RESTS}
    waits = [step for step in scope.transaction.steps(resting, name) if step.kind == "wait"] if resting else []
    return resting[min(waits, key=lambda step: step.at).task] if waits else None


def define(scope: Scope, commands: list[Define]) -> list[Outcome]:
    """The Definition of each."""
    for command in commands:
        scope.define(command.definition)
    return [command.definition for command in commands]


def wake_parked(scope: Scope, commands: list[WakeParked]) -> list[Outcome]:
    """None to each."""
    for command in commands:
        for workspace, job in command.jobs:
            scope.reconsider(workspace, job)
    scope.go_on()
    return [None] * len(commands)


def fold_tallies(scope: Scope, commands: list[FoldTallies]) -> list[Outcome]:
    """None to each."""
    for command in commands:
        scope.transaction.count(fold(scope.transaction.forget_tallies(EVER), command.before))
    return [None] * len(commands)
