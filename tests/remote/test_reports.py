"""Reports over HTTP: together where they come together, safe to send again, each with its own answer."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from blaxel_jobs.core.records import Failure
from blaxel_jobs.core.reports import Answer, Awaited, Completed, Crashed, Failed, LogLine, Noted, Released, Report, Slept, Stepped
from blaxel_jobs.errors import ConnectionFailed, ContractError, InvalidRequest, LeaseLost, TooLarge, Unauthorized
from blaxel_jobs.remote import RemoteLeases
from blaxel_jobs.remote.outbox import MOST_BYTES
from blaxel_jobs.words import FailureKind
from tests.pace import PATIENCE

from .fakes import LEASE_LOST, FakeServer, Gate, lease, problem

DONE = Completed("null")
FAILED = Failed(Failure(FailureKind.ERROR, "E", "m"))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def leases(server: FakeServer) -> Iterator[RemoteLeases]:
    leases = server.leases()
    yield leases
    leases.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


def sizes(server: FakeServer) -> list[int]:
    return [len(body["reports"]) for body in server.bodies("leases/report")]


def taken(body: Any) -> dict[str, Any]:
    return {"answers": [{} for _ in body["reports"]]}


async def test_reports_from_a_loop_are_answered(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = lambda body: {"answers": [{"kind": "sleep", "remainingMs": each["task"]} for each in body["reports"]]}
    answers = await asyncio.gather(*[leases.report(lease(n), Slept("nap", 1.0, 1.0)) for n in range(1, 40)])
    assert [answer.remaining for answer in answers] == [n / 1000 for n in range(1, 40)]
    assert sum(sizes(server)) == 39


def test_a_thread_that_reports_alone_sends_in_its_own_thread(server: FakeServer, leases: RemoteLeases) -> None:
    sent_by: list[int] = []
    server.report = lambda body: sent_by.append(threading.get_ident()) or taken(body)
    assert leases.report_here(lease(1), Stepped("a", "1")) == Answer()
    assert sent_by == [threading.get_ident()]


async def test_what_is_told_while_a_request_is_under_way_goes_out_together(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = gate = Gate(taken)
    first = asyncio.create_task(leases.report(lease(0), DONE))
    await asyncio.to_thread(gate.came.wait, PATIENCE)
    in_threads = [asyncio.create_task(asyncio.to_thread(leases.report_here, lease(n), DONE)) for n in range(1, 5)]
    in_loop = [asyncio.create_task(leases.report(lease(n), DONE)) for n in range(5, 30)]
    async with asyncio.timeout(PATIENCE):
        while len(leases._outbox._waiting) < 29:
            await asyncio.sleep(0.005)
        gate.open()
        await asyncio.gather(first, *in_threads, *in_loop)
    assert sizes(server) == [1, 29]


async def test_a_thread_leaves_to_the_outbox_what_comes_after_its_own(
    server: FakeServer, leases: RemoteLeases, threads: ThreadPoolExecutor
) -> None:
    server.report = gate = Gate(taken)
    first = threads.submit(leases.report_here, lease(0), DONE)
    await asyncio.to_thread(gate.came.wait, PATIENCE)
    second = asyncio.create_task(leases.report(lease(1), DONE))
    await asyncio.sleep(0)
    gate.open()
    assert await asyncio.wait_for(second, PATIENCE) == Answer()
    assert first.result(PATIENCE) == Answer()


async def test_a_request_has_no_more_than_a_megabyte(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = gate = Gate(taken)
    first = asyncio.create_task(leases.report(lease(0), DONE))
    await asyncio.to_thread(gate.came.wait, PATIENCE)
    large = Stepped("s", '"' + "x" * (MOST_BYTES // 4) + '"')
    rest = [asyncio.create_task(leases.report(lease(n), large)) for n in range(1, 8)]
    huge = asyncio.create_task(leases.report(lease(8), Stepped("s", '"' + "x" * (MOST_BYTES + 10) + '"')))
    await asyncio.sleep(0)
    gate.open()
    await asyncio.wait_for(asyncio.gather(first, *rest, huge), PATIENCE)
    assert sizes(server) == [1, 3, 3, 1, 1]


ENDS: list[tuple[Report, Answer]] = [
    (FAILED, Answer()),
    (Crashed("exit code -9"), Answer()),
    (Slept("nap", 9.0, 0.0), Answer(suspended=True)),
    (Awaited("paid"), Answer(suspended=True)),
]


class Forgetful:
    """Takes a report, and loses the reply the first time; whoever has ended its lease has lost it."""

    def __init__(self, loss: Exception | httpx.Response) -> None:
        self.loss = loss
        self.tries = 0

    def __call__(self, body: Any) -> Any:
        self.tries += 1
        return self.loss if self.tries == 1 else {"answers": [LEASE_LOST for _ in body["reports"]]}


@pytest.mark.parametrize("loss", [httpx.ReadError("reset"), httpx.ReadTimeout("late"), problem(502, "bad_gateway")], ids=repr)
@pytest.mark.parametrize(("report", "answer"), ENDS, ids=repr)
def test_a_report_whose_reply_was_lost_is_sent_again_and_counts(
    report: Report, answer: Answer, loss: Any, server: FakeServer, leases: RemoteLeases
) -> None:
    server.report = Forgetful(loss)
    assert leases.report_here(lease(1), report) == answer
    assert len(server.requests) == 2


def test_lines_whose_reply_was_lost_say_which_they_are(server: FakeServer, leases: RemoteLeases) -> None:
    tries: Iterator[Any] = iter([httpx.ConnectError("refused"), httpx.ReadError("reset"), problem(502, "bad_gateway")])
    server.report = lambda body: next(tries, None) or taken(body)
    assert leases.report_here(lease(1), Noted(None, (LogLine("info", "a"),), 7)) == Answer()
    told = [body["reports"][0] for body in server.bodies("leases/report")]
    assert [report.pop("linesBefore", None) for report in told] == [None, None, 7, 7]
    assert told == [{"task": 1, "token": 1, "type": "noted", "logs": [{"level": "info", "message": "a"}]}] * 4


@pytest.mark.parametrize("report", [DONE, *[report for report, _ in ENDS], Stepped("a", "1"), Noted()], ids=repr)
def test_a_report_under_a_lost_lease_is_told_so(report: Report, server: FakeServer, leases: RemoteLeases) -> None:
    server.report = lambda body: {"answers": [LEASE_LOST]}
    with pytest.raises(LeaseLost, match="another worker"):
        leases.report_here(lease(1), report)


@pytest.mark.parametrize("report", [Stepped("a", "1"), DONE], ids=repr)
def test_what_a_server_would_have_taken_again_is_lost_even_after_a_lost_reply(
    report: Report, server: FakeServer, leases: RemoteLeases
) -> None:
    server.report = Forgetful(httpx.ReadError("reset"))
    with pytest.raises(LeaseLost):
        leases.report_here(lease(1), report)


def test_a_report_that_was_never_sent_has_not_ended_the_lease(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = Forgetful(httpx.ConnectError("refused"))
    with pytest.raises(LeaseLost):
        leases.report_here(lease(1), DONE)


async def test_a_report_that_is_refused_fails_no_other(server: FakeServer, leases: RemoteLeases) -> None:
    def fussy(body: Any) -> Any:
        if any(report["task"] == 3 for report in body["reports"]):
            return problem(413, "too_large", "much too large")
        return taken(body)

    server.report = gate = Gate(fussy)
    tasks = [asyncio.create_task(leases.report(lease(n), DONE)) for n in range(6)]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
    assert [type(outcome) for outcome in outcomes] == [Answer, Answer, Answer, TooLarge, Answer, Answer]


async def test_reports_whose_common_reply_was_no_answer_may_have_ended_their_leases(
    server: FakeServer, leases: RemoteLeases
) -> None:
    def page(body: Any) -> Any:
        return httpx.Response(200, text="<html>Soon.</html>") if len(body["reports"]) > 1 else {"answers": [LEASE_LOST]}

    server.report = gate = Gate(lambda body: taken(body) if body["reports"][0]["task"] == 0 else page(body))
    first = asyncio.create_task(leases.report(lease(0), DONE))
    await asyncio.to_thread(gate.came.wait, PATIENCE)
    tasks = [asyncio.create_task(leases.report(lease(n), report)) for n, (report, _) in enumerate(ENDS, 1)]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
    assert outcomes == [answer for _, answer in ENDS]
    assert await first == Answer()
    assert sizes(server) == [1, len(ENDS), *[1] * len(ENDS)]


def test_a_reply_that_is_no_answer_ends_the_try(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = lambda body: httpx.Response(200, text="<html>Soon.</html>")
    with pytest.raises(ContractError):
        leases.report_here(lease(1), DONE)
    assert len(server.requests) == 1


async def test_each_report_has_its_own_error(server: FakeServer, leases: RemoteLeases) -> None:
    bad = {"error": "invalid_request", "message": "no such step"}
    server.report = lambda body: {"answers": [bad if report["task"] == 2 else {} for report in body["reports"]]}
    outcomes = await asyncio.gather(*[leases.report(lease(n), DONE) for n in range(4)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Answer, Answer, InvalidRequest, Answer]


def test_an_answer_that_cannot_be_read_ends_the_wait(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = lambda body: problem(401, "unauthorized", "who are you")
    with pytest.raises(Unauthorized, match="who are you"):
        leases.report_here(lease(1), DONE)


def test_a_server_that_is_away_is_waited_for_and_logged_once(
    server: FakeServer, leases: RemoteLeases, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def away(body: Any) -> Any:
        tries.append(1)
        return taken(body) if len(tries) == 4 else httpx.ConnectError("refused")

    server.report = away
    with caplog.at_level(logging.INFO, "blaxel_jobs"):
        assert leases.report_here(lease(1), DONE) == Answer()
    messages = [record.getMessage() for record in caplog.records if record.name == "blaxel_jobs.worker"]
    assert len(messages) == 2
    assert messages[0].startswith("waiting for the server at http://jobs.test/v0: ")
    assert "answers again" in messages[1]


def test_what_is_given_back_is_not_waited_for(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = lambda body: httpx.ConnectError("refused")
    for _ in range(3):
        with pytest.raises(ConnectionFailed):
            leases.report_here(lease(1), Released())
    assert len(server.requests) == 1  # the others know already


def test_closing_ends_every_wait(server: FakeServer, leases: RemoteLeases, threads: ThreadPoolExecutor) -> None:
    server.report = gate = Gate(lambda body: httpx.ConnectError("refused"))
    waits: list[Future[Answer]] = [threads.submit(leases.report_here, lease(n), DONE) for n in range(8)]
    gate.came.wait(PATIENCE)
    gate.open()
    leases.close()
    for wait in waits:
        with pytest.raises(ConnectionFailed):
            wait.result(PATIENCE)
    with pytest.raises(ConnectionFailed, match="no server"):
        leases.report_here(lease(9), DONE)


async def test_one_who_waits_no_more_keeps_nobody_else_waiting(server: FakeServer, leases: RemoteLeases) -> None:
    server.report = gate = Gate(taken)
    first, second = (asyncio.create_task(leases.report(lease(n), DONE)) for n in (1, 2))
    await asyncio.to_thread(gate.came.wait, PATIENCE)
    first.cancel()
    gate.open()
    assert await asyncio.wait_for(second, PATIENCE) == Answer()
    assert first.cancelled()
