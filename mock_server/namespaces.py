"""Namespaces: mocks beside each other behind one address, each with a world, a clock, faults and a journal of its own.

A request says which one is meant: by the header Mock-Namespace, by a path that begins with /ns/NAME, or by a workspace that has the
name of a namespace that is there. One that is named first is made then.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from blaxel_jobs.errors import InvalidRequest, NotFound, RequestError
from blaxel_jobs.server.app import App
from blaxel_jobs.server.asgi import Message, Receive, Scope, Send
from blaxel_jobs.server.exchange import Exchange
from blaxel_jobs.server.guard import Hosts
from blaxel_jobs.server.keys import Key
from blaxel_jobs.words import ELAPSED, SLEPT

from .asked import Asked, read_asked
from .clock import MockClock, read_clock
from .data_urls import MockData
from .faults import Faults, Rule
from .journal import MOST_BODY, Journal, Request, answer_headers
from .line import Line, is_inside, line_of
from .pace import Mode
from .virtual import STUCK_AFTER
from .world import World

if TYPE_CHECKING:
    from blaxel_jobs.define import JobDef

    from .state import State

ADMIN: Final = "/__mock__"
DEFAULT: Final = "default"
STRICT: Final = "MOCK_SERVER_STRICT"
"""The variable that makes mocks strict which do not say."""
HEADER: Final = b"mock-namespace"
MOST_SLEPT: Final = 86_400.0
MOST: Final = 1_000
"""Namespaces."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PATH: Final = re.compile(r"/ns/(?P<name>[^/]+)(?P<rest>/.*)")
_ELAPSED: Final = ELAPSED.lower().encode()
_SLEPT: Final = SLEPT.lower().encode()
_QUIET: Final = frozenset({"/healthz", "/readyz"})
"""Asked by whoever waits for the mock: no request of anybody's program."""


class Options(Struct, kw_only=True, eq=False):
    """How each namespace is made."""

    clock: str = "virtual"
    start: float | None = None
    """Seconds since 1970 at which virtual time begins."""
    stuck_after: float = STUCK_AFTER
    mode: Mode = "settle"
    seed: int = 0
    jobs: "list[JobDef[Any]]" = msgspec.field(default_factory=list)
    simulate: bool = True
    keys: list[Key] = msgspec.field(default_factory=list)
    hosts: Hosts | None = None
    strict: bool = False
    rules: list[Rule] = msgspec.field(default_factory=list)
    """The faults that there are from the start."""


class Namespace:
    """One mock. Belongs to one event loop, which calls the clock's `idle`."""

    def __init__(self, name: str, options: Options, hub: "Hub") -> None:
        self.name = name
        self.options = options
        self.hub = hub
        self.journal = Journal()
        self.breaches: list[str] = []
        """What was against the contract, in strict mode."""
        path = "" if name == DEFAULT else f"/ns/{name}"
        self._data = MockData(path, options.seed, options.keys, lambda: hub.url)
        self._make(None)

    @property
    def clock(self) -> MockClock:
        return self.world.clock

    async def reset(self, state: "State | None" = None) -> None:
        """Begin again as when it was made; or go back to a state, with the faults and the journal that there are."""
        await self.world.close()
        self._make(state)
        await self.world.open()

    def drain(self) -> None:
        """As App.drain."""
        self.app.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["raw_path"].decode("latin-1")
        if path in _QUIET:
            await self.app(scope, receive, send)
            return
        if path.startswith(ADMIN):
            await self._admin_app()(scope, receive, send)
            return
        line = line_of(scope, send)
        if not is_inside(scope):
            slept = dict(scope["headers"]).get(_SLEPT)
            try:
                if slept:
                    await self._let_pass(slept)
            except RequestError as error:
                await refuse(scope, send, error, self.app.new_request_id)
                return
            send = self._timing(send)
        query = scope["query_string"].decode("latin-1")
        asked = read_asked(scope["method"], path, query, self.world.job_of)
        request = self.journal.begin(asked, dict(scope["headers"]), self.clock.now())
        await self._answer(request, line, scope, self._noting(request, receive), send)

    async def _answer(self, request: Request, line: Line, scope: Scope, receive: Receive, send: Send) -> None:
        struck = self.faults.of_request(request.asked) if len(self.faults) else []
        sending = self._telling(request, send)
        app: Any = self.app
        if self.options.strict:
            from .strict import Strict

            app = Strict(app, partial(self._note_breach, request))
        if not struck:
            await app(scope, receive, sending)
            return
        from .injection import Injection, read_ahead, told_of

        request.fault = told_of(struck)
        if request.operation != "put_artifact":
            receive = await read_ahead(receive)
        injection = Injection(struck, app, self.clock, line, self.app.new_request_id)
        try:
            await injection.answer(scope, receive, sending)
        except RequestError as error:
            await refuse(scope, sending, error, self.app.new_request_id)

    def _make(self, state: "State | None") -> None:
        options = self.options
        if state is None:
            self.faults = Faults(options.seed)
            for rule in options.rules:
                self.faults.add_rule(rule)
            self.journal.clear()
            self.breaches.clear()
        start, elapsed = (options.start, 0.0) if state is None else (state.began, state.elapsed)
        self.world = World(
            read_clock(options.clock, start, options.stuck_after, elapsed), seed=options.seed, mode=options.mode, jobs=options.jobs,
            simulate=options.simulate, faults=self.faults, keys=options.keys, hosts=options.hosts, state=state,
        )  # fmt: skip
        self.app = self.world.app(runner_data=self._data)
        self._admin: App | None = None

    def _admin_app(self) -> App:
        if self._admin is None:
            from .admin import AdminApp

            self._admin = self.world.app(AdminApp, namespace=self, new_id=lambda: ADMIN)
        return self._admin

    async def _let_pass(self, slept: bytes) -> None:
        """The caller has slept in our time."""
        try:
            seconds = float(slept)
        except ValueError:
            return  # it says nothing
        await self.clock.spend(min(max(seconds, 0.0), MOST_SLEPT))

    def _timing(self, send: Send) -> Send:
        """Callers in other processes cannot see the mock's clock: an answer says how many of its seconds a request took."""
        clock = self.clock
        began = clock.monotonic()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((_ELAPSED, b"%.6f" % (clock.monotonic() - began)))
            await send(message)

        return timed

    def _noting(self, request: Request, receive: Receive) -> Receive:
        keeps = request.operation != "put_artifact"

        async def noting() -> Message:
            message = await receive()
            if keeps and message["type"] == "http.request" and len(request.raw) < MOST_BODY:
                request.raw += message.get("body", b"")
            return message

        return noting

    def _telling(self, request: Request, send: Send) -> Send:
        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                request.answer_headers = answer_headers(message["headers"])
            await send(message)

        return telling

    def _note_breach(self, request: Request, asked: Asked, why: str) -> None:
        request.breach = why
        self.breaches.append(f"{asked.method} {asked.path}: {why}")


class Hub:
    """All namespaces of a mock, as one ASGI app that HttpServer serves. The default one is always there."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.url: str | None = None
        """Where it listens; None as long as it does not."""
        self.default = Namespace(DEFAULT, options, self)
        self._named = {DEFAULT: self.default}

    @property
    def named(self) -> dict[str, Namespace]:
        """By their names, in the order in which they were made."""
        return dict(self._named)

    def idle(self) -> bool:
        """Called by the loop when nothing can run. True when something can now."""
        run = [namespace for namespace in self._named.values() if namespace.clock.idle()]
        return bool(run)

    async def open(self) -> None:
        await self.default.world.open()

    async def close(self) -> None:
        for namespace in self._named.values():
            await namespace.world.close()

    async def make(self, name: str) -> Namespace:
        """The namespace of that name, a new one if there is none. Raises InvalidRequest."""
        found = self._named.get(name)
        if found is None:
            if not _NAME.fullmatch(name):
                raise InvalidRequest(f"a namespace is called by 1 to 64 letters, digits, '.', '_' and '-', not {name[:80]!r}")
            if len(self._named) >= MOST:
                raise InvalidRequest(f"there are {MOST} namespaces already: remove some")
            found = self._named[name] = Namespace(name, self.options, self)
            await found.world.open()
        return found

    async def remove(self, name: str) -> None:
        """Forget a namespace; the default one is begun again. Raises NotFound."""
        if name not in self._named:
            raise NotFound(f"there is no namespace {name[:80]!r}")
        if name == DEFAULT:
            await self.default.reset()
            return
        await self._named.pop(name).world.close()

    def drain(self) -> None:
        for namespace in self._named.values():
            namespace.drain()

    def new_request_id(self) -> str:
        return self.default.app.new_request_id()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            await self.default(scope, receive, send)
            return
        name, scope = self._meant(scope)
        try:
            namespace = await self.make(name)
        except InvalidRequest as error:
            await refuse(scope, send, error, self.new_request_id)
            return
        await namespace(scope, receive, send)

    def _meant(self, scope: Scope) -> tuple[str, Scope]:
        """The name of the namespace, and the request as it is there."""
        if scope["raw_path"].startswith(b"/ns/"):
            found = _PATH.fullmatch(scope["raw_path"].decode("latin-1"))
            if found:
                rest = found["rest"]
                return found["name"], {**scope, "raw_path": rest.encode("latin-1"), "path": rest}
        headers = dict(scope["headers"])
        name = headers.get(HEADER)
        if name is not None:
            return name.decode("latin-1"), scope
        if len(self._named) > 1 and not self.options.keys:
            workspace = headers.get(b"x-blaxel-workspace", b"").decode("latin-1")
            if workspace in self._named:
                return workspace, scope
        return DEFAULT, scope


async def refuse(scope: Scope, send: Send, error: RequestError, new_request_id: Callable[[], str]) -> None:
    """Answer with an error."""
    headers, body = Exchange(scope, new_request_id).problem(error)
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
