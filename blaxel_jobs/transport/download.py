"""Documents that are not of the contract, at URLs that are a secret by themselves."""

from typing import Any, Final

import httpx

from ..errors import ConnectionFailed, ContractError, RequestError, RequestTimeout
from ..system import rng, sleep
from .answers import refusal
from .connections import _is_loopback

TRIES: Final = 5
TIMEOUT: Final = 30.0
"""Seconds for each part of a try."""
FIRST_PAUSE: Final = 0.25
"""Seconds before the second try; before each next one twice as long."""
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})


def get_json(url: str, *, transport: Any = None) -> Any:
    """The JSON document there; tried again while its server is out of reach, busy or fails. Messages name the host only.

    Raises ConnectionFailed, ContractError and the RequestError of the answer's status. `transport` replaces the network.
    """
    try:
        trust_env = not _is_loopback(url)
    except ValueError as error:
        raise ContractError(f"that is no URL of a document: {error}") from None
    with httpx.Client(transport=transport, timeout=TIMEOUT, follow_redirects=True, trust_env=trust_env) as client:
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return _get(client, url)
            except ConnectionFailed:
                wait = pause
            except RequestError as error:
                if error.status_code not in _PASSING:
                    raise
                wait = max(pause, min(error.retry_after or 0.0, TIMEOUT))
            sleep(wait * (0.5 + rng.random() / 2))
            pause *= 2
        return _get(client, url)


def _get(client: httpx.Client, url: str) -> Any:
    host = ""
    try:
        host = httpx.URL(url).host
        response = client.get(url)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ContractError(f"that is no URL of a document: {error}") from None
    except httpx.HTTPError as error:
        failure = RequestTimeout if isinstance(error, httpx.TimeoutException) else ConnectionFailed
        raise failure(f"{host} could not be reached: {type(error).__name__}") from None
    if response.status_code >= 400:
        raise refusal(response)
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise ContractError(f"the answer of {host} is no JSON") from None
