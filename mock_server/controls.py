"""What a test does with a mock: look at it, move its time, break it, put it back."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from blaxel_jobs import Execution, Job, JobsClient
from blaxel_jobs.client.models import JobExecution
from blaxel_jobs.define import JobDef
from blaxel_jobs.errors import ConfigError, InvalidRequest, WaitTimeoutError

from .faults import Faults
from .journal import Request
from .state import State, decode
from .virtual import VirtualClock

if TYPE_CHECKING:
    import respx

    from blaxel_jobs.transport import HttpSeam

    from .bridge import Door
    from .calls import Calls
    from .namespaces import Namespace
    from .transports import Library

MOST_WAIT = 86_400.0 * 366
"""Seconds of the mock's time for which executions are let go on, unless a limit is given: a year."""


class Controls:
    """One namespace of a mock, as tests see it."""

    _seam: "HttpSeam"

    @property
    def _place(self) -> "Namespace":
        raise NotImplementedError

    @property
    def _calls(self) -> "Calls":
        raise NotImplementedError

    @property
    def _door(self) -> "Door":
        raise NotImplementedError

    # Looking

    @property
    def now(self) -> datetime:
        """What time it is there, in UTC."""
        return datetime.fromtimestamp(self._place.clock.now(), UTC)

    @property
    def executions(self) -> list[Execution]:
        """All executions of all jobs as they are now, the newest first. Looking so moves no time."""
        views = msgspec.json.decode(msgspec.json.encode(self._calls.call(self._place.world.executions)))
        return [Execution(self._seam, JobExecution.from_dict(view), whole=True) for view in views]

    @property
    def requests(self) -> list[Request]:
        """All requests that it was sent, in the order of arrival."""
        return self._place.journal.requests

    @property
    def journal(self) -> str:
        """The same as text, one JSON document a line: for the same seed and one sequential client byte for byte the same."""
        return self._place.journal.lines()

    @property
    def breaches(self) -> list[str]:
        """What was against the contract, in strict mode."""
        return list(self._place.breaches)

    def assert_called(
        self,
        method: str,
        path: str,
        times: int | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> list[Request]:
        """The requests of this method and path: so many, or at least one. Raises AssertionError, which explains the nearest miss.

        path: `*` is any one segment, `**` any number of them, and `/v0` may be left out. Of objects in `query`, `body` and
        `headers` only the members that are named here must be there.
        """
        return self._place.journal.assert_called(method, path, times, query=query, body=body, headers=headers, status=status)

    def job(self, name: str) -> Job:
        """The job of that name on this mock, also when another one is entered within. Raises ValueError for what is no job name."""
        return JobsClient(seam=self._seam).job(name)

    # Breaking

    @property
    def faults(self) -> Faults:
        """What is to go wrong: `mock.faults.add("status", status=503, first=2)`."""
        return self._place.faults

    # Time

    def advance(self, seconds: float) -> None:
        """Move virtual time, and do all that is due meanwhile; also while it is frozen. Raises MockStuck."""
        _check(seconds)
        self._calls.call(lambda: self._place.clock.spend(seconds, forced=True))

    async def aadvance(self, seconds: float) -> None:
        """As `advance`."""
        _check(seconds)
        await self._calls.acall(lambda: self._place.clock.spend(seconds, forced=True))

    def freeze(self) -> None:
        """Stop virtual time: looks see things as they are, and only `advance` moves it. A wait waits until it is stuck."""
        self._calls.call(lambda: self._freeze(True))

    def unfreeze(self) -> None:
        """Let it go on."""
        self._calls.call(lambda: self._freeze(False))

    def drain(self, max_wait: float = MOST_WAIT) -> None:
        """Let executions go on until none is left that can, or for so many seconds of the mock's time. Raises MockStuck."""
        _check(max_wait)
        self._calls.call(lambda: self._place.world.drain(max_wait))

    async def adrain(self, max_wait: float = MOST_WAIT) -> None:
        """As `drain`."""
        _check(max_wait)
        await self._calls.acall(lambda: self._place.world.drain(max_wait))

    def until(self, condition: Callable[[], object], max_wait: float = MOST_WAIT) -> None:
        """Let executions go on, one change at a time, until the condition is true. It is called in this thread.

        Raises WaitTimeoutError when nothing changes any more, or for so many seconds of the mock's time; MockStuck.
        """
        _check(max_wait)
        while not condition():
            if not self._calls.call(lambda: self._place.world.change(max_wait)) and not condition():
                raise _never(condition)

    async def auntil(self, condition: Callable[[], object], max_wait: float = MOST_WAIT) -> None:
        """As `until`; the condition itself is a plain function."""
        _check(max_wait)
        while not condition():
            if not await self._calls.acall(lambda: self._place.world.change(max_wait)) and not condition():
                raise _never(condition)

    # Putting back

    def register(self, *jobs: JobDef[Any]) -> None:
        """Run the handlers of these jobs too. Raises ConfigError when a name has another definition here already."""
        self._calls.call(lambda: self._register(jobs))

    def reset(self) -> None:
        """Begin again as when it was made: no executions, no requests, the faults of its beginning, its first moment."""
        self._calls.call(self._place.reset)

    def snapshot(self) -> State:
        """Its executions and its time, to come back to with `restore`. Artifacts are not in it."""
        return self._calls.call(self._place.world.state)

    def restore(self, state: State) -> None:
        """Go back to that. What was running then is taken over by another worker, as after a crash. Faults and journal stay."""
        self._calls.call(lambda: self._place.reset(state))

    def export_state(self) -> bytes:
        """As `snapshot`, as JSON text: for files, and for other mocks of this release."""
        return self.snapshot().encode()

    def import_state(self, text: bytes) -> None:
        """As `restore`, from that text. Raises InvalidRequest."""
        self.restore(decode(text))

    # Clients that are not ours

    def transport(self, library: "Library" = "httpx") -> Any:
        """For `httpx.Client(transport=...)`, or of httpx2: every request ends in this mock. Raises ConfigError."""
        from .transports import transport

        return transport(self._door, library)

    def async_transport(self, library: "Library" = "httpx") -> Any:
        """The same for `httpx.AsyncClient`, under asyncio and trio."""
        from .transports import async_transport

        return async_transport(self._door, library)

    def respx(self, base_url: str | None = None) -> "respx.MockRouter":
        """A router of respx (`with mock.respx(): ...`) that sends what httpx sends to this URL, or to any, to this mock."""
        from .transports import respx_router

        return respx_router(self._door, base_url)

    async def _register(self, jobs: Iterable[JobDef[Any]]) -> None:
        jobs = list(jobs)
        await self._place.world.register(jobs)

    async def _freeze(self, frozen: bool) -> None:
        clock = self._place.clock
        if not isinstance(clock, VirtualClock):
            raise ConfigError("only a virtual clock can be frozen")
        clock.frozen = frozen


def _check(seconds: float) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        raise InvalidRequest(f"time goes on by a finite number of seconds, 0 or more, not {seconds!r}")


def _never(condition: Callable[[], object]) -> WaitTimeoutError:
    name = getattr(condition, "__name__", "")
    what = "the condition" if name in ("", "<lambda>") else name
    return WaitTimeoutError(f"{what} is not true, and nothing changes any more")
