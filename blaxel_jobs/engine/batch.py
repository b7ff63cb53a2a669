"""Commands applied together, in one transaction: load, decide in the core, save.

The commands of a batch are concurrent (nobody has an answer yet), so they are taken kind by kind, each kind with one load and one
save. A command that cannot be done gets an error for its outcome; it never fails the batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..stores.base import Transaction
from . import claiming, creating, reporting, steering
from .commands import (
    Claim,
    Command,
    CreateBatch,
    CreateExecution,
    Define,
    Delete,
    Extend,
    FoldTallies,
    SendEvent,
    Steer,
    Tell,
    Tick,
    WakeParked,
)
from .effects import Effects, Rules
from .scope import Outcome, Scope

_KINDS: Final[dict[type[Command], Callable[[Scope, list[Any]], list[Outcome]]]] = {
    Define: steering.define,
    WakeParked: steering.wake_parked,
    FoldTallies: steering.fold_tallies,
    CreateExecution: creating.create,
    CreateBatch: creating.create_batch,
    Tell: reporting.tell,
    Steer: steering.steer,
    Delete: steering.delete,
    SendEvent: steering.send_event,
    Extend: claiming.extend,
    Tick: claiming.tick,
    Claim: claiming.claim,
}
"""In the order in which a batch takes them: what frees and what adds comes before what claims."""


def apply(commands: Sequence[Command], transaction: Transaction, rules: Rules, now: float) -> tuple[list[Outcome], Effects]:
    """The outcome of each command, in their order, and what others are to be told of once they are committed."""
    scope = Scope(transaction, rules, now)
    if len(commands) == 1:
        outcomes = _KINDS[type(commands[0])](scope, list(commands))
    else:
        outcomes = [None] * len(commands)
        by_kind: dict[type[Command], list[int]] = {}
        for place, command in enumerate(commands):
            by_kind.setdefault(type(command), []).append(place)
        for kind, handle in _KINDS.items():
            places = by_kind.get(kind)
            if places:
                answers = handle(scope, [commands[place] for place in places])
                for place, answer in zip(places, answers, strict=True):
                    outcomes[place] = answer
    scope.give_back()
    if scope.effects.told:
        tallies = scope.effects.tallies = rules.count(scope.effects.told, now)
        if tallies:
            transaction.count(tallies)
    return outcomes, scope.effects
