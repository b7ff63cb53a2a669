"""openapi.yaml as a judge: every answer of the server is held against it."""

import json
import re
from collections.abc import Iterable, Iterator
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


def content_of(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """Media type and schema of the answer to this request, None for a path or method that the contract does not have.

    Of a path that is spelt out and one with a name in its place, the first is meant.
    """
    for template, item in sorted(DOCUMENT["paths"].items(), key=lambda entry: entry[0].count("{")):
        prefix = "" if "servers" in item else DOCUMENT["servers"][0]["url"]
        if re.fullmatch(prefix + re.sub(r"\{\w+\}", "[^/]+", template), path):
            operation = item.get({"HEAD": "get"}.get(method, method.lower()))
            if operation and "200" in operation["responses"]:
                ((media_type, content),) = operation["responses"]["200"]["content"].items()
                return media_type, content["schema"]
    return None


def read_events(lines: Iterable[str], schema: str = "ExecutionUpdate") -> list[tuple[str, Any]]:
    """All events of a stream of server-sent events; see `each_event`."""
    return list(each_event(lines, schema))


def each_event(lines: Iterable[str], schema: str = "ExecutionUpdate") -> Iterator[tuple[str, Any]]:
    """The events of a stream as they come: ("comment", text), ("update", of this schema) or ("end", {}). Raises for others.

    Where an event says `id:`, it is that of what it carries.
    """
    name = id = None
    ended = False
    for line in lines:
        assert not ended or not line, "the end comes last"
        field, _, value = line.partition(": ")
        if line.startswith(":"):
            yield "comment", line[1:].strip()
        elif field == "event":
            assert value in ("update", "end")
            assert name is None
            name = value
        elif field == "id":
            assert id is None
            id = value
        elif field == "data":
            assert name is not None
            data = json.loads(value)
            if name == "update":
                check_schema(schema, data)
                assert id == (str(data["id"]) if schema == "JobExecutionEvent" else None)
            else:
                assert data == {}
                ended = True
            yield name, data
            name = id = None
        else:
            assert line == "", line


def check_answer(response: httpx.Response) -> None:
    """Hold an answer against the contract: its status, headers and body."""
    request = response.request
    assert response.headers["x-request-id"]
    assert response.headers.get("cache-control") == ("no-store" if response.request.method in ("GET", "HEAD") else None)
    assert response.headers.get("jobs-contract") == ("1" if "jobs-contract" in request.headers else None)
    if response.status_code == 204 or request.method == "HEAD":
        assert response.content == b""
    elif response.status_code == 200:
        content = content_of(request.method, request.url.raw_path.partition(b"?")[0].decode())
        assert content is not None, f"{request.method} {request.url} is not in the contract, and was answered 200"
        media_type, schema = content
        assert response.headers["content-type"].partition(";")[0] == media_type
        if media_type == "text/event-stream":
            assert "content-length" not in response.headers
            read_events(response.text.split("\n"), "ExecutionUpdate" if request.method == "POST" else "JobExecutionEvent")
        elif media_type == "application/json":
            check_schema(schema["$ref"].rpartition("/")[2], response.json())
    else:
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        check_schema("Problem", problem)
        assert problem["status"] == problem["code"] == response.status_code
        assert problem["requestId"] == response.headers["x-request-id"]
        assert "Traceback" not in response.text
