"""How a request comes to feel the faults that strike it."""

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from blaxel_jobs.errors import error_class
from blaxel_jobs.server.asgi import Message, Receive, Scope, Send
from blaxel_jobs.server.body import gone
from blaxel_jobs.server.exchange import Exchange

from .clock import MockClock
from .faults import Fault
from .line import Line
from .virtual import VirtualClock

HEADER: Final = b"mock-fault"
PIECES: Final = 10
"""In which a slow body comes."""

_Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


def told_of(struck: Sequence[Fault]) -> str:
    """What stands in the header Mock-Fault: each kind with the id of its fault."""
    return ", ".join(f"{fault.kind};id={fault.id}" for fault in struck)


class Injection:
    """One request that is struck."""

    def __init__(
        self, struck: Sequence[Fault], app: _Asgi, clock: MockClock, line: Line, new_request_id: Callable[[], str]
    ) -> None:
        """`struck` are latencies, and after them at most one fault of another kind."""
        self._latencies = [fault for fault in struck if fault.kind == "latency"]
        self._fault = next((fault for fault in struck if fault.kind != "latency"), None)
        self._header = (HEADER, told_of(struck).encode())
        self._app = app
        self._clock = clock
        self._line = line
        self._new_request_id = new_request_id

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or do not. Raises MockStuck."""
        seconds = sum(fault.delay() for fault in self._latencies)
        if seconds and not await self._pass(seconds, receive):
            return
        sending = self._telling(send)
        match self._fault.kind if self._fault else None:
            case "status":
                await self._refuse(scope, sending)
            case "drop":
                await self._line.cut("close", receive)
            case "reset":
                await self._line.cut("reset", receive)
            case "hang":
                await self._hang(receive)
            case "ack_lost":
                await self._app(scope, receive, _unsent)
                await self._line.cut("close", receive)
            case "truncated":
                await self._truncate(scope, receive, sending)
            case "malformed":
                await self._app(scope, receive, _garbling(sending))
            case "slow":
                await self._slow(scope, receive, sending)
            case _:
                await self._app(scope, receive, sending)

    async def _pass(self, seconds: float, receive: Receive) -> bool:
        """Let time go by. False when the caller does not wait so long."""
        patience = self._line.patience
        await self._clock.spend(min(seconds, patience))
        if seconds > patience:
            await self._line.cut("timeout", receive)
        return seconds <= patience

    async def _refuse(self, scope: Scope, send: Send) -> None:
        assert self._fault is not None
        rule = self._fault.rule
        wait = rule.retry_after
        error = error_class(rule.status)(f"the mock was told to answer {rule.status}", retry_after=wait)
        error.status_code = rule.status
        headers, body = Exchange(scope, self._new_request_id).problem(error)
        if wait is not None:
            headers = [*(pair for pair in headers if pair[0] != b"retry-after"), (b"retry-after", b"%d" % round(wait))]
        await send({"type": "http.response.start", "status": rule.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _hang(self, receive: Receive) -> None:
        if self._line.patience == math.inf:
            await gone(receive)
        else:
            await self._clock.spend(self._line.patience)
            await self._line.cut("timeout", receive)

    async def _truncate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head of the answer, and half of its body."""
        over = False

        async def half(message: Message) -> None:
            nonlocal over
            body = message.get("body", b"")
            if over:
                return
            if body:
                over = True
                await send({**message, "body": body[: len(body) // 2], "more_body": True})
                await self._line.cut("close", receive)
            elif message["type"] == "http.response.start":
                await send(message)

        await self._app(scope, receive, half)
        if not over:
            await self._line.cut("close", receive)

    async def _slow(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._fault is not None
        seconds = self._fault.delay()
        # Virtual time is told of in the head of the answer, so it has to be over by then.
        at_once = isinstance(self._clock, VirtualClock)
        if at_once and not await self._pass(seconds, receive):
            return

        async def dribble(message: Message) -> None:
            body = message.get("body", b"")
            if not body:
                await send(message)
                return
            size = -(-len(body) // PIECES)
            pieces = [body[start : start + size] for start in range(0, len(body), size)]
            for number, piece in enumerate(pieces, 1):
                if not at_once:
                    await self._clock.spend(seconds / len(pieces))
                await send({**message, "body": piece, "more_body": number < len(pieces) or message.get("more_body", False)})

        await self._app(scope, receive, dribble)

    def _telling(self, send: Send) -> Send:
        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], self._header]}
            await send(message)

        return telling


async def _unsent(message: Message) -> None:
    """The answer is lost."""


def _garbling(send: Send) -> Send:
    async def garbling(message: Message) -> None:
        body = message.get("body")
        if body:
            half = len(body) // 2
            message = {**message, "body": body[:half] + b"\xff" * (len(body) - half)}
        await send(message)

    return garbling


async def read_ahead(receive: Receive) -> Receive:
    """Take in a request's body before it is answered, so that it is known of one that nobody reads."""
    messages: list[Any] = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    messages.reverse()

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
