"""`MockServer`: the product in memory, in a thread of this process, with time that tests move."""

import os
from collections.abc import Iterable
from pathlib import Path
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from blaxel_jobs import Settings
from blaxel_jobs.client.api.executions import (  # noqa: F401  what the first calls load: no test is to spend its time on that
    create_job_execution,
    get_job_execution,
    get_job_execution_status,
)
from blaxel_jobs.define import JobDef
from blaxel_jobs.errors import ConfigError, ContractError
from blaxel_jobs.transport import HttpSeam, stand_in
from blaxel_jobs.worker import Worker  # noqa: F401  as above
from blaxel_jobs.worker.simulate import simulated_job  # noqa: F401  as above

from .bridge import Bridge, Door
from .calls import Calls
from .clock import read_clock
from .controls import Controls
from .loop import LoopThread, new_loop
from .namespaces import STRICT, Hub, Namespace, Options
from .pace import check_mode
from .virtual import STUCK_AFTER, VirtualClock

if TYPE_CHECKING:
    from .live import Live


class MockServer(Controls):
    """The Jobs API in memory: same contract, same engine, same handlers, with time of its own.

        with MockServer() as mock:
            job = bl_job("my-job")
            execution_id = job.create_execution({"tasks": [{"duration": 60}]})
            assert job.wait_for_execution(execution_id).status == "completed"  # in milliseconds

    While it is entered, `bl_job` and every JobsClient of this process speak to it and to nothing else, whatever key, URL or
    settings they have; of several, the innermost one answers. It is for threads, asyncio and trio alike.

    clock: "virtual", "real", or "scale:60" (a minute takes a second). mode, for virtual time: "settle", where a look sees the end,
    or "step", where each look sees one change. seed: the same one gives the same ids and events. jobs: definitions whose handlers
    run here. simulate: other jobs are run by the built-in handler, each task as its input says (`duration`, `fail`, `hang`, `exit`,
    `output`). start: seconds since 1970 at which virtual time begins. stuck_after: seconds of real time that a handler may run
    while a client waits. live: listen as well, for other processes, on a free port of this machine unless `port` names one.
    strict: hold requests and answers against the contract; leaving the block raises ContractError when one was against it. Unless
    given, it is so where the environment has MOCK_SERVER_STRICT=1. scenario: a YAML file with faults. Raises ConfigError.
    """

    base_url: Final = "http://127.0.0.1/v0"
    """What requests to it name within this process. No socket is behind it."""

    def __init__(
        self,
        *,
        clock: str = "virtual",
        seed: int = 0,
        mode: str = "settle",
        jobs: Iterable[JobDef[Any]] = (),
        simulate: bool = True,
        start: float | None = None,
        stuck_after: float = STUCK_AFTER,
        live: bool = False,
        port: int = 0,
        strict: bool | None = None,
        scenario: str | Path | None = None,
    ) -> None:
        options = Options(
            clock=clock, start=start, stuck_after=stuck_after, mode=check_mode(mode), seed=seed, jobs=list(jobs), simulate=simulate,
            strict=os.environ.get(STRICT) == "1" if strict is None else strict,
        )  # fmt: skip
        if options.mode == "step" and not isinstance(read_clock(clock), VirtualClock):
            raise ConfigError(f"mode='step' is for a virtual clock: with {clock!r} time goes on by itself")
        if scenario is not None:
            from .scenario import read_scenario

            options.rules = read_scenario(Path(scenario))
        self._hub = Hub(options)
        self._port = port if live else None
        self._live: Live | None = None
        self._thread: LoopThread | None = None
        self._wire: Bridge | None = None
        self._seam = HttpSeam(lambda: Settings(base_url=self.base_url), stand_in=self)
        self._rng = Random(f"client {seed}")
        self._entered = False

    # Time and traffic, as the SDK's seams ask for them

    @property
    def wire(self) -> Bridge:
        """What the SDK's seams send by."""
        if self._wire is None:
            raise _not_entered()
        return self._wire

    @property
    def url(self) -> str | None:
        """Where it listens, such as http://127.0.0.1:40123; None when it does not."""
        return self._live.url if self._live else None

    def monotonic(self) -> float:
        """Seconds of its time since it was made."""
        return self._place.clock.monotonic()

    def random(self) -> float:
        """A number from [0, 1), the same ones for the same seed."""
        return self._rng.random()

    def new_key(self) -> str:
        """An idempotency key."""
        return f"{self._rng.getrandbits(128):032x}"

    def sleep(self, seconds: float) -> None:
        """Wait in its time. Raises MockStuck."""
        self._calls.call(lambda: self._place.clock.spend(seconds))

    async def asleep(self, seconds: float) -> None:
        """As `sleep`."""
        await self._calls.acall(lambda: self._place.clock.spend(seconds))

    def namespace(self, name: str) -> "Namespaced":
        """A mock beside this one, behind the same address: with executions, time, faults and requests of its own.

        Raises InvalidRequest for what is no name.
        """
        place = self._calls_of(self._hub.default).call(lambda: self._hub.make(name))
        return Namespaced(self, place.name)

    def __enter__(self) -> Self:
        if self._entered:
            raise ConfigError("this mock server was entered before: make another one")
        self._entered = True
        thread = self._thread = LoopThread(new_loop(self._hub.idle))
        self._wire = Bridge(self._door)
        try:
            thread.submit(self._open()).result()
        except BaseException:
            thread.stop()
            raise
        stand_in.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        stand_in.leave(self)
        assert self._thread is not None
        self._thread.stop(self._close())
        if kind is None:
            self._check_breaches()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        import anyio

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.__exit__, kind)

    @property
    def _place(self) -> Namespace:
        return self._hub.default

    @property
    def _calls(self) -> Calls:
        return self._calls_of(self._hub.default)

    @property
    def _door(self) -> Door:
        return self._door_of(self._hub.default)

    def _calls_of(self, place: Namespace) -> Calls:
        if self._thread is None:
            raise _not_entered()
        return Calls(self._thread, place, self._hub.options.stuck_after)

    def _door_of(self, place: Namespace) -> Door:
        return Door(self._hub, self._calls_of(place), place.name)

    def _check_breaches(self) -> None:
        told = [why for place in self._hub.named.values() for why in place.breaches]
        if told:
            shown = "\n".join(told[:10])
            raise ContractError(f"{len(told)} times the contract was broken:\n{shown}")

    async def _open(self) -> None:
        await self._hub.open()
        if self._port is not None:
            from blaxel_jobs.server.serve import bind

            from .live import Live

            self._live = Live(self._hub, bind("127.0.0.1", self._port))
            await self._live.open()
            self._hub.url = self._live.url

    async def _close(self) -> None:
        if self._live is not None:
            await self._live.close()
        await self._hub.close()


class Namespaced(Controls):
    """A namespace of a MockServer. It lives as long as that does."""

    def __init__(self, server: MockServer, name: str) -> None:
        self.name = name
        self._server = server
        wire = Bridge(self._door)
        self._seam = HttpSeam(lambda: Settings(base_url=server.base_url), stand_in=_Beside(server, wire, self))

    @property
    def url(self) -> str | None:
        """The base URL by which programs reach it, such as http://127.0.0.1:40123/ns/NAME/v0; None when its server does not listen.

        It goes into BL_API_URL. The header `Mock-Namespace: NAME`, or NAME in BL_WORKSPACE, does the same.
        """
        return f"{self._server.url}/ns/{self.name}/v0" if self._server.url else None

    @property
    def _place(self) -> Namespace:
        found = self._server._hub.named.get(self.name)
        if found is None:
            raise ConfigError(f"the namespace {self.name} was removed")
        return found

    @property
    def _calls(self) -> Calls:
        return self._server._calls_of(self._place)

    @property
    def _door(self) -> Door:
        return self._server._door_of(self._place)


@attrs.frozen
class _Beside:
    """What clients of a namespace speak to, and whose time they keep."""

    _server: MockServer
    wire: Bridge
    _controls: Namespaced
    url: str | None = None

    @property
    def base_url(self) -> str:
        return self._server.base_url

    def monotonic(self) -> float:
        return self._controls._place.clock.monotonic()

    def random(self) -> float:
        return self._server.random()

    def new_key(self) -> str:
        return self._server.new_key()

    def sleep(self, seconds: float) -> None:
        self._controls._calls.call(lambda: self._controls._place.clock.spend(seconds))

    async def asleep(self, seconds: float) -> None:
        await self._controls._calls.acall(lambda: self._controls._place.clock.spend(seconds))


def _not_entered() -> ConfigError:
    return ConfigError("a mock server runs within its `with` block only: with MockServer() as mock")
