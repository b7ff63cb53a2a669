"""Following many executions, without I/O: one stream for all of them, or looks at them where there is no such stream."""

import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from .errors import InvalidRequest, JobsError, MethodNotAllowed, NotFound, WaitTimeoutError
from .flow import LOOK, PASSING, Flow, Op, Seam, Sleep, across_jobs, backoff, call, checked_id
from .streams import Emit, Listen, Next, StreamFlow
from .waiting import FIRST_PAUSE, GRACE

if TYPE_CHECKING:
    from .client.models import ExecutionUpdate, JobExecution, Progress

T = TypeVar("T")

MOST_IDS: Final = 10_000
"""How many one request may name."""
QUIET: Final = 45.0
"""Seconds without a sign of life after which a stream is opened again; the contract promises one every 15."""
LONGEST_PAUSE: Final = 3.0
"""Seconds between two looks where there is no stream, once the pauses have grown."""
PATIENCE: Final = 60.0
"""Seconds for which a watch without a deadline bears that the server cannot be reached."""
UNKNOWN: Final = "unknown"
"""The status of an id that there is not."""


@attrs.frozen
class Update:
    """How an execution stood when it was last heard of."""

    id: str
    job: str | None
    """The job's name; None for an id that there is not."""
    status: str
    """One of JobStatus, or `unknown` for an id that there is not."""
    done: bool
    waiting_for: str | None
    """Why it does not run: start, time, event, dependencies, concurrency, retry or worker."""
    stats: Mapping[str, int]
    """How many of its tasks are in which state: total, success, failure, running, retried, cancelled."""
    wait_until: datetime | None = None
    """When that wait ends by itself."""
    progress: "Progress | None" = None
    """How far it is: current, total, message."""


def read_update(model: "ExecutionUpdate") -> Update:
    """The same without what the wire leaves out."""
    stats = model.stats.to_dict() if model.stats else {}
    return Update(
        model.id, model.job or None, model.status, model.done, model.waiting_for or None, stats, model.wait_until or None,
        model.progress or None,
    )  # fmt: skip


def unknown(id: str) -> Update:
    """What is said of an id that there is not."""
    return Update(id, None, UNKNOWN, True, None, {})


def check_ids(ids: Iterable[str]) -> list[str]:
    """The ids. Raises InvalidRequest for what cannot be one, and for a single text."""
    if isinstance(ids, str):
        raise InvalidRequest(f"ids takes several ids, such as [{ids!r}]", path="ids")
    return [checked_id(id) for id in ids]


def get_statuses(seam: Seam, job: str | None, ids: Sequence[str]) -> Flow[list[Update]]:
    """How each of them stands, in their order; `unknown` where there is none. `job`: only executions of this job."""
    found: dict[str, Update] = {}
    for chunk in _chunks(list(dict.fromkeys(ids))):
        updates = yield from _bulk(seam, chunk, call)
        if updates is None:
            for id in chunk:
                try:
                    found[id] = _of_execution((yield from call(seam, _get(job, id))))
                except NotFound:
                    found[id] = unknown(id)
        else:
            found.update((update.id, update) for update in updates)
    return [unknown(id) if _is_foreign(found[id], job) else found[id] for id in ids]


def get_status(seam: Seam, execution_id: str) -> Flow[str]:
    """Just the status of an execution of any job. Raises NotFound."""
    (update,) = yield from get_statuses(seam, None, [checked_id(execution_id)])
    if update.status == UNKNOWN:
        raise NotFound(f"there is no execution {execution_id!r}", path="executionId")
    return update.status


def follow(
    seam: Seam, job: str | None, ids: Iterable[str], max_wait: float, show: Callable[[Update], T | None], patience: float = math.inf
) -> StreamFlow[T]:
    """What `show` makes of each change of each execution, the first sight of it included, until all have ended.

    `job`: only executions of this job. Raises NotFound for an id that there is not, WaitTimeoutError after `max_wait` seconds. What
    may pass (no connection, 408, 429, 5xx, streams that break) is survived, for `patience` seconds at a time.
    """
    return _Following(seam, job, dict.fromkeys(ids), max_wait, show, patience).run()


@attrs.define
class _Following(Generic[T]):
    """What is known while executions are followed."""

    seam: Seam
    job: str | None
    left: dict[str, Update | None]
    """Those that have not ended, as they were last seen."""
    max_wait: float
    show: Callable[[Update], T | None]
    patience: float
    total: int = 0
    began: float = 0.0
    heard: float = 0.0
    """When there was last a sign of life; at first when it began."""
    blind: bool = True
    """Things may have changed without our seeing it."""
    error: JobsError | None = None
    """Why nothing is seen now, if so."""
    failures: int = 0
    """In a row; a stream that ends without having brought a change is one too."""
    pause: float = 0.0
    """Seconds until the next request."""
    step: float = FIRST_PAUSE

    def run(self) -> StreamFlow[T]:
        self.began = self.heard = self.seam.monotonic()
        self.total = len(self.left)
        look = self.max_wait == 0
        while self.left:
            if look:
                yield from self.look()
            if self.left and self.remaining() <= 0:
                raise self.timeout() from self.error
            look = not self.can_listen()
            if self.left and not look:
                yield from self.listen()
                look = self.blind and (self.error is not None or self.remaining() <= 0 or not self.can_listen())
            if self.left and self.pause > 0:
                self.check_patience()
                yield Sleep(min(self.pause, max(self.remaining(), 0.001)))
                look = look or (self.blind and self.remaining() <= 0)

    def remaining(self) -> float:
        return self.began + self.max_wait - self.seam.monotonic()

    def can_listen(self) -> bool:
        return not self.seam.peer.is_platform and _WATCH not in self.seam.peer.missing

    def listen(self) -> StreamFlow[T]:
        """Take what the stream brings until all have ended, the deadline has come, or the stream is over."""
        from .client.models import ExecutionIds

        self.pause, self.blind = 0.0, True
        yield Listen([Op(_WATCH, "ExecutionUpdate", {"body": ExecutionIds(ids=chunk)}) for chunk in _chunks(list(self.left))])
        while self.left:
            remaining = self.remaining()
            if remaining <= 0:  # whoever iterates took his time: something may have come meanwhile
                self.blind = True
                return
            try:
                batch = yield Next(min(remaining, QUIET))
            except (NotFound, MethodNotAllowed):
                self.seam.peer.missing.add(_WATCH)
                return
            except PASSING as error:
                if self.remaining() > 0:
                    self.failed(error)
                return
            if batch is None:
                self.blind, self.pause = True, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.failures, 16))
                self.failures += 1
                return
            self.heard, self.error = self.seam.monotonic(), None
            if batch:
                self.blind = False
            else:
                self.failures = 0
            for model in batch:
                yield from self.take(read_update(model))

    def look(self) -> StreamFlow[T]:
        """Ask for all of them once."""
        for chunk in _chunks(list(self.left)):
            try:
                updates = yield from _bulk(self.seam, chunk, self.once)
            except PASSING as error:
                self.failed(error)
                return
            if updates is None:
                seen = yield from self.look_at_each(chunk)
                if not seen:
                    return
            else:
                for update in updates:
                    yield from self.take(update)
        self.heard, self.error, self.blind, self.failures = self.seam.monotonic(), None, False, 0
        # Many that wait do not all ask at the same moment.
        self.pause = self.step * (0.75 + 0.25 * self.seam.random())
        self.step = min(self.step * 1.5, LONGEST_PAUSE)

    def look_at_each(self, ids: Sequence[str]) -> Generator[Any, Any, bool]:
        """Ask for one after the other, where there is no other way. False when that did not work, or took too long."""
        for id in ids:
            if self.max_wait and self.remaining() < -GRACE:
                return False
            try:
                model = yield from self.once(self.seam, _get(self.job, id))
            except PASSING as error:
                self.failed(error)
                return False
            yield from self.take(_of_execution(model))
        return True

    def once(self, _: Seam, op: Op) -> Flow[Any]:
        """Perform it, at the deadline at the latest. Until something was seen, a slow first connection is not cut off."""
        remaining = max(self.remaining(), 0.0)
        grace = GRACE if self.heard > self.began else max(GRACE, 1.0 - remaining)
        return (yield attrs.evolve(op, timeout=remaining + grace if self.max_wait else None))

    def take(self, update: Update) -> StreamFlow[T]:
        id = update.id
        if id not in self.left:
            return
        if (update.status == UNKNOWN and update.done) or _is_foreign(update, self.job):
            of = f" of the job {self.job!r}" if self.job else ""
            raise NotFound(f"there is no execution {id!r}{of}", path="executionId")
        if self.left[id] == update:
            return
        self.failures = 0
        if update.done:
            del self.left[id]
        else:
            self.left[id] = update
        shown = self.show(update)
        if shown is not None:
            yield Emit(shown)

    def failed(self, error: JobsError) -> None:
        self.error, self.blind = error, True
        self.pause = backoff(self.seam, error, self.failures)
        self.failures += 1

    def check_patience(self) -> None:
        if self.error is not None and self.seam.monotonic() - self.heard > self.patience:
            raise self.error

    def timeout(self) -> WaitTimeoutError:
        names = list(self.left)
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        because = f" (the last look failed: {self.error})" if self.error is not None else ""
        waited = self.max_wait - self.remaining()
        count = f"{len(names)} of {self.total} executions"
        return WaitTimeoutError(
            f"{count} had not ended after {waited:.1f} s: {shown}{because}. They go on; wait again or cancel them."
        )


_WATCH: Final = "watch_executions"
_BULK: Final = "get_execution_statuses"


def _bulk(seam: Seam, ids: list[str], perform: Callable[[Seam, Op], Flow[Any]]) -> Flow[list[Update] | None]:
    """How each of at most 10,000 stands, or None where there is no such route."""
    from .client.models import ExecutionIds

    if seam.peer.is_platform or _BULK in seam.peer.missing:
        return None
    try:
        answer = yield from perform(seam, Op(_BULK, "ExecutionUpdateList", {"body": ExecutionIds(ids=ids)}))
    except (NotFound, MethodNotAllowed):
        seam.peer.missing.add(_BULK)
        return None
    return [read_update(model) for model in answer.data]


def _get(job: str | None, id: str) -> Op:
    if job is None:
        raise across_jobs()
    return Op("get_job_execution", "JobExecution", {"job": job, "execution_id": id, "prefer": LOOK})


def _of_execution(model: "JobExecution") -> Update:
    metadata, stats = model.metadata, model.stats.to_dict() if model.stats else {}
    return Update(
        metadata.id, metadata.job, model.status, model.done, model.waiting_for or None, stats, model.wait_until or None,
        model.progress or None,
    )  # fmt: skip


def _is_foreign(update: Update, job: str | None) -> bool:
    return job is not None and update.job is not None and update.job != job


def _chunks(ids: list[str]) -> list[list[str]]:
    return [ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS)]
