"""The engine: the verbs of the contract over a store, for any number of threads and event loops."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final
from weakref import WeakSet, WeakValueDictionary

import attrs

from ..core.ports import Clock, IdFactory, Rng
from ..core.records import Execution, LeaseRef
from ..core.requests import read_ids
from ..core.views import View, unknown_view, update_view
from ..define import JobDef
from ..errors import ConfigError, StoreError, Unavailable
from ..stores.base import JobStore
from ..words import JobStatus, WaitingFor
from .batch import Batch, Effects, Outcome, Rules
from .commands import Command
from .committer import Committer, Grouped, Inline
from .loops import Loop, Loops
from .recovery import Recovery
from .verbs import OPERATIONS, Commit, Read, Until, Verb
from .waiters import Key, LoopWaiter, ThreadWaiter, Waiters

log = logging.getLogger("blaxel_jobs.engine")

DEFAULT_LEASE: Final = 10.0
DEFAULT_MAX_RECOVERIES: Final = 5

ReadyListener = Callable[[set[tuple[str, str]]], None]
RevokedListener = Callable[[Sequence[LeaseRef]], None]


@attrs.define
class Listeners:
    """Who is told what a commit did. Called in the committing thread, so they hand over and return."""

    ready: list[ReadyListener] = attrs.field(factory=list)
    """Given the (workspace, job) pairs that have something to claim."""
    revoked: list[RevokedListener] = attrs.field(factory=list)
    """Given the leases that were taken from their workers."""


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
        self.clock = clock
        self.lease = lease
        self.heartbeat = 0.3 * lease if heartbeat is None else heartbeat
        self.listeners = Listeners()
        self._simulate = simulate
        self._jobs: dict[str, JobDef[Any]] = {}
        self._served: dict[tuple[str, str | None], float] = {}
        self._rules = Rules(new_id, self._queue_of, max_recoveries)
        self._waiters = Waiters()
        self._committer: Committer = Grouped(self._apply) if store.shared else Inline(self._apply)
        self._loops = Loops([Recovery(self), *([SharedWaits(self._waiters, store)] if store.shared else [])], clock, rng)
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
            elif isinstance(wanted, Read):
                answer = wanted.read()
            else:
                answer = self._until(wanted)

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
                answer = await self._committer.asubmit(wanted.command)
            elif isinstance(wanted, Read):
                answer = wanted.read() if self.store.local else await asyncio.to_thread(wanted.read)
            else:
                answer = await self._auntil(wanted)

    def watch(self, workspace: str, body: Any, quiet: float) -> AsyncGenerator[list[View], None]:
        """The status of the executions that `body` names, then of those that changed, until all have ended or the engine drains.

        An empty list comes after `quiet` seconds without a change. What there is no more, or never was, has the status `unknown`.
        Raises InvalidRequest at once for what is no ExecutionIds.
        """
        self._check_open()
        return self._watch(workspace, read_ids(body), quiet)

    async def _watch(self, workspace: str, ids: Sequence[str], quiet: float) -> AsyncGenerator[list[View], None]:
        left = dict.fromkeys((workspace, id) for id in ids)
        keys, waiter = list(left), LoopWaiter(self.clock, every_change=True)
        self._waiters.add(keys, waiter)
        try:
            changed: Collection[Key] = keys
            while left:
                wanted = [id for workspace, id in changed if (workspace, id) in left]
                updates = await self._updates(workspace, wanted)
                for update in updates:
                    if update["done"]:
                        del left[workspace, update["id"]]
                yield updates
                if left and self._waiters.released:
                    return
                changed = await waiter.wait(quiet) if left else ()
        finally:
            self._waiters.discard(keys, waiter)

    async def _updates(self, workspace: str, ids: Sequence[str]) -> list[View]:
        # A watch that waits holds no records: it may wait for thousands.
        found = {execution.id: execution for execution in await self._aread(workspace, ids)}
        return [self.update(id, found.get(id)) for id in ids]

    def update(self, id: str, execution: Execution | None) -> View:
        """What a watch and a bulk status say of one id."""
        return unknown_view(id) if execution is None else update_view(execution, self.waiting_for(execution))

    def submit(self, command: Command) -> Any:
        """Commit a command in this thread and return its answer."""
        self.check_process()
        return self._committer.submit(command)

    async def asubmit(self, command: Command) -> Any:
        """Commit a command for this task and return its answer."""
        self.check_process()
        return await self._committer.asubmit(command)

    def register(self, jobs: Iterable[JobDef[Any]]) -> None:
        """Make definitions known. Raises ConfigError when a name has another definition here already."""
        for job in jobs:
            if not isinstance(job, JobDef):
                raise ConfigError(f"{job!r} is no job definition: put @define_job('name') above the handler")
            if self._jobs.setdefault(job.name, job) is not job:
                raise ConfigError(f"two definitions of the job {job.name!r}: a name is defined once in a process")

    def knows(self, job: str) -> bool:
        """Is a definition of this job registered here."""
        return job in self._jobs

    def simulates(self, job: str) -> bool:
        """Will the built-in handler run this job."""
        return self._simulate and job not in self._jobs

    def serving(self, workspace: str, jobs: Iterable[str] | None) -> None:
        """A worker serves these jobs, or any, for the next lease."""
        until = self.clock.monotonic() + self.lease
        for job in (None,) if jobs is None else jobs:
            self._served[workspace, job] = until

    def serves(self, workspace: str, job: str) -> bool:
        """Has a worker that serves the job asked for its tasks within a lease."""
        served, now = self._served, self.clock.monotonic()
        return served.get((workspace, job), 0.0) > now or served.get((workspace, None), 0.0) > now

    def waiting_for(self, execution: Execution) -> WaitingFor | None:
        """Why the execution does not run: no worker serves its job, or nothing but its turn."""
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
        self._waiters.release()

    def close(self) -> None:
        """Stop the loops, commit what is queued and close a store of its own. Closing twice does no harm."""
        if self._closed or self.forked:
            return
        self._closed = True
        self._loops.stop()
        self._waiters.release()
        self._committer.close()
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
        self.check_process()
        if self._closed:
            raise Unavailable("the engine is closed")

    def _queue_of(self, job: str) -> str:
        definition = self._jobs.get(job)
        return definition.queue if definition else "default"

    def _apply(self, commands: Sequence[Command]) -> list[Outcome]:
        with self.store.begin() as transaction:
            batch = Batch(transaction, self._rules, self.clock.now())
            outcomes = batch.apply(commands)
        self._tell(batch.effects)
        return outcomes

    def _tell(self, effects: Effects) -> None:
        """What is committed stays committed, whatever a listener does."""
        if effects.changed:
            self._waiters.wake(effects.changed)
        if effects.ready:
            for listen in self.listeners.ready:
                _guard(listen, effects.ready)
        if effects.revoked:
            for revoke in self.listeners.revoked:
                _guard(revoke, effects.revoked)

    def _until(self, wanted: Until) -> list[Execution]:
        keys, waiter = [(wanted.workspace, wanted.id)], ThreadWaiter()
        self._waiters.add(keys, waiter)
        try:
            found = self.store.get(wanted.workspace, [wanted.id])
            if found and not found[0].done:
                waiter.wait(wanted.seconds)
                found = self.store.get(wanted.workspace, [wanted.id])
            return found
        finally:
            self._waiters.discard(keys, waiter)

    async def _auntil(self, wanted: Until) -> list[Execution]:
        keys, waiter = [(wanted.workspace, wanted.id)], LoopWaiter(self.clock)
        self._waiters.add(keys, waiter)
        try:
            found = await self._aread(wanted.workspace, [wanted.id])
            if found and not found[0].done:
                await waiter.wait(wanted.seconds)
                found = await self._aread(wanted.workspace, [wanted.id])
            return found
        finally:
            self._waiters.discard(keys, waiter)

    async def _aread(self, workspace: str, ids: Sequence[str]) -> list[Execution]:
        read = self.store.get
        return read(workspace, ids) if self.store.local else await asyncio.to_thread(read, workspace, ids)


class SharedWaits(Loop):
    """Another process may change what is awaited here: look once a second, at all of it together."""

    def __init__(self, waiters: Waiters, store: JobStore) -> None:
        self._waiters = waiters
        self._store = store
        self._seen: dict[Key, int] = {}

    def poll(self, now: float) -> float:
        keys = self._waiters.keys()
        by_workspace: dict[str, list[str]] = {}
        for workspace, id in keys:
            by_workspace.setdefault(workspace, []).append(id)
        found = {
            (workspace, execution.id): execution
            for workspace, ids in by_workspace.items()
            for execution in self._store.get(workspace, ids)
        }
        changed = {key: key not in found or found[key].done for key in keys if self._has_changed(key, found)}
        self._seen = {key: execution.version for key, execution in found.items()}
        self._waiters.wake(changed)
        return 1.0

    def _has_changed(self, key: Key, found: Mapping[Key, Execution]) -> bool:
        execution = found.get(key)
        return execution is None or execution.done or execution.version != self._seen.get(key)


_engines: WeakSet[Engine] = WeakSet()


def _note_fork() -> None:
    for engine in _engines:
        engine.forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _guard(listen: Callable[[Any], None], told: Any) -> None:
    try:
        listen(told)
    except Exception:
        log.exception("a listener of the engine failed")
