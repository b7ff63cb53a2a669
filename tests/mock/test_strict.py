"""Strict mode holds requests and answers against openapi.yaml. Who breaks it is caught, by that and by generated requests."""

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import httpx
import pytest
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from blaxel_jobs import ServerError, bl_job
from blaxel_jobs.engine import Engine
from blaxel_jobs.errors import ContractError
from blaxel_jobs.server.app import App, create_app
from blaxel_jobs.server.keys import Keyring, read_key
from blaxel_jobs.stores import MemoryJobStore
from blaxel_jobs.system import SystemClock, id_factory, new_key, rng
from mock_server import MockServer
from mock_server.strict import Strict
from tests.server.test_contract import HEADERS, KEY, judge
from tests.serving import ROOT, live, plain_environment

EXECUTIONS = "/v0/jobs/my-job/executions"


class Answer(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def told(self, **changes: Any) -> "Answer":
        """With other members in its JSON object; None takes one out."""
        view = {name: value for name, value in {**json.loads(self.body), **changes}.items() if value is not None}
        return self.saying(json.dumps(view).encode())

    def saying(self, body: bytes) -> "Answer":
        return self._replace(body=body, headers={**self.headers, b"content-length": b"%d" % len(body)})

    def typed(self, content_type: bytes) -> "Answer":
        return self._replace(headers={**self.headers, b"content-type": content_type})


Plant = Callable[[Answer], Answer]


class Planted:
    """An app whose answers are changed on their way."""

    def __init__(self, app: App, plant: Plant) -> None:
        self._app, self._plant = app, plant
        self.drain, self.new_request_id = app.drain, app.new_request_id

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, keep)
        start, *chunks = sent
        body = b"".join(chunk.get("body", b"") for chunk in chunks)
        answer = self._plant(Answer(start["status"], dict(start["headers"]), body))
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers.items())})
        await send({"type": "http.response.body", "body": answer.body})


def planted(plant: Plant) -> Planted:
    engine = Engine(MemoryJobStore(), clock=SystemClock(), new_id=id_factory(), rng=rng)
    return Planted(create_app(engine, version="1", new_id=new_key, keys=Keyring([read_key(KEY, "test")])), plant)


def served(plant: Plant) -> Plant:
    """For what was served, not for refusals."""
    return lambda answer: plant(answer) if answer.status == 200 else answer


def refused(plant: Plant) -> Plant:
    return lambda answer: plant(answer) if answer.status >= 400 else answer


CREATED = json.dumps({"executionId": "e1", "id": "e1", "jobId": "j", "workspaceId": "w", "disposition": "created"}).encode()
CREATE, LIST, UNKNOWN = ("/jobs/{job}/executions", "POST"), ("/jobs/{job}/executions", "GET"), ("/jobs/{job}", "GET")
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
BREACHES: dict[str, tuple[tuple[str, str], GenerationMode, Plant]] = {
    "a required field is missing": (CREATE, POSITIVE, served(lambda answer: answer.told(executionId=None))),
    "a field has another type": (CREATE, POSITIVE, served(lambda answer: answer.told(executionId=7))),
    "a list is an object": (LIST, POSITIVE, served(lambda answer: answer.told(data={}))),
    "a status that nobody wrote down": (LIST, POSITIVE, served(lambda answer: answer._replace(status=201))),
    "another media type": (LIST, POSITIVE, served(lambda answer: answer.typed(b"text/html"))),
    "a body that is no JSON": (LIST, POSITIVE, served(lambda answer: answer.saying(answer.body[:-1]))),
    "the server fails": (LIST, POSITIVE, served(lambda answer: answer._replace(status=500))),
    "a refusal without its code": (UNKNOWN, POSITIVE, refused(lambda answer: answer.told(code=None))),
    "a refusal that is no problem": (UNKNOWN, POSITIVE, refused(lambda answer: answer.typed(b"application/json"))),
    "a wrong request is served": (
        CREATE, NEGATIVE, refused(lambda answer: answer._replace(status=200).typed(b"application/json").saying(CREATED)),
    ),
    "a bare word for a refusal": (UNKNOWN, POSITIVE, refused(lambda answer: answer.saying(b'"no"'))),
}  # fmt: skip


@pytest.mark.row("K-09")
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", BREACHES)
def test_k_09_generated_requests_find_what_is_planted(name: str):
    (path, method), mode, plant = BREACHES[name]
    with live(planted(plant)) as url, pytest.raises(FailureGroup):
        judge({"planted": url}, path, method, mode, 12)


ONLY_STRICT: dict[str, Plant] = {
    "a field that nobody wrote down": served(lambda answer: answer.told(secret=1)),
    "no echo": lambda answer: answer._replace(headers={k: v for k, v in answer.headers.items() if k != b"jobs-contract"}),
    "no id": lambda answer: answer._replace(headers={k: v for k, v in answer.headers.items() if k != b"x-request-id"}),
    "stored by caches": lambda answer: answer._replace(headers={**answer.headers, b"cache-control": b"public"}),
    "another status in the body": refused(lambda answer: answer.told(code=499)),
}


@pytest.mark.parametrize("name", [*BREACHES, *ONLY_STRICT])
async def test_strict_mode_finds_what_is_planted(name: str):
    plant = BREACHES[name][2] if name in BREACHES else ONLY_STRICT[name]
    told: list[str] = []
    strict = Strict(planted(plant), lambda asked, why: told.append(why))
    transport = httpx.ASGITransport(app=strict)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=HEADERS) as http:
        answers = [
            await http.post(EXECUTIONS, json={"tasks": [{}]}),
            await http.get(EXECUTIONS),
            await http.get("/v0/jobs/never-seen"),
            await http.post(EXECUTIONS, json={"tasks": []}),
        ]
    assert told
    caught = [answer for answer in answers if answer.status_code == 500 and "strict mode" in answer.text]
    assert len(caught) == len(told)


async def test_strict_mode_lets_the_rest_pass():
    told: list[str] = []
    strict = Strict(planted(lambda answer: answer), lambda asked, why: told.append(why))
    transport = httpx.ASGITransport(app=strict)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=HEADERS) as http:
        assert (await http.post(EXECUTIONS, json={"tasks": [{}]})).status_code == 200
        assert (await http.post(EXECUTIONS, json={"tasks": []})).status_code == 422
        assert (await http.head(EXECUTIONS)).status_code == 200
        assert (await http.options(EXECUTIONS)).status_code == 204
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/metrics")).status_code == 200
        assert (await http.get("/nothing")).status_code == 404
    assert told == []


def test_a_mock_is_strict_in_these_tests():
    with MockServer() as mock:
        assert mock._hub.options.strict


def test_leaving_a_strict_mock_tells_of_breaches(monkeypatch: pytest.MonkeyPatch):
    from mock_server import strict

    contract = strict.Contract((ROOT / strict.FILE).read_text())
    contract.document["components"]["schemas"]["CreateJobExecutionOutput"]["required"].append("nonsense")
    contract = strict.Contract(json.dumps(contract.document))
    monkeypatch.setattr(strict, "contract", lambda: contract)
    with pytest.raises(ContractError, match="'nonsense|\"nonsense") as told, MockServer(strict=True) as mock:  # noqa: PT012
        with pytest.raises(ServerError, match="strict mode"):
            bl_job("my-job").create_execution({"tasks": [{}]})
        assert len(mock.breaches) == len(mock.requests) == 3
        assert "nonsense" in (mock.requests[0].breach or "")
    assert "3 times" in str(told.value)
    with MockServer(strict=False):
        bl_job("my-job").create_execution({"tasks": [{}]})


def test_strict_mode_costs_nothing_until_it_is_asked_for():
    code = (
        "import sys; from mock_server import MockServer; from blaxel_jobs import bl_job\n"
        "with MockServer(strict=False): bl_job('x').trigger({'duration': 5}).wait_done()\n"
        "print(*sorted({'jsonschema_rs', 'yaml', 'mock_server.strict', 'mock_server.transports'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=plain_environment(), capture_output=True, text=True, timeout=50
    )
    assert done.stdout.split() == [], done.stderr
