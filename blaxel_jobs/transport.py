"""The seam over HTTP: sends what the generated operations build and reads answers into the generated models.

The only hand-written SDK module that knows httpx. It has one client for each process and, for async, one for each event loop.
"""

import json
import os
import re
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pkgutil import walk_packages
from time import sleep
from types import ModuleType
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx

from . import __version__
from .client import api
from .config import Settings
from .errors import ConnectionFailed, ContractError, InvalidRequest, NotSerializable, RequestError, RequestTimeout, error_class
from .flow import Op
from .plain import check_plain
from .system import SystemClock, new_key, rng
from .words import CONTRACT

PLATFORM_VERSION: Final = "2026-09-22"
"""The `Blaxel-Version` of the platform's API that this contract extends."""
CONNECT_TIMEOUT: Final = 10.0
KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 s after which common servers close an idle connection, so that none is used while it is being closed."""

_modules: dict[str, str] = {}


class _Operation(NamedTuple):
    """The two halves of a generated operation."""

    get_kwargs: Callable[..., dict[str, Any]]
    parse_response: Callable[..., Any]


class HttpSeam:
    """Performs operations over HTTP. Any number of threads and event loops may share one; it survives a fork.

    `settings` may be a function, called at the first request: making a seam reads nothing. `transport` is for tests: it replaces
    the network.
    """

    def __init__(self, settings: Settings | Callable[[], Settings] = Settings, *, transport: Any = None) -> None:
        self._settings = settings
        self._transport = transport
        self._links: dict[int, _Link] = {}
        self._operations: dict[str, _Operation] = {}

    monotonic = staticmethod(SystemClock.monotonic)
    random = staticmethod(rng.random)
    new_key = staticmethod(new_key)
    sleep = staticmethod(sleep)

    async def asleep(self, seconds: float) -> None:
        import anyio

        await anyio.sleep(seconds)

    @property
    def retries(self) -> int:
        return self._link().settings.connect_retries

    def perform(self, op: Op) -> Any:
        """Raises ConnectionFailed, RequestTimeout, ContractError, InvalidRequest and the RequestError of the answer's status."""
        link = self._link()
        operation = self._operation(op.id)
        with link.polling(op.arguments) as arguments:
            request = link.request(operation.get_kwargs(**arguments), arguments, op.timeout)
            try:
                response = link.client().send(request)
            except httpx.HTTPError as error:
                raise link.failure(error) from error
        return _read(op, operation, response)

    async def aperform(self, op: Op) -> Any:
        """As `perform`."""
        link = self._link()
        operation = self._operation(op.id)
        with link.polling(op.arguments) as arguments:
            request = link.request(operation.get_kwargs(**arguments), arguments, op.timeout)
            try:
                response = await (await link.async_client()).send(request)
            except httpx.HTTPError as error:
                raise link.failure(error) from error
        return _read(op, operation, response)

    def close(self) -> None:
        """Give the sync connections back. The next call opens new ones."""
        link = self._links.get(os.getpid())
        if link is not None:
            link.close()

    async def aclose(self) -> None:
        """Give the sync connections and those of this event loop back."""
        self.close()
        link = self._links.get(os.getpid())
        if link is not None:
            await link.aclose()

    def _link(self) -> "_Link":
        """A child process has connections of its own: those of its parent are neither used nor closed."""
        link = self._links.get(os.getpid())
        if link is None:
            settings = self._settings if isinstance(self._settings, Settings) else self._settings()
            link = self._links.setdefault(os.getpid(), _Link(settings, self._transport))
        return link

    def _operation(self, name: str) -> _Operation:
        operation = self._operations.get(name)
        if operation is None:
            module = _module(name)
            operation = self._operations[name] = _Operation(module._get_kwargs, module._parse_response)
        return operation


def _module(name: str) -> ModuleType:
    """The generated module of an operation, whatever the tag under which it stands."""
    if not _modules:
        found = walk_packages(api.__path__, api.__name__ + ".")
        _modules.update({info.name.rpartition(".")[2]: info.name for info in found if not info.ispkg})
    if name not in _modules:
        raise ContractError(f"the generated client has no operation {name}")
    return import_module(_modules[name])


class _Link:
    """What one process keeps open to one server."""

    def __init__(self, settings: Settings, transport: Any) -> None:
        self.settings = settings
        self.transport = transport
        self._base = settings.base_url.rstrip("/")
        self._name = re.sub(r"//[^/]*@", "//", self._base)
        self._headers = httpx.Headers(_headers(settings))
        self._client: httpx.Client | None = None
        self._async: dict[object, AsyncGenerator[httpx.AsyncClient, None]] = {}
        self._async_clients: dict[object, httpx.AsyncClient] = {}
        self._ssl: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._polls = 0
        self._most_polls = max(1, settings.max_connections - max(1, settings.max_connections // 8))

    @contextmanager
    def polling(self, arguments: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Keep some connections free of long polls: one too many is asked without `prefer` and answered at once."""
        if "prefer" not in arguments:
            yield arguments
            return
        with self._lock:
            self._polls += 1
            crowded = self._polls > self._most_polls
        try:
            yield {name: value for name, value in arguments.items() if name != "prefer"} if crowded else arguments
        finally:
            with self._lock:
                self._polls -= 1

    def request(self, kwargs: dict[str, Any], arguments: Mapping[str, Any], at_most: float | None) -> httpx.Request:
        """What a generated operation built, as a request with our headers. Raises InvalidRequest before anything is sent."""
        url = self._base + kwargs["url"]
        params = kwargs.get("params")
        if params:
            url = f"{url}?{urlencode(params)}"
        content = _encode(kwargs["json"]) if "json" in kwargs else None
        extensions = {"timeout": self._timeout(arguments, at_most)}
        try:
            request = httpx.Request(kwargs["method"], url, headers=self._headers, content=content, extensions=extensions)
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"the arguments make no URL: {error}") from error
        for name, value in kwargs.get("headers", {}).items():
            request.headers[name] = value
        return request

    def client(self) -> httpx.Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = httpx.Client(transport=self.transport, **self._client_options())
        return self._client

    async def async_client(self) -> httpx.AsyncClient:
        """The client of this event loop. It is closed when the loop shuts its async generators down, as `asyncio.run` does."""
        loop = _running_loop()
        client = self._async_clients.get(loop)
        if client is None:
            self._forget_closed_loops()
            lifetime = self._lifetime(loop)
            client = await anext(lifetime)
            self._async[loop] = lifetime
        return client

    async def _lifetime(self, loop: object) -> AsyncGenerator[httpx.AsyncClient, None]:
        client = self._async_clients[loop] = httpx.AsyncClient(transport=self.transport, **self._client_options())
        try:
            yield client
        finally:
            self._async_clients.pop(loop, None)
            self._async.pop(loop, None)
            await client.aclose()

    def _forget_closed_loops(self) -> None:
        """A client holds its loop through its connections, so weak references would never let go of a loop that was only closed."""
        from asyncio import AbstractEventLoop

        for loop in list(self._async):
            if isinstance(loop, AbstractEventLoop) and loop.is_closed():
                self._async_clients.pop(loop, None)
                self._async.pop(loop, None)

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        lifetime = self._async.get(_running_loop())
        if lifetime is not None:
            await lifetime.aclose()

    def failure(self, error: httpx.HTTPError) -> ConnectionFailed | ContractError:
        """The same in our words."""
        if isinstance(error, httpx.TimeoutException):
            return RequestTimeout(f"{self._name} did not answer in time ({type(error).__name__})")
        if isinstance(error, httpx.DecodingError):
            return ContractError(f"the answer of {self._name} cannot be decoded: {error}")
        refused = isinstance(error, httpx.ConnectError)
        if refused and _is_loopback(self._base):
            return ConnectionFailed(
                f"no server answers at {self._name}: start one with `blaxel-jobs serve --simulate`, or set BL_API_URL to one that "
                "runs, or BL_API_KEY to use the platform"
            )
        verb = "could not be reached" if refused else "broke the connection"
        return ConnectionFailed(f"{self._name} {verb}: {str(error) or type(error).__name__}")

    def _timeout(self, arguments: Mapping[str, Any], at_most: float | None) -> dict[str, float]:
        most = self.settings.request_timeout
        held = re.search(r"wait=([0-9]+)", arguments.get("prefer") or "")
        read = most + int(held[1]) if held else most
        if at_most is not None:
            read, most = min(read, at_most), min(most, at_most)
        return {"connect": min(most, CONNECT_TIMEOUT), "read": read, "write": most, "pool": most}

    def _client_options(self) -> dict[str, Any]:
        most = self.settings.max_connections
        options: dict[str, Any] = {
            "limits": httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEP_ALIVE),
            "trust_env": not _is_loopback(self._base),
        }
        if self._ssl is None:
            # Without TLS the certificates (10 ms) stay unread; a context that has none trusts nobody.
            plain = self._base.startswith("http:")
            self._ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context()
        return {**options, "verify": self._ssl}


def _headers(settings: Settings) -> dict[str, str]:
    headers = {
        "Accept": "application/json, application/problem+json",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "User-Agent": f"blaxel-jobs/{__version__}",
        "Jobs-Contract": CONTRACT,
        "Blaxel-Version": PLATFORM_VERSION,
    }
    if settings.api_key is not None:
        headers["X-Blaxel-Authorization"] = f"Bearer {settings.api_key}"
    if settings.workspace is not None:
        headers["X-Blaxel-Workspace"] = settings.workspace
    return headers


def _running_loop() -> object:
    """What stands for the event loop that runs: the loop of asyncio, the token of trio."""
    from asyncio import get_running_loop

    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        return trio.lowlevel.current_trio_token()
    return get_running_loop()


def _is_loopback(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.[0-9]{1,3}){3}", host) is not None


def _encode(body: Any) -> bytes:
    """JSON text. Raises InvalidRequest, naming the place, for what JSON cannot carry."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply") from None
    except (TypeError, ValueError) as error:
        raise InvalidRequest(_culprit(body) or f"the request cannot be sent as JSON: {error}") from error


def _culprit(body: Any) -> str | None:
    try:
        check_plain(body)
    except NotSerializable as error:
        return error.message
    except RecursionError:
        return "the request contains itself"
    return None


def _read(op: Op, operation: _Operation, response: httpx.Response) -> Any:
    if response.status_code >= 400:
        raise _refusal(response)
    try:
        answer = operation.parse_response(client=None, response=response)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ContractError(f"{_named(response)} is not a {op.model}: {type(error).__name__}: {error}") from error
    if type(answer).__name__ != op.model:
        raise ContractError(f"{_named(response)} is not a {op.model}")
    return answer


def _named(response: httpx.Response) -> str:
    return f"the answer of {response.request.method} {response.request.url.path} (HTTP {response.status_code})"


def _refusal(response: httpx.Response) -> RequestError:
    """The typed error of an answer: problem details where it has them, else what can be read of its body."""
    try:
        body: Any = response.json()
    except (ValueError, RecursionError):
        body = response.text
    problem = body if isinstance(body, dict) else {}
    words = {name: value for name, value in problem.items() if isinstance(value, str)}
    message = words.get("message") or words.get("detail") or words.get("title") or words.get("error")
    readable = _readable(response.text)
    error = error_class(response.status_code, words.get("error"))(
        message or f"HTTP {response.status_code} {response.reason_phrase}" + (f": {readable}" if readable else ""),
        path=words.get("path"),
        request_id=words.get("requestId") or response.headers.get("X-Request-Id"),
        body=body,
        retry_after=_retry_after(response.headers),
    )
    error.status_code = response.status_code
    return error


def _readable(text: str) -> str:
    """The words of a page that some proxy put in the way, in one line."""
    bare = re.sub(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", text)
    line = " ".join(bare.split())
    return line if len(line) <= 200 else f"{line[:200]}..."


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds (RFC 9110: a number, or a date, which is read against the server's own clock)."""
    from email.utils import parsedate_to_datetime

    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds(), 0.0)
    except (KeyError, TypeError, ValueError):
        return None
