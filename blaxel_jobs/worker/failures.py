"""Why a handler failed, as it is stored: the kind, the error, and the traceback as its author would read it."""

import traceback
from pathlib import Path
from typing import Final

from .. import plain, values
from ..core.records import Failure
from ..core.reports import Failed
from ..errors import ContextUnavailable, DuplicateStep, InvalidOutput, NotSerializable, PermanentError, RetryAfter, StepTimeout
from ..words import FailureKind

MAX_TRACE: Final = 8 * 1024
MAX_MESSAGE: Final = 4 * 1024

_OURS: Final = (str(Path(__file__).parent), str(Path(values.__file__).parent), plain.__file__)
"""Where frames are ours, and say nothing to the handler's author."""


class CrashedError(Exception):
    """A process ended, and its handler had not."""


class InvalidInput(ValueError):
    """The task's input is not what the handler takes."""


_KINDS: Final = {
    InvalidInput: FailureKind.INVALID_INPUT,
    InvalidOutput: FailureKind.INVALID_OUTPUT,
    NotSerializable: FailureKind.NOT_SERIALIZABLE,
    StepTimeout: FailureKind.TIMEOUT,
    PermanentError: FailureKind.PERMANENT,
    # What the handler's author has to mend.
    DuplicateStep: FailureKind.PERMANENT,
    ContextUnavailable: FailureKind.PERMANENT,
}


def failed(error: BaseException) -> Failed:
    """The report of a handler that raised."""
    kind = next((kind for cls, kind in _KINDS.items() if isinstance(error, cls)), FailureKind.ERROR)
    failure = Failure(kind, type(error).__qualname__, _message(error)[:MAX_MESSAGE], _trace(error))
    return Failed(failure, error.seconds if isinstance(error, RetryAfter) else None)


def as_error(raised: BaseException) -> Exception:
    """What a future can carry: no StopIteration, and nothing that is no Exception."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    error = RuntimeError(f"the handler raised {type(raised).__name__}")
    error.__cause__ = raised
    return error


def _message(error: BaseException) -> str:
    try:
        return _text(str(error))
    except Exception:  # noqa: BLE001  the text of an error is code of the handler's too
        return f"a {type(error).__qualname__} whose text cannot be had"


def _trace(error: BaseException) -> str | None:
    """The traceback without the frames that are ours; None when there is no other."""
    shown = traceback.TracebackException.from_exception(error)
    if not _strip(shown):
        return None
    return _text("".join(shown.format()))[-MAX_TRACE:]


def _strip(shown: traceback.TracebackException) -> bool:
    """Take our frames out of it, and out of what belongs to it. Is anything left?"""
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not frame.filename.startswith(_OURS)])
    left = bool(shown.stack)
    for related in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if related is not None:
            left = _strip(related) or left
    return left


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
