"""Access tokens for client credentials (RFC 6749, 4.4), as the Blaxel platform's SDKs ask for them: `id:secret`, where the secret
is one of the server's keys.

A token is a JWT signed with what follows from the key alone, so nothing is stored, and it holds across restarts and on every server
that has the key. From the SHA-256 of a key nothing follows: a server that was given only that knows its tokens once it has seen the
key in a request for one.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..core.reading import read_json
from ..errors import RequestError, Unauthorized
from .keys import Key, Keyring, Principal, signing_key

TOKEN_PATHS: Final = ("/v0/oauth/token", "/oauth/token")
SECONDS: Final = 24 * 3600
"""How long a token is good."""

_BASIC: Final = re.compile(rb"basic +(?P<credentials>[A-Za-z0-9+/=_-]+) *", re.IGNORECASE)
_NEVER_ENDING: Final = (1, 253_402_300_799)
"""Without keys nobody looks at tokens; an SDK reads when one was made and when it ends."""


class InvalidClient(Unauthorized):
    """The client credentials are wrong: after the id and a colon comes a key of this server."""

    word = "invalid_client"


class UnsupportedGrant(RequestError):
    """Tokens are given for the grant type client_credentials only."""

    word = "unsupported_grant_type"


class Tokens:
    """Gives tokens, and knows who holds one."""

    def __init__(self, keys: Keyring, now: Callable[[], float]) -> None:
        """`now`: seconds since 1970."""
        self._keys = keys
        self._now = now
        self._signing = {key.digest: key.signing for key in keys if key.signing is not None}

    def grant(self, authorization: bytes | None, body: bytes) -> dict[str, Any]:
        """The answer to a request for a token. Raises InvalidClient, UnsupportedGrant, MalformedRequest."""
        request = read_json(body)
        if not isinstance(request, dict) or request.get("grant_type") != "client_credentials":
            raise UnsupportedGrant
        found = _BASIC.fullmatch(authorization or b"")
        client, colon, secret = _decoded(found["credentials"]).partition(b":") if found else (b"", b"", b"")
        if not colon:
            raise InvalidClient
        if not self._keys:
            token = _signed(b"", client, *_NEVER_ENDING)
        else:
            key = self._keys.find_key(secret)
            if key is None:
                raise InvalidClient
            signing = self._signing.setdefault(key.digest, signing_key(secret))
            begin = int(self._now())
            token = _signed(signing, client, begin, begin + SECONDS)
        return {"access_token": token, "refresh_token": "", "expires_in": SECONDS, "token_type": "Bearer"}

    def find(self, token: bytes) -> Principal | None:
        """Who holds this token, unless it has ended. It takes as long for a wrong one as for any other."""
        signed, _, signature = token.rpartition(b".")
        holder: Key | None = None
        for key in self._keys:
            signing = self._signing.get(key.digest)
            if signing is not None and hmac.compare_digest(_signature(signing, signed), signature):
                holder = key
        if holder is None:
            return None
        claims = msgspec.json.decode(_decoded(signed.partition(b".")[2]))
        return holder.principal if self._now() < claims["exp"] else None


def _signed(signing: bytes, client: bytes, begin: int, end: int) -> str:
    claims = {"sub": client.decode("latin-1"), "iat": begin, "exp": end}
    signed = b".".join(_encoded(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + _signature(signing, signed)).decode()


def _signature(signing: bytes, signed: bytes) -> bytes:
    return _encoded(hmac.digest(signing, signed, "sha256"))


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    """From either alphabet of base 64; nothing for what is none."""
    try:
        return base64.urlsafe_b64decode(
            text.rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_") + b"=" * (-len(text.rstrip(b"=")) % 4)
        )
    except binascii.Error:
        return b""
