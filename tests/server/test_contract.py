"""The server against openapi.yaml: every operation with generated requests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from blaxel_jobs.server.keys import Keyring, read_key
from tests.server.conftest import live
from tests.server.contract import DOCUMENT, read_events

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi.yaml")
CASES = [
    (path, method.upper(), mode)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "put", "delete")
    for mode in GenerationMode
    # Without a parameter and a body nothing can be wrong.
    if "parameters" in item or "requestBody" in item[method] or mode is GenerationMode.POSITIVE
]
ACCEPTED: Any = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
"""Wrong where a generated request that is wrong is right but for its made-up cursor."""
CONFORMS: Any = schemathesis.checks.CHECKS.get_one("response_schema_conformance")
"""Takes the schema of a stream, which is text, for that of each event. What is in the events is held against theirs here."""


@contextmanager
def serve(store: str) -> Iterator[str]:
    from blaxel_jobs.engine import Engine
    from blaxel_jobs.server.app import create_app
    from blaxel_jobs.stores import open_store
    from blaxel_jobs.system import SystemClock, id_factory, new_key, rng

    engine = Engine(open_store(store), clock=SystemClock(), new_id=id_factory(), rng=rng)
    with live(create_app(engine, version="1", new_id=new_key, keys=Keyring([read_key("k", "test")]))) as url:
        yield url
    engine.close()


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve("memory:" if request.param == "memory" else f"sqlite:///{tmp_path_factory.mktemp('store') / 'jobs.db'}") as url:
        yield url


@pytest.fixture
def empty() -> Iterator[str]:
    """A server on which a stream ends at once: of executions that there are, and that nobody runs, it would not."""
    with serve("memory:") as url:
        yield url


def _mend(case: schemathesis.Case[Any]) -> None:
    """What a schema cannot say: a cursor is opaque, so none can be made up."""
    (case.query or {}).pop("cursor", None)


def _hurry(case: schemathesis.Case[Any]) -> None:
    """A claim that is right waits for tasks, of which there are none."""
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("waitMs"), int | float) and 0 < body["waitMs"] <= 30_000:
        body["waitMs"] = 1


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=str)
def test_generated_requests(served: str, empty: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method]
    media_types = DOCUMENT["paths"][path][method.lower()]["responses"].get("200", {}).get("content", {})
    streamed = "text/event-stream" in media_types
    root = empty if streamed else served
    base = root if "servers" in DOCUMENT["paths"][path] else f"{root}/v0"
    excluded = [ACCEPTED] * (mode is not GenerationMode.POSITIVE) + [CONFORMS] * streamed
    asked = []

    @settings(
        max_examples=10,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # making an example of ten thousand ids smaller takes longer than a test may
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def judge(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            _mend(case)
        _hurry(case)
        headers = {"X-Blaxel-Authorization": "Bearer k", "Jobs-Contract": "1"}
        response = case.call_and_validate(base_url=base, headers=headers, excluded_checks=excluded)
        if streamed and response.status_code == 200:
            assert read_events(response.text.split("\n"), "ExecutionUpdate" if method == "POST" else "JobExecutionEvent")[-1] == (
                "end",
                {},
            )
        asked.append(case)

    judge()
    assert asked
