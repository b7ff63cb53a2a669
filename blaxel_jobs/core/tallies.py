"""Numbers about a job: how many executions came to what, and how long tasks waited and ran.

They are kept as a plain mapping of names to numbers, so that they add up whoever counted them. Durations go into buckets that each
reach a fifth further than the one before, from a tenth of a millisecond on: a percentile is right to a tenth of itself, or to a
tenth of a millisecond.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

Numbers = dict[str, float]
Kind = Literal["wait", "run"]

FIRST: Final = 0.0001
"""Seconds: where the first bucket ends."""
PER_DOUBLING: Final = 4
MOST: Final = 180
"""The last bucket, which ends after a century and takes what is longer, too."""
BOUNDS: Final = tuple(FIRST * 2.0**doublings for doublings in range(3, 27))
"""Seconds, from 0.8 ms to two hours: every fourth end of a bucket. As powers of two they are exact, as `bucket_of` is for them."""

_BUCKETS: Final[dict[Kind, tuple[str, ...]]] = {
    kind: tuple(f"{kind}.{bucket}" for bucket in range(MOST + 1)) for kind in ("wait", "run")
}
_SUMS: Final[dict[Kind, str]] = {"wait": "wait.sum", "run": "run.sum"}


def bucket_of(seconds: float) -> int:
    """The bucket that a duration falls into. One below 0, as clocks that were set make them, is 0."""
    if seconds <= FIRST:
        return 0
    return min(MOST, math.ceil(math.log2(seconds / FIRST) * PER_DOUBLING))


def bucket_end(bucket: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return FIRST * math.pow(2.0, bucket / PER_DOUBLING)


def add(numbers: Numbers, name: str, number: float = 1) -> None:
    numbers[name] = numbers.get(name, 0) + number


def add_duration(numbers: Numbers, kind: Kind, seconds: float) -> None:
    """Count a duration in seconds."""
    bucket, total_name = _BUCKETS[kind][bucket_of(seconds)], _SUMS[kind]
    numbers[bucket] = numbers.get(bucket, 0) + 1
    if seconds > 0:
        numbers[total_name] = numbers.get(total_name, 0) + seconds


def total(parts: Iterable[Mapping[str, float]]) -> Numbers:
    """All of them together."""
    together: Numbers = {}
    for part in parts:
        for name, number in part.items():
            together[name] = together.get(name, 0) + number
    return together


class Distribution(Struct, frozen=True):
    """How long something took, over many times."""

    count: int
    sum: float
    """Seconds."""
    buckets: tuple[tuple[int, int], ...]
    """(bucket, how often), in order, without empty ones."""

    @classmethod
    def of(cls, numbers: Mapping[str, float], kind: Kind) -> "Distribution":
        """What was counted of this kind."""
        buckets = tuple(sorted(_buckets(numbers, kind)))
        return cls(sum(often for _, often in buckets), numbers.get(_SUMS[kind], 0.0), buckets)

    def percentile(self, share: float) -> float:
        """Seconds within which this share of them was done; 0 without any."""
        wanted, seen = share * self.count, 0
        for bucket, often in self.buckets:
            seen += often
            if seen >= wanted * (1 - 1e-12):  # a product such as 0.07 * 100 may come out a little above the whole number
                return bucket_end(bucket) / 2 ** (0.5 / PER_DOUBLING)  # the middle of the bucket
        return 0.0

    def up_to(self, bounds: Iterable[float]) -> list[int]:
        """How many took at most so many seconds, for each of the bounds, which rise; exact for BOUNDS."""
        often = dict(self.buckets)
        counts, first, seen = [], 0, 0
        for last in map(bucket_of, bounds):
            seen += sum(often.get(bucket, 0) for bucket in range(first, last + 1))
            first = last + 1
            counts.append(seen)
        return counts


def _buckets(numbers: Mapping[str, float], kind: Kind) -> Iterator[tuple[int, int]]:
    for name, number in numbers.items():
        counted, _, bucket = name.partition(".")
        if counted == kind and bucket.isdigit():
            yield int(bucket), int(number)
