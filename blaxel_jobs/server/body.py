"""Reading a request's body: JSON of at most so many bytes, within so many seconds."""

import asyncio
import re
from typing import Any, Final

import attrs
from starlette.types import Receive

from ..core.requests import read_json
from ..errors import MalformedRequest, RequestTooSlow, TooLarge, UnsupportedMedia
from .dialect import Headers
from .exchange import ClientGone

MAX_BODY: Final = 2 * 1024 * 1024
BODY_SECONDS: Final = 30.0

_JSON: Final = re.compile(rb"""application/(?:[\w.+-]+\+)?json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?;?""", re.IGNORECASE)


@attrs.frozen
class BodyLimits:
    """What a body may take: bytes, and seconds until the last of them is there."""

    size: int = MAX_BODY
    seconds: float = BODY_SECONDS


async def read_body(headers: Headers, receive: Receive, limits: BodyLimits) -> Any:
    """A body's JSON. Raises UnsupportedMedia, TooLarge (before it holds more), RequestTooSlow, MalformedRequest."""
    _check_media_type(headers)
    declared = headers.get(b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limits.size:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.seconds):
            body = await _collect(receive, limits)
    except TimeoutError:
        raise RequestTooSlow(f"the body did not arrive within {limits.seconds:g} s") from None
    if not body:
        raise MalformedRequest("the body is empty; send a JSON object")
    return read_json(body)


async def gone(receive: Receive) -> None:
    """Returns when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _collect(receive: Receive, limits: BodyLimits) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _checked(message["body"], 0, limits)
    chunks = []
    size = 0
    while message["type"] == "http.request":
        chunks.append(_checked(message["body"], size, limits))
        size += len(chunks[-1])
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    raise ClientGone


def _checked(chunk: bytes, before: int, limits: BodyLimits) -> bytes:
    if before + len(chunk) > limits.size:
        raise _too_large(limits)
    return chunk


def _too_large(limits: BodyLimits) -> TooLarge:
    return TooLarge(f"a body has at most {limits.size} bytes; keep large data elsewhere and send a reference to it")


def _check_media_type(headers: Headers) -> None:
    media_type = headers.get(b"content-type")
    if media_type is not None and media_type != b"application/json" and not _JSON.fullmatch(media_type.strip()):
        raise UnsupportedMedia("send the body as application/json in UTF-8", path="Content-Type")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("send the body without a Content-Encoding", path="Content-Encoding")
