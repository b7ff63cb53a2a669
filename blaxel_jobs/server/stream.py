"""An answer that comes in pieces: updates as server-sent events, for as long as there is somebody to read them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from msgspec import Struct

from .asgi import Receive, Send
from .body import gone

QUIET: Final = 14.0
"""Seconds without an update after which a comment says that the connection lives; the contract promises one every 15."""
PIECE: Final = 256
"""Updates that are sent at once: of thousands no more are held as text than the caller reads."""

View = dict[str, Any]
Views = list[View]

_COMMENT: Final = b": still here\n\n"
_END: Final = b"event: end\ndata: {}\n\n"


class Updates(Struct, frozen=True):
    """What a stream answers: its first updates, and those that follow. Nothing of it was sent yet."""

    first: Views
    following: AsyncGenerator[Views, None]
    numbered: bool = False
    """Each has an id, by which the caller may ask for those after it."""


async def begin(following: AsyncGenerator[Views, None], *, numbered: bool = False) -> Updates:
    """Read the first updates, so that what goes wrong until then is an ordinary problem. Raises what the engine raises."""
    return Updates(await anext(following, []), following, numbered)


async def send_updates(
    updates: Updates, encode: Callable[[Any], bytes], cut_off: Callable[[], bool], receive: Receive, send: Send
) -> None:
    """Send each update as an event, then `end` unless the stream was cut off, and end the answer. Returns early when the caller
    hangs up.

    Each piece waits until the one before has left, so a caller who does not read costs a buffer and no more.
    """
    sending = asyncio.ensure_future(_send(updates, encode, cut_off, send))
    hung_up = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({sending, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
    finally:
        hung_up.cancel()
        sending.cancel()
        await asyncio.wait({sending, hung_up})


async def _send(updates: Updates, encode: Callable[[Any], bytes], cut_off: Callable[[], bool], send: Send) -> None:
    as_event = _numbered if updates.numbered else _event
    await _send_views(updates.first, encode, as_event, send)
    async for views in updates.following:
        if views:
            await _send_views(views, encode, as_event, send)
        else:
            await send(_body(_COMMENT))
    await send({"type": "http.response.body", "body": b"" if cut_off() else _END})


async def _send_views(views: Views, encode: Callable[[Any], bytes], as_event: Callable[[View, bytes], bytes], send: Send) -> None:
    """The list is emptied: it is not kept for as long as the stream is quiet."""
    views.reverse()
    while views:
        piece = views[: -PIECE - 1 : -1]
        del views[-PIECE:]
        await send(_body(b"".join([as_event(view, encode(view)) for view in piece])))


def _event(_: View, text: bytes) -> bytes:
    # JSON has no line break outside of its strings, and escapes those inside: a view is one line of data.
    return b"event: update\ndata: " + text + b"\n\n"


def _numbered(view: View, text: bytes) -> bytes:
    return b"id: %d\nevent: update\ndata: %b\n\n" % (view["id"], text)


def _body(text: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": text, "more_body": True}
