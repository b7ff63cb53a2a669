"""How an answer is spelt: chosen here, by the request's headers, and nowhere else."""

import http
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from ..errors import RequestError
from ..words import CONTRACT

Headers = Mapping[bytes, bytes]
"""A request's headers: lower-case names, as they came."""
HeaderList = list[tuple[bytes, bytes]]

_PROBLEM: Final = (b"content-type", b"application/problem+json")
_JSON: Final = (b"content-type", b"application/json")
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Where Python's phrases are older than RFC 9110 in some of its releases."""

RUNNER_PATH: Final = "/v0/runner/tasks"
"""Where runners in containers read their inputs."""
_PLATFORM_SDK: Final = b"blaxel/sdk/"
_FIRST_PAGED: Final = "2026-04-28"
"""The version of the platform's API from which on its lists are pages."""
_NEWEST: Final = "2026-09-22"


class InvalidApiVersion(RequestError):
    """This server does not know that version of the platform's API."""

    word = "invalid_api_version"


class Dialect(Protocol):
    """One way to spell what the engine answers."""

    headers: HeaderList
    """What every answer in this dialect carries."""
    platform: bool
    """It is the Blaxel platform's, which has routes of its own."""
    pages: bool
    """Lists are pages, not bare arrays."""

    def encode(self, view: Any) -> bytes:
        """The body for a view."""
        ...

    def check(self) -> None:
        """Raise InvalidApiVersion for a dialect that nobody speaks."""
        ...

    def status(self, error: RequestError) -> int:
        """The HTTP status of an error."""
        ...

    def problem(self, error: RequestError, request_id: str) -> tuple[tuple[bytes, bytes], bytes]:
        """Content type and body of an error."""
        ...


class _Contract:
    """openapi.yaml, word for word: the engine's views are already in it."""

    platform = False
    pages = True

    def __init__(self, headers: HeaderList) -> None:
        self.headers = headers

    encode = staticmethod(msgspec.json.encode)

    def check(self) -> None:
        """There is one version of it."""

    def status(self, error: RequestError) -> int:
        return error.status_code

    def problem(self, error: RequestError, request_id: str) -> tuple[tuple[bytes, bytes], bytes]:
        return _PROBLEM, self.encode(problem(error, request_id))


class _Runner(_Contract):
    """That of data URLs. The platform's runner in Python takes a refusal for an execution without tasks: it would call its function
    with nothing, and succeed. It fails where `tasks` is null."""

    def problem(self, error: RequestError, request_id: str) -> tuple[tuple[bytes, bytes], bytes]:
        return _PROBLEM, self.encode({**problem(error, request_id), "tasks": None})


class _Platform:
    """The Blaxel platform's, of one version of its API, or of the time before there were versions (None)."""

    platform = True

    def __init__(self, version: str | None) -> None:
        self.headers: HeaderList = []
        self._version = version
        self.pages = version is not None and version >= _FIRST_PAGED

    encode = staticmethod(msgspec.json.encode)

    def check(self) -> None:
        if self._version is not None and not (_is_date(self._version) and self._version <= _NEWEST):
            shown = self._version[:40]
            raise InvalidApiVersion(f"Blaxel-Version is a date, {_NEWEST} at the latest, not {shown!r}", path="Blaxel-Version")

    def status(self, error: RequestError) -> int:
        return 400 if error.status_code == 422 else error.status_code

    def problem(self, error: RequestError, request_id: str) -> tuple[tuple[bytes, bytes], bytes]:
        return _JSON, self.encode({"error": error.word, "code": self.status(error), "message": error.message})


_PLAIN: Final = _Contract([])
_ECHOED: Final = _Contract([(b"jobs-contract", CONTRACT.encode())])


_RUNNER: Final = _Runner([])


def choose_refusal(path: str, dialect: Dialect) -> Dialect:
    """The dialect in which a request is refused: at data URLs the one for runners, whoever asks."""
    return _RUNNER if path == RUNNER_PATH else dialect


def choose_dialect(headers: Headers) -> Dialect:
    """The dialect of a request. A caller that names the contract is told which one the answer keeps to."""
    if b"jobs-contract" in headers:
        return _ECHOED
    version = headers.get(b"blaxel-version")
    if version is not None or headers.get(b"user-agent", b"").startswith(_PLATFORM_SDK):
        return _platform(version)
    return _PLAIN


def problem(error: RequestError, request_id: str) -> dict[str, Any]:
    """An error as openapi.yaml's Problem (RFC 9457)."""
    status = error.status_code
    view = {
        "type": "about:blank",
        "title": _TITLES.get(status) or http.HTTPStatus(status).phrase,
        "status": status,
        "error": error.word,
        "code": status,
        "message": error.message,
    }
    if error.path:
        view["path"] = error.path
    view["requestId"] = request_id
    return view


@lru_cache(maxsize=16)
def _platform(version: bytes | None) -> Dialect:
    return _Platform(None if version is None else version.decode("latin-1"))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
