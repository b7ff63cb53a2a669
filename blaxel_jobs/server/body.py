"""Reading a request's body: JSON text of at most so many bytes, within so many seconds."""

import asyncio
import re
import types
from collections.abc import Coroutine, Generator
from typing import Any, Final

from msgspec import Struct

from ..core.reading import MAX_BODY
from ..errors import MalformedRequest, RequestTooSlow, TooLarge, UnsupportedMedia
from .asgi import Receive
from .dialect import Headers
from .exchange import ClientGone

BODY_SECONDS: Final = 30.0

_JSON: Final = re.compile(rb"""application/(?:[\w.+-]+\+)?json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?""", re.IGNORECASE)


class BodyLimits(Struct, frozen=True):
    """What a body may take: bytes, and seconds until the last of them is there."""

    size: int = MAX_BODY
    seconds: float = BODY_SECONDS


async def read_body(headers: Headers, receive: Receive, limits: BodyLimits) -> bytes:
    """A body's JSON text. Raises UnsupportedMedia, TooLarge (before it holds more), RequestTooSlow, MalformedRequest."""
    _check_media_type(headers)
    declared = headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limits.size:
        raise _too_large(limits)
    reading = _collect(receive, limits)
    try:
        wanted = reading.send(None)
    except StopIteration as end:
        body: bytes = end.value  # one that is there already, as most are, costs no timer: 15 % of a request
    else:
        body = await _within(limits.seconds, reading, wanted)
    if not body:
        raise MalformedRequest("the body is empty; send a JSON object")
    return body


async def gone(receive: Receive) -> None:
    """Returns when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _within(seconds: float, reading: Coroutine[Any, Any, bytes], wanted: Any) -> bytes:
    """What a coroutine returns that has begun, and waits for `wanted`. Raises RequestTooSlow."""
    try:
        async with asyncio.timeout(seconds):
            return await _go_on(reading, wanted)
    except TimeoutError:
        raise RequestTooSlow(f"the body did not arrive within {seconds:g} s") from None


@types.coroutine
def _go_on(reading: Coroutine[Any, Any, bytes], wanted: Any) -> Generator[Any, Any, bytes]:
    while True:
        try:
            try:
                got = yield wanted
            except BaseException as error:  # noqa: BLE001 - a cancellation too is the coroutine's to hear
                wanted = reading.throw(error)
            else:
                wanted = reading.send(got)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


async def _collect(receive: Receive, limits: BodyLimits) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while (message := await receive())["type"] == "http.request":
        chunks.append(message["body"])
        size += len(chunks[-1])
        if size > limits.size:
            raise _too_large(limits)
        if not message.get("more_body"):
            return b"".join(chunks)
    raise ClientGone


def _too_large(limits: BodyLimits) -> TooLarge:
    return TooLarge(f"a body has at most {limits.size} bytes; keep large data elsewhere and send a reference to it")


def _check_media_type(headers: Headers) -> None:
    media_type = headers.get(b"content-type")
    if media_type is not None and media_type != b"application/json" and not _JSON.fullmatch(media_type.strip()):
        raise UnsupportedMedia("send the body as application/json in UTF-8", path="Content-Type")
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise UnsupportedMedia("send the body without a Content-Encoding", path="Content-Encoding")
