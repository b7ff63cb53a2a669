"""The state of a mock as one JSON document: what its store holds, and what time it is there."""

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from blaxel_jobs.core.records import Definition, Event, Execution, LeaseRef, Signal, Step, Task
from blaxel_jobs.errors import InvalidRequest
from blaxel_jobs.stores import JobStore
from blaxel_jobs.stores.base import ALL, Position
from blaxel_jobs.words import JobStatus

FORMAT: Final = 1
_MOST: Final = 2**31


class Saved(Struct, frozen=True):
    """All that there is of one execution."""

    execution: Execution
    tasks: list[Task]
    events: list[Event]
    """But for the first, which the execution tells by itself."""
    steps: list[Step]
    signals: list[Signal]


class State(Struct, frozen=True, kw_only=True):
    """What a mock is set back to. Tasks that were running are taken over by another worker, as after a crash."""

    format: int = FORMAT
    elapsed: float
    """Seconds of the mock's time since it began."""
    began: float
    """When that was: seconds since 1970."""
    ids: tuple[int, int]
    """How many ids were made, and the last one's number."""
    definitions: list[Definition]
    executions: list[Saved]
    """The oldest first."""

    def encode(self) -> bytes:
        """JSON text."""
        return msgspec.json.encode(self)


def decode(text: bytes) -> State:
    """Raises InvalidRequest."""
    try:
        state = msgspec.json.decode(text, type=State)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"this is not the state of a mock: {error}") from None
    if state.format != FORMAT:
        raise InvalidRequest(f"this state is of format {state.format}, and this release reads {FORMAT}", path="format")
    return state


def read_store(store: JobStore, workspaces: list[str]) -> dict[str, Any]:
    """The fields of a State that a store knows."""
    executions = sorted(
        (one for workspace in workspaces for one in store.page(workspace, ALL, Position(), _MOST)), key=lambda one: one.seq
    )
    saved = []
    with store.begin() as transaction:
        for one in executions:
            tasks = transaction.tasks_in(one.seq, tuple(JobStatus))
            steps = transaction.steps([task.seq for task in tasks])
            events = store.events(one.workspace, one.seq, 1, _MOST)
            saved.append(Saved(one, tasks, events, steps, transaction.signals(one.seq)))
    return {"executions": saved, "definitions": store.definitions()}


def write_store(store: JobStore, state: State) -> list[LeaseRef]:
    """Fill an empty store. The answer is the leases of tasks that were running."""
    running = []
    with store.begin() as transaction:
        for definition in state.definitions:
            transaction.define(definition)
        for saved in state.executions:
            workspace, id = saved.execution.workspace, saved.execution.id
            transaction.insert([(saved.execution, saved.tasks)])
            seq = transaction.find(workspace, [id])[0].seq
            tasks = transaction.tasks_in(seq, tuple(JobStatus))
            number = {before.seq: now.seq for before, now in zip(saved.tasks, tasks, strict=True)}
            transaction.save(
                (),
                (),
                [replace(event, execution=seq) for event in saved.events],
                [replace(step, task=number[step.task]) for step in saved.steps],
                [replace(signal, execution=seq) for signal in saved.signals],
            )
            running += [task.lease for task in tasks if task.status is JobStatus.RUNNING]
    return running
