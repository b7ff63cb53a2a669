"""The engine: the verbs of the contract over a store, for any number of threads and event loops."""

import asyncio
import logging
import math
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final
from weakref import WeakSet, WeakValueDictionary

import msgspec

from ..core.ports import Clock, IdFactory, Rng
from ..core.records import Execution, Leased, LeaseRef
from ..core.reports import Released
from ..core.requests import read_ids
from ..core.views import View, unknown_view, update_view
from ..errors import JobsError, StoreError, Unavailable, WouldDeadlock
from ..stores import JobStore, artifacts_of
from ..words import JobStatus, WaitingFor
from . import streams, waking
from .arrivals import Arrivals
from .batch import apply
from .commands import Claim, Command, Tell
from .committer import Committer, Grouped, Inline
from .counting import Folding, new_counting
from .definitions import Definitions
from .effects import Effects, Rules, Told
from .hooks import Hooks, log_events
from .loops import Loop, Loops, Once
from .recovery import Timers
from .scope import Outcome
from .shared import SharedWaits
from .verbs import OPERATIONS, Commit, CommitAll, Read, Until, Verb
from .waiters import LoopWaiter, ThreadWaiter, Waiters
from .waking import Waking

if TYPE_CHECKING:
    from ..define import JobDef

log = logging.getLogger("blaxel_jobs.engine")

DEFAULT_LEASE: Final = 10.0
DEFAULT_MAX_RECOVERIES: Final = 5

ReadyListener = Callable[[set[tuple[str, str]]], None]
LeaseListener = Callable[[Sequence[LeaseRef]], None]


class Listeners(msgspec.Struct):
    """Who is told what a commit did. Called in the committing thread, so they hand over and return."""

    ready: list[ReadyListener] = msgspec.field(default_factory=list)
    """Given the (workspace, job) pairs that have something to claim."""
    revoked: list[LeaseListener] = msgspec.field(default_factory=list)
    """Given the leases that were taken from their workers."""
    stopped: list[LeaseListener] = msgspec.field(default_factory=list)
    """Given the leases whose handlers are to stop at their next step."""
    removed: list[Callable[[Sequence[tuple[str, str]]], None]] = msgspec.field(default_factory=list)
    """Given the (workspace, id) of executions that are no more."""
    told: list[Callable[[Sequence[Told]], None]] = msgspec.field(default_factory=list)
    """Given every event, with its execution as it was after it."""


class Engine:
    """Executes the operations of the contract. Open from the start; `start` begins recovery, `close` ends everything.

    lease: seconds for which a worker holds a task without a heartbeat. heartbeat: seconds between two of them, 0.3 x lease unless
    given. max_recoveries: how many times a task may be lost with its worker before it fails. simulate: jobs without a handler are
    run by the built-in one, so their durations are checked at create. owns_store: `close` closes the store too.

    Raises StoreError for a store that is not shared and has an open engine: nobody would tell either what the other commits.
    It belongs to the process that made it: in a forked child every call raises StoreError, and `close` does nothing.
    """

    _alone: ClassVar["WeakValueDictionary[int, Engine]"] = WeakValueDictionary()
    """The open engines on stores that are not shared, by the id of the store, which lives as long as they do."""
    _entering: ClassVar = threading.Lock()

    def __init__(
        self,
        store: JobStore,
        *,
        clock: Clock,
        new_id: IdFactory,
        rng: Rng,
        lease: float = DEFAULT_LEASE,
        heartbeat: float | None = None,
        max_recoveries: int = DEFAULT_MAX_RECOVERIES,
        simulate: bool = False,
        owns_store: bool = True,
    ) -> None:
        self.forked = False
        """This process is a fork of the one that made the engine, whose threads and connections are not this one's."""
        _engines.add(self)
        if not store.shared:
            self._enter(store)
        self.store = store
        self.artifacts = artifacts_of(store)
        self.clock = clock
        self.lease = lease
        self.heartbeat = 0.3 * lease if heartbeat is None else heartbeat
        self.listeners = Listeners()
        self.hooks = Hooks()
        self.listeners.told += [log_events, self.hooks.told]
        self.listeners.removed.append(self._remove_artifacts)
        self._simulate = simulate
        self._served: dict[tuple[str, str | None], float] = {}
        self.new_id = new_id
        self.waiters = Waiters()
        self.arrivals = Arrivals()
        self._committer: Committer = Grouped(self._apply) if store.shared else Inline(self._apply)
        self.definitions = Definitions(store, self.submit, clock.now)
        self.counting = new_counting(new_id(), shared=store.shared)
        self._waking = Waking(self.submit)
        self._rules = Rules(new_id, rng, self.definitions.get, max_recoveries, self.counting.count, self._waking.gates)
        shared: list[Loop] = []
        if store.shared:
            # What was deleted while nobody was there to remove its artifacts.
            shared = [SharedWaits(self.waiters, store), self.definitions, Once(self.artifacts.sweep)]
        self._loops = Loops([Timers(self), Folding(self), *shared, self._waking], clock, rng)
        self._owns_store = owns_store
        self._closed = False

    def call(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> View:
        """Do an operation of the contract (its id in snake case) in this thread. Raises what errors.py has for it."""
        self._check_open()
        verb = OPERATIONS[operation](self, workspace, **arguments)
        answer: Any = None
        while True:
            try:
                wanted = verb.send(answer)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(wanted, Commit):
                answer = self._committer.submit(wanted.command)
            elif isinstance(wanted, CommitAll):
                answer = [_outcome(self._committer.submit, command) for command in wanted.commands]
            elif isinstance(wanted, Read):
                answer = wanted.read()
            elif isinstance(wanted, Until):
                answer = self._until(wanted)
            else:
                raise WouldDeadlock(f"{operation} is for event loops: use acall")

    async def acall(self, operation: str, workspace: str, arguments: Mapping[str, Any]) -> View:
        """Do an operation of the contract in this task; the loop never waits for a disk or a network."""
        self._check_open()
        verb: Verb = OPERATIONS[operation](self, workspace, **arguments)
        answer: Any = None
        while True:
            try:
                wanted = verb.send(answer)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(wanted, Commit):
                committer, command = self._committer, wanted.command
                if committer.at_once:
                    answer = committer.submit(command)
                else:
                    answer = await (self.aclaim(command) if type(command) is Claim else committer.asubmit(command))
            elif isinstance(wanted, CommitAll):
                answer = await asyncio.gather(*map(self._committer.asubmit, wanted.commands), return_exceptions=True)
            elif isinstance(wanted, Read):
                answer = wanted.read() if self.store.local else await asyncio.to_thread(wanted.read)
            elif isinstance(wanted, Until):
                answer = await self._auntil(wanted)
            else:
                answer = await self.arrivals.wait(wanted, self.clock)

    def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[list[View], None]:
        """The status of the executions that `body` names, then of those that changed, until all have ended or the engine drains.

        An empty list comes after `quiet` seconds without a change. What there is no more, or never was, has the status `unknown`.
        Raises InvalidRequest at once for what is no ExecutionIds.
        """
        self._check_open()
        return streams.watch(self, workspace, read_ids(body), quiet)

    def events(self, workspace: str, job: str | None, id: str, after: int, quiet: float) -> AsyncGenerator[list[View], None]:
        """The events of an execution whose id is above `after`, and each that comes, until it has ended or the engine drains.

        An empty list comes after `quiet` seconds without one. Its first step raises NotFound.
        """
        self._check_open()
        return streams.events(self, workspace, job, id, after, quiet)

    def update(self, id: str, execution: Execution | None) -> View:
        """What a watch and a bulk status say of one id."""
        return unknown_view(id) if execution is None else update_view(execution, self.waiting_for(execution))

    def submit(self, command: Command) -> Any:
        """Commit a command in this thread and return its answer."""
        self.check_process()
        return self._committer.submit(command)

    def asubmit(self, command: Command) -> Awaitable[Any]:
        """Commit a command; its answer is awaited in this loop."""
        self.check_process()
        return self._committer.asubmit(command)

    async def aclaim(self, claim: Claim) -> list[Leased] | None:
        """Commit a claim. What it is given while its caller is cancelled goes back: nobody would know of those leases."""
        leased: list[Leased] | None
        if self._committer.at_once:
            leased = self.submit(claim)
            return leased
        answer = asyncio.ensure_future(self.asubmit(claim))
        try:
            leased = await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(self._give_back)
            raise
        return leased

    def register(self, jobs: "Iterable[JobDef[Any, Any]]", workspaces: Collection[str]) -> None:
        """Make definitions known, in these workspaces. Raises ConfigError when a name has another definition here already."""
        self.definitions.register(jobs, workspaces)

    def knows(self, job: str) -> bool:
        """Is a definition of this job registered in this process."""
        return self.definitions.here(job)

    def simulates(self, job: str) -> bool:
        """Will the built-in handler run this job."""
        return self._simulate and not self.definitions.here(job)

    def serving(self, workspace: str, jobs: Iterable[str] | None) -> None:
        """A worker serves these jobs, or any, for the next lease."""
        until = self.clock.monotonic() + self.lease
        for job in (None,) if jobs is None else jobs:
            self._served[workspace, job] = until

    def serves(self, workspace: str, job: str) -> bool:
        """Has a worker that serves the job asked for its tasks within a lease."""
        served = self._served
        if not served:
            return False
        now = self.clock.monotonic()
        return served.get((workspace, job), 0.0) > now or served.get((workspace, None), 0.0) > now

    def waiting_for(self, execution: Execution) -> WaitingFor | None:
        """Why the execution does not run: a reason of its own, no worker that serves its job, or nothing but its turn."""
        if execution.waiting_for is not None:
            return execution.waiting_for
        if execution.status is not JobStatus.PENDING or self.serves(execution.workspace, execution.job):
            return None
        return WaitingFor.WORKER

    def start(self) -> None:
        """Begin to take back what lost workers hold."""
        self._loops.start()

    def poll(self) -> float:
        """Do what is due now; return the seconds until something else is, by what is known now: inf for nothing.

        For who drives the engine by a clock of his own, instead of `start`.
        """
        return self._loops.poll()

    def ready(self) -> None:
        """Raise Unavailable when the engine is closed or its store does not answer."""
        self._check_open()
        try:
            self.store.get("", ["ready"])
        except StoreError as error:
            raise Unavailable(f"the store does not answer: {error}") from error

    def check_process(self) -> None:
        """Raise StoreError in a fork of the process that made the engine."""
        if self.forked:
            raise StoreError("it was made before a fork: make a new JobManager, or engine, in the child")

    def release_waiters(self) -> None:
        """Answer every long poll now, and from now on at once."""
        self.waiters.release()
        self.arrivals.release()

    def close(self) -> None:
        """Stop the loops, commit what is queued and close a store of its own. Closing twice does no harm."""
        if self._closed or self.forked:
            return
        self._closed = True
        self._loops.stop()
        self.waiters.release()
        self.arrivals.release()
        self._committer.close()
        self.hooks.close()
        if not self.store.shared:
            with self.store.begin() as transaction:
                transaction.count(self.counting.rows())
        if self._owns_store:
            self.store.close()
        if not self.store.shared:
            with self._entering:
                self._alone.pop(id(self.store), None)

    def _enter(self, store: JobStore) -> None:
        with self._entering:
            if self._alone.setdefault(id(store), self) is not self:
                raise StoreError(
                    "another engine has this store open, and neither would be told what the other commits: "
                    "close that JobManager first, or give each a store of its own"
                )

    def _check_open(self) -> None:
        if self.forked or self._closed:
            self.check_process()
            raise Unavailable("the engine is closed")

    def _apply(self, commands: Sequence[Command]) -> list[Outcome]:
        with self.store.begin() as transaction:
            now = self.clock.now()
            outcomes, effects = apply(commands, transaction, self._rules, now)
        self._tell(effects, now)
        return outcomes

    def _tell(self, effects: Effects, now: float) -> None:
        """What is committed stays committed, whatever a listener does."""
        if effects.told:
            if effects.tallies:
                self.counting.keep(effects.tallies)
            self.counting.note(effects.told, now)
        for definition in effects.defined:
            self.definitions.keep(definition)
        if effects.changed:
            self.waiters.wake(effects.changed)
        listeners = self.listeners
        if effects.ready:
            self.arrivals.wake(effects.ready)
            if listeners.ready:
                _call(listeners.ready, effects.ready)
        self._hasten(effects)
        if effects.told:
            _call(listeners.told, effects.told)
        if effects.revoked:
            _call(listeners.revoked, effects.revoked)
        if effects.stopped:
            _call(listeners.stopped, effects.stopped)
        if effects.removed:
            _call(listeners.removed, effects.removed)

    def _hasten(self, effects: Effects) -> None:
        """Tell the loops what there is to do."""
        if effects.waking and self._waking.keep(effects.waking):
            self._loops.hasten(0.0, waking.PLACE)
        if effects.due < math.inf:
            self._loops.hasten(effects.due - self.clock.now())

    def _remove_artifacts(self, removed: Sequence[tuple[str, str]]) -> None:
        for workspace in dict.fromkeys(workspace for workspace, _ in removed):
            self.artifacts.remove(workspace, [id for at, id in removed if at == workspace])

    def _give_back(self, answer: asyncio.Future[list[Leased] | None]) -> None:
        if answer.cancelled() or answer.exception() is not None or not answer.result():
            return
        leased = answer.result() or []
        log.info("%d tasks were claimed for one who had gone, and go back", len(leased))
        for item in leased:
            released = asyncio.ensure_future(self.asubmit(Tell(item.lease, Released())))
            released.add_done_callback(lambda done: done.cancelled() or done.exception())  # a lease that is lost is nobody's either

    def _until(self, wanted: Until) -> list[Execution]:
        keys, waiter = [(wanted.workspace, wanted.id)], ThreadWaiter()
        self.waiters.add(keys, waiter)
        try:
            found = self.store.get(wanted.workspace, [wanted.id])
            if found and not found[0].done:
                waiter.wait(wanted.seconds)
                found = self.store.get(wanted.workspace, [wanted.id])
            return found
        finally:
            self.waiters.discard(keys, waiter)

    async def _auntil(self, wanted: Until) -> list[Execution]:
        keys, waiter = [(wanted.workspace, wanted.id)], LoopWaiter(self.clock)
        self.waiters.add(keys, waiter)
        try:
            found = await self.aread(wanted.workspace, [wanted.id])
            if found and not found[0].done:
                await waiter.wait(wanted.seconds)
                found = await self.aread(wanted.workspace, [wanted.id])
            return found
        finally:
            self.waiters.discard(keys, waiter)

    def await_change(self, execution: Execution, seconds: float | None) -> None:
        """Wait until the execution is not as it was read, for at most so many seconds."""
        keys, waiter = [(execution.workspace, execution.id)], ThreadWaiter(every_change=True)
        self.waiters.add(keys, waiter)
        try:
            found = self.store.get(execution.workspace, [execution.id])
            if found and found[0].version == execution.version:
                waiter.wait(seconds)
        finally:
            self.waiters.discard(keys, waiter)

    async def aread(self, workspace: str, ids: Sequence[str]) -> list[Execution]:
        """The executions with these ids, without keeping the loop waiting."""
        read = self.store.get
        return read(workspace, ids) if self.store.local else await asyncio.to_thread(read, workspace, ids)


_engines: WeakSet[Engine] = WeakSet()


def _note_fork() -> None:
    for engine in _engines:
        engine.forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _outcome(submit: Callable[[Command], Any], command: Command) -> Any:
    try:
        return submit(command)
    except JobsError as error:
        return error


def _call(listeners: Iterable[Callable[[Any], None]], told: Any) -> None:
    for listen in listeners:
        try:
            listen(told)
        except Exception:
            log.exception("a listener of the engine failed")
