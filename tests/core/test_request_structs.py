"""The structs of requests against the schemas of openapi.yaml, field by field."""

import re
from typing import Any

import msgspec
import pytest

from blaxel_jobs.core import bodies, lease_requests
from tests.server.contract import DOCUMENT

CHECKED = ("type", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "format", "const")
STRUCTS = {
    "CreateJobExecutionRequest": bodies.CreateRequest,
    "BatchItem": bodies.BatchItem,
    "RerunExecutionRequest": bodies.Options,
    "CreateBatchRequest": bodies.BatchRequest,
    "RetryPolicy": bodies.RetryPolicyRequest,
    "JobDefinition": bodies.DefinitionRequest,
    "ExecutionIds": bodies.ExecutionIds,
    "DeleteExecutionRequest": bodies.DeleteRequest,
    "SendExecutionEventRequest": bodies.EventRequest,
    "ClaimLeasesRequest": lease_requests.ClaimRequest,
    "ExtendLeasesRequest": lease_requests.HeartbeatRequest,
    "LeaseRef": lease_requests.LeaseName,
    "ReportLeasesRequest": lease_requests.ReportsRequest,
    "CompletedReport": lease_requests.CompletedReport,
    "FailedReport": lease_requests.FailedReport,
    "ReleasedReport": lease_requests.ReleasedReport,
    "CrashedReport": lease_requests.CrashedReport,
    "SteppedReport": lease_requests.SteppedReport,
    "SleptReport": lease_requests.SleptReport,
    "AwaitedReport": lease_requests.AwaitedReport,
    "NotedReport": lease_requests.NotedReport,
    "ReportedFailure": lease_requests.ReportedFailure,
    "Progress": lease_requests.ProgressRequest,
    "LogLine": lease_requests.LogLineRequest,
}
"""The schemas of requests, and the struct of each."""
DEFAULT_OF_STRUCT = {"RetryPolicy", "DeleteExecutionRequest", "ClaimLeasesRequest"}
"""Where the struct itself says what is meant by a field that is left out."""


def comparable(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """What both spellings of a schema must agree on. A schema that has a struct of its own is compared by itself."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        named = definitions[name]
        if named.get("type") == "object":
            return named["title"] if "title" in named else STRUCTS[name].__name__
        schema = named
    if "oneOf" in schema or "anyOf" in schema:
        branches = [comparable(branch, definitions) for branch in schema.get("oneOf") or schema["anyOf"]]
        return sorted(branches) if "discriminator" in schema else branches
    found = {word: schema[word] for word in CHECKED if word in schema}
    pattern = schema.get("pattern", "").replace(r"\Z", "$")
    words = re.fullmatch(r"\^\(([a-z_|]+)\)\$", pattern)
    if words:
        found["words"] = set(words[1].split("|"))
    elif "enum" in schema:
        one = len(schema["enum"]) == 1
        found |= {"type": "string", **({"const": schema["enum"][0]} if one else {"words": set(schema["enum"])})}
    elif pattern:
        found["pattern"] = pattern
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            found[word] = comparable(schema[word], definitions)
    if found.get("items") == {"type": "object"} or schema.get("additionalProperties") is True:
        found.pop("additionalProperties", None)
    return {word: value for word, value in found.items() if value != {}}


def test_every_schema_of_a_request_has_a_struct() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    closed = {name for name, schema in schemas.items() if schema.get("additionalProperties") is False}
    assert closed == STRUCTS.keys()


@pytest.mark.parametrize("name", STRUCTS)
def test_the_struct_is_the_schema(name: str) -> None:
    (reference,), definitions = msgspec.json.schema_components([STRUCTS[name]])
    ours = definitions[reference["$ref"].rpartition("/")[2]]
    documents = DOCUMENT["components"]["schemas"]
    theirs = documents[name]
    assert ours["additionalProperties"] is theirs["additionalProperties"] is False
    assert set(ours["required"]) == set(theirs.get("required", ()))
    assert ours["properties"].keys() == theirs["properties"].keys()
    for field, schema in theirs["properties"].items():
        assert comparable(ours["properties"][field], definitions) == comparable(schema, documents), field
        if name in DEFAULT_OF_STRUCT and field not in theirs.get("required", ()) and field != "executionId":
            assert ours["properties"][field]["default"] == schema["default"]


def test_the_words_of_requests_are_those_of_answers() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["NewPriority"]["pattern"] == f"^({'|'.join(schemas['Priority']['examples'])})$"
