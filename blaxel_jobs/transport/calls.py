"""Operations whose answers their caller reads: those of a worker, for which every pass over a task's data counts.

The request is what the generated operation builds; the body is encoded, and the answer decoded, by whoever calls.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import httpx

from ..config import Settings
from ..errors import ContractError
from . import CONNECT_TIMEOUT, _headers, _module
from .answers import refusal
from .connections import Connections


class Line(IntEnum):
    """Connections that keep each other waiting for nothing: a group of `Connections` each."""

    CLAIMS = 1
    REPORTS = 2
    HEARTBEATS = 3
    DEFINITIONS = 4


class Calls:
    """Performs operations on connections that stay open. Each line serves one call at a time best.

    `encode` makes a body of what the generated models make of themselves. `transport` replaces the network.
    """

    def __init__(self, settings: Settings, encode: Callable[[Any], bytes], *, transport: Any = None) -> None:
        self.base_url: Final = settings.base_url
        self._encode = encode
        self._headers = httpx.Headers(_headers(settings))
        self._connections = Connections(settings.base_url, len(Line), transport)
        self._building: dict[str, Callable[..., dict[str, Any]]] = {}

    def call(self, operation: str, line: Line, within: float, **arguments: Any) -> bytes:
        """The answer's body. Every part of the exchange may take `within` seconds.

        Raises ConnectionFailed, RequestTimeout, ContractError and the RequestError of the answer's status.
        """
        return _body(self._connections.send(self._request(operation, within, arguments), line))

    async def acall(self, operation: str, line: Line, within: float, **arguments: Any) -> bytes:
        """As `call`. One that is cancelled closes its connection, which tells the server."""
        return _body(await self._connections.asend(self._request(operation, within, arguments), line))

    def close(self) -> None:
        """Close the connections of threads; those of an event loop are closed with it, or by `aclose`."""
        self._connections.close()

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        await self._connections.aclose()

    def _request(self, operation: str, within: float, arguments: dict[str, Any]) -> httpx.Request:
        build = self._building.get(operation)
        if build is None:
            build = self._building[operation] = _module(operation)._get_kwargs
        kwargs = build(**arguments)
        extensions = {"timeout": {"connect": min(within, CONNECT_TIMEOUT), "read": within, "write": within, "pool": within}}
        content = self._encode(kwargs["json"])
        request = httpx.Request(
            kwargs["method"], self.base_url + kwargs["url"], headers=self._headers, content=content, extensions=extensions
        )
        request.headers.update(kwargs["headers"])
        return request


def _body(response: httpx.Response) -> bytes:
    if response.status_code >= 400:
        raise refusal(response)
    if response.status_code != 200:
        path = response.request.url.path
        raise ContractError(f"the answer of {response.request.method} {path} is an HTTP {response.status_code}, not a 200")
    return response.content
