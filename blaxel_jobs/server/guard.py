"""Who may call: the Host allow-list, the checks against other web pages, keys and workspaces. Every request passes here first."""

import re
from collections.abc import Iterable
from typing import Final

from ..errors import Forbidden, MalformedRequest, Misdirected, Unauthorized
from .dialect import RUNNER_PATH, HeaderList, Headers
from .exchange import Exchange
from .keys import Keyring, Principal
from .tokens import TOKEN_PATHS, Tokens

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")

_REMEMBERED: Final = 64
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_EXEMPT: Final = frozenset({"/healthz", "/readyz", RUNNER_PATH, *TOKEN_PATHS})
"""Paths that need no key, or see to it themselves. Exactly these: whatever else is added needs one."""
_HOST: Final = re.compile(rb"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_BEARER: Final = re.compile(rb"bearer +(?P<key>[!-~]+) *", re.IGNORECASE)

_EXPOSED: Final = (
    b"access-control-expose-headers", b"Jobs-Contract, Preference-Applied, Retry-After, Idempotency-Key, X-Request-Id"
)  # fmt: skip
_ALLOWED: Final = (
    b"Authorization, Blaxel-Version, Content-Type, Idempotency-Key, Jobs-Contract, Prefer, X-Blaxel-Authorization, "
    b"X-Blaxel-Workspace, X-Request-Id"
)
_PREFLIGHT: Final[HeaderList] = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE"),
    (b"access-control-allow-headers", _ALLOWED),
    (b"access-control-max-age", b"600"),
]


class Hosts:
    """The names that a server answers for: `NAME` with any port, or `NAME:PORT`.

    There is a list because any web page can point a name of its own at this machine (DNS rebinding).
    """

    def __init__(self, names: Iterable[str] = LOOPBACK, *, any_local: bool = False) -> None:
        """`any_local` also takes the address that a connection came in on: for a server bound to every address of its machine."""
        self._names = frozenset(name.lower().encode() for name in names)
        self._any_local = any_local
        self._admitted: set[bytes] = set()
        """Headers that were found good before; there are few spellings."""

    def check(self, exchange: Exchange) -> None:
        """Raises Misdirected, or MalformedRequest without a Host."""
        host = exchange.headers.get(b"host")
        if host in self._admitted:
            return
        if not host:
            raise MalformedRequest("the Host header is missing", path="Host")
        found = _HOST.fullmatch(host)
        if found:
            name = found["name"].lower()
            if name in self._names or host.lower() in self._names:
                if len(self._admitted) < _REMEMBERED:
                    self._admitted.add(host)
                return
            local = exchange.scope.get("server")
            if self._any_local and local and name.strip(b"[]") == str(local[0]).encode():
                return
        shown = host.decode("latin-1")[:128]
        raise Misdirected(f"this server does not answer for the host {shown!r}; --allow-host adds a name", path="Host")


class Guard:
    """Refuses what must not reach the routes, and finds out who calls."""

    def __init__(self, *, keys: Keyring, tokens: Tokens, hosts: Hosts, origins: Iterable[str] = ()) -> None:
        self._keys = keys
        self._open = not keys
        self._tokens = tokens
        self._hosts = hosts
        self._origins = frozenset(origin.encode() for origin in origins)

    def admit(self, exchange: Exchange) -> bool:
        """Let a request in. False for a preflight, which is answered by its headers. Raises what refuses it."""
        self._hosts.check(exchange)
        headers = exchange.headers
        origin = headers.get(b"origin")
        if self._origins:
            self._allow_origin(exchange, origin)
        if exchange.method not in _SAFE:
            self._check_page(origin, headers)
        elif exchange.method == "OPTIONS":
            return origin is None or b"access-control-request-method" not in headers or self._preflight(exchange, origin)
        if not self._open and exchange.path not in _EXEMPT:
            exchange.principal = self._authenticate(headers)
        return True

    def _allow_origin(self, exchange: Exchange, origin: bytes | None) -> None:
        exchange.added.append((b"vary", b"Origin"))
        if origin is not None and origin in self._origins:
            exchange.added += [(b"access-control-allow-origin", origin), _EXPOSED]

    def _check_page(self, origin: bytes | None, headers: Headers) -> None:
        """Browsers send these two for every page, and no page can forge them; callers that are no browsers send neither."""
        site = headers.get(b"sec-fetch-site")
        if origin is None and site is None:
            return
        if origin in self._origins:
            return
        own = origin is None or origin.rpartition(b"://")[2].lower() == headers[b"host"].lower()
        if not own or site not in (None, b"same-origin", b"none"):
            shown = origin.decode("latin-1")[:128] if origin else "of another site"
            raise Forbidden(f"pages from {shown} may not change anything here; --allow-origin lets an origin in", path="Origin")

    def _preflight(self, exchange: Exchange, origin: bytes) -> bool:
        if origin not in self._origins:
            shown = origin.decode("latin-1")[:128]
            raise Forbidden(f"pages from {shown} may not call this server; --allow-origin lets an origin in", path="Origin")
        exchange.added += _PREFLIGHT
        return False

    def _authenticate(self, headers: Headers) -> Principal:
        given = headers.get(b"x-blaxel-authorization") or headers.get(b"authorization")
        if given is None:
            raise Unauthorized("an API key is needed: send X-Blaxel-Authorization: Bearer KEY", path="X-Blaxel-Authorization")
        bearer = _BEARER.fullmatch(given)
        principal = self._keys.find(bearer["key"]) or self._tokens.find(bearer["key"]) if bearer else None
        if principal is None:
            raise Unauthorized("the API key is wrong: it is not one of the keys of this server", path="X-Blaxel-Authorization")
        workspace = headers.get(b"x-blaxel-workspace")
        if workspace is not None and workspace.decode("latin-1") != principal.workspace:
            raise Forbidden("the API key belongs to another workspace", path="X-Blaxel-Workspace")
        return principal
