"""One request and its answer: what is known of the one, and how the other is put together."""

import math
import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from ..errors import MalformedRequest, RequestError, RequestTooSlow, TooLarge, TooManyRequests, Unauthorized, Unavailable
from .asgi import Scope
from .dialect import Dialect, HeaderList, Headers, choose_dialect, choose_refusal
from .keys import ANYBODY, Principal

_NO_STORE: Final = (b"cache-control", b"no-store")
_STORED: Final = frozenset({"GET", "HEAD"})
_JSON: Final = (b"content-type", b"application/json")
_STREAM: Final[HeaderList] = [
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),  # proxies that collect answers would collect this one to its end
]
_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="blaxel-jobs"')
_CLOSE: Final = (b"connection", b"close")
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_SINGLE: Final = frozenset(
    {b"host", b"authorization", b"x-blaxel-authorization", b"x-blaxel-workspace", b"origin", b"sec-fetch-site", b"content-type",
     b"content-encoding", b"content-length", b"idempotency-key"}
)  # fmt: skip
"""Headers of which two could be read as either one by whoever stands in front of this server."""


class Text(Struct, frozen=True):
    """An answer that is no JSON."""

    content_type: bytes
    body: bytes


class ClientGone(Exception):
    """The caller has hung up: nobody reads an answer."""


class Exchange:
    """What is known of one request, and what its answer will carry. `path` is as it was sent, percent signs and all."""

    __slots__ = ("added", "dialect", "headers", "method", "path", "principal", "query", "request_id", "scope", "values")

    def __init__(self, scope: Scope, new_id: Callable[[], str]) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query: bytes = scope["query_string"]
        self.values: dict[str, str] = {}
        """What the path has for the names in its template."""
        self.headers: Headers = dict(scope["headers"])
        self.dialect: Dialect = choose_dialect(self.headers)
        self.principal: Principal = ANYBODY
        self.added: HeaderList = []
        """Headers for the answer, whichever it will be."""
        asked_id = self.headers.get(b"x-request-id")
        self.request_id = asked_id.decode() if asked_id and _REQUEST_ID.fullmatch(asked_id) else new_id()

    def check_headers(self) -> None:
        """Join headers that came more than once (RFC 9110, 5.3). Raises MalformedRequest for those of which there is one."""
        pairs: HeaderList = self.scope["headers"]
        if len(pairs) == len(self.headers):
            return
        joined: dict[bytes, bytes] = {}
        for name, value in pairs:
            if name in _SINGLE and name in joined:
                raise MalformedRequest(f"the header {name.decode()} is given twice", path=name.decode())
            joined[name] = joined[name] + b", " + value if name in joined else value
        self.headers = joined

    def answer(self, view: Any) -> tuple[HeaderList, bytes]:
        """Headers and body for a view; for None, no body."""
        if view is None:
            return self._common(), b""
        if type(view) is Text:
            kind, body = (b"content-type", view.content_type), view.body
        else:
            kind, body = _JSON, self.dialect.encode(view)
        return [kind, (b"content-length", b"%d" % len(body)), *self._common()], body

    def stream_headers(self) -> HeaderList:
        """Headers of an answer that comes in pieces, and so has no length."""
        return [*_STREAM, *self._common()]

    def problem(self, error: RequestError) -> tuple[HeaderList, bytes]:
        """Headers and body for an error."""
        kind, body = choose_refusal(self.path, self.dialect).problem(error, self.request_id)
        headers = [kind, (b"content-length", b"%d" % len(body)), *self._common()]
        if isinstance(error, Unavailable | TooManyRequests):
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after or 0))))
        if isinstance(error, Unauthorized):
            headers.append(_CHALLENGE)
        if isinstance(error, RequestTooSlow | TooLarge):
            headers.append(_CLOSE)  # what is still to come would be read as the next request
        return headers, body

    def _common(self) -> HeaderList:
        common = [(b"x-request-id", self.request_id.encode()), *self.dialect.headers, *self.added]
        # Answers to other methods are not stored without being told to be (RFC 9111, 3).
        return [_NO_STORE, *common] if self.method in _STORED else common
