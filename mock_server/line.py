"""How an answer is kept from its caller: what a fault does to a connection."""

import math
import socket
import struct
from typing import Any, Final, Literal, Protocol

from blaxel_jobs.server.asgi import Receive, Scope, Send
from blaxel_jobs.server.body import gone

Break = Literal["close", "reset", "timeout"]
"""The connection is closed, is reset, or its caller has waited as long as it wanted to."""

EXTENSION: Final = "mock_server.line"
"""In an ASGI scope: the Line of a caller in this process."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Line(Protocol):
    """The way back to a caller."""

    patience: float
    """How many seconds of the mock's time the caller waits for an answer."""

    async def cut(self, how: Break, receive: Receive) -> None:
        """End it. Nothing more can be sent."""
        ...


class Socket:
    """A connection of uvicorn's."""

    patience = math.inf
    """It waits in real time, of which nothing is known here."""

    def __init__(self, send: Send) -> None:
        # ASGI has no way to leave a request unanswered; uvicorn's `send` is a method of what holds the connection.
        self._transport: Any = send.__self__.transport  # type: ignore[attr-defined]

    async def cut(self, how: Break, receive: Receive) -> None:
        if how == "reset":
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.close()
        await gone(receive)


def line_of(scope: Scope, send: Send) -> Line:
    """The way back to the caller of this request."""
    inside: Line | None = scope.get("extensions", {}).get(EXTENSION)
    return inside or Socket(send)


def is_inside(scope: Scope) -> bool:
    """The caller is in this process, and keeps the mock's time by itself."""
    return EXTENSION in scope.get("extensions", {})
