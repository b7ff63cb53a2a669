"""What workers report about the tasks that they hold."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from ..core import states
from ..core.records import Execution, LeaseRef, Signal, Step, Task
from ..core.reports import Answer, Awaited, Completed, Crashed, Failed, Noted, Released, Report, Slept, Stepped
from ..core.retry import retry_delay
from ..core.task_table import was_told
from ..errors import LeaseLost
from ..words import JobStatus
from .commands import Tell
from .scope import Outcome, Scope
from .work import Work


def tell(scope: Scope, commands: list[Tell]) -> list[Outcome]:
    """An Answer to each, or LeaseLost."""
    if all(type(command.report) is Stepped for command in commands):
        return _only_stepped(scope, commands)
    rows: list[tuple[Task, Execution]] = []
    for workspace in dict.fromkeys(command.workspace for command in commands):
        rows += scope.transaction.held(workspace, [command.lease for command in commands if command.workspace == workspace])
    work = scope.work(rows)
    outcomes: list[Outcome] = []
    for command in commands:
        task = work.tasks.get(command.lease.task)
        if task is None or task.lease != command.lease or task.status is not JobStatus.RUNNING:
            outcomes.append(LeaseLost())
        else:
            outcomes.append(_REPORTS[type(command.report)](scope, work, task, command.report))
    work.save()
    _answer_again(scope, commands, outcomes)
    return outcomes


def _answer_again(scope: Scope, commands: list[Tell], outcomes: list[Outcome]) -> None:
    """The outcome of a task is answered as it was when it is told again: who had no answer cannot know that it was taken."""
    refused = [place for place, outcome in enumerate(outcomes) if type(outcome) is LeaseLost]
    again = [place for place in refused if type(commands[place].report) in (Completed, Failed)]
    for place in again:
        command = commands[place]
        found = scope.transaction.let_go(command.workspace, [command.lease])
        if found and was_told(found[0][0], command.report):
            outcomes[place] = Answer()


def _only_stepped(scope: Scope, commands: list[Tell]) -> list[Outcome]:
    """What handlers report most often changes no task and no execution, so neither is loaded."""
    holding: dict[LeaseRef, bool] = {}
    for workspace in dict.fromkeys(command.workspace for command in commands):
        refs = [command.lease for command in commands if command.workspace == workspace]
        holding |= scope.transaction.extend(workspace, refs, None)
    steps: list[Step] = []
    outcomes: list[Outcome] = []
    for command in commands:
        paused = holding.get(command.lease)
        if paused is None:
            outcomes.append(LeaseLost())
        else:
            assert isinstance(command.report, Stepped), "they all are"
            steps.append(_taken(command.lease.task, command.report, scope.now))
            outcomes.append(Answer(stop=paused))
    scope.transaction.save((), (), (), steps)
    return outcomes


def _taken(task: int, report: Stepped, now: float) -> Step:
    return Step(task=task, name=report.name, kind="value", at=now, value=report.value)


def _ended(scope: Scope, work: Work, task: Task, report: Completed | Released) -> Answer:
    _step(scope, work, task, report)
    return Answer()


def _failed(scope: Scope, work: Work, task: Task, report: Failed) -> Answer:
    delay = retry_delay(work.executions[task.execution], task, report, scope.rules.rng)
    if delay is not None:
        _step(scope, work, task, states.Retried(report.failure, scope.now + delay))
        return Answer()
    fail_fast(scope, work, _step(scope, work, task, states.Ended(report.failure)))
    return Answer()


def _crashed(scope: Scope, work: Work, task: Task, report: Crashed) -> Answer:
    _step(scope, work, task, states.Lost(report.reason, scope.rules.max_recoveries))
    return Answer()


def _stepped(scope: Scope, work: Work, task: Task, report: Stepped) -> Answer:
    work.steps.append(_taken(task.seq, report, scope.now))
    return Answer(stop=work.executions[task.execution].paused)


def _slept(scope: Scope, work: Work, task: Task, report: Slept) -> Answer:
    step = _known(scope, work, task, report.name)
    if step is None:
        step = Step(task=task.seq, name=report.name, kind="sleep", at=scope.now, due_at=scope.now + report.seconds)
        work.steps.append(step)
    remaining = 0.0 if step.due_at is None else max(0.0, step.due_at - scope.now)
    if remaining > report.in_place:
        _step(scope, work, task, states.Suspended(_next_rest(scope, work, task)))
        return Answer(suspended=True)
    return Answer(stop=work.executions[task.execution].paused, kind="sleep", remaining=remaining)


def _awaited(scope: Scope, work: Work, task: Task, report: Awaited) -> Answer:
    step = _known(scope, work, task, report.name)
    if step is None or step.kind == "wait":
        first, step = step, _come(scope, work, task, report, step)
        if step is None:
            due_at = _deadline(scope, report, first)
            if first is None:
                work.steps.append(Step(task=task.seq, name=report.name, kind="wait", at=scope.now, due_at=due_at))
            if not report.suspends:
                left = 0.0 if due_at is None else due_at - scope.now
                return Answer(stop=work.executions[task.execution].paused, remaining=left)
            _step(scope, work, task, states.Suspended(_next_rest(scope, work, task), report.name))
            return Answer(suspended=True)
        work.steps.append(step)
    kind: Any = step.kind
    return Answer(stop=work.executions[task.execution].paused, kind=kind, value=step.value)


def _next_rest(scope: Scope, work: Work, task: Task) -> float | None:
    """When to wake a task: when the first of its sleeps and waits ends, which may go on beside each other."""
    work.save()  # the batch may have begun rests of it, and ended some
    return scope.transaction.next_rest(task.seq, scope.now)


def _come(scope: Scope, work: Work, task: Task, report: Awaited, wait: Step | None) -> Step | None:
    """The step that ends a wait, when it is over: with the event, or without one."""
    sent = _take_signal(scope, work, task, report.name)
    if sent is not None:
        return Step(task=task.seq, name=report.name, kind="event", at=scope.now, value=sent.payload)
    due_at = _deadline(scope, report, wait)
    if due_at is not None and due_at <= scope.now:
        return Step(task=task.seq, name=report.name, kind="timeout", at=scope.now)
    return None


def _deadline(scope: Scope, report: Awaited, wait: Step | None) -> float | None:
    if wait is not None:
        return wait.due_at
    return None if report.timeout is None else scope.now + report.timeout


def _noted(scope: Scope, work: Work, task: Task, report: Noted) -> Answer:
    if report.again and report.logs and _kept(scope, work, task) >= report.before + len(report.logs):
        return Answer(stop=work.executions[task.execution].paused)
    execution, after, events = states.note(work.executions[task.execution], task, report.progress, report.logs, scope.now)
    work.put(execution, [after], events)
    return Answer(stop=execution.paused)


def _kept(scope: Scope, work: Work, task: Task) -> int:
    """Lines that are kept of those that were told under the task's lease."""
    work.save()  # the batch may have some of them
    return scope.transaction.lines(task.execution, task.id)


def _known(scope: Scope, work: Work, task: Task, name: str) -> Step | None:
    """The step of this name, when the task has it already."""
    saved = scope.transaction.steps([task.seq], name)
    just_now = [step for step in work.steps if (step.task, step.name) == (task.seq, name)]
    return next(reversed([*saved, *just_now]), None)


def _take_signal(scope: Scope, work: Work, task: Task, name: str) -> Signal | None:
    """The first event of this name that nobody has taken, taken now."""
    taken = {(signal.execution, signal.id) for signal in work.signals}
    for signal in scope.transaction.signals(task.execution, name=name):
        if (signal.execution, signal.id) not in taken:
            work.signals.append(replace(signal, taken=True))
            return signal
    return None


def _step(scope: Scope, work: Work, task: Task, event: states.TaskEvent) -> Execution:
    before = work.executions[task.execution]
    after = work.step(task, event).execution
    scope.moved(before, after)
    return after


def fail_fast(scope: Scope, work: Work, execution: Execution) -> None:
    """End the others, when a task has failed of an execution that wants it so."""
    if execution.policy.fail_fast and execution.failed and not execution.done:
        work.save()
        open_tasks = scope.transaction.tasks_in(execution.seq, states.OPEN)
        take_over(scope, work, execution, states.fail_fast(execution, open_tasks, scope.now), open_tasks)


def take_over(scope: Scope, work: Work, before: Execution, whole: states.Whole, tasks: list[Task]) -> Execution:
    """Keep what a verb made of an execution and of these tasks; their workers are told."""
    if whole.event is None:
        return before
    after = whole.execution
    work.put(after, whole.tasks, [whole.event])
    running = [task.lease for task in tasks if task.status is JobStatus.RUNNING]
    if after.done:
        scope.effects.revoked += running
    elif after.paused:
        scope.effects.stopped += running
    scope.moved(before, after)
    return after


_REPORTS: Final[dict[type[Report], Callable[[Scope, Work, Task, Any], Answer]]] = {
    Completed: _ended,
    Failed: _failed,
    Released: _ended,
    Crashed: _crashed,
    Stepped: _stepped,
    Slept: _slept,
    Awaited: _awaited,
    Noted: _noted,
}
