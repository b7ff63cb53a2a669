"""Every error of this package, in one tree.

    JobsError
    ├── ConfigError (ValueError)          a setting is unknown or has a bad value
    ├── ContractError                     the other side answered something that is not the contract
    ├── ConnectionFailed (ConnectionError)
    │   └── RequestTimeout (TimeoutError)
    ├── WaitTimeoutError (TimeoutError)   the execution goes on
    ├── NotFinished                       a result was asked for before the end
    ├── ExecutionFailed                   a result was asked for and there is none
    ├── NotLoaded (AttributeError)        the field is not part of what was read
    ├── NotSerializable (TypeError)       a value that JSON cannot carry
    ├── WouldDeadlock (RuntimeError)      a call that would wait for its own caller
    ├── InvalidOutput (TypeError)         a handler returned what its definition does not promise
    ├── DuplicateStep                     two steps of one task have one name
    ├── ContextUnavailable                the context's verbs do not reach into this executor
    ├── StepTimeout (TimeoutError)        a step, or an event that was waited for, took too long
    ├── PermanentError                    raised by handlers: do not try again
    ├── RetryAfter                        raised by handlers: try again, after so many seconds
    ├── StoreError
    │   ├── StoreTooNew
    │   └── StoreBusy                 also Unavailable
    └── RequestError                      a request was refused; one class for each HTTP status
        ├── InvalidRequest (ValueError)   422
        │   ├── MalformedRequest          400
        │   └── UnknownJob                422, in process only
        ├── Unauthorized                  401
        ├── Forbidden                     403
        ├── NotFound (LookupError)        404
        ├── MethodNotAllowed              405
        ├── RequestTooSlow                408
        ├── Conflict                      409
        │   ├── IdempotencyConflict
        │   ├── IllegalTransition
        │   ├── KeyInUse                  a create with on_conflict="reject"
        │   ├── LeaseLost
        │   ├── LeaseHeld
        │   └── MockStuck                 the time of a mock server cannot go on
        ├── TooLarge                      413
        ├── UnsupportedMedia              415
        ├── Misdirected                   421
        ├── TooManyRequests               429
        └── ServerError                   500
            └── Unavailable               503

An error of the tree raised by the server, by the engine in process and by the SDK for the same cause is the same class.
Its `word` is `error` on the wire (RFC 9457 problem details), its `status_code` the HTTP status.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .jobs import Execution


class JobsError(Exception):
    """Something went wrong in blaxel_jobs."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        super().__init__(self.message)


class ConfigError(JobsError, ValueError):
    """A setting is unknown or has a value that it cannot have."""


class ContractError(JobsError):
    """The other side answered something that is not the contract."""


class ConnectionFailed(JobsError, ConnectionError):
    """The server could not be reached, or the connection broke before the answer."""

    def __init__(self, message: str | None = None, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent
        """The server may have got the request, and may have done what it asks for."""


class RequestTimeout(ConnectionFailed, TimeoutError):
    """The server did not answer in time."""


class WaitTimeoutError(JobsError, TimeoutError):
    """The execution had not ended when the wait did. It goes on; wait again or cancel it."""

    def __init__(self, message: str | None = None, *, execution: "Execution | None" = None) -> None:
        super().__init__(message)
        self.execution = execution


class NotFinished(JobsError):
    """The execution has no result yet."""


class ExecutionFailed(JobsError):
    """The execution failed or was cancelled, so it has no result."""

    def __init__(self, message: str | None = None, *, execution: "Execution | None" = None) -> None:
        super().__init__(message)
        self.execution = execution


class NotLoaded(JobsError, AttributeError):
    """The field is not part of what was read. Lists carry no inputs, tasks or results: refresh the execution first."""


class NotSerializable(JobsError, TypeError):
    """A value that JSON cannot carry. Return plain data: dict, list, str, int, finite float, bool, None."""

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        """Where in the value it stands, such as `tasks[0].when`; None for the value itself."""


class WouldDeadlock(JobsError, RuntimeError):
    """The call would wait for the handler, or block the event loop, that makes it."""


class InvalidOutput(JobsError, TypeError):
    """The handler returned a value that is not what the job's `output=` promises."""

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class DuplicateStep(JobsError):
    """Two steps of one task have the same name, so that a replay could not tell them apart."""


class ContextUnavailable(JobsError, RuntimeError):
    """The handler runs where the context's verbs do not reach: they work in threads, event loops and our own processes."""


class StepTimeout(JobsError, TimeoutError):
    """A step took longer than its timeout, or the event that was waited for did not come in time."""


class PermanentError(JobsError):
    """Raised by a handler, or a step, for what no other try will mend: the task fails at once, whatever its retries."""


class RetryAfter(JobsError):
    """Raised by a handler, or a step, that failed and knows when to try again. It uses up a retry like any error."""

    def __init__(self, seconds: float, message: str | None = None) -> None:
        super().__init__(message or f"try again after {seconds:g} s")
        if not 0 <= seconds < math.inf:
            raise ValueError(f"RetryAfter takes a finite number of seconds, 0 or more, not {seconds!r}")
        self.seconds = float(seconds)


class StoreError(JobsError):
    """The store cannot be used."""


class StoreTooNew(StoreError):
    """The store was written by a newer release. Upgrade blaxel-jobs, or open another store."""


class RequestError(JobsError):
    """The request was refused."""

    status_code: int = 400
    """The HTTP status; on an error that came over HTTP the one that came."""
    word: ClassVar[str] = "bad_request"

    def __init__(
        self,
        message: str | None = None,
        *,
        path: str | None = None,
        request_id: str | None = None,
        body: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.path = path
        """The field that is wrong, such as `tasks[0].duration`."""
        self.request_id = request_id
        self.body = body
        """The answer as it was read, for an error that came over HTTP."""
        self.retry_after = retry_after
        """Seconds after which the server asks to be called again."""


class InvalidRequest(RequestError, ValueError):
    """A field of the request is missing, unknown or has a value that it cannot have."""

    status_code = 422
    word = "invalid_request"


class MalformedRequest(InvalidRequest):
    """The request is not readable."""

    status_code = 400
    word = "malformed_request"


class UnknownJob(InvalidRequest):
    """No handler is registered for this job here."""

    word = "unknown_job"


class Unauthorized(RequestError):
    """The API key is missing or wrong."""

    status_code = 401
    word = "unauthorized"


class Forbidden(RequestError):
    """The API key does not allow this."""

    status_code = 403
    word = "forbidden"


class NotFound(RequestError, LookupError):
    """There is no such thing here."""

    status_code = 404
    word = "not_found"


class MethodNotAllowed(RequestError):
    """This path does not know the method."""

    status_code = 405
    word = "method_not_allowed"


class RequestTooSlow(RequestError):
    """The request's body did not arrive in time."""

    status_code = 408
    word = "request_timeout"


class Conflict(RequestError):
    """The request does not go with the state of what it names."""

    status_code = 409
    word = "conflict"


class IdempotencyConflict(Conflict):
    """The idempotency key or execution id was used before with another body."""

    word = "idempotency_conflict"


class IllegalTransition(Conflict):
    """The execution is in a status in which this cannot be done."""

    word = "illegal_transition"


class KeyInUse(Conflict):
    """Another execution of this concurrency key has not ended."""

    word = "key_in_use"


class LeaseHeld(Conflict):
    """Another worker runs this execution."""

    word = "lease_held"


class LeaseLost(Conflict):
    """The lease on this task has expired, or another worker holds it. Nothing was changed."""

    word = "lease_lost"


class MockStuck(Conflict):
    """The time of the mock server cannot go on: a handler keeps running while a client waits."""

    word = "mock_stuck"


class TooLarge(RequestError):
    """The body is larger than the server takes."""

    status_code = 413
    word = "too_large"


class UnsupportedMedia(RequestError):
    """The body is not application/json."""

    status_code = 415
    word = "unsupported_media_type"


class Misdirected(RequestError):
    """The Host header names a server that this one does not answer for."""

    status_code = 421
    word = "misdirected_request"


class TooManyRequests(RequestError):
    """Too much at once. Try again later."""

    status_code = 429
    word = "too_many_requests"


class ServerError(RequestError):
    """The server failed."""

    status_code = 500
    word = "internal_error"


class Unavailable(ServerError):
    """The server cannot do this now. Try again later."""

    status_code = 503
    word = "unavailable"


class StoreBusy(StoreError, Unavailable):
    """Another process holds the store."""

    word = "store_busy"


def _tree(cls: type[RequestError]) -> Iterator[type[RequestError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)


_BY_WORD: dict[str, type[RequestError]] = {cls.word: cls for cls in _tree(RequestError)}
_BY_STATUS: dict[int, type[RequestError]] = {cls.status_code: cls for cls in reversed(list(_tree(RequestError)))}


def error_class(status_code: int, word: str | None = None) -> type[RequestError]:
    """The class for an HTTP status and, where the server says more, its error word."""
    named = _BY_WORD.get(word or "")
    if named is not None and named.status_code == status_code:
        return named
    return _BY_STATUS.get(status_code) or (ServerError if status_code >= 500 else RequestError)
