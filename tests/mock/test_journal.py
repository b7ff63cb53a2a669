"""What a mock was asked: read, verified, drained, put back; and the same for the same seed, byte for byte."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from blaxel_jobs import InvalidRequest, JobsClient, WaitTimeoutError, bl_job
from blaxel_jobs.errors import ConfigError
from mock_server import MockServer
from tests.serving import ROOT, plain_environment


@pytest.fixture
def job(jobs_mock: MockServer):
    return bl_job("render")


def test_requests_are_read(jobs_mock: MockServer, job):
    execution_id = job.create_execution({"tasks": [{"duration": 60}]})
    job.wait_for_execution(execution_id)
    list(job.list_executions(limit=5))
    create, *waits, listed = jobs_mock.requests
    assert (create.number, create.method, create.path) == (1, "POST", "/v0/jobs/render/executions")
    assert (create.operation, create.job, create.execution) == ("create_job_execution", "render", None)
    assert create.body["tasks"] == [{"duration": 60}]
    assert (create.status, create.fault, create.at) == (200, None, waits[0].at)
    assert create.headers["jobs-contract"] == create.answer_headers["jobs-contract"] == "1"
    assert {wait.execution for wait in waits} == {execution_id}
    assert (listed.query["limit"], listed.body) == ("5", None)
    assert str(listed).startswith("GET /v0/jobs/render/executions?limit=5")


def test_what_was_called_is_verified(jobs_mock: MockServer, job):
    for page in (1, 2):
        job.create_execution({"tasks": [{"page": page}], "metadata": {"user": "u1"}})
    assert len(jobs_mock.assert_called("POST", "/jobs/render/executions", 2)) == 2
    assert len(jobs_mock.assert_called("post", "/v0/jobs/*/executions")) == 2
    (second,) = jobs_mock.assert_called("POST", "/**", body={"tasks": [{"page": 2}]}, status=200, times=1)
    assert second.number == 2
    jobs_mock.assert_called("POST", "/jobs/render/executions", headers={"Content-Type": "application/json"})
    jobs_mock.assert_called("DELETE", "/**", times=0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": "/jobs/rendr/executions"}, "its path has 'render' for 'rendr'"),
        ({"method": "DELETE"}, "the method is POST"),
        ({"times": 3}, "was sent 2 times, expected 3"),
        ({"times": 1}, "was sent 2 times, expected 1\nrequest 1: POST /v0/jobs/render/executions -> 200"),
        ({"body": {"tasks": [{"page": 7}]}}, "body.tasks[0].page is 2"),
        ({"body": {"input": 1}}, "body.input is missing"),
        ({"query": {"limit": "5"}}, "query.limit is missing"),
        ({"headers": {"Prefer": "wait=1"}}, "headers.prefer is missing"),
        ({"status": 503}, "the status is 200"),
        ({"path": "/batches"}, "its path is /v0/jobs/render/executions"),
    ],
    ids=str,
)
def test_a_miss_is_explained(jobs_mock: MockServer, job, arguments, says):
    for page in (1, 2):
        job.create_execution({"tasks": [{"page": page}]})
    with pytest.raises(AssertionError) as raised:
        jobs_mock.assert_called(**{"method": "POST", "path": "/jobs/render/executions", **arguments})
    assert says in str(raised.value)


def test_without_any_request_that_is_said(jobs_mock: MockServer):
    with pytest.raises(AssertionError, match="nothing was sent at all"):
        jobs_mock.assert_called("GET", "/jobs")


def test_drain_lets_all_end(jobs_mock: MockServer, job):
    ids = [job.create_execution({"tasks": [{"duration": 60 * n}]}) for n in range(1, 4)]
    hanging = job.create_execution({"tasks": [{"hang": True}]})
    jobs_mock.drain()
    assert {one.id: one.status for one in jobs_mock.executions} == {**dict.fromkeys(ids, "completed"), hanging: "running"}
    assert jobs_mock.monotonic() == 180
    job.create_execution({"tasks": [{"duration": 60}]})
    jobs_mock.drain(max_wait=20)
    assert jobs_mock.executions[0].status == "running"
    jobs_mock.freeze()
    with pytest.raises(ConfigError, match="frozen"):
        jobs_mock.drain()


def test_until_stops_where_it_is_true(jobs_mock: MockServer, job):
    for n in (10, 20, 30):
        job.create_execution({"tasks": [{"duration": n}]})

    def two_are_done():
        return sum(one.done for one in jobs_mock.executions) == 2

    jobs_mock.until(two_are_done)
    assert jobs_mock.monotonic() == 20
    jobs_mock.until(two_are_done)
    assert jobs_mock.monotonic() == 20
    with pytest.raises(WaitTimeoutError, match="nothing changes any more"):
        jobs_mock.until(lambda: False)


async def test_the_same_for_async_callers():
    async with MockServer() as mock, JobsClient() as client:
        await client.job("render").acreate_execution({"tasks": [{"duration": 60}, {"duration": 90}]})
        await mock.auntil(lambda: mock.executions[0].stats["success"] == 1)
        assert mock.monotonic() == 60
        await mock.adrain()
        assert mock.monotonic() == 90


def test_real_time_is_drained_too():
    with MockServer(clock="scale:600") as mock:
        bl_job("render").create_execution({"tasks": [{"duration": 30}]})
        mock.until(lambda: mock.executions[0].status == "running")
        mock.drain()
        assert mock.executions[0].status == "completed"
        assert mock.monotonic() >= 30


# Putting back


def test_a_mock_begins_again(jobs_mock: MockServer, job):
    jobs_mock.faults.add("status", skip=1)
    job.create_execution({"tasks": [{"duration": 60}]})
    jobs_mock.drain()
    jobs_mock.reset()
    assert (jobs_mock.executions, jobs_mock.requests, list(jobs_mock.faults), jobs_mock.monotonic()) == ([], [], [], 0)
    assert job.trigger({"duration": 60}).wait_done().status == "completed"


def test_snapshots_are_gone_back_to(jobs_mock: MockServer, job):
    done = job.trigger({"duration": 60, "output": {"pages": 3}}).wait_done()
    key = job.create_execution({"tasks": [{"duration": 5}]}, idempotency_key="k")
    waiting = job.create_execution({"tasks": [{}]}, auto_start=False)
    failed = job.trigger({"fail": "no paper"}).wait_done()
    before, then = [one.to_dict() for one in jobs_mock.executions], jobs_mock.now
    state = jobs_mock.snapshot()
    for _ in range(3):
        job.trigger({"duration": 10}).wait_done()
        job.delete_execution(done.id) if done.id in [one.id for one in jobs_mock.executions] else None
        jobs_mock.restore(state)
        assert ([one.to_dict() for one in jobs_mock.executions], jobs_mock.now) == (before, then)
    assert job.get_execution(done.id).result == {"pages": 3}
    assert job.create_execution({"tasks": [{"duration": 5}]}, idempotency_key="k") == key
    assert next(event.type for event in job.get_execution(failed.id).list_events()) == "created"
    assert job.start_execution(waiting).status in ("pending", "running", "completed")
    new = {job.trigger({}).id for _ in range(10)}
    assert len(new | {one["metadata"]["id"] for one in before}) == 14


def test_what_ran_is_taken_over(jobs_mock: MockServer, job):
    running = job.trigger({"duration": 60})
    jobs_mock.until(lambda: jobs_mock.executions[0].status == "running")
    jobs_mock.advance(30)
    text = jobs_mock.export_state()
    with MockServer() as other:
        other.import_state(text)
        assert other.monotonic() == 30
        (found,) = other.executions
        assert found.status == "running"
        other.drain()
        (found,) = other.executions
        assert (found.id, found.status, len(found.recoveries)) == (running.id, "completed", 1)
        assert other.monotonic() == 100


def test_steps_and_events_are_in_a_state():
    from blaxel_jobs import define_job

    taken = []

    @define_job("order")
    def order(context, payload):
        context.run("charge", lambda: taken.append("charge") or 5)
        context.wait_for_event("paid")
        return context.run("ship", lambda: taken.append("ship") or 7)

    with MockServer(jobs=[order]) as mock:
        execution = bl_job("order").trigger()
        mock.until(lambda: mock.executions[0].waiting_for == "event")
        state = mock.snapshot()
        for _ in range(2):
            mock.restore(state)
            bl_job("order").send_event(execution.id, "paid", {})
            assert bl_job("order").get_execution_result(execution.id, max_wait=100) == 7
    assert taken == ["charge", "ship", "ship"]


def test_what_is_no_state_is_refused(jobs_mock: MockServer):
    for text in (b"", b"{}", b"[1]", json.dumps({**json.loads(jobs_mock.export_state()), "format": 9}).encode()):
        with pytest.raises(InvalidRequest):
            jobs_mock.import_state(text)


# The same seed


PROGRAM = """
import random, sys
from blaxel_jobs import JobsError, JobsClient, bl_job, define_job
from mock_server import MockServer

@define_job("steps")
def steps(context, payload):
    return sum(context.run(f"s{n}", lambda: n) for n in range(3))

def story(job):
    order = random.Random(5)
    for n in range(8):
        try:
            tasks = [{"duration": order.randrange(50)}] * (n % 3 + 1)
            id = job.create_execution({"tasks": tasks}, idempotency_key=f"own-{n}" if n % 2 else None)
            job.wait_for_execution(id, max_wait=order.choice([20, 200]))
            job.cancel_execution(id)
        except JobsError:
            pass

live = sys.argv[1] == "live"
with MockServer(seed=int(sys.argv[2]), jobs=[steps], live=live) as mock:
    if live:
        with JobsClient(mock.url) as client:
            story(client.job("my-job"))
    else:
        mock.faults.add("status", probability=0.2)
        mock.faults.add("ack_lost", method="POST", probability=0.2)
        mock.faults.add("latency", lognormal=(0.5, 1), every=3)
        mock.faults.add("crash", job="steps", step=2, first=1)
        story(bl_job("my-job"))
        bl_job("steps").trigger().wait_done()
    sys.stdout.write(mock.journal)
"""


def told(kind: str, seed: int, hash_seed: str) -> bytes:
    command = [sys.executable, "-c", PROGRAM, kind, str(seed)]
    environment = plain_environment(PYTHONHASHSEED=hash_seed)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=50)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("kind", ["in-process", "live"])
def test_same_seed_same_journal_in_fresh_processes(kind: str):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda hash_seed: told(kind, 3, hash_seed), ["1", "2"])
    assert first == second
    requests = [json.loads(line) for line in first.splitlines()]
    assert len(requests) >= 20
    keys = {each["headers"].get("idempotency-key") for each in requests}
    assert {"key-1", "key-2"} <= keys
    assert not [key for key in keys if key and len(key) > 8]
    assert "own-1" in [each["body"].get("idempotencyKey") for each in requests if each["body"]]
    assert requests[0]["at"].startswith("2030-01-01T00:00:0")
    if kind == "in-process":
        assert any("fault" in each for each in requests)
        assert told(kind, 4, "1") != first
