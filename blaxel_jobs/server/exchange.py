"""One request and its answer: the outermost layer. Every answer, good or bad, leaves through here with the same headers."""

import http
import logging
import math
import re
import traceback
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import MalformedRequest, NotFound, RequestError, ServerError, TooManyRequests, Unauthorized, Unavailable
from .dialect import Dialect, HeaderList, Headers, choose_dialect
from .keys import ANYBODY, Principal

logger: Final = logging.getLogger("blaxel_jobs.server")

_COMMON: Final[HeaderList] = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
_JSON: Final = (b"content-type", b"application/json")
_PROBLEM: Final = (b"content-type", b"application/problem+json")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_SINGLE: Final = frozenset(
    {b"host", b"authorization", b"x-blaxel-authorization", b"x-blaxel-workspace", b"origin", b"sec-fetch-site", b"content-type",
     b"content-encoding", b"content-length", b"idempotency-key"}
)  # fmt: skip
"""Headers of which two could be read as either one by whoever stands in front of this server."""


class ClientGone(Exception):
    """The caller has hung up: nobody reads an answer."""


class Exchange:
    """What is known of one request, and what its answer will carry. The layers find it at `scope["blaxel_jobs"]`."""

    __slots__ = ("added", "dialect", "headers", "principal", "request_id", "started")

    def __init__(self, headers: Headers, request_id: str) -> None:
        self.headers = headers
        self.request_id = request_id
        self.dialect: Dialect = choose_dialect(headers)
        self.principal: Principal = ANYBODY
        self.added: HeaderList = []
        """Headers for the answer, whichever it will be."""
        self.started = False


class Exchanges:
    """ASGI app: gives each request its `Exchange`, and turns what `app` raises into problems (RFC 9457).

    It also makes `scope["path"]` the path as it was sent, so that `%2F` in an id does not separate.
    """

    def __init__(self, app: ASGIApp, new_id: Callable[[], str]) -> None:
        self._app = app
        self._new_id = new_id
        self.draining = False
        """Each connection is closed with its next answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _refuse_protocol(scope, receive, send)
            return
        headers = dict(scope["headers"])
        asked_id = headers.get(b"x-request-id")
        named = asked_id is not None and _REQUEST_ID.fullmatch(asked_id)
        exchange = Exchange(headers, asked_id.decode() if asked_id and named else self._new_id())
        if self.draining:
            exchange.added.append((b"connection", b"close"))
        scope["blaxel_jobs"] = exchange
        raw_path = scope.get("raw_path")
        scope["path"] = raw_path.decode("latin-1") if raw_path else quote(scope["path"])

        head = scope["method"] == "HEAD"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.started = True
                message["headers"] = [
                    *message["headers"], *_COMMON, (b"x-request-id", exchange.request_id.encode()), *exchange.dialect.headers,
                    *exchange.added,
                ]  # fmt: skip
            elif head:
                message = {"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)}
            await send(message)

        try:
            if len(headers) != len(scope["headers"]):
                exchange.headers = merge_headers(scope["headers"])
            await self._app(scope, receive, answer)
        except ClientGone:
            return
        except RequestError as error:
            await send_problem(exchange, answer, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            logger.error("request %s failed: %s", exchange.request_id, _stack(error))  # noqa: TRY400 - its text may quote the caller
            if exchange.started:
                raise ServerError("the answer broke off") from None
            message = f"the server failed; its log names this request {exchange.request_id}"
            await send_problem(exchange, answer, ServerError(message))


async def send_view(exchange: Exchange, send: Send, view: Any) -> None:
    """Answer 200 with a view."""
    body = exchange.dialect.encode(view)
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_nothing(send: Send, headers: HeaderList) -> None:
    """Answer 204 with these headers."""
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def send_problem(exchange: Exchange, send: Send, error: RequestError) -> None:
    """Answer with a problem. Raises the error when another answer has begun."""
    if exchange.started:
        raise error
    body = exchange.dialect.encode(problem(error, exchange.request_id))
    headers = [_PROBLEM, (b"content-length", b"%d" % len(body))]
    if isinstance(error, Unavailable | TooManyRequests):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after or 0))))
    if isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="blaxel-jobs"'))
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def problem(error: RequestError, request_id: str) -> dict[str, Any]:
    """An error as openapi.yaml's Problem."""
    status = error.status_code
    view = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "error": error.word,
        "code": status,
        "message": error.message,
    }
    if error.path:
        view["path"] = error.path
    view["requestId"] = request_id
    return view


def merge_headers(pairs: HeaderList) -> Headers:
    """Headers that came more than once, as one each (RFC 9110, 5.3). Raises MalformedRequest for those of which there is one."""
    merged: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name not in merged:
            merged[name] = value
        elif name in _SINGLE:
            raise MalformedRequest(f"the header {name.decode('latin-1')} is given twice", path=name.decode("latin-1"))
        else:
            merged[name] += b", " + value
    return merged


async def _refuse_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1003})
        return
    raise NotFound(f"there is no {scope['type']} here")


def _stack(error: BaseException) -> str:
    """Where an error came from, without its text: that may quote what the caller sent."""
    parts = []
    link: BaseException | None = error
    while link is not None:
        parts.append(f"{type(link).__qualname__}\n{''.join(traceback.format_tb(link.__traceback__))}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "caused by ".join(parts)
