"""What a batch has loaded: each record stepped from what the step before made of it, and saved once."""

from collections.abc import Iterable

from msgspec.structs import replace

from ..core import states
from ..core.records import Event, Execution, Signal, Step, Task
from ..stores.base import Transaction
from ..words import JobStatus
from .effects import Effects, Told


class Work:
    """The records of some tasks and their executions."""

    def __init__(self, transaction: Transaction, effects: Effects, now: float, rows: Iterable[tuple[Task, Execution]] = ()) -> None:
        self.transaction = transaction
        self.effects = effects
        self.now = now
        self.tasks = {}
        self.executions: dict[int, Execution] = {}
        for task, execution in rows:
            self.tasks[task.seq] = task
            self.executions[execution.seq] = execution
        self.steps: list[Step] = []
        self.signals: list[Signal] = []
        self._touched: dict[int, None] = {}
        self._stepped: dict[int, Task] = {}
        self._events: list[Event] = []

    def step(self, task: Task, event: states.TaskEvent) -> states.Change:
        """Apply an event to a task. Raises IllegalTransition."""
        change = states.step(self.executions[task.execution], task, event, self.now)
        execution, after = change.execution, change.task
        self.executions[execution.seq] = execution
        self.tasks[after.seq] = self._stepped[after.seq] = after
        began = task.updated_at if type(event) is states.Claimed else task.started_at if after.done else None
        self._tell(execution, change.event, None if began is None else self.now - began, after.attempt)
        if after.status is JobStatus.PENDING:
            self._offer(after)
        elif type(event) is states.Claimed and execution.deadline is not None:
            self.effects.due = min(self.effects.due, execution.deadline)
        return change

    def move(self, task: Task, event: states.Woken | states.Parked) -> None:
        """Change what a task waits for."""
        execution, after = states.move(self.executions[task.execution], task, event, self.now)
        self.executions[execution.seq] = execution
        self.tasks[after.seq] = self._stepped[after.seq] = after
        self._touched[execution.seq] = None
        if after.ready:
            self._offer(after)

    def put(self, execution: Execution, tasks: Iterable[Task] = (), events: Iterable[Event] = ()) -> None:
        """Take over what something else than a step made of an execution."""
        self.executions[execution.seq] = execution
        self._touched[execution.seq] = None
        if execution.deadline is not None:
            self.effects.due = min(self.effects.due, execution.deadline)
        for task in tasks:
            self.tasks[task.seq] = self._stepped[task.seq] = task
            if task.status is JobStatus.PENDING:
                self._offer(task)
        for event in events:
            self._tell(execution, event)

    def _offer(self, task: Task) -> None:
        """A pending task: it can be claimed, now or when it is due."""
        if task.ready:
            self.effects.ready.add((task.workspace, task.job))
        elif task.due_at is not None:
            self.effects.due = min(self.effects.due, task.due_at)

    def save(self) -> None:
        """Write back what has changed."""
        if self._touched or self.steps or self.signals:
            self._say_why_they_wait()
            executions = [self.executions[seq] for seq in self._touched]
            self.transaction.save(executions, self._stepped.values(), self._events, self.steps, self.signals)
            self._touched, self._stepped, self._events, self.steps, self.signals = {}, {}, [], [], []

    def _say_why_they_wait(self) -> None:
        """Of executions with several tasks: which of them moved last says nothing about the others."""
        several = [each for seq in self._touched if (each := self.executions[seq]).total > 1 and each.status is JobStatus.PENDING]
        if several:
            self.transaction.save((), self._stepped.values(), ())
            self._stepped = {}
        for execution in several:
            why, until = states.foremost(self.transaction.waits(execution.seq))
            self.executions[execution.seq] = replace(execution, waiting_for=why, wait_until=until)

    def _tell(self, execution: Execution, event: Event, seconds: float | None = None, attempt: int | None = None) -> None:
        self._touched[execution.seq] = None
        self._events.append(event)
        self.effects.told.append(Told(execution, event, seconds, attempt))
        self.effects.changed[execution.workspace, execution.id] = execution.done
