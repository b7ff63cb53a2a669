"""Leases over HTTP: the port that a worker far from the engine runs on."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from ..client import models
from ..config import Settings, is_platform
from ..core.records import Leased, LeaseRef
from ..core.reports import Answer, Holding, Report
from ..define import JobDef
from ..errors import ConfigError, Forbidden, JobsError, NotFound, RequestError, Unauthorized
from ..system import new_key, rng
from ..transport import HttpSeam
from ..transport.artifacts import HttpArtifacts
from ..transport.calls import Calls, Line
from .link import Link, is_passing
from .outbox import Outbox
from .wire import Encoded, encode, read_answers, read_claim, read_holding

log = logging.getLogger("blaxel_jobs.worker")

LONGEST_POLL: Final = 25.0
"""Seconds that a claim waits at the most, and that those of a worker wait; the contract has 30."""
MARGIN: Final = 10.0
"""Seconds that an answer may take, beyond the wait that was asked for."""
SETTLE: Final = 0.25
"""Seconds that a claim has for its answer before it can be interrupted. What is ready is leased at once, so a claim that takes
longer only waits; one that is cut short earlier may have been given tasks, of which nobody would know until their leases end."""
BEFORE_THE_FIRST: Final = 0.1
"""Seconds between heartbeats until the server has said how many it wants. Nothing is held by then, so that they cost nothing."""


class RemoteLeases:
    """Claims, heartbeats and reports as requests to a server, each on a connection of its own.

    While the server does not answer, claims and reports wait for it; that is logged once. Definitions are registered before the
    first claim, and again after each time that the server did not answer: it may have started anew with nothing in memory.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        name: str | None = None,
        poll: float = 0.0,
        settings: Settings | None = None,
        transport: Any = None,
        on_ready: Callable[[], None] = lambda: None,
        on_refused: Callable[[JobsError], None] = lambda error: None,
    ) -> None:
        """What is not given comes from the settings. `name` is the first part of the worker's id, the machine's name unless given.
        `poll`: a claim that may wait at all waits at least so many seconds; a worker, which interrupts it when it must, has no use
        for an answer in between.

        `on_ready` is called when the server has first answered a claim, `on_refused` with what it answers before that instead and
        will answer again: a key that it does not take, say. `transport` replaces the network. Raises ConfigError.
        """
        settings = settings or Settings(base_url=base_url, api_key=api_key)
        if is_platform(settings.base_url):
            raise ConfigError(f"{settings.base_url} is the Blaxel platform, which has no work for workers: name a server of yours")
        self.worker = identity(name)
        self.heartbeat_every = BEFORE_THE_FIRST
        self.in_place = settings.lease
        self.on_lost: Callable[[Collection[LeaseRef]], None] = lambda lost: None
        self.on_stop: Callable[[Collection[LeaseRef]], None] = lambda stop: None
        self._on_ready = on_ready
        self._on_refused = on_refused
        self._poll = poll
        self._workspace = settings.workspace or "default"
        self._calls = Calls(settings, encode, transport=transport)
        self._seam = HttpSeam(settings, transport=transport)
        self._link = Link(settings.base_url, time.monotonic, rng)
        self._outbox = Outbox(self._send, self._link)
        self._jobs: dict[str, JobDef[Any, Any]] = {}
        self._unregistered: set[str] = set()
        self._breaks = 0
        """How often the server had stopped to answer when the definitions were registered last."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._claiming: _Claiming | None = None
        self._ready = False
        self._timeout = MARGIN
        """Seconds that a heartbeat may take: a third of a lease."""

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self._calls.base_url

    def register(self, jobs: Sequence[JobDef[Any, Any]]) -> None:
        """Make jobs known that this worker serves, with the next claim. Raises ConfigError when a name has another definition."""
        with self._lock:
            for job in jobs:
                if self._jobs.get(job.name, job) is not job:
                    raise ConfigError(f"the job {job.name!r} has another definition in this worker already")
            new = {job.name: job for job in jobs if job.name not in self._jobs}
            self._jobs.update(new)
            self._unregistered.update(new)

    def open(self) -> None:
        """Called once, before the first claim: register the definitions. A server that does not answer is waited for by the claims.

        Raises Unauthorized and Forbidden for a key that the server does not take, ConfigError for a server of another kind.
        """
        try:
            self._define()
        except Exception as error:
            if not is_passing(error):
                raise self._said_clearly(error) from error
            self._link.failed(error)

    async def claim(self, jobs: tuple[str, ...] | None, limit: int, wait: float) -> list[Leased]:
        """Up to `limit` tasks; waits up to `wait` seconds for the first, and for the server if it does not answer. None after
        `interrupt`."""
        if jobs is None:
            raise ConfigError("a worker over HTTP serves the jobs that it has definitions of")
        self._loop = asyncio.get_running_loop()
        self._claiming = claiming = _Claiming()
        try:
            return await self._claim(claiming, jobs, limit, max(wait, self._poll) if wait > 0 else 0.0)
        finally:
            self._claiming = None

    async def report(self, lease: LeaseRef, report: Report) -> Answer:
        """Tell the server, together with what others tell at the same moment; waits for a server that does not answer.

        Raises LeaseLost, the RequestError that it is refused with, ContractError for an answer that cannot be read, after which it
        may have been taken or not, and ConnectionFailed once closed.
        """
        return await self._outbox.apost(lease, report)

    def report_here(self, lease: LeaseRef, report: Report) -> Answer:
        """`report`, from a thread that waits for the answer."""
        return self._outbox.post(lease, report)

    def heartbeat(self, leases: Sequence[LeaseRef]) -> Holding:
        """Hold these for another lease. While the server does not answer, none is known to be lost."""
        refs = [models.LeaseRef(lease.task, lease.token) for lease in leases]
        body = models.ExtendLeasesRequest(self.worker, refs, list(self._jobs))
        try:
            answer = self._calls.call("extend_leases", Line.HEARTBEATS, self._timeout, body=body)
        except JobsError as error:
            self._link.failed(error)
            return Holding(frozenset(), frozenset())
        self._link.answered()
        return read_holding(answer)

    def artifacts(self, workspace: str) -> HttpArtifacts:
        """Where handlers put and get what is too large for a result."""
        return HttpArtifacts(self._seam)

    def interrupt(self) -> None:
        """End a claim that waits; one that has just begun ends within a quarter of a second. From any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._interrupt)

    def close(self) -> None:
        """Called once, after the last report."""
        self._outbox.close()
        self._calls.close()
        self._seam.close()

    def _interrupt(self) -> None:
        if self._claiming is not None:
            self._claiming.interrupt()

    async def _claim(self, claiming: "_Claiming", jobs: tuple[str, ...], limit: int, wait: float) -> list[Leased]:
        pauses = self._link.pauses()
        while not claiming.interrupted.is_set():
            try:
                if self._stale():
                    await asyncio.to_thread(self._define)
                if not jobs:
                    await claiming.pause(wait)
                    return []
                return await self._claim_once(claiming, jobs, limit, wait)
            except _InterruptedError:
                break
            except JobsError as error:
                self._link.failed(error)
                if not (self._ready or is_passing(error)):
                    self._on_refused(self._said_clearly(error))
                await claiming.pause(pauses.after(error))
        return []

    async def _claim_once(self, claiming: "_Claiming", jobs: tuple[str, ...], limit: int, wait: float) -> list[Leased]:
        # The first one waits for nothing: its answer says how often to beat, which must be known before there is a lease.
        # No other waits as long as a lease lasts: a worker that is frozen must not get back by its open claim what it has lost.
        wait = min(wait, LONGEST_POLL, self.in_place / 2) if self._ready else 0.0
        body = models.ClaimLeasesRequest(self.worker, list(jobs), limit, wait_ms=int(wait * 1000))
        request = self._calls.acall("claim_leases", Line.CLAIMS, wait + MARGIN, body=body)
        leased, lease, heartbeat = read_claim(await claiming.answer_of(request), self._workspace)
        self._link.answered()
        self.heartbeat_every, self.in_place, self._timeout = heartbeat, lease, lease / 3
        if not self._ready:
            self._ready = True
            self._on_ready()
        return leased

    def _stale(self) -> bool:
        return bool(self._unregistered) or self._link.breaks != self._breaks

    def _define(self) -> None:
        """Register what is not registered, or all if the server may have forgotten."""
        with self._lock:
            breaks = self._link.breaks
            if breaks != self._breaks:
                self._unregistered = set(self._jobs)
            jobs = [self._jobs[name] for name in self._unregistered]
        for job in jobs:
            body = models.JobDefinition.from_dict(job.definition())
            self._calls.call("put_job", Line.DEFINITIONS, MARGIN, job=job.name, body=body)
            self._unregistered.discard(job.name)
        self._breaks = breaks

    def _send(self, reports: list[Encoded]) -> list[Answer | Exception]:
        body = models.ReportLeasesRequest(reports)  # type: ignore[arg-type]
        answer = self._calls.call("report_leases", Line.REPORTS, MARGIN, body=body)
        return [*read_answers(answer, len(reports))]

    def _said_clearly(self, error: Exception) -> JobsError:
        """What keeps a worker from working at this server, and what to do about it."""
        if isinstance(error, Unauthorized):
            why = "does not take this worker's key: --api-key, --api-key-file or BL_API_KEY gives another"
        elif isinstance(error, Forbidden):
            why = "does not let this key do a worker's work: it needs one with the scope `worker`"
        elif isinstance(error, NotFound):
            why = "is none that has work for workers, or its URL is another"
        else:
            why = "refuses this worker"
        message = f"the server at {self.base_url} {why} ({error})"
        return type(error)(message) if isinstance(error, RequestError) else ConfigError(message)


class _InterruptedError(Exception):
    """The claim was interrupted before it was answered."""


class _Claiming:
    """One claim, and its interruption. In the loop."""

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self._request: asyncio.Future[bytes] | None = None
        self._sent_at = 0.0

    def interrupt(self) -> None:
        self.interrupted.set()
        if self._request is not None:
            loop = asyncio.get_running_loop()
            loop.call_at(self._sent_at + SETTLE, self._request.cancel)

    async def answer_of(self, request: Any) -> bytes:
        """Raises _InterruptedError when it was interrupted instead."""
        self._sent_at = asyncio.get_running_loop().time()
        self._request = asyncio.ensure_future(request)
        try:
            return await self._request
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.interrupted.is_set() and not (task and task.cancelling()):
                raise _InterruptedError from None
            raise
        finally:
            self._request = None

    async def pause(self, seconds: float) -> None:
        """That long, or until it is interrupted."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.interrupted.wait(), seconds)


def identity(name: str | None = None) -> str:
    """An id that no other worker has, and no other start of this one: `machine:pid:random`. Raises ConfigError for a bad name."""
    import os
    import socket

    name = name or socket.gethostname()
    if not (name.isprintable() and len(name) <= 128):
        raise ConfigError(f"a worker's name is up to 128 printable characters, not {name!r}")
    return f"{name}:{os.getpid()}:{new_key()[-16:]}"
