"""The wait table over the wire: what a wait survives, what ends it, and that it neither oversleeps nor harms the execution."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import respx
import trio

from blaxel_jobs import ExecutionFailed, JobsClient, NotFound, WaitTimeoutError
from tests.pace import PATIENCE, awithin, within
from tests.sdk.fakes import BASE, ECHO, client_of, execution_view, problem, slept
from tests.serving import Server, plain_environment, serving

URL = f"{BASE}/jobs/my-job/executions/exec-1"


def view(status: str, **more: Any) -> httpx.Response:
    return httpx.Response(200, json=execution_view(status=status, **more), headers=ECHO)


def theirs(status: str) -> httpx.Response:
    """As the platform answers."""
    return httpx.Response(200, json={"metadata": {"id": "exec-1"}, "spec": {"taskCount": 1}, "status": status})


@pytest.fixture(params=["sync", "async"])
def wait(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """A wait for exec-1 without real pauses, in a thread or in a loop."""

    def call(**options: Any) -> Any:
        job = client_of(None).job("my-job")
        if request.param == "sync":
            return job.wait_for_execution("exec-1", **options)
        return asyncio.run(job.await_for_execution("exec-1", **options))

    return call


@respx.mock
@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([view("pending"), view("running"), view("completed")], "completed"),
        ([view("running"), view("failed")], "failed"),
        ([view("cancelled")], "cancelled"),
        ([view("hibernating"), view("paused"), view("completed")], "completed"),
        ([view("archived", done=True)], "archived"),
        ([theirs("queued"), theirs("running"), theirs("succeeded")], "completed"),
        ([theirs("cancelling"), theirs("canceled")], "cancelled"),
        ([theirs("running"), theirs("timeout")], "failed"),
        ([theirs("some-new-word"), theirs("completed")], "completed"),
    ],
)
def test_words_end_a_wait_or_do_not(wait: Callable[..., Any], answers: list[httpx.Response], status: str):
    route = respx.get(URL).mock(side_effect=answers)
    ended = wait()
    assert (ended.status, ended.done) == (status, True)
    assert route.call_count == len(answers)


@respx.mock
def test_s1_17_the_four_words_are_seen_in_turn():
    respx.get(f"{URL}/status").mock(
        side_effect=[
            httpx.Response(200, json={"status": word, "done": word in ("completed", "failed")}, headers=ECHO)
            for word in ("pending", "running", "completed", "failed")
        ]
    )
    job = client_of(None).job("my-job")
    assert [job.get_execution_status("exec-1") for _ in range(4)] == ["pending", "running", "completed", "failed"]


@respx.mock
@pytest.mark.parametrize(
    "passing",
    [
        httpx.Response(503, json=problem(503, "unavailable", "-"), headers=ECHO),
        httpx.Response(503, text="<h1>no upstream</h1>"),
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(504),
        httpx.Response(429, headers={"Retry-After": "2"}),
        httpx.Response(408),
        httpx.ReadError("cut"),
        httpx.RemoteProtocolError("cut"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
    ids=lambda passing: str(getattr(passing, "status_code", type(passing).__name__)),
)
def test_what_passes_in_mid_wait_is_survived(wait: Callable[..., Any], passing: Any):
    respx.get(URL).mock(side_effect=[view("running"), passing, passing, view("running"), passing, view("completed")])
    assert wait().status == "completed"


@respx.mock
def test_a_404_ends_a_wait_at_once(wait: Callable[..., Any]):
    route = respx.get(URL).respond(404, json=problem(404, "not_found", "there is no execution exec-1"), headers=ECHO)
    with pytest.raises(NotFound, match="exec-1"):
        wait()
    assert route.call_count == 1


@respx.mock
def test_a_failure_is_raised_when_asked_for(wait: Callable[..., Any]):
    respx.get(URL).mock(return_value=theirs("timeout"))
    with pytest.raises(ExecutionFailed, match="exec-1 failed: TimeoutError"):
        wait(raise_on_failure=True)


@respx.mock
@pytest.mark.parametrize("answer", [view("running"), theirs("running"), httpx.Response(503), httpx.ConnectError("refused")])
@pytest.mark.parametrize("max_wait", [0.3, 1, 7.5])
def test_max_wait_is_never_overslept(answer: Any, max_wait: float):
    respx.get(URL).mock(side_effect=answer if isinstance(answer, Exception) else lambda _: answer)
    client = client_of(None)
    began = client._seam.monotonic()
    with pytest.raises(WaitTimeoutError):
        client.job("my-job").wait_for_execution("exec-1", max_wait=max_wait)
    assert max_wait <= client._seam.monotonic() - began <= max_wait + 0.1
    assert slept(client) <= max_wait


# On a real server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("wait"), "memory:", "--simulate", "--slots", "600") as server:
        yield server


@pytest.fixture
def slow(server: Server) -> Iterator[str]:
    """An execution that runs until it is cancelled."""
    with JobsClient(server.url) as client:
        id = client.job("my-job").create_execution({"tasks": [{"hang": True}]})
        yield id
        client.job("my-job").cancel_execution(id)


@pytest.mark.parametrize("run", [asyncio.run, trio.run])
@pytest.mark.parametrize("verb", ["await_for_execution", "await_for_executions"])
def test_s1_26_a_cancelled_wait_ends_within_50_ms_and_the_execution_goes_on(server: Server, slow: str, run: Any, verb: str):
    jobs = JobsClient(server.url)

    async def attempt() -> float:
        job = jobs.job("my-job")
        await job.aget_execution_status(slow)
        async with anyio.create_task_group() as group:
            group.start_soon(getattr(job, verb), slow if verb == "await_for_execution" else [slow])
            await anyio.sleep(0.2)
            began = time.monotonic()
            group.cancel_scope.cancel()
        took = time.monotonic() - began
        assert await job.aget_execution_status(slow) == "running"
        return took

    async def main() -> None:
        await awithin(0.05, attempt)

    run(main) if run is trio.run else run(main())


INTERRUPTED = """
import asyncio, sys
from blaxel_jobs import bl_job
job = bl_job("my-job")
print("waiting", flush=True)
{wait}
"""


@pytest.mark.parametrize(
    "wait",
    [
        "job.wait_for_execution(sys.argv[1])",
        "job.wait_for_executions([sys.argv[1]])",
        "asyncio.run(job.await_for_execution(sys.argv[1]))",
        "asyncio.run(job.await_for_executions([sys.argv[1]]))",
    ],
)
def test_s1_26_ctrl_c_ends_the_wait_and_not_the_execution(server: Server, slow: str, wait: str):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(wait=wait), slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=plain_environment(BL_API_URL=server.url), text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.5)  # into the wait: nothing tells from outside when it has begun
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)  # the execution goes on for longer
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    with JobsClient(server.url) as client:
        assert client.job("my-job").get_execution_status(slow) == "running"


def test_s1_23_a_wait_ends_within_20_ms_of_the_execution(server: Server):
    with JobsClient(server.url) as client:
        job = client.job("my-job")

        def late() -> float:
            ended = job.wait_for_execution(job.create_execution({"tasks": [{"duration": 0.1}]}))
            return time.time() - ended.ended_at.timestamp()

        within(0.02, late, tries=10)
