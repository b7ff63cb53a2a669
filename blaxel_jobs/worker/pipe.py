"""What a worker and a process of its own say to each other about the handler that runs there, as JSON."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from ..core import reports
from ..core.records import Leased, Progress
from ..core.reports import Answer, LogLine, Report
from ..errors import JobsError, RequestError, ServerError, error_class
from .hold import End
from .parcels import Get, Parcel, Put


class Begin(Struct, tag=True):
    """To the process: run a handler. All that is said about it carries its number, so that what comes late is told apart."""

    run: int
    place: str
    leased: Leased
    in_place: float
    folder: str | None = None
    """Where artifacts are handed over, as files; None where there are none."""


class Answered(Struct, tag=True):
    """To the process: what a question came to. Without an answer or an error a pause is over, or the handler is to unwind."""

    run: int
    number: int
    answer: Answer | None = None
    ref: str | None = None
    """Of the artifact that was put."""
    parcel: Parcel | None = None
    error: tuple[int, str, str] | None = None
    """Status, word and message."""


class Unwind(Struct, tag=True):
    """To the process: the handler is to unwind."""

    run: int
    end: End


class Ready(Struct, tag=True):
    """To the worker: the process has begun."""


class Ask(Struct, tag=True):
    """To the worker: make a report, and answer."""

    run: int
    number: int
    kind: str
    report: msgspec.Raw


class Pause(Struct, tag=True):
    """To the worker: answer after so many seconds; without a number of them, never."""

    run: int
    number: int
    seconds: float | None


class Note(Struct, tag=True):
    """To the worker: what the handler noted."""

    run: int
    progress: Progress | None
    lines: list[LogLine]


class Done(Struct, tag=True):
    """To the worker: the handler has ended."""

    run: int
    kind: str
    report: msgspec.Raw
    told: bool = False
    """It was to unwind, and knew."""


ToProcess = Begin | Answered | Unwind
ToWorker = Ready | Ask | Pause | Note | Put | Get | Done

_KINDS: Final[dict[str, type[Any]]] = {
    cls.__name__: cls for cls in (reports.Completed, reports.Failed, reports.Stepped, reports.Slept, reports.Awaited)
}

encode: Final = msgspec.json.encode
read_done: Final = msgspec.json.Decoder(Done).decode
read_to_process: Final = msgspec.json.Decoder(ToProcess).decode
read_to_worker: Final = msgspec.json.Decoder(ToWorker).decode


def pack(report: Report) -> tuple[str, msgspec.Raw]:
    """A report, and its kind beside it."""
    return type(report).__name__, msgspec.Raw(encode(report))


def unpack(kind: str, report: msgspec.Raw) -> Report:
    """The report that was packed."""
    unpacked: Report = msgspec.json.decode(report, type=_KINDS[kind])
    return unpacked


def pack_error(error: Exception) -> tuple[int, str, str]:
    """What a process is told of an error."""
    if isinstance(error, RequestError):
        return error.status_code, error.word, error.message
    return ServerError.status_code, ServerError.word, f"{type(error).__name__}: {error}"


def unpack_error(packed: tuple[int, str, str]) -> JobsError:
    """The error that was packed."""
    status_code, word, message = packed
    return error_class(status_code, word)(message)
