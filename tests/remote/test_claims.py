"""Claims, heartbeats and definitions over HTTP, against a server in miniature."""

import asyncio
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from blaxel_jobs import Settings, define_job
from blaxel_jobs.core.reports import Holding
from blaxel_jobs.errors import ConfigError, Forbidden, JobsError, NotFound, RequestError, Unauthorized
from blaxel_jobs.remote import RemoteLeases
from blaxel_jobs.remote.leases import LONGEST_POLL, identity
from tests.pace import PATIENCE

from .fakes import BASE, FakeServer, a_job, claimed, lease, lease_view, problem

LONG = 600.0
JOBS = ("a-job",)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def leases(server: FakeServer) -> Iterator[RemoteLeases]:
    leases = server.leases()
    leases.register([a_job])
    yield leases
    leases.close()


class Waiting:
    """Holds claims that may wait until it is told to answer; `came` is set when one waits."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.cut = 0

    def __call__(self, body: Any) -> Any:
        return self._hold() if body["waitMs"] else claimed()

    async def _hold(self) -> httpx.Response:
        self.came.set()
        try:
            return httpx.Response(200, json=await asyncio.shield(self.answer))
        except asyncio.CancelledError:
            self.cut += 1
            raise


async def test_the_first_claim_waits_for_nothing_and_learns_how_often_to_beat(server: FakeServer, leases: RemoteLeases) -> None:
    server.claim = lambda body: claimed(lease_ms=500, heartbeat_ms=150)
    leases.open()
    assert await leases.claim(JOBS, 8, LONG) == []
    assert (leases.in_place, leases.heartbeat_every) == (0.5, 0.15)
    assert server.bodies("leases/claim")[0] == {"worker": leases.worker, "jobs": ["a-job"], "limit": 8, "waitMs": 0}


@pytest.mark.parametrize(
    ("lease_ms", "wait", "poll"), [(9000, LONG, 4500), (600_000, LONG, 25_000), (9000, 1.5, 1500), (9000, 0.0, 0)]
)
async def test_a_claim_waits_no_longer_than_half_a_lease(
    lease_ms: int, wait: float, poll: int, server: FakeServer, leases: RemoteLeases
) -> None:
    server.claim = lambda body: claimed(lease_ms=lease_ms)
    for _ in range(2):
        assert await leases.claim(JOBS, 8, wait) == []
    assert [body["waitMs"] for body in server.bodies("leases/claim")] == [0, poll]


async def test_a_worker_waits_as_long_as_it_may(server: FakeServer) -> None:
    leases = server.leases(poll=LONGEST_POLL)
    leases.register([a_job])
    for wait in (1.0, 1.0, 0.0):
        assert await leases.claim(JOBS, 8, wait) == []
    assert [body["waitMs"] for body in server.bodies("leases/claim")] == [0, 4500, 0]
    leases.close()


async def test_what_is_leased_is_handed_over(server: FakeServer, leases: RemoteLeases) -> None:
    server.claim = lambda body: claimed(lease_view(1, input={"a": [1.5]}), lease_view(2, timeoutMs=1500))
    first, second = await leases.claim(JOBS, 8, LONG)
    assert (first.lease, first.execution_id, first.timeout, second.timeout) == (lease(1), "e-1", None, 1.5)


async def test_an_interrupt_ends_a_claim_that_waits(server: FakeServer, leases: RemoteLeases) -> None:
    await leases.claim(JOBS, 8, LONG)
    server.claim = waiting = Waiting()
    claim = asyncio.create_task(leases.claim(JOBS, 8, LONG))
    await asyncio.wait_for(waiting.came.wait(), PATIENCE)
    await asyncio.to_thread(leases.interrupt)
    assert await asyncio.wait_for(claim, PATIENCE) == []
    assert waiting.cut == 1


async def test_what_is_leased_at_once_is_not_lost_to_an_interrupt(server: FakeServer, leases: RemoteLeases) -> None:
    await leases.claim(JOBS, 8, LONG)
    server.claim = waiting = Waiting()
    claim = asyncio.create_task(leases.claim(JOBS, 8, LONG))
    await asyncio.wait_for(waiting.came.wait(), PATIENCE)
    leases._interrupt()
    await asyncio.sleep(0)
    waiting.answer.set_result(claimed(lease_view(1)))
    assert [leased.lease for leased in await asyncio.wait_for(claim, PATIENCE)] == [lease(1)]


async def test_a_claim_that_is_cancelled_from_outside_is_cancelled(server: FakeServer, leases: RemoteLeases) -> None:
    await leases.claim(JOBS, 8, LONG)
    server.claim = waiting = Waiting()
    claim = asyncio.create_task(leases.claim(JOBS, 8, LONG))
    await asyncio.wait_for(waiting.came.wait(), PATIENCE)
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim
    assert waiting.cut == 1


async def test_without_jobs_there_is_nothing_to_claim(server: FakeServer) -> None:
    leases = server.leases()
    began = time.monotonic()
    assert await leases.claim((), 8, 0.05) == []
    assert time.monotonic() - began >= 0.05
    assert server.requests == []
    with pytest.raises(ConfigError, match="definitions"):
        await leases.claim(None, 8, 0.0)
    leases.close()


async def test_a_server_that_is_away_is_waited_for_and_told_of_the_jobs_again(
    server: FakeServer, leases: RemoteLeases, caplog: pytest.LogCaptureFixture
) -> None:
    leases.open()
    await leases.claim(JOBS, 8, LONG)
    assert [path for path, _ in server.requests] == ["jobs/a-job", "leases/claim"]
    replies: list[Any] = [
        httpx.ReadError("reset"),
        httpx.ConnectError("refused"),
        problem(503, "unavailable"),
        claimed(lease_view(1)),
    ]
    server.claim = lambda body: replies.pop(0)
    with caplog.at_level(logging.INFO, "blaxel_jobs"):
        [leased] = await asyncio.wait_for(leases.claim(JOBS, 8, LONG), PATIENCE)
    assert leased.lease == lease(1)
    # Between the failures of one absence it is not told again and again.
    assert [path for path, _ in server.requests[2:]] == ["leases/claim", "jobs/a-job", *["leases/claim"] * 3]
    messages = [record.getMessage() for record in caplog.records if record.name == "blaxel_jobs.worker"]
    assert [message[:15] for message in messages] == ["waiting for the", "the server at h"]


async def test_an_interrupt_ends_the_wait_for_a_server(server: FakeServer, leases: RemoteLeases) -> None:
    failed = asyncio.Event()
    server.claim = lambda body: failed.set() or httpx.ConnectError("refused")
    claim = asyncio.create_task(leases.claim(JOBS, 8, LONG))
    await asyncio.wait_for(failed.wait(), PATIENCE)
    leases.interrupt()
    assert await asyncio.wait_for(claim, PATIENCE) == []


async def test_a_server_that_is_away_at_the_start_is_waited_for(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    ready: list[bool] = []
    refused: list[JobsError] = []
    leases = server.leases(on_ready=lambda: ready.append(True), on_refused=refused.append)
    leases.register([a_job])
    defined = server.define
    server.define = lambda body: httpx.ConnectError("refused")
    leases.open()
    assert server.bodies("jobs/a-job") == [a_job.definition()]
    server.define = defined
    assert await leases.claim(JOBS, 8, LONG) == []
    assert [path for path, _ in server.requests] == ["jobs/a-job", "jobs/a-job", "leases/claim"]
    assert (ready, refused) == ([True], [])
    leases.close()


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (problem(401, "unauthorized", "no key"), Unauthorized, "does not take this worker's key: --api-key.*no key"),
        (problem(403, "forbidden", "scopes"), Forbidden, "scope `worker`"),
        (problem(404, "not_found"), NotFound, "none that has work for workers"),
        (problem(421, "misdirected_request"), RequestError, "refuses this worker"),
        (httpx.Response(204), ConfigError, "refuses this worker.*HTTP 204"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_server_that_refuses_is_an_error_at_the_start(
    answer: httpx.Response, error: type[Exception], says: str, server: FakeServer
) -> None:
    refused: list[JobsError] = []
    leases = server.leases(on_refused=refused.append)
    leases.register([a_job])
    server.define = lambda body: answer
    with pytest.raises(error, match=f"the server at {BASE} .*{says}"):
        leases.open()
    # The same from a server that was away when the worker began.
    claim = asyncio.create_task(leases.claim(JOBS, 8, LONG))
    async with asyncio.timeout(PATIENCE):
        while not refused:
            await asyncio.sleep(0.005)
    leases.interrupt()
    assert await claim == []
    assert re.search(says, str(refused[0]))
    leases.close()


async def test_a_job_that_is_added_later_is_registered_with_the_next_claim(server: FakeServer, leases: RemoteLeases) -> None:
    leases.open()
    another = define_job("another", run=print)
    leases.register([another, a_job])
    assert len(server.requests) == 1
    await leases.claim(("a-job", "another"), 8, LONG)
    assert [path for path, _ in server.requests] == ["jobs/a-job", "jobs/another", "leases/claim"]
    with pytest.raises(ConfigError, match="another definition"):
        leases.register([define_job("another", run=repr)])


def test_a_heartbeat_names_what_is_held_and_tells_what_is_lost(server: FakeServer, leases: RemoteLeases) -> None:
    server.heartbeat = lambda body: {"lost": body["leases"][:1], "stop": body["leases"][2:]}
    assert leases.heartbeat([lease(1), lease(2), lease(3)]) == Holding(frozenset({lease(1)}), frozenset({lease(3)}))
    assert server.bodies("leases/heartbeat") == [
        {"worker": leases.worker, "jobs": ["a-job"], "leases": [{"task": n, "token": 1} for n in (1, 2, 3)]}
    ]


def test_a_heartbeat_that_does_not_arrive_loses_nothing(
    server: FakeServer, leases: RemoteLeases, caplog: pytest.LogCaptureFixture
) -> None:
    server.heartbeat = lambda body: httpx.ConnectError("refused")
    for _ in range(3):
        assert leases.heartbeat([lease(1)]) == Holding(frozenset(), frozenset())
    assert len([record for record in caplog.records if record.name == "blaxel_jobs.worker"]) == 1


def test_requests_carry_the_key_and_the_contract(server: FakeServer) -> None:
    leases = RemoteLeases(
        settings=Settings(base_url=BASE, api_key="secret", workspace="mine"), transport=httpx.MockTransport(server)
    )
    leases.heartbeat([])
    [headers] = server.headers
    assert headers["X-Blaxel-Authorization"] == "Bearer secret"
    assert headers["X-Blaxel-Workspace"] == "mine"
    assert headers["Jobs-Contract"] == "1"
    leases.close()


def test_the_platform_has_no_work_for_workers() -> None:
    with pytest.raises(ConfigError, match="platform"):
        RemoteLeases("https://api.blaxel.ai/v0", "key")


def test_every_start_has_an_identity_of_its_own() -> None:
    one, other = identity(), identity()
    assert one != other
    assert re.fullmatch(r".+:[0-9]+:[0-9a-f]{16}", one)
    assert identity("web-1").startswith("web-1:")
    for bad in ("a\nb", "x" * 200):
        with pytest.raises(ConfigError):
            identity(bad)
