"""What is stored: an execution, its tasks, its events. Immutable; a change makes a new record.

Instants are seconds since 1970 (float, UTC). Free-form JSON (inputs, results) is kept as the text that it arrives as.
`seq` is the store's own number of a row; 0 until it is stored. No record can hold a cycle, so the collector need not track them
(`gc=False`): with many of them in memory, looking through them would cost more than making them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, overload

from msgspec import Struct

from ..words import TERMINAL, FailureKind, JobStatus, WaitingFor

Json = str
"""A JSON document as text."""
_PENDING: Final = JobStatus.PENDING
_WORKER: Final = WaitingFor.WORKER


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


class RetryPolicy(Struct, frozen=True, omit_defaults=True, gc=False):
    """How long to wait before a task is tried again: `initial` seconds before the first retry, `factor` times more before each
    next one, `max` at most. With full jitter that is the bound of a random wait."""

    initial: float = 1.0
    factor: float = 2.0
    max: float = 300.0
    jitter: Literal["full", "none"] = "full"


class Policy(Struct, frozen=True, omit_defaults=True, gc=False):
    """How an execution is retried and timed: what its create said, and for the rest what its job's definition said then.

    None is what nobody said.
    """

    bound: bool = False
    """The definition has been asked. One that is created before its job is defined asks at its first claim."""
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    timeout: float | None = None
    """Seconds from its first start to its end, without pauses."""
    fail_fast: bool = False
    """The first task that fails ends the others."""

    def over(self, other: "Policy") -> "Policy":
        """This one, and what the other says where this says nothing; bound."""
        return Policy(
            bound=True,
            max_retries=other.max_retries if self.max_retries is None else self.max_retries,
            retry=self.retry or other.retry,
            timeout=other.timeout if self.timeout is None else self.timeout,
            fail_fast=self.fail_fast or other.fail_fast,
        )


UNSAID: Final = Policy()
BOUND: Final = Policy(bound=True)


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A job's definition, as a worker registered it: the defaults of its executions, and the limits of the job."""

    workspace: str
    job: str
    updated_at: float = 0.0
    queue: str = "default"
    policy: Policy = BOUND
    priority: int | None = None
    concurrency: int | None = None
    """How many of its executions hold a slot at once."""
    concurrency_per_key: int = 1
    """The same for each concurrency key."""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    document: dict[str, Any] | None = None
    """The job as a client of the platform's API described it: kept to be shown again."""
    registered: Policy | None = None
    """What a worker said, where the document may have said more."""
    created_at: float = 0.0
    """When that was first done."""
    removed: bool = False
    """Nothing is left of it but its name."""


class Progress(Struct, frozen=True, omit_defaults=True, gc=False):
    """How far a handler is."""

    current: float
    total: float | None = None
    message: str | None = None


class Attempt(Struct, frozen=True, omit_defaults=True, gc=False):
    """One try of a task that was not the last."""

    number: int
    worker: str | None
    started_at: float
    ended_at: float
    outcome: Literal["error", "lost"]
    error: Failure | None = None


MAX_HISTORY: Final = 100
"""Attempts that a task remembers: the newest."""


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
    auto_start: bool = True
    run_at: float | None = None
    """When it may start, where its create said so."""
    said: dict[str, Any] = {}
    """Options of its create that are not kept as they were said: what a definition may say too. To know the same create again."""


class Execution(Struct, frozen=True, kw_only=True, gc=False):
    """One run of a job. The counts say how many of its tasks are in which status; they decide its own."""

    seq: int = 0
    version: int = 1
    """Also the number of its newest event: every change that is told makes exactly one of each."""
    workspace: str
    id: str
    job: str
    priority: int
    """JobPriority.rank: 0 is taken first."""
    status: JobStatus = JobStatus.PENDING
    waiting_for: WaitingFor | None = None
    """Why it is pending, unless it only waits for a worker."""
    wait_until: float | None = None
    """When that wait ends by itself."""
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
    batch: str | None = None
    concurrency_key: str | None = None
    slot: bool = False
    """It counts against the limits of its job and of its key: from its first claim until it ends, or is paused and stands still."""
    paused: bool = False
    deadline: float | None = None
    """When its time is up: from its first start on, but not while it is paused."""
    time_left: float | None = None
    """Seconds until then, while it is paused."""
    policy: Policy = UNSAID
    progress: Progress | None = None
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
    index: int
    id: str
    priority: int
    status: JobStatus = JobStatus.PENDING
    waiting_for: WaitingFor | None = None
    """Why it is pending or paused, unless it only waits for a worker. A paused task keeps it until it is resumed."""
    due_at: float | None = None
    """When something happens to it by itself: its lease ends, or what it waits for is due."""
    awaiting: str | None = None
    """The name of the event that it waits for."""
    input: Json
    attempt: int = 0
    """How many times it was tried."""
    continues: bool = False
    """It was suspended or given back, so that its next claim goes on with the same attempt."""
    errors: int = 0
    """How many attempts ended in an error, since it was created or retried."""
    losses: int = 0
    """How many times it was lost with its worker, since then."""
    token: int = 0
    worker: str | None = None
    created_at: float
    updated_at: float
    started_at: float | None = None
    ended_at: float | None = None
    progress: Progress | None = None
    result: Json | None = None
    error: Failure | None = None
    """Of its last attempt."""
    history: tuple[Attempt, ...] = ()
    """The attempts before the last, the oldest first; of very many the newest."""

    @property
    def done(self) -> bool:
        return self.status in TERMINAL

    @property
    def ready(self) -> bool:
        """It waits for nothing but a worker."""
        return self.status is _PENDING and (self.waiting_for is None or self.waiting_for is _WORKER)

    @property
    def size(self) -> int:
        """Bytes of its input and its result."""
        return _size(self.input) + (0 if self.result is None else _size(self.result))

    @property
    def lease(self) -> "LeaseRef":
        return LeaseRef(self.seq, self.token)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """A checkpoint that a task took, named uniquely within it."""

    task: int
    """`seq` of its task."""
    name: str
    kind: Literal["value", "sleep", "wait", "event", "timeout"]
    """`wait` is the only one that may still change: the event has not come."""
    at: float
    value: Json | None = None
    """What the step returned, or the payload of the event."""
    due_at: float | None = None
    """When the sleep, or the wait, ends."""

    @property
    def size(self) -> int:
        """Bytes of its name and its value."""
        return _size(self.name) + (0 if self.value is None else _size(self.value))


RESTS: Final = ("sleep", "wait")
"""The kinds of steps that may still go on, without a worker."""


class Signal(Struct, frozen=True, kw_only=True, gc=False):
    """An event that was sent to an execution. The first wait for its name takes it."""

    execution: int
    id: str
    name: str
    payload: Json
    at: float
    taken: bool = False


class NewTasks(Sequence[Task]):
    """The tasks of a new execution. Each is made when it is asked for, so that a store in memory need not hold them."""

    __slots__ = ("_execution", "_inputs")

    def __init__(self, execution: Execution, inputs: Sequence[Json]) -> None:
        self._execution = execution
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

    @property
    def ready(self) -> bool:
        """They wait for nothing but a worker."""
        waiting_for = self._execution.waiting_for
        return waiting_for is None or waiting_for is _WORKER

    def parts(self) -> Iterator[tuple[int, str, Json]]:
        """Index, id and input of each: all in which the tasks of an execution differ."""
        return ((index, f"task-{index}", given) for index, given in enumerate(self._inputs))

    def make(self, index: int, seq: int = 0, execution: int = 0) -> Task:
        """The task at this place, with the store's numbers."""
        new = self._execution
        return Task(
            seq=seq, execution=execution, workspace=new.workspace, job=new.job, index=index, id=f"task-{index}",
            priority=new.priority, waiting_for=new.waiting_for, due_at=new.wait_until, input=self._inputs[index],
            created_at=new.created_at, updated_at=new.created_at,
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
    data: Json | None = None
    """More about it, by its type."""


class StoredStep(Struct, frozen=True, omit_defaults=True, gc=False):
    """A step as a worker gets it, for the replay."""

    name: str
    kind: Literal["value", "sleep", "wait", "event", "timeout"]
    value: Json | None = None
    remaining: float = 0.0
    """Seconds that a sleep has left."""


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
    timeout: float | None = None
    """Seconds until the execution's time is up."""
    steps: tuple[StoredStep, ...] = ()
    """What the task has stored, in the order in which it did."""

    @classmethod
    def of(cls, task: Task, execution: Execution, now: float, steps: Sequence[Step] = ()) -> "Leased":
        """The lease that a claim of this task made."""
        return cls(
            lease=task.lease, workspace=task.workspace, job=task.job, execution_id=execution.id, task_id=task.id, index=task.index,
            attempt=task.attempt, input=task.input, metadata=execution.spec.custom or {}, env=execution.spec.env or {},
            timeout=None if execution.deadline is None else max(0.0, execution.deadline - now),
            steps=tuple(
                StoredStep(step.name, step.kind, step.value, 0.0 if step.due_at is None else max(0.0, step.due_at - now))
                for step in steps
            ) if steps else (),
        )  # fmt: skip
