"""`MockServer`: the product in memory, in a thread of this process, with time that tests move."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from blaxel_jobs import Execution, Job, JobsClient, Settings
from blaxel_jobs.client.api.executions import (  # noqa: F401  what the first calls load: no test is to spend its time on that
    create_job_execution,
    get_job_execution,
    get_job_execution_status,
)
from blaxel_jobs.client.models import JobExecution
from blaxel_jobs.core.views import View
from blaxel_jobs.define import JobDef
from blaxel_jobs.errors import ConfigError, InvalidRequest
from blaxel_jobs.transport import HttpSeam, stand_in

from .bridge import Bridge
from .calls import Calls
from .clock import read_clock
from .loop import LoopThread, new_loop
from .pace import check_mode
from .virtual import STUCK_AFTER, VirtualClock
from .world import World

if TYPE_CHECKING:
    from .live import Live


class MockServer:
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
    Raises ConfigError.
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
    ) -> None:
        self._mode = check_mode(mode)
        self._clock = read_clock(clock, start, stuck_after)
        if self._mode == "step" and not isinstance(self._clock, VirtualClock):
            raise ConfigError(f"mode='step' is for a virtual clock: with {clock!r} time goes on by itself")
        self._stuck_after = stuck_after
        self._seed = seed
        self._jobs = list(jobs)
        self._simulate = simulate
        self._port = port if live else None
        self._live: Live | None = None
        self._inside: Calls | None = None
        self._bridge: Bridge | None = None
        self._seam = HttpSeam(lambda: Settings(base_url=self.base_url), stand_in=self)
        self._rng = Random(f"client {seed}")
        self._entered = False

    # Time and traffic, as the SDK's seams ask for them

    @property
    def wire(self) -> Bridge:
        """What the SDK's seams send by."""
        if self._bridge is None:
            raise _not_entered()
        return self._bridge

    @property
    def url(self) -> str | None:
        """Where it listens, such as http://127.0.0.1:40123; None when it does not."""
        return self._live.url if self._live else None

    def monotonic(self) -> float:
        """Seconds of its time since it was made."""
        return self._clock.monotonic()

    def random(self) -> float:
        """A number from [0, 1), the same ones for the same seed."""
        return self._rng.random()

    def new_key(self) -> str:
        """An idempotency key."""
        return f"{self._rng.getrandbits(128):032x}"

    def sleep(self, seconds: float) -> None:
        """Wait in its time. Raises MockStuck."""
        self._calls.call(lambda: self._clock.spend(seconds))

    async def asleep(self, seconds: float) -> None:
        """As `sleep`."""
        await self._calls.acall(lambda: self._clock.spend(seconds))

    # For tests

    @property
    def now(self) -> datetime:
        """What time it is there, in UTC."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    @property
    def executions(self) -> list[Execution]:
        """All executions of all jobs as they are now, the newest first. Looking so moves no time."""
        views = msgspec.json.decode(msgspec.json.encode(self._calls.call(self._views)))
        return [Execution(self._seam, JobExecution.from_dict(view), whole=True) for view in views]

    def job(self, name: str) -> Job:
        """The job of that name on this mock, also when another one is entered within. Raises ValueError for what is no job name."""
        return JobsClient(seam=self._seam).job(name)

    def register(self, *jobs: JobDef[Any]) -> None:
        """Run the handlers of these jobs too. Raises ConfigError when a name has another definition here already."""
        self._calls.call(lambda: self._register(jobs))

    def advance(self, seconds: float) -> None:
        """Move virtual time, and do all that is due meanwhile; also while it is frozen. Raises MockStuck."""
        _check(seconds)
        self._calls.call(lambda: self._clock.spend(seconds, forced=True))

    async def aadvance(self, seconds: float) -> None:
        """As `advance`."""
        _check(seconds)
        await self._calls.acall(lambda: self._clock.spend(seconds, forced=True))

    def freeze(self) -> None:
        """Stop virtual time: looks see things as they are, and only `advance` moves it. A wait waits until it is stuck."""
        self._calls.call(lambda: self._freeze(True))

    def unfreeze(self) -> None:
        """Let it go on."""
        self._calls.call(lambda: self._freeze(False))

    def __enter__(self) -> Self:
        if self._entered:
            raise ConfigError("this mock server was entered before: make another one")
        self._entered = True
        self._thread = LoopThread(new_loop(self._clock.idle))
        try:
            self._thread.submit(self._open()).result()
        except BaseException:
            self._thread.stop()
            raise
        stand_in.enter(self)
        return self

    def __exit__(self, *_: object) -> None:
        stand_in.leave(self)
        self._thread.stop(self._close())

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        import anyio

        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.__exit__)

    @property
    def _calls(self) -> Calls:
        if self._inside is None:
            raise _not_entered()
        return self._inside

    async def _open(self) -> None:
        self._world = World(self._clock, seed=self._seed, mode=self._mode, jobs=self._jobs, simulate=self._simulate)
        self._inside = Calls(self._thread, self._clock, self._world.turns, self._stuck_after)
        self._bridge = Bridge(self._world.app(), self._inside)
        await self._world.open()
        if self._port is not None:
            from blaxel_jobs.server.serve import bind

            from .live import Live

            self._live = Live(self._world.timed_app(), bind("127.0.0.1", self._port))
            await self._live.open()

    async def _close(self) -> None:
        if self._live is not None:
            await self._live.close()
        await self._world.close()

    async def _views(self) -> list[View]:
        return await self._world.executions()

    async def _register(self, jobs: Iterable[JobDef[Any]]) -> None:
        await self._world.register(jobs)

    async def _freeze(self, frozen: bool) -> None:
        if not isinstance(self._clock, VirtualClock):
            raise ConfigError("only a virtual clock can be frozen")
        self._clock.frozen = frozen


def _not_entered() -> ConfigError:
    return ConfigError("a mock server runs within its `with` block only: with MockServer() as mock")


def _check(seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise InvalidRequest(f"time goes on by a finite number of seconds, 0 or more, not {seconds!r}")
