"""What workers send: claims, heartbeats and reports, checked. The structs repeat openapi.yaml, as those of requests.py do."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import TooLarge
from ..words import FailureKind
from . import reports
from .bodies import ExecutionId, Id, Key, Milliseconds
from .reading import or_none, read_body, seconds, text
from .records import Failure, LeaseRef, Progress
from .reports import Report

MAX_CLAIM: Final = 1000
MAX_LEASES: Final = 10_000
MAX_REPORTS: Final = 10_000
MAX_WAIT_MS: Final = 30_000
MAX_VALUE: Final = 1024 * 1024
"""Bytes of one result, or of the value of a step."""
MAX_TYPE: Final = 255
MAX_MESSAGE: Final = 4 * 1024
MAX_TRACE: Final = 8 * 1024
"""Characters of a failure that are kept, of a trace the last ones: lists show errors."""

Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Level = Literal["debug", "info", "warning", "error", "critical"]
ReportedKind = Literal["error", "timeout", "permanent", "invalid_input", "invalid_output", "not_serializable"]


class LeaseName(Struct, forbid_unknown_fields=True):
    """Schema LeaseRef."""

    task: Number
    token: Number


class ClaimRequest(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Schema ClaimLeasesRequest."""

    worker: Key
    jobs: Annotated[list[Id], Meta(min_length=1, max_length=10_000)]
    execution_id: ExecutionId | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=MAX_CLAIM)]
    wait_ms: Annotated[int, Meta(ge=0, le=MAX_WAIT_MS)] = 0


class HeartbeatRequest(Struct, forbid_unknown_fields=True):
    """Schema ExtendLeasesRequest."""

    worker: Key
    leases: Annotated[list[LeaseName], Meta(max_length=MAX_LEASES)]
    jobs: Annotated[list[Id], Meta(max_length=10_000)] | UnsetType = UNSET


class ReportedFailure(Struct, forbid_unknown_fields=True):
    """Schema ReportedFailure."""

    kind: ReportedKind
    type: str
    message: str
    trace: str | UnsetType = UNSET


class ProgressRequest(Struct, forbid_unknown_fields=True):
    """Schema Progress."""

    current: float
    total: float | UnsetType = UNSET
    message: str | UnsetType = UNSET


class LogLineRequest(Struct, forbid_unknown_fields=True):
    """Schema LogLine."""

    level: Level
    message: str
    fields: dict[str, Any] | UnsetType = UNSET


class _LeaseReport(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    task: Number
    token: Number


class CompletedReport(_LeaseReport, tag="completed"):
    """Schema CompletedReport."""

    result: Any

    def read(self) -> Report:
        return reports.Completed(text(self.result))


class FailedReport(_LeaseReport, tag="failed"):
    """Schema FailedReport."""

    failure: ReportedFailure
    retry_after_ms: Milliseconds | UnsetType = UNSET

    def read(self) -> Report:
        told = self.failure
        trace = None if told.trace is UNSET else told.trace[-MAX_TRACE:]
        failure = Failure(FailureKind(told.kind), told.type[:MAX_TYPE], told.message[:MAX_MESSAGE], trace)
        return reports.Failed(failure, seconds(self.retry_after_ms))


class ReleasedReport(_LeaseReport, tag="released"):
    """Schema ReleasedReport."""

    def read(self) -> Report:
        return reports.Released()


class CrashedReport(_LeaseReport, tag="crashed"):
    """Schema CrashedReport."""

    reason: Annotated[str, Meta(max_length=255)]

    def read(self) -> Report:
        return reports.Crashed(self.reason)


class SteppedReport(_LeaseReport, tag="stepped"):
    """Schema SteppedReport."""

    name: Key
    value: Any

    def read(self) -> Report:
        return reports.Stepped(self.name, text(self.value))


class SleptReport(_LeaseReport, tag="slept"):
    """Schema SleptReport."""

    name: Key
    duration_ms: Milliseconds
    in_place_ms: Milliseconds

    def read(self) -> Report:
        return reports.Slept(self.name, self.duration_ms / 1000, self.in_place_ms / 1000)


class AwaitedReport(_LeaseReport, tag="awaited"):
    """Schema AwaitedReport."""

    name: Key
    timeout_ms: Milliseconds | UnsetType = UNSET
    suspends: bool = True

    def read(self) -> Report:
        return reports.Awaited(self.name, seconds(self.timeout_ms), self.suspends)


class NotedReport(_LeaseReport, tag="noted"):
    """Schema NotedReport."""

    progress: ProgressRequest | UnsetType = UNSET
    logs: Annotated[list[LogLineRequest], Meta(max_length=10_000)] | UnsetType = UNSET
    lines_before: Number | UnsetType = UNSET

    def read(self) -> Report:
        progress = None
        if self.progress is not UNSET:
            message = None if self.progress.message is UNSET else self.progress.message[:MAX_MESSAGE]
            progress = Progress(self.progress.current, or_none(self.progress.total), message)
        logs = () if self.logs is UNSET else self.logs
        lines = tuple(reports.LogLine(line.level, line.message, or_none(line.fields) or {}) for line in logs)
        return reports.Noted(progress, lines, or_none(self.lines_before) or 0, again=self.lines_before is not UNSET)


LeaseReport = (
    CompletedReport | FailedReport | ReleasedReport | CrashedReport | SteppedReport | SleptReport | AwaitedReport | NotedReport
)


class ReportsRequest(Struct, forbid_unknown_fields=True):
    """Schema ReportLeasesRequest."""

    reports: Annotated[list[LeaseReport], Meta(min_length=1, max_length=MAX_REPORTS)]


_CLAIM: Final = msgspec.json.Decoder(ClaimRequest)
_HEARTBEAT: Final = msgspec.json.Decoder(HeartbeatRequest)
_REPORTS: Final = msgspec.json.Decoder(ReportsRequest)


class Claiming(Struct, frozen=True, kw_only=True):
    """A checked claim."""

    worker: str
    jobs: tuple[str, ...]
    execution_id: str | None
    """Only tasks of this execution."""
    limit: int
    wait: float
    """Seconds to wait for the first task."""


class Beat(Struct, frozen=True, kw_only=True):
    """A checked heartbeat."""

    worker: str
    jobs: tuple[str, ...] | None
    """Those that the worker serves, where it says so."""
    leases: tuple[LeaseRef, ...]


def read_claim(body: Any) -> Claiming:
    """Check a claim. Raises InvalidRequest with the path of the field."""
    request = read_body(body, ClaimRequest, _CLAIM)
    return Claiming(
        worker=request.worker, jobs=tuple(dict.fromkeys(request.jobs)), execution_id=or_none(request.execution_id),
        limit=request.limit, wait=request.wait_ms / 1000,
    )  # fmt: skip


def read_heartbeat(body: Any) -> Beat:
    """Check a heartbeat. Raises InvalidRequest with the path of the field."""
    request = read_body(body, HeartbeatRequest, _HEARTBEAT)
    jobs = None if request.jobs is UNSET else tuple(dict.fromkeys(request.jobs))
    return Beat(worker=request.worker, jobs=jobs, leases=tuple(LeaseRef(lease.task, lease.token) for lease in request.leases))


def too_large(report: Report) -> TooLarge | None:
    """Why a report is refused that carries more than is kept."""
    value = report.result if type(report) is reports.Completed else report.value if type(report) is reports.Stepped else ""
    if len(value) <= MAX_VALUE // 4 or (size := len(value.encode())) <= MAX_VALUE:
        return None
    return TooLarge(f"a result, or the value of a step, has at most {MAX_VALUE} bytes, not {size}: put it into an artifact")


def read_reports(body: Any) -> list[tuple[LeaseRef, Report]]:
    """Check reports; in their order, each with its lease. Raises InvalidRequest with the path of the field."""
    request = read_body(body, ReportsRequest, _REPORTS)
    return [(LeaseRef(report.task, report.token), report.read()) for report in request.reports]
