"""Slots: how many executions of a job, and of a concurrency key of it, may be under way at once.

An execution takes its slot with the first claim of one of its tasks and has it until it ends, or is paused and stands still. One
that gets none is parked: its tasks are ready no more, so that claims do not pass over them again and again. Whoever gives a slot
back wakes the first that are parked, in the same transaction. Slots in use are counted from the executions that have one.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from ..core import states
from ..core.records import Definition, Execution
from ..stores.base import Transaction
from ..words import JobStatus, WaitingFor
from .effects import Gate
from .work import Work

WINDOW: Final = 250
"""Parked executions that are looked at together; those of a key that turns out to be full are left out then."""
WAKE_LIMIT: Final = 250
"""Tasks that are put back in line in one transaction: heartbeats and reports wait for it. An execution is woken as a whole."""

DefinitionOf = Callable[[str, str], Definition | None]


class Slots:
    """The slots of one transaction."""

    def __init__(self, transaction: Transaction, definition_of: DefinitionOf) -> None:
        self._transaction = transaction
        self._definition_of = definition_of
        self._used: dict[Gate, int] = {}
        """As counted in this transaction, and moved by what it takes; forgotten when something is given back."""
        self._room = WAKE_LIMIT

    def take(self, execution: Execution) -> Execution | None:
        """The execution, with a slot where it needs one; None when there is none for it."""
        if execution.slot or execution.running:  # one that began before there was a limit runs on without
            return execution
        gates = self.gates(execution)
        if not gates:
            return execution
        if any(self._free(gate, limit) <= 0 for gate, limit in gates):
            return None
        for gate, _ in gates:
            self._used[gate] += 1
        return replace(execution, slot=True)

    def crowded(self, execution: Execution, *, of_key: bool = False) -> bool:
        """Would this execution, which was just created, have to wait for a slot, or, alone, for one of its key: because of those
        that have one, and of those that were there before it and will take one."""
        for gate, limit in self.gates(execution):
            if gate[2] is None and of_key:
                continue
            free = self._free(gate, limit)
            if free <= 0 or free <= (self._in_line(execution) if gate[2] is None else self._not_begun(execution, limit)):
                return True
        return False

    def gates(self, execution: Execution) -> list[tuple[Gate, int]]:
        """What limits this execution, each with its limit."""
        workspace, job, key = execution.workspace, execution.job, execution.concurrency_key
        definition = self._definition_of(workspace, job)
        gates: list[tuple[Gate, int]] = []
        if definition is not None and definition.concurrency is not None:
            gates.append(((workspace, job, None), definition.concurrency))
        if key is not None:
            gates.append(((workspace, job, key), 1 if definition is None else definition.concurrency_per_key))
        return gates

    def park(self, work: Work, execution: Execution) -> int:
        """Take its tasks out of the line. Returns how many those are."""
        ready = [task for task in self._transaction.tasks_in(execution.seq, (JobStatus.PENDING,)) if task.ready]
        for task in ready:
            work.move(task, states.Parked())
        return len(ready)

    def wake(self, work: Work, gates: Mapping[Gate, float]) -> dict[Gate, float]:
        """There may be room at these gates, for so many at most: put the first that are parked there back in line. Answers for how
        many there is still room at each: another transaction is to go on there."""
        self._used.clear()
        more: dict[Gate, float] = {}
        for gate, most in gates.items():
            more[gate] = self._wake_at(work, gate, most)
            work.save()
        self._used.clear()
        return more

    def _wake_at(self, work: Work, gate: Gate, most: float) -> float:
        limit = self._limit(gate)
        full: set[str] = set()
        while (most := min(most, self._free(gate, limit))) > 0 and self._room > 0:
            parked = self._transaction.parked(*gate, WINDOW, full)
            before = self._room, len(full)
            for execution in parked:
                if execution.concurrency_key in full:
                    continue
                if min(most, self._free(gate, limit), self._room) <= 0:
                    break
                if self.take(execution) is not None:
                    most -= 1
                    self._room -= self._unpark(work, execution)
                elif (key := self._full_key(execution)) is None:
                    return 0
                else:
                    full.add(key)
            else:
                if len(parked) < WINDOW or before == (self._room, len(full)):
                    return 0
            work.save()  # the next ones that are parked are others
        return most

    def _full_key(self, execution: Execution) -> str | None:
        """The key that has no slot for it; None where the job has none."""
        full = [gate[2] for gate, limit in self.gates(execution) if self._free(gate, limit) <= 0]
        return None if None in full else full[0]

    def _unpark(self, work: Work, execution: Execution) -> int:
        """Put its tasks back in line. Returns how many those are."""
        work.executions.setdefault(execution.seq, execution)
        parked = [
            task
            for task in self._transaction.tasks_in(execution.seq, (JobStatus.PENDING,))
            if task.waiting_for is WaitingFor.CONCURRENCY
        ]
        for task in parked:
            work.move(task, states.Woken())
        return len(parked)

    def _not_begun(self, execution: Execution, most: int) -> int:
        """How many others of its key are still to begin, also those whose time has not come."""
        assert execution.concurrency_key is not None, "asked for a key"
        found = self._transaction.keyed(execution.workspace, execution.job, execution.concurrency_key, most + 1)
        return sum(each.status is JobStatus.PENDING and each.started_at is None and each.id != execution.id for each in found)

    def _in_line(self, execution: Execution) -> float:
        """How many others of its job will take a slot as soon as a worker asks. Those behind a key that is full will not."""
        found = self._transaction.claimable(execution.workspace, [execution.job], WINDOW)
        others = {each.seq: each for _, each in found if not (each.slot or each.running) and each.id != execution.id}
        by_key = Counter(each.concurrency_key for each in others.values())
        gates = {key: (execution.workspace, execution.job, key) for key in by_key}
        return sum(
            number if key is None else min(number, max(0, self._free(gates[key], self._limit(gates[key]))))
            for key, number in by_key.items()
        )

    def _limit(self, gate: Gate) -> float:
        workspace, job, key = gate
        definition = self._definition_of(workspace, job)
        if key is None:
            return math.inf if definition is None or definition.concurrency is None else definition.concurrency
        return 1 if definition is None else definition.concurrency_per_key

    def _free(self, gate: Gate, limit: float) -> float:
        used = self._used.get(gate)
        if used is None:
            used = self._used[gate] = self._transaction.holders(*gate)
        return limit - used
