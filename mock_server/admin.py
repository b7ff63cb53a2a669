"""`/__mock__`: the mock steered over HTTP, for programs in any language. A durable server has none of it.

Each route is of the namespace that the request names, as every other request is.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from blaxel_jobs import __version__
from blaxel_jobs.errors import ConfigError, Forbidden, InvalidRequest, MalformedRequest, NotFound
from blaxel_jobs.server.app import App
from blaxel_jobs.server.asgi import Receive
from blaxel_jobs.server.body import BodyLimits, read_body
from blaxel_jobs.server.exchange import Exchange, Text
from blaxel_jobs.server.routes import Resource, Routes
from blaxel_jobs.words import CONTRACT

from .journal import Wanted, verify
from .namespaces import ADMIN
from .rules import read_rule, read_rules
from .virtual import VirtualClock

if TYPE_CHECKING:
    from .namespaces import Namespace

LIMITS: Final = BodyLimits(size=256 * 1024 * 1024)
"""A state may be large."""
MOST_WAIT: Final = 86_400.0 * 366

_Act = Callable[[Exchange, Receive], Awaitable[Any]]


class AdminApp(App):
    """The app, and beside its routes those by which the mock is steered."""

    def __init__(self, *arguments: Any, namespace: "Namespace", **options: Any) -> None:
        self._namespace = namespace
        super().__init__(*arguments, **options)

    def _make_routes(self) -> Routes:
        routes = super()._make_routes()
        acts: dict[str, dict[str, _Act]] = {
            "/health": {"GET": self._health_of_mock},
            "/version": {"GET": self._version},
            "/clock": {"GET": self._clock, "POST": self._move_clock},
            "/drain": {"POST": self._drain_executions},
            "/faults": {"GET": self._faults, "POST": self._add_faults, "DELETE": self._clear_faults},
            "/faults/{id}": {"GET": self._fault, "DELETE": self._remove_fault},
            "/journal": {"GET": self._journal, "DELETE": self._clear_journal},
            "/journal/verify": {"POST": self._verify},
            "/state": {"GET": self._state, "PUT": self._restore, "DELETE": self._reset},
            "/namespaces": {"GET": self._namespaces},
            "/namespaces/{name}": {"PUT": self._make_namespace, "DELETE": self._remove_namespace},
        }
        for path, methods in acts.items():
            routes.add(Resource(ADMIN + path, {method: _for_admins(act) for method, act in methods.items()}))
        return routes

    async def _health_of_mock(self, exchange: Exchange, receive: Receive) -> Any:
        return {"status": "ok", "namespace": self._namespace.name}

    async def _version(self, exchange: Exchange, receive: Receive) -> Any:
        options = self._namespace.options
        return {"version": __version__, "contract": CONTRACT, "seed": options.seed, "mode": options.mode, "strict": options.strict}

    async def _clock(self, exchange: Exchange, receive: Receive) -> Any:
        clock = self._namespace.clock
        return {
            "kind": self._namespace.options.clock, "now": clock.now(), "elapsed": clock.monotonic(), "frozen": clock.frozen,
        }  # fmt: skip

    async def _move_clock(self, exchange: Exchange, receive: Receive) -> Any:
        body = await _object(exchange, receive, {"advance", "frozen"})
        clock = self._namespace.clock
        if not isinstance(clock, VirtualClock):
            raise InvalidRequest("only a virtual clock is moved by hand")
        if "frozen" in body:
            if not isinstance(body["frozen"], bool):
                raise InvalidRequest("frozen is true or false", path="frozen")
            clock.frozen = body["frozen"]
        if "advance" in body:
            await clock.spend(_seconds(body["advance"], "advance"), forced=True)
        return await self._clock(exchange, receive)

    async def _drain_executions(self, exchange: Exchange, receive: Receive) -> Any:
        given = dict(parse_qsl(exchange.query.decode("latin-1"))).get("maxWait", "3600")
        try:
            await self._namespace.world.drain(_seconds(float(given), "maxWait"))
        except ConfigError as error:
            raise InvalidRequest(str(error)) from None
        except ValueError:
            raise InvalidRequest("maxWait is a number of seconds", path="maxWait") from None
        return await self._clock(exchange, receive)

    async def _faults(self, exchange: Exchange, receive: Receive) -> Any:
        return {"faults": [fault.as_json() for fault in self._namespace.faults]}

    async def _add_faults(self, exchange: Exchange, receive: Receive) -> Any:
        body = await _json(exchange, receive)
        rules = read_rules(body["faults"]) if isinstance(body, dict) and set(body) == {"faults"} else [read_rule(body)]
        return {"faults": [self._namespace.faults.add_rule(rule).as_json() for rule in rules]}

    async def _clear_faults(self, exchange: Exchange, receive: Receive) -> Any:
        self._namespace.faults.clear()
        return await self._faults(exchange, receive)

    async def _fault(self, exchange: Exchange, receive: Receive) -> Any:
        id = exchange.values["id"]
        for fault in self._namespace.faults:
            if str(fault.id) == id:
                return fault.as_json()
        raise NotFound(f"there is no fault {id[:20]}")

    async def _remove_fault(self, exchange: Exchange, receive: Receive) -> Any:
        found = await self._fault(exchange, receive)
        self._namespace.faults.remove(found["id"])
        return found

    async def _journal(self, exchange: Exchange, receive: Receive) -> Any:
        """One request a line, as they came."""
        return Text(b"application/x-ndjson", self._namespace.journal.lines().encode())

    async def _clear_journal(self, exchange: Exchange, receive: Receive) -> Any:
        self._namespace.journal.clear()
        return {"requests": 0}

    async def _verify(self, exchange: Exchange, receive: Receive) -> Any:
        body = await _object(exchange, receive, {"method", "path", "query", "body", "headers", "status", "times"})
        for name in ("method", "path"):
            if not isinstance(body.get(name), str):
                raise InvalidRequest(f"{name} is text", path=name)
        times = body.pop("times", None)
        if times is not None and (type(times) is not int or times < 0):
            raise InvalidRequest("times is a whole number, 0 or more", path="times")
        body["method"] = body["method"].upper()
        found, why = verify(self._namespace.journal.requests, Wanted(**body), times)
        return {"ok": why is None, "times": len(found), "message": why}

    async def _state(self, exchange: Exchange, receive: Receive) -> Any:
        return Text(b"application/json", (await self._namespace.world.state()).encode())

    async def _restore(self, exchange: Exchange, receive: Receive) -> Any:
        from .state import decode

        await self._namespace.reset(decode(await read_body(exchange.headers, receive, LIMITS)))
        return await self._clock(exchange, receive)

    async def _reset(self, exchange: Exchange, receive: Receive) -> Any:
        await self._namespace.reset()
        return await self._clock(exchange, receive)

    async def _namespaces(self, exchange: Exchange, receive: Receive) -> Any:
        return {"namespaces": list(self._namespace.hub.named)}

    async def _make_namespace(self, exchange: Exchange, receive: Receive) -> Any:
        return {"namespace": (await self._namespace.hub.make(exchange.values["name"])).name}

    async def _remove_namespace(self, exchange: Exchange, receive: Receive) -> Any:
        await self._namespace.hub.remove(exchange.values["name"])
        return await self._namespaces(exchange, receive)


def _for_admins(act: _Act) -> _Act:
    async def acting(exchange: Exchange, receive: Receive) -> Any:
        if "admin" not in exchange.principal.scopes:
            raise Forbidden("the API key lacks the scope admin")
        return await act(exchange, receive)

    return acting


async def _json(exchange: Exchange, receive: Receive) -> Any:
    body = await read_body(exchange.headers, receive, LIMITS)
    try:
        return json.loads(body)
    except ValueError as error:
        raise MalformedRequest(f"the body is no JSON: {error}") from None


async def _object(exchange: Exchange, receive: Receive, names: set[str]) -> dict[str, Any]:
    body = await _json(exchange, receive)
    if not isinstance(body, Mapping) or not body.keys() <= names:
        raise InvalidRequest(f"the body is an object with {', '.join(sorted(names))}")
    return dict(body)


def _seconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_WAIT:
        raise InvalidRequest(f"{name} is a number of seconds from 0 to {MOST_WAIT:g}", path=name)
    return float(value)
