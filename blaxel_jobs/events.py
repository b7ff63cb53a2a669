"""What happens to an execution: followed as it happens, without I/O, and what its handlers logged."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from .errors import JobsError, MethodNotAllowed, NotFound
from .flow import PASSING, Flow, Op, Seam, Sleep, backoff, call, checked_id, given
from .streams import Emit, Listen, Next, StreamFlow
from .verbs import get_execution
from .waiting import FIRST_PAUSE
from .watch import LONGEST_PAUSE, PATIENCE, QUIET
from .words import TERMINAL

if TYPE_CHECKING:
    from .client.models import JobExecutionEvent

_STREAM: Final = "stream_execution_events"
PAGE: Final = 1000


@attrs.frozen
class LogLine:
    """A line that a handler logged."""

    at: datetime
    level: str
    """debug, info, warning, error or critical."""
    message: str
    fields: Mapping[str, Any]
    task: str | None
    """The task's id."""


def read_log(event: "JobExecutionEvent") -> LogLine | None:
    """The line that an event tells of; None for another event."""
    if event.type != "log":
        return None
    data = event.data if isinstance(event.data, dict) else {}
    return LogLine(event.at, data.get("level", "info"), data.get("message", ""), data.get("fields", {}), event.task or None)


def get_logs(seam: Seam, job: str | None, execution_id: str) -> Flow[list[LogLine]]:
    """What its handlers have logged, the oldest first."""
    reader = _Events(seam, job, checked_id(execution_id))
    lines = []
    more = True
    while more:
        events, more = yield from reader.read()
        lines += [line for event in events if (line := read_log(event)) is not None]
    return lines


def follow_events(seam: Seam, job: str | None, execution_id: str, after: int) -> "StreamFlow[JobExecutionEvent]":
    """Each event with an id above `after`, until the execution has ended: by a stream, or by looks where there is none.

    Raises NotFound. What may pass is survived for a minute at a time.
    """
    return _Following(_Events(seam, job, checked_id(execution_id), after)).run()


@attrs.define
class _Events:
    """The events of an execution, page by page. A page that was not full is read again: it may have grown."""

    seam: Seam
    job: str | None
    """None as long as nobody asked whose it is."""
    execution_id: str
    last: int = 0
    """The id of the last event that was read."""
    cursor: str | None = None

    def read(self) -> "Flow[tuple[list[JobExecutionEvent], bool]]":
        """What is new on this page, and whether there is another."""
        if self.seam.peer.is_platform:
            raise _no_events()
        if self.job is None:
            self.job = (yield from get_execution(self.seam, None, self.execution_id)).metadata.job
        arguments = given(job=self.job, execution_id=self.execution_id, limit=PAGE, cursor=self.cursor)
        try:
            page = yield from call(self.seam, Op("list_job_execution_events", "JobExecutionEventList", arguments))
        except NotFound:
            if self.seam.peer.is_platform:
                raise _no_events() from None
            raise
        events = [event for event in page.data if event.id > self.last]
        if events:
            self.last = events[-1].id
        if page.meta.next_cursor:
            self.cursor = page.meta.next_cursor
        return events, page.meta.has_more


@attrs.define
class _Following:
    """What is known while events are followed."""

    events: _Events
    ended: bool = False
    """By the last event that was seen."""
    pause: float = FIRST_PAUSE
    failures: int = 0
    heard: float = 0.0

    @property
    def seam(self) -> Seam:
        return self.events.seam

    def run(self) -> "StreamFlow[JobExecutionEvent]":
        self.heard = self.seam.monotonic()
        while True:
            missing = self.seam.peer.missing
            streams = _STREAM not in missing and not self.seam.peer.is_platform
            try:
                if streams:
                    yield from self.listen()
                else:
                    yield from self.look()
            except PASSING as error:
                yield from self.survive(error)
                continue
            if self.ended:
                return
            if streams and _STREAM in missing:
                continue
            yield Sleep(self.pause)
            self.pause = min(self.pause * 1.5, LONGEST_PAUSE)

    def listen(self) -> "StreamFlow[JobExecutionEvent]":
        """Take what the stream brings until it is over."""
        events = self.events
        arguments = given(job=events.job, execution_id=events.execution_id, after=events.last or None)
        yield Listen([Op(_STREAM, "JobExecutionEvent", arguments)])
        try:
            while (batch := (yield Next(QUIET))) is not None:
                self.alive()
                for event in batch:
                    if event.id > events.last:
                        events.last = event.id
                        yield from self.show(event)
        except MethodNotAllowed:
            self.seam.peer.missing.add(_STREAM)
        except NotFound:
            if self.seam.peer.is_platform:
                raise _no_events() from None
            raise

    def look(self) -> "StreamFlow[JobExecutionEvent]":
        """Read what is new."""
        more = True
        while more:
            events, more = yield from self.events.read()
            self.alive(bool(events))
            for event in events:
                yield from self.show(event)

    def show(self, event: "JobExecutionEvent") -> "StreamFlow[JobExecutionEvent]":
        self.ended = event.status in TERMINAL
        yield Emit(event)

    def alive(self, changed: bool = True) -> None:
        self.heard, self.failures = self.seam.monotonic(), 0
        if changed:
            self.pause = FIRST_PAUSE

    def survive(self, error: JobsError) -> Flow[None]:
        """Pause. Raises the error when nothing was heard for too long."""
        if self.seam.monotonic() - self.heard > PATIENCE:
            raise error
        yield Sleep(backoff(self.seam, error, self.failures))
        self.failures += 1


def _no_events() -> MethodNotAllowed:
    return MethodNotAllowed("the Blaxel platform keeps no events of executions: that takes a server of blaxel-jobs")
