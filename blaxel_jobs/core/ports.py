"""What the core and everything above it are given instead of reaching for it: time, ids, randomness."""

from typing import Protocol


class Flag(Protocol):
    """Something that comes true once, such as an asyncio.Event."""

    async def wait(self) -> object: ...


class Clock(Protocol):
    """Time, as seconds."""

    def now(self) -> float:
        """Seconds since 1970 in UTC. For what is stored and shown."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed point. For measuring how long something takes."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass, in a task of an event loop. It may be infinite."""
        ...

    async def wait(self, flag: Flag, seconds: float) -> None:
        """Until the flag comes true, but for so much time at the most, which may be infinite."""
        ...


class IdFactory(Protocol):
    """New ids, unique everywhere."""

    def __call__(self) -> str: ...


class Rng(Protocol):
    """Randomness, for jitter."""

    def random(self) -> float:
        """A number from [0, 1)."""
        ...
