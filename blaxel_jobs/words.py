"""The words that every part shares: statuses, priorities, reasons to wait, kinds of failure.

On the wire all of them are text. A word that a client does not know is kept as text, never an exception.
"""

from enum import StrEnum
from typing import Final

CONTRACT: Final = "1"
"""The value of the `Jobs-Contract` header: the version of openapi.yaml that this release speaks."""
ELAPSED: Final = "Mock-Elapsed"
"""Header of a mock's answer: how many seconds of the server's own time the request took."""
SLEPT: Final = "Mock-Slept"
"""Header of a request to a mock: how many seconds its sender would have slept before it, had time been real."""


class JobStatus(StrEnum):
    """The status of an execution and of a task. The last three are terminal."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL: Final = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class JobPriority(StrEnum):
    """Which execution is taken first. Nothing that runs is pre-empted."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is taken first; stores sort by this."""
        return _RANKS[self]


_RANKS: Final = {priority: rank for rank, priority in enumerate(JobPriority)}


class WaitingFor(StrEnum):
    """Why something that has not ended does not run."""

    START = "start"
    TIME = "time"
    EVENT = "event"
    DEPENDENCIES = "dependencies"
    CONCURRENCY = "concurrency"
    RETRY = "retry"
    WORKER = "worker"


class OnConflict(StrEnum):
    """What a create does when its concurrency key is in use."""

    QUEUE = "queue"
    COALESCE = "coalesce"
    REJECT = "reject"


class FailureKind(StrEnum):
    """What kind of thing ended a task."""

    ERROR = "error"
    TIMEOUT = "timeout"
    PERMANENT = "permanent"
    WORKER_LOST = "worker_lost"
    DEPENDENCY_FAILED = "dependency_failed"
    INVALID_INPUT = "invalid_input"
    INVALID_OUTPUT = "invalid_output"
    NOT_SERIALIZABLE = "not_serializable"
