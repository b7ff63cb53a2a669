"""The seam over HTTP: sends what the generated operations build and reads answers into the generated models.

The only hand-written part of the SDK that knows httpx.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import httpx

from .. import __version__
from ..client import api
from ..config import Settings
from ..errors import ContractError, InvalidRequest, NotSerializable
from ..flow import LOOK, Op
from ..plain import check_plain
from ..system import new_key, rng
from ..words import CONTRACT
from .answers import read_answer
from .connections import CALLS, Connections
from .stand_in import StandIn, Time, Wire, present, stand_in_for

__all__ = ["HttpSeam"]

PLATFORM_VERSION: Final = "2026-09-22"
"""The `Blaxel-Version` of the platform's API that this contract extends."""
CONNECT_TIMEOUT: Final = 10.0

_modules: dict[str, str] = {}


class _Operation(NamedTuple):
    """The two halves of a generated operation."""

    get_kwargs: Callable[..., dict[str, Any]]
    parse_response: Callable[..., Any]


class _Link(NamedTuple):
    """What one process has for one server."""

    settings: Settings
    headers: httpx.Headers
    connections: Wire


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

    def perform(self, op: Op) -> Any:
        """Raises ConnectionFailed, RequestTimeout, ContractError, InvalidRequest and the RequestError of the answer's status."""
        link = self._link()
        operation = self._operation(op.id)
        group, arguments = _admitted(link, op.arguments)
        try:
            request = _request(link, operation, arguments, op.timeout)
            began = self._time.stamp(request)
            response = link.connections.send(request, group)
        finally:
            link.connections.give_back(group)
        self._time.answered(began, response)
        return read_answer(op, operation.parse_response, response)

    async def aperform(self, op: Op) -> Any:
        """As `perform`."""
        link = self._link()
        operation = self._operation(op.id)
        group, arguments = _admitted(link, op.arguments)
        try:
            request = _request(link, operation, arguments, op.timeout)
            began = self._time.stamp(request)
            response = await link.connections.asend(request, group)
        finally:
            link.connections.give_back(group)
        self._time.answered(began, response)
        return read_answer(op, operation.parse_response, response)

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
        settings = self._network().settings
        return _Link(settings, httpx.Headers(_headers(settings)), stand_in.wire)

    def _network(self) -> _Link:
        """A child process has connections of its own: those of its parent are neither used nor closed."""
        link = self._links.get(os.getpid())
        if link is None:
            settings = self._settings if isinstance(self._settings, Settings) else self._settings()
            connections = Connections(settings.base_url, settings.max_connections, self._transport)
            link = self._links.setdefault(os.getpid(), _Link(settings, httpx.Headers(_headers(settings)), connections))
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


def _admitted(link: _Link, arguments: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
    """The connections to use, and the arguments: a long poll too many is answered at once."""
    if arguments.get("prefer", LOOK) == LOOK:
        return CALLS, arguments
    group = link.connections.take_poll()
    return group, arguments if group != CALLS else {**arguments, "prefer": LOOK}


def _request(link: _Link, operation: _Operation, arguments: Mapping[str, Any], at_most: float | None) -> httpx.Request:
    """What a generated operation builds, as a request with our headers. Raises InvalidRequest before anything is sent."""
    kwargs = operation.get_kwargs(**arguments)
    url = link.settings.base_url + kwargs["url"]
    params = kwargs.get("params")
    if params:
        url = f"{url}?{urlencode(params)}"
    content = _encode(kwargs["json"]) if "json" in kwargs else None
    extensions = {"timeout": _timeout(link.settings.request_timeout, arguments, at_most)}
    try:
        request = httpx.Request(kwargs["method"], url, headers=link.headers, content=content, extensions=extensions)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"the arguments make no URL: {error}") from error
    for name, value in kwargs.get("headers", {}).items():
        request.headers[name] = value
    return request


def _timeout(most: float, arguments: Mapping[str, Any], at_most: float | None) -> dict[str, float]:
    held = re.search(r"wait=([0-9]+)", arguments.get("prefer") or "")
    read = most + int(held[1]) if held else most
    if at_most is not None:
        read, most = min(read, at_most), min(most, at_most)
    return {"connect": min(most, CONNECT_TIMEOUT), "read": read, "write": most, "pool": most}


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
