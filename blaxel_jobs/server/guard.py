"""Who may call: the Host allow-list, the checks against other web pages, keys and workspaces. Everything passes here first."""

import re
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import Forbidden, MalformedRequest, Misdirected, Unauthorized
from .dialect import HeaderList, Headers
from .exchange import Exchange, send_nothing
from .keys import Keyring, Principal

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_EXEMPT: Final = frozenset({"/healthz", "/readyz"})
"""Paths that need no key. Exactly these: whatever else is added needs one."""
_HOST: Final = re.compile(rb"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_BEARER: Final = re.compile(rb"bearer +(?P<key>[!-~]+) *", re.IGNORECASE)

_EXPOSED: Final = b"Jobs-Contract, Preference-Applied, Retry-After, Idempotency-Key, X-Request-Id"
_ALLOWED: Final = (
    b"Authorization, Content-Type, Idempotency-Key, Jobs-Contract, Prefer, X-Blaxel-Authorization, X-Blaxel-Workspace, X-Request-Id"
)
_PREFLIGHT: Final[HeaderList] = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, DELETE"),
    (b"access-control-allow-headers", _ALLOWED),
    (b"access-control-max-age", b"600"),
]


class Hosts:
    """The names that this server answers for: `NAME` with any port, or `NAME:PORT`.

    That any page can point a name of its own at this machine (DNS rebinding) is why there is a list at all.
    """

    def __init__(self, names: Iterable[str] = LOOPBACK, *, any_local: bool = False) -> None:
        """`any_local` also takes the address that a connection came in on: for a server bound to every address of its machine."""
        self._names = frozenset(name.lower().encode() for name in names)
        self._any_local = any_local

    def check(self, host: bytes | None, scope: Scope) -> None:
        """Raises Misdirected, or MalformedRequest without a Host."""
        if not host:
            raise MalformedRequest("the Host header is missing", path="Host")
        if host in self._names:
            return
        found = _HOST.fullmatch(host)
        if found:
            name = found["name"].lower()
            if name in self._names or host.lower() in self._names:
                return
            if self._any_local and scope.get("server") and name.strip(b"[]") == str(scope["server"][0]).encode():
                return
        shown = host.decode("latin-1")[:128]
        raise Misdirected(f"this server does not answer for the host {shown!r}; --allow-host adds a name", path="Host")


class Guard:
    """ASGI middleware: refuses what must not reach the routes, and tells the exchange who calls."""

    def __init__(self, app: ASGIApp, *, keys: Keyring, hosts: Hosts, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._keys = keys
        self._hosts = hosts
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["blaxel_jobs"]
        headers = exchange.headers
        method = scope["method"]
        self._hosts.check(headers.get(b"host"), scope)
        origin = headers.get(b"origin")
        if origin in self._origins:
            exchange.added += [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _EXPOSED)]
        if self._origins:
            exchange.added.append((b"vary", b"Origin"))
        if method not in _SAFE:
            self._check_page(origin, headers)
        elif method == "OPTIONS":
            if origin is not None and b"access-control-request-method" in headers:
                await self._answer_preflight(origin, send)
                return
            await self._app(scope, receive, send)
            return
        if self._keys and scope["path"] not in _EXEMPT:
            exchange.principal = self._authenticate(headers)
        await self._app(scope, receive, send)

    def _check_page(self, origin: bytes | None, headers: Headers) -> None:
        """Browsers send these two for every page, and no page can forge them; callers that are no browsers send neither."""
        site = headers.get(b"sec-fetch-site")
        if origin in self._origins:
            return
        own = origin is None or origin.rpartition(b"://")[2].lower() == headers[b"host"].lower()
        if site not in (None, b"same-origin", b"none") or not own:
            shown = (origin or b"of another site").decode("latin-1")[:128]
            raise Forbidden(f"pages from {shown} may not change anything here; --allow-origin lets an origin in", path="Origin")

    async def _answer_preflight(self, origin: bytes, send: Send) -> None:
        if origin not in self._origins:
            shown = origin.decode("latin-1")[:128]
            raise Forbidden(f"pages from {shown} may not call this server; --allow-origin lets an origin in", path="Origin")
        await send_nothing(send, _PREFLIGHT)

    def _authenticate(self, headers: Headers) -> Principal:
        given = headers.get(b"x-blaxel-authorization") or headers.get(b"authorization")
        if given is None:
            raise Unauthorized("an API key is needed: send X-Blaxel-Authorization: Bearer KEY", path="X-Blaxel-Authorization")
        bearer = _BEARER.fullmatch(given)
        principal = self._keys.find(bearer["key"]) if bearer else None
        if principal is None:
            raise Unauthorized("the API key is wrong: it is not one of the keys of this server", path="X-Blaxel-Authorization")
        workspace = headers.get(b"x-blaxel-workspace")
        if workspace is not None and workspace.decode("latin-1") != principal.workspace:
            raise Forbidden("the API key belongs to another workspace", path="X-Blaxel-Workspace")
        return principal
