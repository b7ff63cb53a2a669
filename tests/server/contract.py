"""openapi.yaml as a judge: every answer of the server is held against it."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())


def _closed(schema: Any) -> Any:
    """The schema without room for properties that it does not name."""
    if isinstance(schema, list):
        return [_closed(child) for child in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(child) for name, child in schema.items()}
    if "properties" in closed and "type" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


_REGISTRY: Registry[Any] = Registry().with_resource(
    "urn:contract", Resource(contents=_closed(deepcopy(DOCUMENT)), specification=DRAFT202012)
)


def check_schema(name: str, value: Any) -> None:
    """Raise jsonschema.ValidationError unless the value is of this schema, and has nothing that it does not name."""
    schema = {"$ref": f"urn:contract#/components/schemas/{name}"}
    Draft202012Validator(schema, registry=_REGISTRY, format_checker=FormatChecker()).validate(value)


def schema_of(method: str, path: str) -> str | None:
    """The schema of the 200 answer to this request, None for a path or method that the contract does not have."""
    for template, item in DOCUMENT["paths"].items():
        prefix = "" if "servers" in item else DOCUMENT["servers"][0]["url"]
        if re.fullmatch(prefix + re.sub(r"\{\w+\}", "[^/]+", template), path):
            operation = item.get({"HEAD": "get"}.get(method, method.lower()))
            if operation:
                reference = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
                return str(reference.rpartition("/")[2])
    return None


def check_answer(response: httpx.Response) -> None:
    """Hold an answer against the contract: its status, headers and body."""
    request = response.request
    assert response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers.get("jobs-contract") == ("1" if "jobs-contract" in request.headers else None)
    if response.status_code == 204 or request.method == "HEAD":
        assert response.content == b""
    elif response.status_code == 200:
        assert response.headers["content-type"] == "application/json"
        schema = schema_of(request.method, request.url.raw_path.partition(b"?")[0].decode())
        assert schema is not None, f"{request.method} {request.url} is not in the contract, and was answered 200"
        check_schema(schema, response.json())
    else:
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        check_schema("Problem", problem)
        assert problem["status"] == problem["code"] == response.status_code
        assert problem["requestId"] == response.headers["x-request-id"]
        assert "Traceback" not in response.text
