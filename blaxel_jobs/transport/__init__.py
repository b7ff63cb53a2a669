"""The seam over HTTP: sends what the generated operations build and reads answers into the generated models.

The only hand-written part of the SDK that knows httpx.
"""

import json
import os
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import attrs
import httpx

from .. import __version__
from ..client import api
from ..client.types import File
from ..config import Settings, is_platform
from ..errors import ContractError, InvalidRequest, NotFound, RequestTimeout
from ..flow import LOOK, Op, Peer
from ..plain import check_arguments, check_body
from ..system import SystemClock, new_key, rng
from ..watch import QUIET
from ..words import CONTRACT
from . import platform
from .answers import learn, read_answer, read_events, refusal
from .connections import CALLS, TOKENS, Connections
from .stand_in import StandIn, Time, Wire, present, stand_in_for
from .tokens import Tokens

__all__ = ["HttpSeam"]

PLATFORM_VERSION: Final = "2026-09-22"
"""The `Blaxel-Version` of the platform's API that this contract extends."""
CONNECT_TIMEOUT: Final = 10.0

OURS: Final = Peer(contract=True, missing={"watch_executions", "stream_execution_events"})
"""A mock: our own server, but no streams from it, since they bring nothing as long as nobody waits in its time."""

_modules: dict[str, str] = {}


class _Operation(NamedTuple):
    """The two halves of a generated operation."""

    get_kwargs: Callable[..., dict[str, Any]]
    parse_response: Callable[..., Any]


@attrs.frozen
class _Link:
    """What one process has for one server."""

    settings: Settings
    base_url: str
    headers: httpx.Headers = attrs.field(repr=False)
    connections: Wire
    peer: Peer
    tokens: Tokens | None = None


class HttpSeam:
    """Performs operations over HTTP. Any number of threads and event loops may share one; it survives a fork.

    `settings` may be a function, called at the first request: making a seam reads nothing. `transport` and `stand_in` are for
    tests: the one replaces the network, the other time as well.
    """

    def __init__(
        self, settings: Settings | Callable[[], Settings] = Settings, *, transport: Any = None, stand_in: StandIn | None = None
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._stand_in = stand_in
        self._links: dict[int, _Link] = {}
        self._operations: dict[str, _Operation] = {}
        self._time = Time()

    def monotonic(self) -> float:
        return (self._stands_in() or self._time).monotonic()

    def random(self) -> float:
        return (self._stands_in() or rng).random()

    def new_key(self) -> str:
        stand_in = self._stands_in()
        return stand_in.new_key() if stand_in else new_key()

    def sleep(self, seconds: float) -> None:
        (self._stands_in() or self._time).sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        await (self._stands_in() or self._time).asleep(seconds)

    @property
    def retries(self) -> int:
        return self._network().settings.connect_retries

    @property
    def peer(self) -> Peer:
        return OURS if self._stands_in() else self._network().peer

    def perform(self, op: Op) -> Any:
        """Raises ConnectionFailed, RequestTimeout, ContractError, InvalidRequest and the RequestError of the answer's status."""
        link = self._link()
        operation = self._operation(op.id)
        group, arguments = _admitted(link, op.arguments)
        try:
            request = _request(link, operation, arguments, op.timeout)
            if link.tokens is not None:
                _authorize(request, link.tokens.get(request.extensions["timeout"]))
            began = self._time.stamp(request)
            response = link.connections.send(request, group)
            if link.tokens is not None and response.status_code == 401:
                _authorize(request, link.tokens.get(request.extensions["timeout"], _token(request)))
                response = link.connections.send(request, group)
        finally:
            link.connections.give_back(group)
        if self._time.answered(began, response):
            link.peer.missing |= OURS.missing
        return _read(link, op, operation, response)

    async def aperform(self, op: Op) -> Any:
        """As `perform`."""
        link = self._link()
        operation = self._operation(op.id)
        group, arguments = _admitted(link, op.arguments)
        try:
            request = _request(link, operation, arguments, op.timeout)
            if link.tokens is not None:
                await _aauthorize(request, link.tokens)
            began = self._time.stamp(request)
            response = await link.connections.asend(request, group)
            if link.tokens is not None and response.status_code == 401:
                await _aauthorize(request, link.tokens, _token(request))
                response = await link.connections.asend(request, group)
        finally:
            link.connections.give_back(group)
        if self._time.answered(began, response):
            link.peer.missing |= OURS.missing
        return _read(link, op, operation, response)

    async def astream(self, op: Op) -> AsyncGenerator[list[Any], None]:
        """Raises as `perform`, also in the middle."""
        link = self._link()
        operation = self._operation(op.id)
        if not isinstance(link.connections, Connections):
            raise NotFound("what stands in for the network has no streams")
        group = link.connections.take_poll()
        if group == CALLS:
            raise RequestTimeout("all connections for long polls and streams are in use", sent=False)
        try:
            request = _request(link, operation, op.arguments, op.timeout)
            request.headers["Accept"] = "text/event-stream, application/problem+json"
            request.extensions["timeout"]["read"] = QUIET
            refused = None
            if link.tokens is not None:
                await _aauthorize(request, link.tokens)
                refused = _token(request)
            while True:
                async with link.connections.stream(request, group) as response:
                    if response.status_code != 401 or link.tokens is None or refused is None:
                        learn(link.peer, op, response)
                        async for models in read_events(op, operation.parse_response, response):
                            yield models
                        return
                await _aauthorize(request, link.tokens, refused)
                refused = None
        finally:
            link.connections.give_back(group)

    @contextmanager
    def download(self, op: Op) -> Generator[httpx.Response, None, None]:
        """The answer, with its body still to be read in this thread. Raises as `perform`, also in the middle."""
        link = self._link()
        request = _request(link, self._operation(op.id), op.arguments, op.timeout)
        request.headers.update({"Accept": "application/octet-stream, application/problem+json", "Accept-Encoding": "identity"})
        refused = None
        if link.tokens is not None:
            _authorize(request, refused := link.tokens.get(request.extensions["timeout"]))
        while True:
            with _streamed(link.connections, request) as response:
                if response.status_code != 401 or link.tokens is None or refused is None:
                    learn(link.peer, op, response)
                    if response.status_code != 200:
                        response.read()
                        raise refusal(response)
                    yield response
                    return
            _authorize(request, link.tokens.get(request.extensions["timeout"], refused))
            refused = None

    def close(self) -> None:
        """Give the sync connections back. The next call opens new ones."""
        link = self._links.get(os.getpid())
        if link is not None:
            link.connections.close()

    async def aclose(self) -> None:
        """Give the sync connections and those of this event loop back."""
        link = self._links.get(os.getpid())
        if link is not None:
            link.connections.close()
            await link.connections.aclose()

    def _stands_in(self) -> StandIn | None:
        """What we speak to instead of the network, if anything."""
        if self._stand_in is not None or self._transport is not None or not present():
            return self._stand_in
        return stand_in_for(self._network().settings.base_url)

    def _link(self) -> _Link:
        stand_in = self._stands_in()
        if stand_in is None:
            return self._network()
        # Of the settings it gets what says how to call, and nothing that says whom.
        return _Link(self._network().settings, stand_in.base_url, _ANONYMOUS, stand_in.wire, OURS)

    def _network(self) -> _Link:
        """A child process has connections of its own: those of its parent are neither used nor closed."""
        link = self._links.get(os.getpid())
        if link is None:
            settings = self._settings if isinstance(self._settings, Settings) else self._settings()
            link = self._links.setdefault(os.getpid(), self._new_link(settings))
        return link

    def _new_link(self, settings: Settings) -> _Link:
        connections = Connections(settings.base_url, settings.max_connections, self._transport)
        credentials, tokens = settings.client_credentials, None
        if settings.api_key is None and credentials is not None:
            tokens = Tokens(settings.base_url, credentials, partial(connections.send, group=TOKENS), self.monotonic)
        peer = Peer(doubtful=is_platform(settings.base_url))
        return _Link(settings, settings.base_url, httpx.Headers(_headers(settings)), connections, peer, tokens)

    def _operation(self, name: str) -> _Operation:
        operation = self._operations.get(name)
        if operation is None:
            module = _module(name)
            operation = self._operations[name] = _Operation(module._get_kwargs, module._parse_response)
        return operation


def _streamed(wire: Wire, request: httpx.Request) -> AbstractContextManager[httpx.Response]:
    """What stands in for the network has whole answers only."""
    return wire.stream_here(request) if isinstance(wire, Connections) else nullcontext(wire.send(request, CALLS))


def _read(link: _Link, op: Op, operation: _Operation, response: httpx.Response) -> Any:
    peer = link.peer
    if not peer.contract:
        learn(peer, op, response)
        if not peer.contract:
            seen = platform.Request(op.arguments, link.settings.workspace or "", _answered_at(response))
            return read_answer(op, operation.parse_response, response, seen)
    return read_answer(op, operation.parse_response, response)


def _answered_at(response: httpx.Response) -> str:
    """By the server's clock, where it says so."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(response.headers["Date"]).isoformat()
    except (LookupError, ValueError):
        return datetime.fromtimestamp(SystemClock.now(), UTC).isoformat()


def _authorize(request: httpx.Request, token: str) -> None:
    request.headers["X-Blaxel-Authorization"] = f"Bearer {token}"


def _token(request: httpx.Request) -> str:
    return request.headers["X-Blaxel-Authorization"].removeprefix("Bearer ")


async def _aauthorize(request: httpx.Request, tokens: Tokens, refused: str | None = None) -> None:
    """In a thread when a token must be fetched: who waits for another's fetch, waits for a lock."""
    token = tokens.held()
    if token is None or token == refused:
        import anyio

        token = await anyio.to_thread.run_sync(tokens.get, request.extensions["timeout"], refused, abandon_on_cancel=True)
    _authorize(request, token)


def _module(name: str) -> ModuleType:
    """The generated module of an operation, whatever the tag under which it stands."""
    if not _modules:
        found = walk_packages(api.__path__, api.__name__ + ".")
        _modules.update({info.name.rpartition(".")[2]: info.name for info in found if not info.ispkg})
    if name not in _modules:
        raise ContractError(f"the generated client has no operation {name}")
    return import_module(_modules[name])


def _admitted(link: _Link, arguments: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """The connections to use, and the arguments: a long poll too many is answered at once, and the platform holds none."""
    if link.peer.is_platform and "prefer" in arguments:
        arguments = {name: value for name, value in arguments.items() if name != "prefer"}
    if arguments.get("prefer", LOOK) == LOOK:
        return CALLS, arguments
    group = link.connections.take_poll()
    return group, arguments if group != CALLS else {**arguments, "prefer": LOOK}


def _request(link: _Link, operation: _Operation, arguments: Mapping[str, Any], at_most: float | None) -> httpx.Request:
    """What a generated operation builds, as a request with our headers. Raises InvalidRequest before anything is sent."""
    check_arguments(arguments)
    kwargs = operation.get_kwargs(**arguments)
    url = link.base_url + kwargs["url"]
    params = kwargs.get("params")
    if params:
        url = f"{url}?{urlencode(params)}"
    content = _encode(kwargs["json"]) if "json" in kwargs else kwargs.get("content")
    extensions = {"timeout": _timeout(link.settings.request_timeout, arguments, at_most)}
    try:
        request = httpx.Request(kwargs["method"], url, headers=link.headers, content=content, extensions=extensions)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"the arguments make no URL: {error}") from error
    for name, value in kwargs.get("headers", {}).items():
        request.headers[name] = value
    if "content" in kwargs:
        _say_what_is_uploaded(request, arguments["body"])
    return request


def _say_what_is_uploaded(request: httpx.Request, file: File) -> None:
    """Its type and, where it is known, its length: then the server need not read it to refuse it."""
    if file.mime_type is not None:
        request.headers["Content-Type"] = file.mime_type
    size = getattr(file.payload, "size", None)
    if size is not None:
        request.headers["Content-Length"] = str(size)
        request.headers.pop("Transfer-Encoding", None)


def _timeout(most: float, arguments: Mapping[str, Any], at_most: float | None) -> dict[str, float]:
    held = re.search(r"wait=([0-9]+)", arguments.get("prefer") or "")
    read = most + int(held[1]) if held else most
    if at_most is not None:
        read, most = min(read, at_most), min(most, at_most)
    return {"connect": min(most, CONNECT_TIMEOUT), "read": read, "write": most, "pool": most}


_COMMON: Final = {
    "Accept": "application/json, application/problem+json",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": f"blaxel-jobs/{__version__}",
    "Jobs-Contract": CONTRACT,
    "Blaxel-Version": PLATFORM_VERSION,
}
_ANONYMOUS: Final = httpx.Headers(_COMMON)


def _headers(settings: Settings) -> dict[str, str]:
    headers = dict(_COMMON)
    if settings.api_key is not None:
        headers["X-Blaxel-Authorization"] = f"Bearer {settings.api_key}"
    if settings.workspace is not None:
        headers["X-Blaxel-Workspace"] = settings.workspace
    return headers


_encoder: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _encode(body: Any) -> bytes:
    """JSON text. Raises InvalidRequest, naming the place, for what JSON cannot carry or would give back as something else."""
    check_body(body)
    return _encoder.encode(body).encode()
