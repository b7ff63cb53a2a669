"""What a worker reads and writes is the contract, and what the server writes and reads."""

import json
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core.lease_requests import read_reports
from blaxel_jobs.core.records import Failure, Leased, LeaseRef, Progress, StoredStep
from blaxel_jobs.core.reports import (
    Answer,
    Awaited,
    Completed,
    Crashed,
    Failed,
    Holding,
    LogLine,
    Noted,
    Released,
    Report,
    Slept,
    Stepped,
)
from blaxel_jobs.core.views import answer_view, claim_view, holding_view
from blaxel_jobs.errors import ContractError, InvalidRequest, LeaseLost, RequestError, TooLarge
from blaxel_jobs.remote import wire
from blaxel_jobs.words import FailureKind
from tests.server.contract import DOCUMENT, check_schema

REPORTS: list[Report] = [
    Completed('{"a":1.50,"b":[123456789012345678901234567890],"c":"\u00e4"}'),
    Completed("null"),
    Failed(Failure(FailureKind.ERROR, "ValueError", "no", "line 1")),
    Failed(Failure(FailureKind.PERMANENT, "PermanentError", ""), 1.5),
    Released(),
    Crashed("exit code -9"),
    Stepped("fetch", '[1,"x"]'),
    Slept("nap", 3600.25, 10.0),
    Awaited("paid"),
    Awaited("paid", 0.0),
    Noted(Progress(1, 3, "half"), (LogLine("info", "hello", {"n": 1}), LogLine("error", "bye"))),
    Noted(Progress(0.5)),
    Noted(None, (LogLine("info", "hello"),), 7, again=True),
    Noted(None, (LogLine("info", "hello"),), 0, again=True),
]


@pytest.mark.parametrize(
    ("struct", "schema"),
    [
        (wire.ClaimAnswer, "ClaimLeasesOutput"),
        (wire.LeaseFields, "Lease"),
        (wire.StepFields, "StoredStep"),
        (wire.RefFields, "LeaseRef"),
        (wire.ExtendAnswer, "ExtendLeasesOutput"),
        (wire.ReportAnswers, "ReportLeasesOutput"),
        (wire.AnswerFields, "ReportAnswer"),
    ],
)
def test_the_answers_have_the_fields_of_the_contract(struct: Any, schema: str) -> None:
    fields = {field.encode_name: field.required for field in msgspec.structs.fields(struct)}
    written = DOCUMENT["components"]["schemas"][schema]
    assert set(fields) == set(written["properties"])
    assert {name for name, required in fields.items() if required} == set(written.get("required", ()))


@pytest.mark.parametrize("report", REPORTS, ids=repr)
def test_the_server_reads_what_a_worker_reports(report: Report) -> None:
    lease = LeaseRef(7, 2)
    text = wire.Encoded(lease, report).text
    check_schema("LeaseReport", json.loads(text))
    [(read_lease, read)] = read_reports({"reports": [msgspec.json.decode(text)]})
    assert read_lease == lease
    assert _plain(read) == _plain(report)


def _plain(report: Report) -> Any:
    """With its values decoded: the server may write the same JSON another way."""
    values = {name: json.loads(value) for name in ("result", "value") if (value := getattr(report, name, None)) is not None}
    return type(report), {**msgspec.structs.asdict(report), **values}


def test_times_are_never_shorter_on_the_wire() -> None:
    assert wire.milliseconds(0.0001) == 1
    assert wire.milliseconds(-1.0) == 0
    assert wire.milliseconds(float("inf")) == wire.FOREVER_MS
    told = json.loads(wire.Encoded(LeaseRef(1, 1), Slept("n", float("inf"), 0.0)).text)
    check_schema("LeaseReport", told)


def test_a_log_line_that_json_cannot_carry_is_an_error_of_the_one_that_wrote_it() -> None:
    with pytest.raises(TypeError):
        wire.Encoded(LeaseRef(1, 1), Noted(None, (LogLine("info", "x", {"what": object()}),)))


def test_a_worker_reads_what_the_server_leases() -> None:
    leased = Leased(
        lease=LeaseRef(3, 4), workspace="mine", job="j", execution_id="e", task_id="t", index=2, attempt=3, input='{"a":1.50}',
        metadata={"who": "me"}, env={"A": "b"}, timeout=2.5,
        steps=(StoredStep("a", "value", "null"), StoredStep("b", "sleep", None, 1.5), StoredStep("c", "event", '{"x":1}')),
    )  # fmt: skip
    bare = Leased(
        lease=LeaseRef(1, 1), workspace="mine", job="j", execution_id="e", task_id="t", index=0, attempt=1, input="null",
        metadata={}, env={},
    )  # fmt: skip
    body = msgspec.json.encode(claim_view([leased, bare], 10.0, 3.0))
    check_schema("ClaimLeasesOutput", json.loads(body))
    assert wire.read_claim(body, "mine") == ([leased, bare], 10.0, 3.0)


def test_a_worker_reads_what_the_server_says_of_its_leases() -> None:
    holding = Holding(frozenset({LeaseRef(1, 2)}), frozenset({LeaseRef(3, 4), LeaseRef(5, 6)}))
    assert wire.read_holding(msgspec.json.encode(holding_view(holding))) == holding


def test_a_worker_reads_what_the_server_answers() -> None:
    answers: list[Answer | RequestError] = [
        Answer(),
        Answer(stop=True),
        Answer(suspended=True),
        Answer(kind="event", value='{"paid":true}'),
        Answer(kind="sleep", remaining=1.25),
        LeaseLost("gone"),
        TooLarge("too much"),
        InvalidRequest("what"),
    ]
    body = msgspec.json.encode({"answers": [answer_view(answer) for answer in answers]})
    read = wire.read_answers(body, len(answers))
    assert read[:5] == answers[:5]
    assert [(type(error), str(error)) for error in read[5:]] == [
        (LeaseLost, "gone"),
        (TooLarge, "too much"),
        (InvalidRequest, "what"),
    ]


DEEP = b'{"answers":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"answers":[]}', b'{"answers":[{},{}]}', b"<html>", b'{"answers":[{"value":"\xff"}]}', DEEP]
)
def test_what_is_not_the_contract_says_so(body: bytes) -> None:
    with pytest.raises(ContractError):
        wire.read_answers(body, 1)
