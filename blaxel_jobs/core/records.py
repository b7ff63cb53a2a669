"""What is stored: an execution, its tasks, its events. Immutable; a change makes a new record.

Instants are seconds since 1970 (float, UTC). Free-form JSON (inputs, results) is kept as the text that it arrives as.
`seq` is the store's own number of a row; 0 until it is stored. No record can hold a cycle, so the collector need not track them
(`gc=False`): with many of them in memory, looking through them would cost more than making them.
"""

from collections.abc import Sequence
from typing import Any, overload

from msgspec import Struct

from ..words import TERMINAL, FailureKind, JobStatus, WaitingFor

Json = str
"""A JSON document as text."""


class Failure(Struct, frozen=True, omit_defaults=True, gc=False):
    """Why an execution or a task failed."""

    kind: FailureKind
    type: str
    message: str
    trace: str | None = None


class Recovery(Struct, frozen=True, gc=False):
    """One time that a task was taken back from a worker that was lost."""

    at: float
    task: str
    worker: str
    reason: str
    attempt: int


class Spec(Struct, frozen=True, omit_defaults=True, gc=False):
    """What an execution was created with and never changes."""

    single: bool = False
    """Made from `input`: one task, whose value is the execution's result."""
    name: str | None = None
    description: str | None = None
    tags: list[str] = []
    custom: dict[str, Any] | None = None
    env: dict[str, str] | None = None
    memory: int | None = None


class Execution(Struct, frozen=True, kw_only=True, gc=False):
    """One run of a job. The counts say how many of its tasks are in which status; they decide its own."""

    seq: int = 0
    version: int = 1
    """Also the number of its newest event: every change makes exactly one of each."""
    workspace: str
    id: str
    job: str
    priority: int
    """JobPriority.rank: 0 is taken first."""
    status: JobStatus = JobStatus.PENDING
    total: int
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retried: int = 0
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    idempotency_key: str | None = None
    error: Failure | None = None
    recoveries: tuple[Recovery, ...] = ()
    spec: Spec

    @property
    def done(self) -> bool:
        return self.status in TERMINAL

    @property
    def finished(self) -> int:
        """How many tasks have ended."""
        return self.completed + self.failed + self.cancelled


class Task(Struct, frozen=True, kw_only=True, gc=False):
    """One unit of work of an execution.

    `token` is the fence: it grows with every claim, and a write with an older one is refused.
    """

    seq: int = 0
    execution: int = 0
    """`seq` of its execution."""
    workspace: str
    job: str
    queue: str = "default"
    index: int
    id: str
    priority: int
    status: JobStatus = JobStatus.PENDING
    waiting_for: WaitingFor | None = None
    input: Json
    attempt: int = 0
    """How many times it was started."""
    losses: int = 0
    """How many of those were lost with their worker."""
    token: int = 0
    worker: str | None = None
    lease_until: float | None = None
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    result: Json | None = None
    error: Failure | None = None

    @property
    def done(self) -> bool:
        return self.status in TERMINAL

    @property
    def ready(self) -> bool:
        """It waits for nothing but a worker."""
        return self.status is JobStatus.PENDING and (self.waiting_for is None or self.waiting_for is WaitingFor.WORKER)

    @property
    def size(self) -> int:
        """Bytes of its input and its result."""
        return _size(self.input) + (0 if self.result is None else _size(self.result))

    @property
    def lease(self) -> "LeaseRef":
        return LeaseRef(self.seq, self.token)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class NewTasks(Sequence[Task]):
    """The tasks of a new execution, all ready. Each is made when it is asked for, so that a store in memory need not hold them."""

    __slots__ = ("_execution", "_inputs", "_queue")

    def __init__(self, execution: Execution, queue: str, inputs: Sequence[Json]) -> None:
        self._execution = execution
        self._queue = queue
        self._inputs = inputs

    def __len__(self) -> int:
        return len(self._inputs)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self.make(each) for each in range(len(self))[index]]
        return self.make(range(len(self))[index])

    def make(self, index: int, seq: int = 0, execution: int = 0) -> Task:
        """The task at this place, with the store's numbers."""
        new = self._execution
        return Task(
            seq=seq, execution=execution, workspace=new.workspace, job=new.job, queue=self._queue, index=index, id=f"task-{index}",
            priority=new.priority, input=self._inputs[index], created_at=new.created_at, updated_at=new.created_at,
        )  # fmt: skip


class LeaseRef(Struct, frozen=True, gc=False):
    """Names one lease: a task and the fencing token of one claim of it."""

    task: int
    token: int


class Event(Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened to an execution. `id` counts from 1 in each execution, without gaps."""

    execution: int
    id: int
    at: float
    type: str
    status: JobStatus
    """The execution's status from then on."""
    task: str | None = None
    worker: str | None = None
    error: Failure | None = None


class Leased(Struct, frozen=True, kw_only=True, gc=False):
    """What a worker gets: the lease, and what to run under it."""

    lease: LeaseRef
    workspace: str
    job: str
    execution_id: str
    task_id: str
    index: int
    attempt: int
    input: Json
    metadata: dict[str, Any]
    """The user's own fields of the execution."""
    env: dict[str, str]

    @classmethod
    def of(cls, task: Task, execution: Execution) -> "Leased":
        """The lease that a claim of this task made."""
        return cls(
            lease=task.lease, workspace=task.workspace, job=task.job, execution_id=execution.id, task_id=task.id, index=task.index,
            attempt=task.attempt, input=task.input, metadata=execution.spec.custom or {}, env=execution.spec.env or {},
        )  # fmt: skip
