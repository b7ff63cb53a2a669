"""A clock that tests move by hand."""


class ManualClock:
    """Stands still until `advance`; somebody sets its hands with `set`."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def set(self, seconds: float) -> None:
        """Move the hands forward, or back, without any time going by."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps on a clock that stands still")

    async def wait(self, flag: object, seconds: float) -> None:
        raise AssertionError("nothing waits on a clock that stands still")
