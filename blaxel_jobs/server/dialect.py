"""How an answer is spelt: chosen here, by the request's headers, and nowhere else."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from ..words import CONTRACT

Headers = Mapping[bytes, bytes]
"""A request's headers: lower-case names, as they came."""
HeaderList = list[tuple[bytes, bytes]]


class Dialect(Protocol):
    """One way to spell what the engine answers."""

    headers: HeaderList
    """What every answer in this dialect carries."""

    def encode(self, view: Any) -> bytes:
        """The body for a view of the engine, or for a problem."""
        ...


class _Contract:
    """openapi.yaml, word for word: the engine's views are already in it."""

    def __init__(self, headers: HeaderList) -> None:
        self.headers = headers

    encode = staticmethod(msgspec.json.encode)


_PLAIN: Final = _Contract([])
_ECHOED: Final = _Contract([(b"jobs-contract", CONTRACT.encode())])


def choose_dialect(headers: Headers) -> Dialect:
    """The dialect of a request. A caller that names the contract is told which one the answer keeps to."""
    return _ECHOED if b"jobs-contract" in headers else _PLAIN
