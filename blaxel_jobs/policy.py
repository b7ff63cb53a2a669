"""How long a failed task waits for its next try, and durations as they are said in Python: in seconds."""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import attrs

from .errors import InvalidRequest

MOST_SECONDS: Final = 3_155_760_000
"""A hundred years, the longest duration of the contract."""


def milliseconds(name: str, seconds: Any) -> int:
    """A duration for the wire: whole milliseconds, at least one for what is more than nothing. Raises InvalidRequest naming it."""
    wrong = isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS
    if wrong or math.isnan(seconds):
        raise InvalidRequest(f"{name} takes seconds, 0 or more, not {seconds!r}", path=name)
    return round(seconds * 1000) or (1 if seconds else 0)


@attrs.frozen
class RetryPolicy:
    """How long a failed task waits for its next try: `initial` seconds before the first retry, `factor` times more before each next
    one, `max` seconds at most. With `jitter="full"` that is the bound of a random wait."""

    initial: float = 1.0
    factor: float = 2.0
    max: float = 300.0
    jitter: Literal["full", "none"] = "full"


def wire_policy(policy: RetryPolicy | Mapping[str, Any]) -> dict[str, Any]:
    """The contract's form of a policy, or of a mapping with its fields. Raises InvalidRequest naming what is wrong."""
    if isinstance(policy, RetryPolicy):
        fields = attrs.asdict(policy)
    elif isinstance(policy, Mapping):
        fields = dict(policy)
        unknown = sorted(str(name) for name in fields.keys() - {field.name for field in attrs.fields(RetryPolicy)})
        if unknown:
            raise InvalidRequest(f"a retry policy has no {unknown[0]}", path=f"retry_policy.{unknown[0]}")
    else:
        raise InvalidRequest(f"retry_policy is a RetryPolicy or a mapping, not {policy!r}", path="retry_policy")
    wire: dict[str, Any] = {}
    for name in ("factor", "jitter"):
        if name in fields:
            wire[name] = fields[name]
    for name in ("initial", "max"):
        if name in fields:
            wire[f"{name}Ms"] = milliseconds(f"retry_policy.{name}", fields[name])
    return wire
