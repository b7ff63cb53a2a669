"""Data URLs of a mock: they lead to its namespace, and are the same ones for the same seed."""

from collections.abc import Callable, Iterable
from typing import Final

from blaxel_jobs.server.exchange import Exchange
from blaxel_jobs.server.keys import Key
from blaxel_jobs.server.runner_data import RunnerData

from .line import is_inside


class MockData(RunnerData):
    """The data URLs of one namespace."""

    def __init__(self, path: str, seed: int, keys: Iterable[Key], listening: Callable[[], str | None]) -> None:
        """`path` leads to the namespace. `listening` tells where other processes reach the mock, None where they do not.

        Who has no key cannot make up the secret of a mock with keys; without keys anybody may read everything.
        """
        super().__init__(b"\n".join([f"{path} {seed}".encode(), *(key.digest for key in keys)]))
        self._path: Final = path
        self._listening: Final = listening

    def root(self, exchange: Exchange) -> str:
        """Also for a caller in this process: whoever reads the URL is in another."""
        reached = self._listening() if is_inside(exchange.scope) else None
        return (reached or super().root(exchange)) + self._path
