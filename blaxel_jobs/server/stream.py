"""An answer that comes in pieces: updates as server-sent events, for as long as there is somebody to read them."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import attrs

from .asgi import Receive, Send
from .body import gone

QUIET: Final = 14.0
"""Seconds without an update after which a comment says that the connection lives; the contract promises one every 15."""
PIECE: Final = 256
"""Updates that are sent at once: of thousands no more are held as text than the caller reads."""

Views = list[dict[str, Any]]

_COMMENT: Final = b": still here\n\n"
_END: Final = b"event: end\ndata: {}\n\n"


@attrs.frozen
class Updates:
    """What a watch answers: its first updates, one for each id, and those that follow. Nothing of it was sent yet."""

    first: Views
    following: AsyncGenerator[Views, None]


async def begin(following: AsyncGenerator[Views, None]) -> Updates:
    """Read the first updates, so that what goes wrong until then is an ordinary problem. Raises what the engine raises."""
    return Updates(await anext(following), following)


async def send_updates(updates: Updates, encode: Callable[[Any], bytes], receive: Receive, send: Send) -> None:
    """Send each update as an event, then `end` when all are done, and end the answer. Returns early when the caller hangs up.

    Each piece waits until the one before has left, so a caller who does not read costs a buffer and no more.
    """
    sending = asyncio.ensure_future(_send(updates, encode, send))
    hung_up = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({sending, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        hung_up.cancel()
        sending.cancel()
        await asyncio.wait({sending, hung_up})


async def _send(updates: Updates, encode: Callable[[Any], bytes], send: Send) -> None:
    left = len(updates.first)
    left -= await _send_views(updates.first, encode, send)
    async for views in updates.following:
        if views:
            left -= await _send_views(views, encode, send)
        else:
            await send(_body(_COMMENT))
    await send({"type": "http.response.body", "body": b"" if left else _END})


async def _send_views(views: Views, encode: Callable[[Any], bytes], send: Send) -> int:
    """How many of them are done. The list is emptied: it is not kept for as long as the stream is quiet."""
    done = 0
    views.reverse()
    while views:
        piece = views[: -PIECE - 1 : -1]
        del views[-PIECE:]
        done += sum(view["done"] for view in piece)
        await send(_body(_events(piece, encode)))
    return done


def _events(views: Sequence[dict[str, Any]], encode: Callable[[Any], bytes]) -> bytes:
    # JSON has no line break outside of its strings, and escapes those inside: a view is one line of data.
    return b"".join([b"event: update\ndata: " + encode(view) + b"\n\n" for view in views])


def _body(text: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": True}
