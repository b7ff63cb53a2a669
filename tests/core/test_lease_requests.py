"""What workers send is checked once, and becomes the reports that the engine knows."""

from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.lease_requests import (
    MAX_MESSAGE,
    MAX_TRACE,
    MAX_VALUE,
    Beat,
    Claiming,
    read_claim,
    read_heartbeat,
    read_reports,
)
from blaxel_jobs.core.records import Failure, LeaseRef, Progress
from blaxel_jobs.core.reports import Awaited, Completed, Failed, LogLine, Noted, Released, Slept, Stepped
from blaxel_jobs.errors import InvalidRequest
from blaxel_jobs.values import MAX_VALUE_BYTES
from blaxel_jobs.words import FailureKind
from blaxel_jobs.worker import failures

LEASE = {"task": 7, "token": 2}


def test_a_claim() -> None:
    body = {"worker": "w", "jobs": ["a", "b", "a"], "limit": 3, "waitMs": 1500}
    assert read_claim(body) == Claiming(worker="w", jobs=("a", "b"), execution_id=None, limit=3, wait=1.5)
    body |= {"executionId": "e"}
    assert read_claim(msgspec.json.encode(body)).execution_id == "e"


def test_both_sides_know_the_limit_of_a_value() -> None:
    assert MAX_VALUE == MAX_VALUE_BYTES
    assert (MAX_MESSAGE, MAX_TRACE) == (failures.MAX_MESSAGE, failures.MAX_TRACE)


def test_a_heartbeat() -> None:
    assert read_heartbeat({"worker": "w", "leases": [LEASE]}) == Beat(worker="w", jobs=None, leases=(LeaseRef(7, 2),))
    assert read_heartbeat({"worker": "w", "leases": [], "jobs": ["a"]}).jobs == ("a",)


@pytest.mark.parametrize(
    ("body", "report"),
    [
        ({"type": "completed", "result": {"a": [None]}}, Completed('{"a":[null]}')),
        ({"type": "completed", "result": None}, Completed("null")),
        (
            {"type": "failed", "failure": {"kind": "error", "type": "E", "message": "m", "trace": "t"}, "retryAfterMs": 1500},
            Failed(Failure(FailureKind.ERROR, "E", "m", "t"), 1.5),
        ),
        (
            {"type": "failed", "failure": {"kind": "permanent", "type": "E", "message": "m"}},
            Failed(Failure(FailureKind.PERMANENT, "E", "m")),
        ),
        ({"type": "released"}, Released()),
        ({"type": "stepped", "name": "s", "value": "\u00fc\n"}, Stepped("s", '"\u00fc\\n"')),
        ({"type": "slept", "name": "s", "durationMs": 60_000, "inPlaceMs": 5000}, Slept("s", 60.0, 5.0)),
        ({"type": "awaited", "name": "paid"}, Awaited("paid")),
        ({"type": "awaited", "name": "paid", "timeoutMs": 250}, Awaited("paid", 0.25)),
        (
            {"type": "noted", "progress": {"current": 1, "total": 2, "message": "m"}, "logs": [{"level": "info", "message": "x"}]},
            Noted(Progress(1.0, 2.0, "m"), (LogLine("info", "x"),)),
        ),
        (
            {"type": "noted", "logs": [{"level": "error", "message": "x", "fields": {"a": 1}}]},
            Noted(None, (LogLine("error", "x", {"a": 1}),)),
        ),
        ({"type": "noted", "logs": [], "linesBefore": 7}, Noted(before=7, again=True)),
    ],
)
def test_a_report(body: dict[str, Any], report: Any) -> None:
    for sent in ({"reports": [{**LEASE, **body}]}, msgspec.json.encode({"reports": [{**LEASE, **body}]})):
        assert read_reports(sent) == [(LeaseRef(7, 2), report)]


@pytest.mark.parametrize(
    ("read", "body", "path"),
    [
        (read_claim, {"worker": "w", "jobs": [], "limit": 1}, "jobs"),
        (read_claim, {"worker": "w", "jobs": ["a/b"], "limit": 1}, "jobs[0]"),
        (read_claim, {"worker": "w", "jobs": ["a"], "limit": 1001}, "limit"),
        (read_claim, {"worker": "w", "jobs": ["a"], "limit": 1, "waitMs": 30_001}, "waitMs"),
        (read_claim, {"worker": "w", "jobs": ["a"], "limit": 1, "queue": "q"}, "queue"),
        (read_heartbeat, {"worker": "w", "leases": [{"task": 1}]}, "leases[0].token"),
        (read_reports, {"reports": []}, "reports"),
        (read_reports, {"reports": [{**LEASE, "type": "danced"}]}, "reports[0].type"),
        (read_reports, {"reports": [LEASE]}, "reports[0].type"),
        (read_reports, {"reports": [{**LEASE, "type": "completed"}]}, "reports[0].result"),
        (read_reports, {"reports": [{**LEASE, "type": "stepped", "name": "a\n", "value": 1}]}, "reports[0].name"),
        (
            read_reports,
            {"reports": [{**LEASE, "type": "failed", "failure": {"kind": "worker_lost", "type": "E", "message": "m"}}]},
            "reports[0].failure.kind",
        ),
    ],
)
def test_what_is_wrong_is_named(read: Any, body: Any, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(body)
    assert caught.value.path == path
