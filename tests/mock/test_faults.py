"""What a mock breaks on purpose, and how the SDK takes it: it survives, or says what happened."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from blaxel_jobs import (
    ConnectionFailed,
    ContractError,
    InvalidRequest,
    Job,
    JobsClient,
    NotFound,
    RequestTimeout,
    ServerError,
    TooManyRequests,
    define_job,
)
from blaxel_jobs.errors import ConfigError
from mock_server import MockServer

CREATE = {"operation": "createJobExecution"}
SURVIVED: dict[str, dict[str, Any]] = {
    "status 503": {"kind": "status", "status": 503},
    "status 500": {"kind": "status", "status": 500},
    "status 429": {"kind": "status", "status": 429, "retry_after": 0},
    "latency": {"kind": "latency", "seconds": 0.01},
    "drop": {"kind": "drop"},
    "ack_lost": {"kind": "ack_lost"},
    "reset": {"kind": "reset"},
    "truncated": {"kind": "truncated"},
    "slow": {"kind": "slow", "seconds": 0.01},
    "hang": {"kind": "hang"},
}


@contextmanager
def in_process(mock: MockServer, **options: Any) -> Iterator[Job]:
    with JobsClient(**options) as client:
        yield client.job("my-job")


@contextmanager
def over_http(mock: MockServer, **options: Any) -> Iterator[Job]:
    with JobsClient(mock.url, **options) as client:
        yield client.job("my-job")


@pytest.fixture(params=[in_process, over_http], ids=["in process", "live"])
def reach(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return request.param


@pytest.fixture
def mock(reach: Any) -> Iterator[MockServer]:
    with MockServer(live=reach is over_http) as mock:
        yield mock


@pytest.mark.parametrize("name", SURVIVED)
def test_a_create_survives_and_is_done_once(mock: MockServer, reach: Any, name: str):
    fault = mock.faults.add(**SURVIVED[name], **CREATE, first=1)
    with reach(mock, request_timeout=0.3 if name == "hang" else 60) as job:
        execution_id = job.create_execution({"tasks": [{"duration": 60}]})
        assert job.wait_for_execution(execution_id).status == "completed"
    assert (fault.matched, fault.injected) == (1 if name in ("latency", "slow") else 2, 1)
    assert [one.id for one in mock.executions] == [execution_id]
    creates = mock.assert_called("POST", "/jobs/my-job/executions")
    assert creates[0].fault == f"{fault.kind};id={fault.id}"
    assert creates[-1].status == 200
    assert len({create.headers["idempotency-key"] for create in creates}) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "status", "status": 429}, TooManyRequests),
        ({"kind": "status", "status": 500}, ServerError),
        ({"kind": "status", "status": 404}, NotFound),
        ({"kind": "drop"}, ConnectionFailed),
        ({"kind": "ack_lost"}, ConnectionFailed),
        ({"kind": "reset"}, ConnectionFailed),
        ({"kind": "truncated"}, ConnectionFailed),
        ({"kind": "malformed"}, ContractError),
        ({"kind": "hang"}, RequestTimeout),
    ],
    ids=str,
)
def test_what_does_not_pass_is_said(mock: MockServer, reach: Any, fault: dict[str, Any], error: type[Exception]):
    mock.faults.add(**fault)
    with (
        reach(mock, connect_retries=0, request_timeout=0.3 if fault["kind"] == "hang" else 60) as job,
        pytest.raises(error) as raised,
    ):
        job.create_execution({"tasks": [{}]})
    assert type(raised.value) is error
    if fault["kind"] == "status":
        assert getattr(raised.value, "status_code", None) == fault["status"]


def test_every_injected_answer_says_so():
    with MockServer(live=True) as mock, httpx.Client(base_url=f"{mock.url}/v0/jobs/my-job") as http:
        assert "Mock-Fault" not in http.get("/executions").headers
        mock.faults.add("latency", seconds=30)
        mock.faults.add("status", status=429, retry_after=7, first=1)
        mock.faults.add("malformed", first=1)
        mock.faults.add("slow", seconds=2)
        busy = http.get("/executions")
        assert (busy.status_code, busy.headers["Mock-Fault"]) == (429, "latency;id=1, status;id=2")
        assert (busy.headers["Retry-After"], busy.headers["Mock-Elapsed"]) == ("7", "30.000000")
        assert busy.json()["error"] == "too_many_requests"
        garbled = http.get("/executions")
        assert (garbled.status_code, garbled.headers["Mock-Fault"]) == (200, "latency;id=1, malformed;id=3")
        with pytest.raises(UnicodeDecodeError):
            garbled.content.decode()
        slow = http.get("/executions")
        assert slow.headers["Mock-Fault"] == "latency;id=1, slow;id=4"
        assert slow.headers["Mock-Elapsed"] == "32.000000"
        assert slow.json()["data"] == []


def test_a_wait_survives_what_a_server_does(mock: MockServer, reach: Any):
    mock.faults.add("status", status=503, method="GET", every=2)
    mock.faults.add("ack_lost", method="POST", every=2)
    with reach(mock) as job:
        ids = [job.create_execution({"tasks": [{"duration": 100}]}) for _ in range(4)]
        assert [job.wait_for_execution(id).status for id in ids] == ["completed"] * 4
    assert sum(request.status == 503 for request in mock.requests) >= 2


def test_a_latency_is_spent_in_the_mocks_time():
    with MockServer() as mock, JobsClient() as client:
        job = client.job("my-job")
        execution_id = job.create_execution({"tasks": [{"duration": 60}]})
        mock.faults.add("latency", seconds=20, method="GET")
        assert job.get_execution_status(execution_id) == "completed"
        assert mock.monotonic() == 60
        assert job.get_execution_status(execution_id) == "completed"
        assert mock.monotonic() == 80
        mock.faults.clear()
        mock.faults.add("latency", uniform=(5, 10))
        job.create_execution({"tasks": [{}]})
        assert 85 <= mock.monotonic() <= 90
        mock.faults.clear()
        mock.faults.add("latency", lognormal=(2, 0.5))
        before = mock.monotonic()
        for _ in range(50):
            job.get_execution_status(execution_id)
        assert 60 < mock.monotonic() - before < 200


def test_a_real_clock_takes_real_time():
    with MockServer(clock="real") as mock, JobsClient() as client:
        mock.faults.add("latency", seconds=0.05)
        mock.faults.add("slow", seconds=0.05)
        began = time.monotonic()
        client.job("my-job").create_execution({"tasks": [{}]})
        assert time.monotonic() - began >= 0.1


async def test_async_callers_feel_the_same():
    async with MockServer() as mock, JobsClient() as client:
        job = client.job("my-job")
        mock.faults.add("ack_lost", method="POST", first=2)
        ids = await asyncio.gather(*[job.acreate_execution({"tasks": [{"duration": 60}]}) for _ in range(10)])
        assert len(set(ids)) == len(mock.executions) == 10
        mock.faults.add("hang")
        with pytest.raises(RequestTimeout):
            await job.aget_execution(ids[0])


@pytest.mark.row("K-10")
def test_k_10_a_thousand_lost_acknowledgements_make_no_duplicate():
    with MockServer() as mock, JobsClient() as client:
        job = client.job("my-job")
        lost = mock.faults.add("ack_lost", **CREATE, every=2)
        ids = [job.create_execution({"tasks": [{"n": n}]}) for n in range(1001)]
        assert (lost.matched, lost.injected) == (2001, 1000)
        assert len(set(ids)) == 1001
        assert sorted(one.tasks[0].input["n"] for one in mock.executions) == list(range(1001))


# Workers


@define_job("three-steps")
def three_steps(context, payload):
    taken = [context.run(f"step-{number}", _note, payload["log"], number) for number in (1, 2, 3)]
    return {"taken": taken, "attempt": context.attempt}


LOGS: dict[str, list[int]] = {}


def _note(log: str, number: int) -> int:
    LOGS.setdefault(log, []).append(number)
    return number


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        ({"kind": "crash"}, [1, 2, 3]),
        ({"kind": "crash", "step": 2}, [1, 2, 3]),
        ({"kind": "crash", "step": 2, "stored": False}, [1, 2, 2, 3]),
        ({"kind": "lost_lease", "step": 2}, [1, 2, 2, 3]),
    ],
    ids=str,
)
def test_a_worker_is_lost_at_a_step(fault: dict[str, Any], taken: list[int]):
    log = str(fault)
    LOGS.pop(log, None)
    with MockServer(jobs=[three_steps]) as mock, JobsClient() as client:
        struck = mock.faults.add(**fault, job="three-steps", first=1)
        execution = client.job("three-steps").trigger({"log": log})
        assert execution.get_result() == {"taken": [1, 2, 3], "attempt": 2}
        assert struck.injected == 1
        assert len(client.job("three-steps").get_execution(execution.id).recoveries) == 1
        assert LOGS[log] == taken
        assert mock.monotonic() >= (10 if fault["kind"] == "crash" else 0)


def test_who_lost_the_lease_reports_in_vain():
    reports = []

    @define_job("goes-on")
    def goes_on(context, payload):
        reports.append(context.attempt)
        return context.attempt

    with MockServer(jobs=[goes_on]) as mock, JobsClient() as client:
        mock.faults.add("lost_lease", job="goes-on", first=1)
        assert client.job("goes-on").trigger().get_result() == 2
        assert sorted(reports) == [1, 2]


def test_a_worker_that_always_crashes_is_given_up():
    with MockServer() as mock, JobsClient() as client:
        mock.faults.add("crash", job="my-job")
        lost = client.job("my-job").trigger({"duration": 5}).wait_done()
        assert (lost.status, lost.error.kind) == ("failed", "worker_lost")
        assert client.job("other").trigger({"duration": 5}).wait_done().status == "completed"


# Rules


def statuses(mock: MockServer, count: int, path: str = "/v0/jobs/my-job/executions") -> list[int]:
    with httpx.Client(transport=mock.transport(), base_url="http://127.0.0.1") as http:
        return [http.get(path).status_code for _ in range(count)]


def test_when_a_fault_strikes():
    with MockServer() as mock:
        with mock.faults.add("status", first=2):
            assert statuses(mock, 4) == [503, 503, 200, 200]
        with mock.faults.add("status", skip=1, first=1):
            assert statuses(mock, 4) == [200, 503, 200, 200]
        with mock.faults.add("status", every=2):
            assert statuses(mock, 4) == [200, 503, 200, 503]
        assert statuses(mock, 1) == [200]
        with mock.faults.add("status", status=500, first=1), mock.faults.add("status", status=429, first=2):
            assert statuses(mock, 4) == [500, 429, 429, 200]


def test_chance_is_of_the_seed():
    def drawn(seed: int) -> list[int]:
        with MockServer(seed=seed) as mock:
            mock.faults.add("status", probability=0.5)
            return statuses(mock, 40)

    assert drawn(1) == drawn(1) != drawn(2)
    assert 8 < drawn(1).count(503) < 32


@pytest.mark.parametrize(
    ("where", "strikes"),
    [
        ({"method": "get"}, True),
        ({"method": "POST"}, False),
        ({"path": "/jobs/*/executions"}, True),
        ({"path": "/v0/jobs/{job}/executions"}, True),
        ({"path": "/v0/**"}, True),
        ({"path": "/jobs/*"}, False),
        ({"operation": "listJobExecutions"}, True),
        ({"operation": "list_job_executions"}, True),
        ({"operation": "createJobExecution"}, False),
        ({"job": "my-job"}, True),
        ({"job": "other"}, False),
        ({"execution": "e1"}, False),
        ({"job": "my-job", "method": "GET", "path": "/jobs/my-job/**"}, True),
    ],
    ids=str,
)
def test_where_a_fault_strikes(where: dict[str, Any], strikes: bool):
    with MockServer() as mock:
        mock.faults.add("status", **where)
        assert statuses(mock, 1) == [503 if strikes else 200]


def test_of_one_execution_and_of_its_job_by_any_route():
    with MockServer() as mock, JobsClient(connect_retries=0) as client:
        one, other = (client.job("my-job").trigger({}) for _ in range(2))
        with mock.faults.add("status", execution=one.id), pytest.raises(ServerError):
            client.job("my-job").get_execution(one.id)
        with mock.faults.add("status", execution=one.id):
            assert client.job("my-job").get_execution(other.id).id == other.id
        with mock.faults.add("status", job="my-job"):
            assert statuses(mock, 1, f"/v0/executions/{other.id}") == [503]


@pytest.mark.parametrize(
    ("rule", "path", "says"),
    [
        ({"kind": "explode"}, "kind", "no kind of fault"),
        ({"kind": "latencies", "seconds": 1}, "kind", "did you mean 'latency'?"),
        ({"kind": "status", "status": 200}, "status", "from 400 to 599"),
        ({"kind": "status", "status": 599}, "status", "no status"),
        ({"kind": "status", "status": True}, "status", "from 400 to 599"),
        ({"kind": "status", "first": 0}, "first", "from 1"),
        ({"kind": "status", "probability": 1.5}, "probability", "from 0 to 1"),
        ({"kind": "status", "first": 1, "every": 2}, "every", "cannot go with first"),
        ({"kind": "status", "path": "jobs"}, "path", "begins with a /"),
        ({"kind": "status", "operation": "createJobExecutions"}, "operation", "did you mean 'create_job_execution'?"),
        ({"kind": "status", "seconds": 1}, "seconds", "means nothing for status"),
        ({"kind": "latency"}, "seconds", "one of seconds, uniform and lognormal"),
        ({"kind": "latency", "seconds": float("nan")}, "seconds", "a number from 0"),
        ({"kind": "latency", "uniform": [3, 1]}, "uniform", "the least and the most"),
        ({"kind": "latency", "lognormal": [1]}, "lognormal", "two numbers"),
        ({"kind": "crash", "path": "/jobs"}, "path", "means nothing for crash"),
        ({"kind": "drop", "step": 1}, "step", "means nothing for drop"),
        ({"kind": "drop", "jobb": "x"}, "jobb", "did you mean 'job'?"),
        ({"status": 500}, "kind", "missing"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(rule: dict[str, Any], path: str, says: str, tmp_path: Path):
    from mock_server.rules import read_rules
    from mock_server.scenario import read_scenario

    with pytest.raises(InvalidRequest, match=says.replace("?", "\\?")) as raised:
        read_rules([{"kind": "drop"}, rule])
    assert raised.value.path == f"faults[1].{path}"
    import yaml

    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump({"faults": [rule]}))
    with pytest.raises(ConfigError) as told:
        read_scenario(file)
    assert str(file) in str(told.value)
    assert f"faults[0].{path}" in str(told.value)


def test_a_scenario_breaks_a_mock_from_its_start(tmp_path: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text(
        "description: a bad day\nfaults:\n  - {kind: status, status: 502, first: 1}\n  - {kind: drop, skip: 1, first: 1}\n"
    )
    with MockServer(scenario=file) as mock:
        assert statuses(mock, 1) == [502]
        with pytest.raises(httpx.RemoteProtocolError):
            statuses(mock, 2)
        assert [fault.as_json()["injected"] for fault in mock.faults] == [1, 1]
        mock.reset()
        assert statuses(mock, 1) == [502]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("faults: [", "is not YAML"),
        ("- 1", "is an object with"),
        ("fault: []", "is an object with"),
        ("faults: 3", "faults is a list"),
        ("faults: [drop]", r"faults\[0\] is an object"),
        ("faults: [!!python/object/apply:os.getcwd []]", "is not YAML"),
    ],
)
def test_a_scenario_that_is_none_is_refused(tmp_path: Path, text: str, says: str):
    file = tmp_path / "scenario.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        MockServer(scenario=file)
    with pytest.raises(ConfigError, match="cannot be read"):
        MockServer(scenario=tmp_path / "nowhere.yaml")
