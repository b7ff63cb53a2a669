"""The mock behind clients that are not ours: transports of httpx and httpx2, and respx."""

import importlib
from typing import Any

import pytest
import respx
import trio

from blaxel_jobs import ConfigError
from mock_server import MockServer

PATH = "/v0/jobs/my-job/executions"


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return importlib.import_module(request.param)


def test_sync_clients_end_in_the_mock(jobs_mock: MockServer, library: Any):
    transport = jobs_mock.transport(library.__name__)
    with library.Client(transport=transport, base_url="https://api.blaxel.ai") as http:
        created = http.post(PATH, json={"input": {"duration": 60}})
        assert isinstance(created, library.Response)
        assert http.get(f"{PATH}/{created.json()['executionId']}").json()["status"] == "completed"
        assert "Mock-Elapsed" not in created.headers
        jobs_mock.assert_called("POST", PATH, times=1)


async def _ends_in_the_mock(mock: MockServer, library: Any) -> None:
    async with library.AsyncClient(transport=mock.async_transport(library.__name__), base_url="https://api.blaxel.ai") as http:
        created = await http.post(PATH, json={"input": {"duration": 60}})
        assert (await http.get(f"{PATH}/{created.json()['executionId']}")).json()["status"] == "completed"


async def test_async_clients_end_in_the_mock(jobs_mock: MockServer, library: Any):
    await _ends_in_the_mock(jobs_mock, library)


def test_so_they_do_under_trio(jobs_mock: MockServer, library: Any):
    trio.run(_ends_in_the_mock, jobs_mock, library)


def test_faults_are_that_librarys_errors(jobs_mock: MockServer, library: Any):
    raised = {
        "drop": library.RemoteProtocolError,
        "ack_lost": library.RemoteProtocolError,
        "truncated": library.RemoteProtocolError,
        "reset": library.ReadError,
        "hang": library.ReadTimeout,
    }
    with library.Client(transport=jobs_mock.transport(library.__name__), base_url="http://anything") as http:
        for kind, error in raised.items():
            with jobs_mock.faults.add(kind), pytest.raises(error):
                http.get(PATH)
        with jobs_mock.faults.add("latency", seconds=30), pytest.raises(library.ReadTimeout):
            http.get(PATH)
        with jobs_mock.faults.add("latency", seconds=30):
            assert http.get(PATH, timeout=60).status_code == 200


def test_a_library_that_is_not_there_is_named(jobs_mock: MockServer):
    with pytest.raises(ConfigError, match="pip install httpx9"):
        jobs_mock.transport("httpx9")


def test_respx_sends_it_all_to_the_mock(jobs_mock: MockServer):
    import httpx

    with jobs_mock.respx() as router:
        created = httpx.post(f"https://api.blaxel.ai{PATH}", json={"input": {"duration": 60}})
        assert httpx.get(f"https://api.blaxel.ai{PATH}/{created.json()['executionId']}").json()["status"] == "completed"
        assert router["mock"].call_count == 2
        with jobs_mock.faults.add("reset"), pytest.raises(httpx.ReadError):
            httpx.get(f"https://api.blaxel.ai{PATH}")


async def test_respx_beside_other_routes(jobs_mock: MockServer):
    import httpx

    with respx.mock(assert_all_called=False) as router, jobs_mock.respx("https://jobs.example/v0"):
        router.get("https://other.example/").respond(204)
        async with httpx.AsyncClient() as http:
            created = await http.post("https://jobs.example/v0/jobs/my-job/executions", json={"input": {}})
            assert created.status_code == 200
            assert (await http.get("https://other.example/")).status_code == 204
        assert len(jobs_mock.executions) == 1
