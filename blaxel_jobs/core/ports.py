"""What the core and everything above it are given instead of reaching for it: time, ids, randomness."""

from typing import Protocol


class Clock(Protocol):
    """Time, as seconds."""

    def now(self) -> float:
        """Seconds since 1970 in UTC. For what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point. For measuring how long something takes."""
        ...


class IdFactory(Protocol):
    """New ids, unique everywhere."""

    def __call__(self) -> str: ...


class Rng(Protocol):
    """Randomness, for jitter."""

    def random(self) -> float:
        """A number from [0, 1)."""
        ...
