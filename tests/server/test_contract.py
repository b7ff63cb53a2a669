"""The server against openapi.yaml: the request structs field by field, and every operation with generated requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from blaxel_jobs.core.requests import CreateRequest, ExecutionIds
from blaxel_jobs.server.keys import Keyring, read_key
from tests.server.conftest import live
from tests.server.contract import DOCUMENT, read_events

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi.yaml")
CASES = [
    (path, method.upper(), mode)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "delete")
    for mode in GenerationMode
    # Without a parameter and a body nothing can be wrong.
    if "parameters" in item or "requestBody" in item[method] or mode is GenerationMode.POSITIVE
]
ACCEPTED: Any = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
"""Wrong where a generated request that is wrong is right but for its made-up cursor."""
CONFORMS: Any = schemathesis.checks.CHECKS.get_one("response_schema_conformance")
"""Takes the schema of a stream, which is text, for that of each event. What is in the events is held against theirs here."""
CHECKED = ("type", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "pattern", "required")


def comparable(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What both spellings of a schema must agree on."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    found = {word: schema[word] for word in CHECKED if word in schema}
    if "pattern" in found:
        found["pattern"] = found["pattern"].replace(r"\Z", "$")
    if "enum" in schema:
        found |= {"type": "string", "words": set(schema["enum"])}
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            found[word] = comparable(schema[word], definitions)
    if found.get("items") == {"type": "object"} or schema.get("additionalProperties") is True:
        found.pop("additionalProperties", None)
    return {word: value for word, value in found.items() if value != {}}


def test_the_ids_struct_is_the_schema() -> None:
    (reference,), definitions = msgspec.json.schema_components([ExecutionIds])
    theirs = DOCUMENT["components"]["schemas"]["ExecutionIds"]
    ours = definitions[reference["$ref"].rpartition("/")[2]]
    assert ours["additionalProperties"] is theirs["additionalProperties"] is False
    assert ours["required"] == theirs["required"]
    assert ours["properties"] == theirs["properties"]


def test_the_create_struct_is_the_schema() -> None:
    (reference,), definitions = msgspec.json.schema_components([CreateRequest])
    ours = definitions[reference["$ref"].rpartition("/")[2]]
    documents = DOCUMENT["components"]["schemas"]
    theirs = documents["CreateJobExecutionRequest"]
    assert ours["additionalProperties"] is theirs["additionalProperties"] is False
    assert ours["required"] == []
    assert ours["properties"].keys() == theirs["properties"].keys()
    for name, schema in theirs["properties"].items():
        expected = comparable(schema, documents)
        if name == "priority":
            words = expected.pop("pattern").removeprefix("^(").removesuffix(")$")
            expected["words"] = set(words.split("|"))
            assert expected["words"] == set(documents["Priority"]["examples"])
        assert comparable(ours["properties"][name], definitions) == expected, name


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from blaxel_jobs.engine import Engine
    from blaxel_jobs.server.app import create_app
    from blaxel_jobs.stores import open_store
    from blaxel_jobs.system import SystemClock, id_factory, new_key, rng

    store = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path_factory.mktemp('store') / 'jobs.db'}")
    engine = Engine(store, clock=SystemClock(), new_id=id_factory(), rng=rng)
    with live(create_app(engine, version="1", new_id=new_key, keys=Keyring([read_key("k", "test")]))) as url:
        yield url
    engine.close()


def _mend(case: schemathesis.Case[Any]) -> None:
    """What a schema cannot say: a cursor is opaque, so none can be made up."""
    (case.query or {}).pop("cursor", None)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=str)
def test_generated_requests(served: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method]
    base = served if "servers" in DOCUMENT["paths"][path] else f"{served}/v0"
    streamed = "text/event-stream" in DOCUMENT["paths"][path][method.lower()]["responses"]["200"]["content"]
    excluded = [ACCEPTED] * (mode is not GenerationMode.POSITIVE) + [CONFORMS] * streamed
    asked = []

    @settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def judge(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            _mend(case)
        headers = {"X-Blaxel-Authorization": "Bearer k", "Jobs-Contract": "1"}
        response = case.call_and_validate(base_url=base, headers=headers, excluded_checks=excluded)
        if streamed and response.status_code == 200:
            assert read_events(response.text.split("\n"))[-1] == ("end", {})
        asked.append(case)

    judge()
    assert asked
