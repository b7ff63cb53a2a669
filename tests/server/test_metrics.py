"""What Prometheus reads is what the engine counted."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from blaxel_jobs import bl_job
from blaxel_jobs.core.records import Failure
from blaxel_jobs.core.reports import Completed, Failed
from blaxel_jobs.core.tallies import BOUNDS
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.engine.hooks import EVENTS
from blaxel_jobs.server.app import create_app
from blaxel_jobs.server.keys import Key, Keyring, Principal
from blaxel_jobs.stores import open_store
from blaxel_jobs.system import new_key
from blaxel_jobs.words import FailureKind
from mock_server import MockServer
from tests.clocks import ManualClock
from tests.server.conftest import client_of
from tests.serving import ROOT, plain_environment

NO = Failed(Failure(FailureKind.ERROR, "ValueError", "no"))
Samples = dict[tuple[str, str], list[tuple[Mapping[str, str], float]]]


class Counted:
    """An engine on a clock that stands still, which has executions run through it."""

    def __init__(self, url: str) -> None:
        self.clock = ManualClock()
        self.engine = Engine(open_store(url), clock=self.clock, new_id=new_key, rng=Random(0))

    def create(self, job: str, workspace: str = "default", **body: Any) -> str:
        body = body or {"input": None}
        return str(
            self.engine.call("create_job_execution", workspace, {"job": job, "body": body, "idempotency_key": None})["executionId"]
        )

    def run(self, job: str, report: Any, wait: float = 0.0, took: float = 0.0, workspace: str = "default") -> None:
        self.create(job, workspace)
        self.clock.advance(wait)
        for leased in self.engine.submit(Claim(workspace, None, 100, "w", 1e6)):
            self.clock.advance(took)
            self.engine.submit(Tell(leased.lease, report))


@pytest.fixture(params=["memory", "sqlite"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    counted = Counted("memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/jobs.db")
    yield counted
    counted.engine.close()


def samples(text: str) -> Samples:
    """By the name of the family and that of the sample."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found.setdefault((family.name, sample.name), []).append((sample.labels, sample.value))
    return found


async def scrape(engine: Engine, **headers: str) -> Samples:
    async with client_of(create_app(engine, version="1", new_id=new_key)) as client:
        response = await client.get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(response.text)


async def test_s3_12_histograms_have_the_right_sums_and_counts(counted: Counted) -> None:
    rng = Random(2)
    # The clock rounds to less than a microsecond: not on a bound, but near.
    waits = [0.0, *(bound * near for bound in BOUNDS for near in (0.99, 1.01)), *(rng.lognormvariate(0, 3) for _ in range(60))]
    runs = [rng.lognormvariate(-2, 3) for _ in waits]
    for wait, took in zip(waits, runs, strict=True):
        counted.run("a", Completed("1"), wait, took)
    counted.run("b", NO, took=4.0)
    found = await scrape(counted.engine)
    for kind, exact, of_other in (("wait", waits, 0.0), ("run", runs, 4.0)):
        name = f"blaxel_jobs_task_{kind}_seconds"
        of_a, of_b = ({"workspace": "default", "job": job} for job in "ab")
        assert found[name, f"{name}_count"] == [(of_a, len(exact)), (of_b, 1)]
        assert [value for _, value in found[name, f"{name}_sum"]] == pytest.approx([sum(exact), of_other], rel=1e-6)
        buckets = {float(labels["le"]): value for labels, value in found[name, f"{name}_bucket"] if labels["job"] == "a"}
        assert [*buckets] == [*BOUNDS, float("inf")]
        assert list(buckets.values()) == [sum(each <= bound for each in exact) for bound in buckets]


async def test_s3_10_counters_and_gauges(counted: Counted) -> None:
    engine = counted.engine
    engine.call("put_job", "default", {"job": "a", "body": {"queue": "slow"}})
    for _ in range(3):
        counted.run("a", Completed("1"))
    counted.run("b", NO)
    engine.call("cancel_execution", "default", {"execution_id": counted.create("b")})
    counted.create("a", tasks=[{}, {}, {}])
    engine.submit(Claim("default", None, 1, "w", 1e6))
    counted.clock.advance(2.5)
    engine.call("pause_execution", "default", {"execution_id": counted.create("a")})
    found = await scrape(engine)
    a, b = ({"workspace": "default", "job": job} for job in "ab")
    for word, values in {
        "executions_created": (5, 2),
        "executions_completed": (3, 0),
        "executions_failed": (0, 1),
        "executions_cancelled": (0, 1),
        "task_retries": (0, 0),
        "task_recoveries": (0, 0),
    }.items():
        name = f"blaxel_jobs_{word}"
        assert found[name, f"{name}_total"] == list(zip((a, b), values, strict=True))
    a, b = a | {"queue": "slow"}, b | {"queue": "default"}
    backlog = found["blaxel_jobs_backlog_tasks", "blaxel_jobs_backlog_tasks"]
    assert [value for labels, value in backlog if labels.items() >= a.items()] == [2, 1, 1]
    assert [labels["status"] for labels, _ in backlog[:3]] == ["pending", "running", "paused"]
    assert [value for labels, value in backlog if labels.items() >= b.items()] == [0, 0, 0]
    oldest = found["blaxel_jobs_oldest_pending_seconds", "blaxel_jobs_oldest_pending_seconds"]
    assert oldest == [(a, 2.5), (b, 0)]


async def test_retries_and_recoveries(counted: Counted) -> None:
    counted.create("a", input=None, maxRetries=1, retryDelayMs=0)
    [leased] = counted.engine.submit(Claim("default", None, 1, "w", 10.0))
    counted.engine.submit(Tell(leased.lease, NO))
    counted.engine.poll()
    counted.engine.submit(Claim("default", None, 1, "w", 10.0))
    counted.clock.advance(10.0)
    for _ in range(3):  # the first look sees that the clock has moved, and waits for heartbeats
        counted.engine.poll()
        counted.clock.advance(10.0)
    found = await scrape(counted.engine)
    labels = {"workspace": "default", "job": "a"}
    assert found["blaxel_jobs_task_retries", "blaxel_jobs_task_retries_total"] == [(labels, 1)]
    assert found["blaxel_jobs_task_recoveries", "blaxel_jobs_task_recoveries_total"] == [(labels, 1)]


async def test_nothing_yet(counted: Counted) -> None:
    assert await scrape(counted.engine) == {}


async def test_a_key_is_needed_where_there_are_keys_and_sees_its_workspace(counted: Counted) -> None:
    counted.run("ours", Completed("1"), workspace="team")
    counted.run("theirs", Completed("1"))
    keys = Keyring(Key(sha256(scope.encode()).digest(), Principal("team", frozenset({scope}))) for scope in ("read", "submit"))
    app = create_app(counted.engine, version="1", new_id=new_key, keys=keys)
    async with client_of(app) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", headers={"Authorization": "Bearer submit"})).status_code == 403
        response = await client.get("/metrics", headers={"Authorization": "Bearer read"})
        head = await client.head("/metrics", headers={"Authorization": "Bearer read"})
    assert head.headers["content-length"] == str(len(response.content))
    created = samples(response.text)["blaxel_jobs_executions_created", "blaxel_jobs_executions_created_total"]
    assert created == [({"workspace": "team", "job": "ours"}, 1)]


def test_the_mock_has_them_too() -> None:
    with MockServer(live=True) as mock:
        execution = bl_job("my-job").create_execution({"tasks": [{"duration": 60}]})
        found = samples(httpx.get(f"{mock.url}/metrics").text)
        assert bl_job("my-job").get_execution(execution).status == "completed"
    labels = {"workspace": "default", "job": "my-job"}
    assert found["blaxel_jobs_executions_completed", "blaxel_jobs_executions_completed_total"] == [(labels, 1)]
    assert found["blaxel_jobs_task_run_seconds", "blaxel_jobs_task_run_seconds_sum"] == [(labels, 60)]


PAGE = (ROOT / "docs" / "metrics.md").read_text()


async def test_the_page_names_every_metric_with_its_labels(counted: Counted) -> None:
    counted.run("a", Completed("1"))
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| `blaxel_jobs_")]
    for (family, name), found in (await scrape(counted.engine)).items():
        shown = name if name.endswith("_total") else family
        (labels,) = (row[1] for row in rows if f"`{shown}`" in row[0] or f"`...{shown.rpartition('executions')[2]}`" in row[0])
        assert set(labels.split(", ")) == found[0][0].keys() - {"le"}


def test_the_page_names_every_event() -> None:
    assert {f"`{event}`" for event in EVENTS} <= set(re.findall(r"`[^`\n]+`", PAGE))


def test_the_blocks_of_the_page_run(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    figures, failed = done.stdout.splitlines()
    assert re.fullmatch(r"1 0\.0 \d+\.\d+ 0", figures)
    assert re.fullmatch(r"\('fails', '[0-9a-f-]{36}', 'ZeroDivisionError: division by zero'\)", failed)
