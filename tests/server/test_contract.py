"""The server against openapi.yaml: every operation with generated requests."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from blaxel_jobs.server.keys import Keyring, read_key
from blaxel_jobs.server.serve import bind
from tests.pace import PATIENCE
from tests.server.contract import DOCUMENT, read_events
from tests.serving import live

REFUSED = ["400", "404", "405", "413", "415", "422"]
"""Statuses of a request that is wrong. One with too many items may be too large as well."""
CONFIG = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})
SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi.yaml", config=CONFIG)
CASES = [
    (path, method.upper(), mode)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "put", "delete")
    for mode in GenerationMode
    # Without a parameter and a body nothing can be wrong.
    if "parameters" in item or "requestBody" in item[method] or mode is GenerationMode.POSITIVE
]
KEY = "k"
HEADERS = {"X-Blaxel-Authorization": f"Bearer {KEY}", "Jobs-Contract": "1"}
ACCEPTED: Any = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
"""Wrong where a generated request that is wrong is right but for its made-up cursor."""
CONFORMS: Any = schemathesis.checks.CHECKS.get_one("response_schema_conformance")
"""Takes the schema of a stream, which is text, for that of each event. What is in the events is held against theirs here."""


@contextmanager
def serve(store: str) -> Iterator[str]:
    """A durable server; nobody runs what is created there."""
    from blaxel_jobs.engine import Engine
    from blaxel_jobs.server.app import create_app
    from blaxel_jobs.stores import open_store
    from blaxel_jobs.system import SystemClock, id_factory, new_key, rng

    engine = Engine(open_store(store), clock=SystemClock(), new_id=id_factory(), rng=rng)
    with live(create_app(engine, version="1", new_id=new_key, keys=Keyring([read_key(KEY, "test")]))) as url:
        yield url
    engine.close()


@contextmanager
def serve_mock() -> Iterator[str]:
    """A mock with a key, in strict mode."""
    from mock_server.live import Live
    from mock_server.loop import LoopThread, new_loop
    from mock_server.namespaces import Hub, Options

    hub = Hub(Options(keys=[read_key(KEY, "test")], strict=True))
    thread = LoopThread(new_loop(hub.idle))

    async def begin() -> Live:
        await hub.open()
        listening = Live(hub, bind("127.0.0.1", 0))
        await listening.open()
        return listening

    listening = thread.submit(begin()).result(20)
    yield listening.url
    told = [why for place in hub.named.values() for why in place.breaches]

    async def end() -> None:
        await listening.close()
        await hub.close()

    thread.stop(end())
    assert not told


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where each server is; each generated request is sent to all of them."""
    with (
        serve("memory:") as memory,
        serve(f"sqlite:///{tmp_path_factory.mktemp('store') / 'jobs.db'}") as sqlite,
        serve_mock() as mock,
    ):
        yield {"memory": memory, "sqlite": sqlite, "mock": mock}


@pytest.fixture
def empty(served: dict[str, str], request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Servers on which a stream ends at once: of executions that there are, and that nobody runs, it would not."""
    with serve("memory:") as url:
        yield {"memory": url, "mock": f"{served['mock']}/ns/{abs(hash(request.node.name))}"}


def _mend(case: schemathesis.Case[Any]) -> None:
    """What a schema cannot say: a cursor is opaque, so none can be made up."""
    (case.query or {}).pop("cursor", None)


def _hurry(case: schemathesis.Case[Any]) -> None:
    """What waits until its time is over: a claim, for there are no tasks, and a long poll of what an earlier request has made."""
    headers: Any = case.headers
    if headers and re.fullmatch("wait=[0-9]+", headers.get("Prefer", "")):
        headers["Prefer"] = "wait=0"
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("waitMs"), int | float) and 0 < body["waitMs"] <= 30_000:
        body["waitMs"] = 1


def judge(roots: Mapping[str, str], path: str, method: str, mode: GenerationMode, examples: int) -> None:
    """Send generated requests of an operation to these servers, and hold the answers against the contract."""
    operation = SCHEMA[path][method]
    streamed = is_streamed(path, method)
    excluded = [ACCEPTED] * (mode is not GenerationMode.POSITIVE) + [CONFORMS] * streamed
    asked = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # making an example of ten thousand ids smaller takes longer than a test may
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            _mend(case)
        _hurry(case)
        for root in roots.values():
            base = root if "servers" in DOCUMENT["paths"][path] else f"{root}/v0"
            response = case.call_and_validate(base_url=base, headers=HEADERS, excluded_checks=excluded, timeout=PATIENCE)
            if streamed and response.status_code == 200:
                schema = "ExecutionUpdate" if method == "POST" else "JobExecutionEvent"
                told = read_events(response.text.split("\n"), schema)
                assert told[-1] == ("end", {}) or response.stream_cut_short
        asked.append(case)

    send()
    assert asked


def is_streamed(path: str, method: str) -> bool:
    return "text/event-stream" in DOCUMENT["paths"][path][method.lower()]["responses"].get("200", {}).get("content", {})


@pytest.mark.row("K-09")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=str)
def test_generated_requests(
    served: dict[str, str], request: pytest.FixtureRequest, path: str, method: str, mode: GenerationMode
) -> None:
    judge(request.getfixturevalue("empty") if is_streamed(path, method) else served, path, method, mode, 20)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=str)
def test_many_generated_requests(
    served: dict[str, str], request: pytest.FixtureRequest, path: str, method: str, mode: GenerationMode
) -> None:
    judge(request.getfixturevalue("empty") if is_streamed(path, method) else served, path, method, mode, 200)
