"""The server against openapi.yaml: the request structs field by field, and every operation with generated requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from blaxel_jobs.core.requests import CreateRequest
from blaxel_jobs.server.keys import Keyring, read_key
from tests.server.conftest import live
from tests.server.contract import DOCUMENT

SCHEMA = schemathesis.openapi.from_path(Path(__file__).parents[2] / "openapi.yaml")
CASES = [
    (path, method.upper(), mode)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "delete")
    for mode in GenerationMode
    if "parameters" in item or mode is GenerationMode.POSITIVE  # without a parameter nothing can be wrong
]
ACCEPTED: Any = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
"""Wrong where a generated request that is wrong is right but for its made-up cursor."""
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
            expected["words"] = set(documents["Priority"]["examples"])
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
    """What a schema cannot say: a cursor is opaque, so none can be made up, and a priority is one of four words."""
    (case.query or {}).pop("cursor", None)
    if isinstance(case.body, dict) and "priority" in case.body:
        case.body["priority"] = "high"


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("path", "method", "mode"), CASES, ids=str)
def test_generated_requests(served: str, path: str, method: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method]
    base = served if "servers" in DOCUMENT["paths"][path] else f"{served}/v0"
    asked = []

    @settings(max_examples=10, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def judge(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE:
            _mend(case)
        headers = {"X-Blaxel-Authorization": "Bearer k", "Jobs-Contract": "1"}
        case.call_and_validate(
            base_url=base, headers=headers, excluded_checks=[] if mode is GenerationMode.POSITIVE else [ACCEPTED]
        )
        asked.append(case)

    judge()
    assert asked
