"""Inputs for runners in containers, which have no API key: the URL that they are given carries a secret of its own, good for one
execution."""

import hashlib
import hmac
import os
from typing import Final
from urllib.parse import urlencode

from ..errors import ConfigError, Forbidden
from .dialect import RUNNER_PATH
from .exchange import Exchange

SECRET_VARIABLE: Final = "BLAXEL_JOBS_DATA_SECRET"  # noqa: S105  the variable's name
SHORTEST: Final = 16


class RunnerData:
    """Makes URLs that answer the inputs of one execution, and knows its own again."""

    def __init__(self, secret: bytes | None = None) -> None:
        """Without a secret there is one for as long as this process lives."""
        self._secret = os.urandom(32) if secret is None else hashlib.sha256(secret).digest()

    def url(self, exchange: Exchange, workspace: str, execution_id: str) -> str:
        """The one for whoever has sent this request."""
        query = {"executionId": execution_id, "workspace": workspace, "secret": self._sign(workspace, execution_id)}
        return f"{self.root(exchange)}{RUNNER_PATH}?{urlencode(query)}"

    def root(self, exchange: Exchange) -> str:
        """This server as its caller reaches it."""
        proxied = exchange.headers.get(b"x-forwarded-proto") == b"https"
        scheme = "https" if proxied else exchange.scope.get("scheme", "http")
        return f"{scheme}://{exchange.headers[b'host'].decode()}"

    def check(self, workspace: str, execution_id: str, secret: str) -> None:
        """Raises Forbidden for any other secret than that of this execution."""
        if not hmac.compare_digest(self._sign(workspace, execution_id).encode(), secret.encode()):
            raise Forbidden("the URL's secret is not that of this execution: ask this server for its data URL", path="secret")

    def _sign(self, workspace: str, execution_id: str) -> str:
        return hmac.new(self._secret, f"{workspace}\n{execution_id}".encode(), "sha256").hexdigest()


def read_secret(text: str | None) -> bytes | None:
    """The secret that the environment gives. Raises ConfigError for one that could be guessed."""
    if not text:
        return None
    if len(text) < SHORTEST:
        raise ConfigError(f"{SECRET_VARIABLE} has {SHORTEST} characters or more")
    return text.encode()
