"""Creates: one execution, or a batch of them."""

from collections.abc import Sequence
from typing import Any

from ..core import states
from ..core.records import Execution, Task
from ..core.requests import Create
from ..errors import Conflict, KeyInUse, RequestError, TooManyRequests
from ..words import JobStatus, OnConflict
from .commands import CreateBatch, CreateExecution
from .effects import Created, Told
from .scope import Outcome, Scope, guarded

New = tuple[Execution, Sequence[Task]]


def create(scope: Scope, commands: list[CreateExecution]) -> list[Outcome]:
    """Answers Created to each."""
    creates = [command.create for command in commands]
    if any(map(_may_not_queue, creates)):
        return guarded(_create_limited, scope, commands)
    return list(_insert(scope, [_new(scope, create) for create in creates]))


def create_batch(scope: Scope, commands: list[CreateBatch]) -> list[Outcome]:
    """Answers a list of Created to each: all new, or all there already."""
    return guarded(_create_batch, scope, commands)


def _may_not_queue(create: Create) -> bool:
    return create.on_conflict is not OnConflict.QUEUE or not create.allow_queue


def _create_limited(scope: Scope, command: CreateExecution) -> Created:
    """For a create that may have to be refused, or to join another one."""
    new = _new(scope, command.create)
    execution, transaction = new[0], scope.transaction
    [existing] = transaction.insert([new])  # first of all: one that is there already is answered whatever the limits say
    if existing is not None:
        return Created(existing, "existing")
    instead = _instead(scope, execution, command.create)
    if instead is None:
        return _created(scope, execution, None)
    transaction.remove([each.seq for each in transaction.find(execution.workspace, [execution.id])])
    if isinstance(instead, Created):
        return instead
    raise instead


def _create_batch(scope: Scope, command: CreateBatch) -> list[Created]:
    # Named after the batch, so that two that race to make it make the same.
    news = [_new(scope, create, f"{command.id}-{place}", command.id) for place, create in enumerate(command.creates)]
    _refuse_repeats([execution for execution, _ in news])
    answers = scope.transaction.insert(news)
    taken = [place for place, existing in enumerate(answers) if existing is not None]
    same = all(existing is not None and existing.batch == command.id for existing in answers)
    if taken and not same:
        found = scope.transaction.find(
            news[0][0].workspace, [new.id for place, (new, _) in enumerate(news) if place not in set(taken)]
        )
        scope.transaction.remove([execution.seq for execution in found])
        what = f"items[{taken[0]}]"
        raise Conflict(f"{what}: its execution id or idempotency key is in use; nothing was created", path=what)
    return [_created(scope, new, existing) for (new, _), existing in zip(news, answers, strict=True)]


def _refuse_repeats(executions: list[Execution]) -> None:
    seen: set[tuple[str, ...]] = set()
    for place, execution in enumerate(executions):
        names = _names(execution)
        if names & seen:
            what = f"items[{place}]"
            raise Conflict(f"{what}: an item before it has the same execution id or idempotency key", path=what)
        seen |= names


def _new(scope: Scope, create: Create, id: str | None = None, batch: str | None = None) -> New:
    definition = scope.definition_of(create.workspace, create.job)
    return create.records(create.execution_id or id or scope.rules.new_id(), scope.now, definition, batch)


def _instead(scope: Scope, new: Execution, create: Create) -> Created | RequestError | None:
    """What a create is answered that may not have this execution, which was just made for it."""
    key = new.concurrency_key
    if key is not None:
        [first] = scope.transaction.keyed(new.workspace, new.job, key)
        waits = first.id != new.id and first.status is JobStatus.PENDING and first.started_at is None
        if create.on_conflict is OnConflict.COALESCE and waits:
            return Created(first, "coalesced")
        if create.on_conflict is OnConflict.REJECT and (waits or scope.slots.full(new, of_key=True)):
            return KeyInUse(f"the concurrency key {key!r} of the job {new.job!r} is in use", path="concurrencyKey")
    if not create.allow_queue and scope.slots.full(new):
        return TooManyRequests(f"the job {new.job!r} is at its limit, and the request does not allow to queue", path="allowQueue")
    return None


def _insert(scope: Scope, news: list[New]) -> list[Created]:
    if len(news) == 1:
        return [_created(scope, news[0][0], scope.transaction.insert(news)[0])]
    outcomes: list[Any] = [None] * len(news)
    for group in _without_repeats([execution for execution, _ in news]):
        taken = scope.transaction.insert([news[place] for place in group])
        for place, existing in zip(group, taken, strict=True):
            outcomes[place] = _created(scope, news[place][0], existing)
    return outcomes


def _created(scope: Scope, new: Execution, existing: Execution | None) -> Created:
    if existing is not None:
        return Created(existing, "existing")
    if new.waiting_for is None:
        scope.effects.ready.add((new.workspace, new.job))
    scope.effects.told.append(Told(new, states.created(new)))
    return Created(new, "created")


def _names(execution: Execution) -> set[tuple[str, ...]]:
    """What no two executions may have in common."""
    names: set[tuple[str, ...]] = {(execution.workspace, execution.id)}
    if execution.idempotency_key is not None:
        names.add((execution.workspace, execution.job, execution.idempotency_key))
    return names


def _without_repeats(executions: list[Execution]) -> list[list[int]]:
    """Places in groups within which no id and no key stands twice. One group, but for callers that race with the same key."""
    groups: list[tuple[set[tuple[str, ...]], list[int]]] = []
    for place, execution in enumerate(executions):
        names = _names(execution)
        for seen, places in groups:
            if not names & seen:
                seen.update(names)
                places.append(place)
                break
        else:
            groups.append((names, [place]))
    return [places for _, places in groups]
