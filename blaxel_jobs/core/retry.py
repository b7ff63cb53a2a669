"""Whether a failed task is tried again, and when."""

from typing import Final

from ..words import FailureKind
from .ports import Rng
from .records import Execution, RetryPolicy, Task
from .reports import Failed

DEFAULT: Final = RetryPolicy()


def delay(policy: RetryPolicy, retry: int, rng: Rng) -> float:
    """Seconds to wait before the `retry`-th retry, counted from 1."""
    try:
        bound = min(policy.max, policy.initial * policy.factor ** (retry - 1))
    except OverflowError:
        bound = policy.max
    return bound if policy.jitter == "none" else bound * rng.random()


def retry_delay(execution: Execution, task: Task, failed: Failed, rng: Rng) -> float | None:
    """Seconds until this task, which failed just now, is tried again; None where it is not."""
    retries = execution.policy.max_retries or 0
    if failed.failure.kind is not FailureKind.ERROR or task.errors >= retries:
        return None
    if failed.retry_after is not None:
        return failed.retry_after
    return delay(execution.policy.retry or DEFAULT, task.errors + 1, rng)
