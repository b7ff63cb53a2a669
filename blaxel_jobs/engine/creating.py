"""Creates: one execution, or a batch of them."""

from collections.abc import Sequence
from typing import Final

from ..core import states
from ..core.records import Execution, Task
from ..core.requests import Create
from ..errors import Conflict, KeyInUse, RequestError, TooManyRequests
from ..words import JobStatus, OnConflict
from .commands import CreateBatch, CreateExecution
from .effects import Created, Told
from .scope import Outcome, Scope, guarded

New = tuple[Execution, Sequence[Task]]
_QUEUE: Final = OnConflict.QUEUE


def create(scope: Scope, commands: list[CreateExecution]) -> list[Outcome]:
    """Answers Created to each."""
    creates = [command.create for command in commands]
    if any(map(_is_limited, creates)):
        return guarded(_create_limited, scope, commands)
    return _insert(scope, [_new(scope, create) for create in creates])


def create_batch(scope: Scope, commands: list[CreateBatch]) -> list[Outcome]:
    """Answers a list of Created to each: all new, or all there already."""
    return guarded(_create_batch, scope, commands)


def _is_limited(create: Create) -> bool:
    """May it have to be refused, or to join another one."""
    return create.on_conflict is not _QUEUE or not create.allow_queue


def _create_limited(scope: Scope, command: CreateExecution) -> Created:
    """For a create that the limits decide about."""
    new = _new(scope, command.create)
    answers, instead = _insert_limited(scope, [new], [command.create])
    if instead is None:
        return _created(scope, new[0], answers[0])
    if isinstance(instead, Created):
        return instead
    raise instead


def _create_batch(scope: Scope, command: CreateBatch) -> list[Created]:
    # Named after the batch, so that two that race to make it make the same.
    news = [_new(scope, create, f"{command.id}-{place}", command.id) for place, create in enumerate(command.creates)]
    _refuse_repeats([execution for execution, _ in news])
    answers, instead = _insert_limited(scope, news, command.creates)
    if instead is not None:
        assert not isinstance(instead, Created), "a batch does not coalesce"
        what = f"items[{len(answers) - 1}]"
        raise type(instead)(f"{what}: {instead.message}; nothing was created", path=f"{what}.{instead.path}")
    taken = [place for place, existing in enumerate(answers) if existing is not None]
    same = all(existing is not None and existing.batch == command.id for existing in answers)
    if taken and not same:
        _take_back(scope, news, answers)
        what = f"items[{taken[0]}]"
        raise Conflict(f"{what}: its execution id or idempotency key is in use; nothing was created", path=what)
    return [_created(scope, new, existing) for (new, _), existing in zip(news, answers, strict=True)]


def _insert_limited(
    scope: Scope, news: Sequence[New], creates: Sequence[Create]
) -> tuple[list[Execution | None], Created | RequestError | None]:
    """What the store answers to each. The first that the limits do not let in ends it: then nothing is inserted, the last answer is
    that one's, and what it is answered instead comes second."""
    if not any(map(_is_limited, creates)):
        return scope.transaction.insert(news), None
    answers: list[Execution | None] = []
    for new, create in zip(news, creates, strict=True):  # one by one, so that each is decided about by those before it
        [existing] = scope.transaction.insert([new])
        # First of all inserted: one that is there already is answered whatever the limits say.
        instead = _instead(scope, new[0], create) if existing is None else None
        answers.append(existing)
        if instead is not None:
            _take_back(scope, news, answers)
            return answers, instead
    return answers, None


def _take_back(scope: Scope, news: Sequence[New], answers: Sequence[Execution | None]) -> None:
    """In the same transaction: the first of these, but for those that were there already."""
    inserted = [new for (new, _), existing in zip(news, answers, strict=False) if existing is None]
    if inserted:
        found = scope.transaction.find(inserted[0].workspace, [execution.id for execution in inserted])
        scope.transaction.remove([execution.seq for execution in found])


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
    scope.give_back()  # those that have room by now are in line before it
    key = new.concurrency_key
    if key is not None:
        if create.on_conflict is OnConflict.COALESCE:
            [first] = scope.transaction.keyed(new.workspace, new.job, key)
            if first.id != new.id and first.status is JobStatus.PENDING and first.started_at is None:
                return Created(first, "coalesced")
        if create.on_conflict is OnConflict.REJECT and scope.slots.crowded(new, of_key=True):
            return KeyInUse(f"the concurrency key {key!r} of the job {new.job!r} is in use", path="concurrencyKey")
    if not create.allow_queue and scope.slots.crowded(new):
        return TooManyRequests(f"the job {new.job!r} is at its limit, and the request does not allow to queue", path="allowQueue")
    return None


def _insert(scope: Scope, news: list[New]) -> list[Outcome]:
    if len(news) == 1:
        return [_created(scope, news[0][0], scope.transaction.insert(news)[0])]
    outcomes: list[Outcome] = [None] * len(news)
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
    elif new.wait_until is not None:
        scope.effects.due = min(scope.effects.due, new.wait_until)
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
