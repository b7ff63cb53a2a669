"""What the handlers of a batch's commands share: the transaction, the time, the rules, and what is noted on the way."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from ..core.records import Definition, Execution, Task
from ..errors import JobsError, NotFound
from ..stores.base import Transaction
from .commands import Command
from .effects import Effects, Gate, Rules
from .slots import DefinitionOf, Slots
from .work import Work

Outcome = Any | JobsError
C = TypeVar("C", bound=Command)


class OnExecution(Protocol):
    """A command that names an execution; of a job, or of any."""

    @property
    def workspace(self) -> str: ...
    @property
    def job(self) -> str | None: ...
    @property
    def id(self) -> str: ...


class Scope:
    """One transaction, at one time."""

    __slots__ = ("_defined", "_left", "_slots", "definition_of", "effects", "now", "rules", "transaction")

    def __init__(self, transaction: Transaction, rules: Rules, now: float) -> None:
        self.transaction = transaction
        self.rules = rules
        self.now = now
        self.effects = Effects()
        self._defined: dict[tuple[str, str], Definition] = {}
        self.definition_of = rules.definition_of
        """The job's definition, as it is by now."""
        self._slots: Slots | None = None
        self._left: dict[Gate, float] = {}

    @property
    def slots(self) -> Slots:
        """Those of this transaction."""
        if self._slots is None:
            self._slots = Slots(self.transaction, self.definition_of)
        return self._slots

    def work(self, rows: Iterable[tuple[Task, Execution]] = ()) -> Work:
        """Records to be stepped and saved."""
        return Work(self.transaction, self.effects, self.now, rows)

    def define(self, definition: Definition) -> None:
        """Keep a job's definition, which holds from now on."""
        self.transaction.define(definition)
        self.effects.defined.append(definition)
        self._defined[definition.workspace, definition.job] = definition
        # No method: the scope would have slots that have the scope, and wait, with all that it has, for the garbage collector.
        self.definition_of = _known(self._defined, self.rules.definition_of)
        self._slots = None  # they go by the definition before
        self.reconsider(definition.workspace, definition.job)

    def reconsider(self, workspace: str, job: str) -> None:
        """Note that more of a job may have a slot, of its keys too."""
        self._left[workspace, job, None] = math.inf

    def find(self, command: OnExecution) -> Execution:
        """The execution that a command names. Raises NotFound."""
        found = self.transaction.find(command.workspace, [command.id])
        if not found or command.job not in (None, found[0].job):
            raise no_such_execution(command.job, command.id)
        return found[0]

    def moved(self, before: Execution, after: Execution) -> None:
        """Note that an execution gave its slot back, or left the line for one: others may have its place."""
        if (after.done or after.paused) and not (after.slot or before.done):
            self.leaves(after)

    def leaves(self, execution: Execution) -> None:
        """Note that others may have the place of this execution."""
        for gate, _ in self.slots.gates(execution):
            self._left[gate] = math.inf

    def go_on(self) -> None:
        """Wake those, too, that transactions before left parked, having woken enough."""
        if self.rules.waking:
            self._left = {**self.rules.waking, **self._left}

    def give_back(self) -> None:
        """Wake those that are parked behind the ones that left, as far as one transaction does."""
        if self._left:
            left, self._left = self._left, {}
            self.effects.waking.update(self.slots.wake(self.work(), left))

    @property
    def wakes_more(self) -> bool:
        """Are there some with room that are left to another transaction."""
        return any(more > 0 for more in self.effects.waking.values())


def _known(defined: Mapping[tuple[str, str], Definition], before: DefinitionOf) -> DefinitionOf:
    def definition_of(workspace: str, job: str) -> Definition | None:
        return defined.get((workspace, job)) or before(workspace, job)

    return definition_of


def guarded(handle: Callable[[Scope, C], Outcome], scope: Scope, commands: Iterable[C]) -> list[Outcome]:
    """The outcome of each command by itself: what it answers, or the error that it fails with."""
    outcomes: list[Outcome] = []
    for command in commands:
        try:
            outcomes.append(handle(scope, command))
        except JobsError as error:
            outcomes.append(error)
    return outcomes


def no_such_execution(job: str | None, id: str) -> NotFound:
    """The error for an id that there is not, or not of this job."""
    return NotFound(f"there is no execution {id!r}" if job is None else f"job {job!r} has no execution {id!r}", path="executionId")
