"""The contract's operations as a table, and how each takes its arguments from a request."""

import re
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct
from msgspec.structs import force_setattr

from ..errors import InvalidRequest
from ..nearest import meant
from .dialect import RUNNER_PATH
from .exchange import Exchange

Scope = Literal["read", "submit", "worker", "admin"]


class Parameter(Struct, frozen=True):
    """A query parameter or header: its name on the wire and as the engine's argument."""

    name: str
    argument: str
    integer: bool = False
    max_length: int | None = None
    key: bytes = b""
    """The name as a request's headers have it."""

    def __post_init__(self) -> None:
        force_setattr(self, "key", self.name.lower().encode())


class Operation(Struct, frozen=True):
    """One operation of openapi.yaml. `id` is its operationId in snake case, by which the engine knows it."""

    id: str
    method: str
    path: str
    scope: Scope
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    body: bool = False
    stream: bool = False
    """Answered with server-sent events."""
    binary: bool = False
    """Its body, or else its answer, is bytes, and streamed."""


LIMIT: Final = Parameter("limit", "limit", integer=True)
OFFSET: Final = Parameter("offset", "offset", integer=True)
CURSOR: Final = Parameter("cursor", "cursor", max_length=512)
PREFER: Final = Parameter("Prefer", "prefer", max_length=256)
IDEMPOTENCY_KEY: Final = Parameter("Idempotency-Key", "idempotency_key")

JOB: Final = Parameter("job", "job")
STATUS: Final = Parameter("status", "status")
BATCH: Final = Parameter("batch", "batch", max_length=128)
AFTER: Final = Parameter("after", "after", integer=True)
EXECUTION_ID: Final = Parameter("executionId", "execution_id", max_length=128)
WORKSPACE: Final = Parameter("workspace", "workspace", max_length=128)
SECRET: Final = Parameter("secret", "secret", max_length=128)
LAST_EVENT_ID: Final = Parameter("Last-Event-ID", "last_event_id", max_length=32)

_JOB: Final = "/v0/jobs/{job}"
_EXECUTIONS: Final = "/v0/jobs/{job}/executions"
_EXECUTION: Final = "/v0/jobs/{job}/executions/{execution_id}"
_ANY: Final = "/v0/executions/{execution_id}"
_BYTES: Final = "/v0/executions/{execution_id}/artifacts"

OPERATIONS: Final = (
    Operation("get_job_execution_status", "GET", f"{_EXECUTION}/status", "read", headers=(PREFER,)),
    Operation("create_job_execution", "POST", _EXECUTIONS, "submit", headers=(IDEMPOTENCY_KEY,), body=True),
    Operation("get_job_execution", "GET", _EXECUTION, "read", headers=(PREFER,)),
    Operation("list_job_executions", "GET", _EXECUTIONS, "read", query=(LIMIT, CURSOR, OFFSET)),
    Operation("cancel_job_execution", "DELETE", _EXECUTION, "submit"),
    Operation("list_job_execution_tasks", "GET", f"{_EXECUTION}/tasks", "read", query=(LIMIT, CURSOR)),
    Operation("list_job_execution_events", "GET", f"{_EXECUTION}/events", "read", query=(LIMIT, CURSOR)),
    Operation("watch_executions", "POST", "/v0/watch", "read", body=True, stream=True),
    Operation("get_execution_statuses", "POST", "/v0/statuses", "read", body=True),
    Operation("list_jobs", "GET", "/v0/jobs", "read", query=(LIMIT, CURSOR)),
    Operation("get_job", "GET", _JOB, "read"),
    Operation("put_job", "PUT", _JOB, "worker", body=True),
    Operation("list_executions", "GET", "/v0/executions", "read", query=(JOB, STATUS, BATCH, LIMIT, CURSOR, OFFSET)),
    Operation("get_execution", "GET", _ANY, "read", headers=(PREFER,)),
    Operation("start_execution", "POST", f"{_ANY}/start", "submit", query=(JOB,)),
    Operation("pause_execution", "POST", f"{_ANY}/pause", "submit", query=(JOB,)),
    Operation("resume_execution", "POST", f"{_ANY}/resume", "submit", query=(JOB,)),
    Operation("cancel_execution", "POST", f"{_ANY}/cancel", "submit", query=(JOB,)),
    Operation("retry_execution", "POST", f"{_ANY}/retry", "submit", query=(JOB,)),
    Operation("rerun_execution", "POST", f"{_ANY}/rerun", "submit", query=(JOB,), headers=(IDEMPOTENCY_KEY,), body=True),
    Operation("delete_execution", "POST", f"{_ANY}/delete", "submit", query=(JOB,), body=True),
    Operation("send_execution_event", "POST", f"{_ANY}/events", "submit", query=(JOB,), body=True),
    Operation(
        "stream_execution_events", "GET", f"{_ANY}/events/stream", "read", query=(AFTER, JOB), headers=(LAST_EVENT_ID,), stream=True
    ),
    Operation("list_execution_steps", "GET", f"{_ANY}/steps", "read", query=(JOB, LIMIT, CURSOR)),
    Operation("get_data_url", "GET", f"{_ANY}/data-url", "read", query=(JOB,)),
    Operation("get_runner_tasks", "GET", RUNNER_PATH, "read", query=(EXECUTION_ID, WORKSPACE, SECRET)),
    Operation("put_artifact", "POST", _BYTES, "worker", body=True, binary=True),
    Operation("get_artifact", "GET", f"{_BYTES}/{{artifact_id}}", "worker", binary=True),
    Operation("create_batch", "POST", "/v0/batches", "submit", headers=(IDEMPOTENCY_KEY,), body=True),
    Operation("get_batch", "GET", "/v0/batches/{batch_id}", "read"),
    Operation("claim_leases", "POST", "/v0/leases/claim", "worker", body=True),
    Operation("extend_leases", "POST", "/v0/leases/heartbeat", "worker", body=True),
    Operation("report_leases", "POST", "/v0/leases/report", "worker", body=True),
    Operation("get_stats", "GET", "/v0/stats", "read", query=(JOB,)),
    Operation("get_metrics", "GET", "/metrics", "read"),
)

_DIGITS: Final = re.compile(r"[0-9]{1,18}")


def read_arguments(operation: Operation, exchange: Exchange) -> dict[str, Any]:
    """The engine's arguments but for the body. Raises InvalidRequest for what the contract does not have."""
    arguments: dict[str, Any] = exchange.values
    for parameter in operation.headers:
        value = exchange.headers.get(parameter.key)
        if value is not None:
            arguments[parameter.argument] = _read(parameter, value.decode("latin-1"))
    if exchange.query:
        _read_query(operation, exchange.query, arguments)
    return arguments


def _read_query(operation: Operation, query: bytes, arguments: dict[str, Any]) -> None:
    known = {parameter.name: parameter for parameter in operation.query}
    for pair in query.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _decode(raw_name, "query"), _decode(raw_value, raw_name.decode("latin-1"))
        parameter = known.get(name)
        if parameter is None:
            raise InvalidRequest(f"the contract knows no query parameter {name} here: {meant(name, known)}", path=name)
        if parameter.argument in arguments:
            raise InvalidRequest(f"the query parameter {name} is given twice", path=name)
        arguments[parameter.argument] = _read(parameter, value)


def _read(parameter: Parameter, text: str) -> str | int:
    if parameter.integer:
        if not _DIGITS.fullmatch(text):
            raise InvalidRequest(f"{parameter.name} is a whole number in the digits 0 to 9, not {text[:40]!r}", path=parameter.name)
        return int(text)
    if parameter.max_length is not None and len(text) > parameter.max_length:
        raise InvalidRequest(f"{parameter.name} has at most {parameter.max_length} characters", path=parameter.name)
    return text


def _decode(raw: bytes, path: str) -> str:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the query is not UTF-8", path=path) from None
