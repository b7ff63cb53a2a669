"""A clock that tests move by hand."""


class ManualClock:
    """Stands still until `advance`."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing sleeps on a clock that stands still")

    async def wait(self, flag: object, seconds: float) -> None:
        raise AssertionError("nothing waits on a clock that stands still")
