"""Bearer tokens for client credentials (OAuth 2.0 client credentials grant, RFC 6749 4.4, as the Blaxel platform has it)."""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx

from ..errors import ConnectionFailed, ContractError
from .answers import refusal

MARGIN: Final = 60.0
"""Seconds before its end in which a token is not used any more; for short-lived ones a tenth of their life."""


class _Token(NamedTuple):
    value: str
    until: float


class Tokens:
    """One token for any number of threads and tasks: fetched when first needed and when it is about to expire, by one of them."""

    def __init__(
        self, base_url: str, credentials: str, send: Callable[[httpx.Request], httpx.Response], monotonic: Callable[[], float]
    ) -> None:
        """`credentials` are base64 of `id:secret`. `send` performs a request in this thread."""
        self._url = f"{base_url}/oauth/token"
        self._headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
        self._send = send
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def __repr__(self) -> str:
        return f"<Tokens of {httpx.URL(self._url).host}>"

    def held(self) -> str | None:
        """The token, if there is one that can be used: no I/O."""
        token = self._token
        return token.value if token is not None and self._monotonic() < token.until else None

    def get(self, timeout: Mapping[str, float], refused: str | None = None) -> str:
        """The token, fetched if need be; another one than `refused`. Blocks. `timeout` is that of the request.

        Raises Unauthorized, ConnectionFailed, ContractError.
        """
        with self._lock:
            held = self.held()
            if held is None or held == refused:
                self._token = self._fetch(timeout)
            assert self._token is not None
            return self._token.value

    def _fetch(self, timeout: Mapping[str, float]) -> _Token:
        began = self._monotonic()
        grant = {"grant_type": "client_credentials"}
        request = httpx.Request("POST", self._url, headers=self._headers, json=grant, extensions={"timeout": timeout})
        try:
            response = self._send(request)
        except ConnectionFailed as error:
            error.sent = False  # what the token is for was not
            raise
        if response.status_code >= 400:
            raise refusal(response)
        try:
            answer: dict[str, Any] = response.json()
            value, seconds = answer["access_token"], float(answer.get("expires_in") or 3600)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
            # Without its cause: that would show what was answered.
            raise ContractError(f"the answer of POST {self._url} has no access_token") from None
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value):
            raise ContractError(f"the answer of POST {self._url} has no access_token")
        return _Token(value, began + seconds - min(MARGIN, seconds / 10))
