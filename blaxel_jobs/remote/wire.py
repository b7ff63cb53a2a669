"""The lease protocol's messages, and the records that a worker has of them.

What a worker sends goes through the generated models. What it gets is read here: inputs and values stay the text that they arrive
as, so that they are decoded once, where the handler needs them. A test holds these fields to openapi.yaml.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from ..client import models
from ..client.types import UNSET
from ..core.records import Json, Leased, LeaseRef, StoredStep
from ..core.reports import Answer, Awaited, Completed, Crashed, Failed, Holding, Noted, Released, Report, Slept, Stepped
from ..errors import ContractError, LeaseLost, RequestError, error_class

FOREVER_MS: Final = 3_155_760_000_000
"""The longest time that the contract carries: a hundred years."""
MAX_REASON: Final = 255
_NOTHING: Final = Raw(b"")


class StepFields(Struct, rename="camel"):
    """Schema StoredStep."""

    name: str
    kind: str
    value: Raw = _NOTHING
    remaining_ms: float = 0


class LeaseFields(Struct, rename="camel"):
    """Schema Lease."""

    task: int
    token: int
    job: str
    execution_id: str
    task_id: str
    index: int
    attempt: int
    input: Raw
    metadata: dict[str, Any]
    env: dict[str, str]
    steps: list[StepFields]
    timeout_ms: float | None = None


class ClaimAnswer(Struct, rename="camel"):
    """Schema ClaimLeasesOutput."""

    leases: list[LeaseFields]
    lease_ms: int
    heartbeat_ms: int


class RefFields(Struct):
    """Schema LeaseRef."""

    task: int
    token: int


class ExtendAnswer(Struct):
    """Schema ExtendLeasesOutput."""

    lost: list[RefFields]
    stop: list[RefFields]


class AnswerFields(Struct, rename="camel"):
    """Schema ReportAnswer."""

    stop: bool = False
    suspended: bool = False
    kind: str | None = None
    value: Raw = _NOTHING
    remaining_ms: float = 0
    error: str | None = None
    message: str | None = None


class ReportAnswers(Struct):
    """Schema ReportLeasesOutput."""

    answers: list[AnswerFields]


_claims: Final = msgspec.json.Decoder(ClaimAnswer)
_extends: Final = msgspec.json.Decoder(ExtendAnswer)
_reports: Final = msgspec.json.Decoder(ReportAnswers)
encode: Final = msgspec.json.Encoder().encode


class Encoded:
    """A report as it goes on the wire, in the place of its model."""

    __slots__ = ("text",)

    def __init__(self, lease: LeaseRef, report: Report) -> None:
        """Raises TypeError for fields of a log line that JSON cannot carry."""
        self.text = encode(_model(lease, report).to_dict())

    def to_dict(self) -> Raw:
        return Raw(self.text)


def read_claim(body: bytes, workspace: str) -> tuple[list[Leased], float, float]:
    """What was leased, and in seconds how long leases last and how often to beat. Raises ContractError."""
    with _contract("ClaimLeasesOutput"):
        answer = _claims.decode(body)
        return [_leased(fields, workspace) for fields in answer.leases], answer.lease_ms / 1000, answer.heartbeat_ms / 1000


def read_holding(body: bytes) -> Holding:
    """Raises ContractError."""
    with _contract("ExtendLeasesOutput"):
        answer = _extends.decode(body)
    lost, stop = (frozenset(LeaseRef(ref.task, ref.token) for ref in refs) for refs in (answer.lost, answer.stop))
    return Holding(lost, stop)


def read_answers(body: bytes, count: int) -> list[Answer | RequestError]:
    """One for each report, in their order. Raises ContractError."""
    with _contract("ReportLeasesOutput"):
        answers = _reports.decode(body).answers
        if len(answers) != count:
            raise ContractError(f"{count} reports were answered with {len(answers)} answers")
        return [_error(fields.error, fields.message) if fields.error is not None else _answer(fields) for fields in answers]


def milliseconds(seconds: float) -> int:
    """Never less than asked for."""
    return FOREVER_MS if seconds >= FOREVER_MS / 1000 else max(0, math.ceil(seconds * 1000))


@contextmanager
def _contract(schema: str) -> Iterator[None]:
    """Of values only their text is taken, so that it turns out late when it is no text."""
    try:
        yield
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError(f"the answer is not a {schema}: {error}") from error


def _leased(fields: LeaseFields, workspace: str) -> Leased:
    return Leased(
        lease=LeaseRef(fields.task, fields.token), workspace=workspace, job=fields.job, execution_id=fields.execution_id,
        task_id=fields.task_id, index=fields.index, attempt=fields.attempt, input=_text(fields.input), metadata=fields.metadata,
        env=fields.env, timeout=None if fields.timeout_ms is None else fields.timeout_ms / 1000,
        steps=tuple([_step(step) for step in fields.steps]),
    )  # fmt: skip


def _step(fields: StepFields) -> StoredStep:
    # Of a kind that is not known here the replay makes an error that names it.
    return StoredStep(fields.name, fields.kind, _given(fields.value), fields.remaining_ms / 1000)  # type: ignore[arg-type]


def _answer(fields: AnswerFields) -> Answer:
    return Answer(fields.stop, fields.suspended, fields.kind, _given(fields.value), fields.remaining_ms / 1000)  # type: ignore[arg-type]


def _given(raw: Raw) -> Json | None:
    return _text(raw) or None


def _text(raw: Raw) -> Json:
    return str(raw, "utf-8")


_STATUSES: Final = (LeaseLost.status_code, 422, 413, 404, 403, 400, 503, 500)


def _error(word: str, message: str | None) -> RequestError:
    """The class that has this word."""
    named = (error_class(status, word) for status in _STATUSES)
    cls = next((cls for cls in named if cls.word == word), RequestError)
    return cls(message)


def _model(lease: LeaseRef, report: Report) -> Any:
    task, token = lease.task, lease.token
    match report:
        case Completed(result):
            return models.CompletedReport(task, token, "completed", _raw(result))
        case Stepped(name, value):
            return models.SteppedReport(task, token, "stepped", name, _raw(value))
        case Failed(failure, retry_after):
            reported = models.ReportedFailure(str(failure.kind), failure.type, failure.message, _set(failure.trace))
            return models.FailedReport(task, token, "failed", reported, UNSET if retry_after is None else milliseconds(retry_after))
        case Released():
            return models.ReleasedReport(task, token, "released")
        case Crashed(reason):
            return models.CrashedReport(task, token, "crashed", reason[:MAX_REASON])
        case Slept(name, seconds, in_place):
            return models.SleptReport(task, token, "slept", name, milliseconds(seconds), int(in_place * 1000))
        case Awaited(name, timeout, suspends):
            limit = UNSET if timeout is None else milliseconds(timeout)
            return models.AwaitedReport(task, token, "awaited", name, limit, UNSET if suspends else False)
        case Noted(progress, logs, before, again):
            far: Any = UNSET
            if progress is not None:
                far = models.Progress(progress.current, _set(progress.total), _set(progress.message))
            lines = [models.LogLine(line.level, line.message, _set(line.fields or None)) for line in logs]
            return models.NotedReport(task, token, "noted", far, lines or UNSET, before if again else UNSET)


def _raw(text: Json) -> Raw:
    return Raw(text.encode())


def _set(value: Any) -> Any:
    return UNSET if value is None else value
