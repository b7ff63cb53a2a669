"""Strict mode: requests and our own answers, held against openapi.yaml.

A request that the contract refuses must not be served, and no answer may be other than it says, or have what it does not name.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import jsonschema_rs
import yaml

from blaxel_jobs.errors import ServerError
from blaxel_jobs.server.asgi import Message, Receive, Scope, Send
from blaxel_jobs.server.dialect import choose_dialect
from blaxel_jobs.server.exchange import Exchange
from blaxel_jobs.server.tokens import TOKEN_PATHS

from .asked import Asked, read_asked

FILE: Final = "openapi.yaml"
MOST_SHOWN: Final = 300

_ELSEWHERE: Final = frozenset(path.encode() for path in TOKEN_PATHS)
"""Served as the platform has them, whoever asks."""
_INTEGERS: Final = frozenset({"integer", "number"})


class Contract:
    """openapi.yaml as a judge. Each schema is compiled when it is needed first, and only once."""

    def __init__(self, text: str) -> None:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.document: dict[str, Any] = yaml.load(text, loader)  # noqa: S506 - either is a safe loader
        self._closed = _closed(self.document["components"])
        self._validators: dict[tuple[str, bool], Any] = {}
        prefix = self.document["servers"][0]["url"]
        self._operations = {
            _snake(operation["operationId"]): (item, operation)
            for item in self.document["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict) and "operationId" in operation
        }
        self._served = {("" if "servers" in item else prefix) + path for path, item in self.document["paths"].items()}

    def schema_breach(self, schema: Any, value: Any, *, closed: bool) -> str | None:
        """Where a value is not of a schema, in words."""
        key = (json.dumps(schema, sort_keys=True), closed)
        validator = self._validators.get(key)
        if validator is None:
            components = self._closed if closed else self.document["components"]
            whole = {**(_closed(schema) if closed else schema), "components": components}
            validator = self._validators[key] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        error = next(iter(validator.iter_errors(value)), None)
        if error is None:
            return None
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        return f"{place.lstrip('.') or 'it'}: {error.message}"[:MOST_SHOWN]

    def request_breach(self, asked: Asked, headers: dict[bytes, bytes], body: bytes) -> str | None:
        """Why the contract refuses this request; None for one that is as it says, and for one that it does not know."""
        known = self._operations.get(asked.operation or "")
        if known is None:
            return None
        item, operation = known
        for parameter in [*item.get("parameters", ()), *operation.get("parameters", ())]:
            why = self._parameter_breach(self._resolve(parameter), asked, headers)
            if why:
                return why
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        if not body:
            return "the body is missing" if operation["requestBody"].get("required") else None
        try:
            value = json.loads(body)
        except ValueError:
            return "the body is no JSON"
        why = self.schema_breach(content["schema"], value, closed=False)
        return f"the body at {why}" if why else None

    def answer_breach(
        self, asked: Asked, headers: dict[bytes, bytes], status: int, told: dict[bytes, bytes], body: bytes | None
    ) -> str | None:
        """In what an answer is not as the contract says. Without a body, only its head is judged."""
        if b"x-request-id" not in told:
            return "it has no X-Request-Id"
        if (b"jobs-contract" in headers) != (b"jobs-contract" in told):
            return "Jobs-Contract is to be echoed, and only then"
        if (told.get(b"cache-control") == b"no-store") != (asked.method in ("GET", "HEAD")):
            return "Cache-Control: no-store is for answers to GET and HEAD"
        media_type = told.get(b"content-type", b"").decode("latin-1").partition(";")[0]
        if status == 204 or asked.method == "HEAD":
            return "it has a body" if body else None
        if 200 <= status < 300:
            return self._success_breach(asked, status, media_type, body)
        if media_type != "application/problem+json":
            return f"a refusal is application/problem+json, not {media_type or 'nothing'}"
        return None if body is None else self._problem_breach(status, told, body)

    def event_breach(self, asked: Asked, data: bytes) -> str | None:
        """In what an event of a stream is not as the contract says."""
        schema = "JobExecutionEvent" if asked.operation == "stream_execution_events" else "ExecutionUpdate"
        return self._body_breach({"$ref": f"#/components/schemas/{schema}"}, data)

    def _success_breach(self, asked: Asked, status: int, media_type: str, body: bytes | None) -> str | None:
        known = self._operations.get(asked.operation or "") or self._other(asked)
        if known is None:
            return f"the contract does not have {asked.method} {asked.path}, and it was answered {status}"
        response = known[1]["responses"].get(str(status))
        if response is None:
            return f"the contract has no {status} here"
        content = self._resolve(response).get("content", {})
        if media_type not in content:
            return f"its Content-Type is {media_type!r}, not {' or '.join(content) or 'none'}"
        if body is None or media_type != "application/json":
            return None
        return self._body_breach(content[media_type]["schema"], body)

    def _problem_breach(self, status: int, told: dict[bytes, bytes], body: bytes) -> str | None:
        why = self._body_breach({"$ref": "#/components/schemas/Problem"}, body)
        if why is None:
            problem = json.loads(body)
            if problem["status"] != status or problem["code"] != status:
                why = f"it says {problem['status']} and {problem['code']} in an answer with {status}"
            elif problem["requestId"].encode() != told[b"x-request-id"]:
                why = "requestId is not X-Request-Id"
        return why

    def _body_breach(self, schema: Any, body: bytes) -> str | None:
        try:
            value = json.loads(body)
        except ValueError:
            return "its body is no JSON"
        return self.schema_breach(schema, value, closed=True)

    def _other(self, asked: Asked) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Operations that the engine has no part in."""
        item = self.document["paths"].get(asked.path) if asked.path in self._served else None
        method = {"HEAD": "get"}.get(asked.method, asked.method.lower())
        return (item, item[method]) if item is not None and method in item else None

    def _parameter_breach(self, parameter: dict[str, Any], asked: Asked, headers: dict[bytes, bytes]) -> str | None:
        name, place = parameter["name"], parameter["in"]
        if place == "header":
            text = headers[name.lower().encode()].decode("latin-1") if name.lower().encode() in headers else None
        elif place == "query":
            text = dict(parse_qsl(asked.query, keep_blank_values=True)).get(name)
        else:
            text = {"job": asked.job, "executionId": asked.execution}.get(name)
        if text is None:
            return f"{name} is missing" if parameter.get("required") and place != "path" else None
        schema = parameter["schema"]
        value: Any = text
        if self._resolve(schema).get("type") in _INTEGERS:
            value = int(text) if text.isascii() and text.isdecimal() else text
        why = self.schema_breach(schema, value, closed=False)
        return f"{place} parameter {name}, {why}" if why else None

    def _resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self.document
            for step in node["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            node = found
        return node


@lru_cache(maxsize=1)
def contract() -> Contract:
    """That of this version."""
    here = Path(__file__).resolve().parent
    # In a wheel it lies beside this module, in a checkout at its root.
    file = here / FILE if (here / FILE).is_file() else here.parent / FILE
    return Contract(file.read_text(encoding="utf-8"))


class Strict:
    """An app, whose exchanges are held against the contract. One that breaks it is answered 500, and told of."""

    def __init__(self, app: Any, on_breach: Callable[[Asked, str], None]) -> None:
        self._app = app
        self._contract = contract()
        self._on_breach = on_breach

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope.get("headers", ()))
        if scope["type"] != "http" or choose_dialect(headers).platform or scope["raw_path"] in _ELSEWHERE:
            await self._app(scope, receive, send)
            return
        path = scope["raw_path"].decode("latin-1")
        asked = read_asked(scope["method"], path, scope["query_string"].decode("latin-1"), lambda _: None)
        judged = _Judged(self._contract, asked, headers, scope, send, self._on_breach)
        await self._app(scope, judged.receiver(receive), judged.send)


class _Judged:
    """One exchange. Whole JSON bodies are held back until they are judged; a stream is judged as it passes."""

    def __init__(
        self,
        contract: Contract,
        asked: Asked,
        headers: dict[bytes, bytes],
        scope: Scope,
        send: Send,
        on_breach: Callable[[Asked, str], None],
    ) -> None:
        self._contract = contract
        self._asked = asked
        self._headers = headers
        self._scope = scope
        self._send = send
        self._on_breach = on_breach
        self._body = bytearray()
        self._start: Message | None = None
        self._answer = bytearray()
        self._passes = False
        self._streams = False
        self._over = False
        """Another answer was sent in its place."""
        self._events = bytearray()

    def receiver(self, receive: Receive) -> Receive:
        async def heard() -> Message:
            message = await receive()
            if message["type"] == "http.request" and self._asked.operation != "put_artifact":
                self._body += message.get("body", b"")
            return message

        return heard

    async def send(self, message: Message) -> None:
        if self._over:
            return
        if message["type"] == "http.response.start":
            self._start = message
            media_type = dict(message["headers"]).get(b"content-type", b"")
            self._streams = media_type.startswith(b"text/event-stream")
            self._passes = message["status"] != 204 and not media_type.startswith((b"application/json", b"application/problem"))
            if self._passes:
                await self._judge(None)
            return
        if self._passes:
            if self._streams:
                self._judge_events(message.get("body", b""))
            await self._send(message)
            return
        self._answer += message.get("body", b"")
        if not message.get("more_body"):
            await self._judge(bytes(self._answer))

    async def _judge(self, body: bytes | None) -> None:
        start = self._start
        assert start is not None
        status, told = start["status"], dict(start["headers"])
        why = self._contract.answer_breach(self._asked, self._headers, status, told, body)
        why = f"the answer breaks the contract: {why}" if why else None
        if why is None and 200 <= status < 300:
            refused = self._contract.request_breach(self._asked, self._headers, bytes(self._body))
            why = f"a request was served that the contract refuses: {refused}" if refused else None
        if why is not None:
            self._on_breach(self._asked, why)
            self._over = True
            request_id = told.get(b"x-request-id", b"mock").decode("latin-1")
            headers, body = Exchange(self._scope, lambda: request_id).problem(ServerError(f"strict mode: {why}"))
            start = {"type": "http.response.start", "status": 500, "headers": headers}
        await self._send(start)
        if body is not None:
            await self._send({"type": "http.response.body", "body": b"" if self._asked.method == "HEAD" else body})

    def _judge_events(self, chunk: bytes) -> None:
        self._events += chunk
        *whole, rest = bytes(self._events).split(b"\n\n")
        self._events = bytearray(rest)
        for event in whole:
            fields = dict(line.partition(b": ")[::2] for line in event.split(b"\n"))
            if fields.get(b"event") == b"update":
                why = self._contract.event_breach(self._asked, fields.get(b"data", b""))
                if why is not None:
                    self._on_breach(self._asked, f"an event of the stream breaks the contract: {why}")


def _snake(word: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in word)


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
