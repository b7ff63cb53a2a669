"""What goes over the wire, and what comes back as which error."""

import datetime
import json
from typing import Any

import httpx
import pytest
import respx

from blaxel_jobs import (
    ConnectionFailed,
    ContractError,
    CreateJobExecutionRequest,
    InvalidRequest,
    JobPriority,
    JobsClient,
    NotFound,
    RequestError,
    RequestTimeout,
    TooManyRequests,
    Unavailable,
    bl_job,
    configure,
)
from blaxel_jobs import __version__ as version
from blaxel_jobs.errors import Conflict, IllegalTransition, LeaseLost, ServerError, Unauthorized
from tests.sdk.fakes import BASE, Echo, created_view, execution_view, page, problem

LOCAL = "http://127.0.0.1:8080/v0"


@respx.mock
def test_k_03_respx_stands_in_for_the_server():
    create = respx.post(f"{LOCAL}/jobs/my-job/executions").respond(json=created_view())
    status = respx.get(f"{LOCAL}/jobs/my-job/executions/exec-1/status").respond(json={"status": "running", "done": False})
    job = bl_job("my-job")
    assert job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 60}])) == "exec-1"
    assert job.get_execution_status("exec-1") == "running"
    assert create.call_count == status.call_count == 1
    assert json.loads(create.calls.last.request.content) == {"tasks": [{"duration": 60}]}


@respx.mock
async def test_k_03_respx_stands_in_for_the_server_of_an_async_call():
    respx.get(f"{LOCAL}/jobs/my-job/executions/exec-1").mock(
        side_effect=[httpx.Response(503), httpx.Response(200, json=execution_view(status="completed"))]
    )
    async with JobsClient() as client:
        assert (await client.job("my-job").aget_execution("exec-1")).done


def test_s1_08_making_a_job_needs_nothing_and_opens_nothing():
    with respx.mock(assert_all_called=False) as router:
        job = bl_job("my-job")
        assert job.name == "my-job"
        assert repr(job) == "<Job my-job>"
        assert not router.calls


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 129, "ä", None, 5, "a\n"])
def test_s1_08_a_bad_name_is_refused_at_once(name: Any):
    with pytest.raises(ValueError, match="is not a job name"):
        bl_job(name)


def test_every_request_says_who_it_is():
    echo = Echo({"status": "pending", "done": False})
    echo.job(api_key="k", workspace="team").get_execution_status("exec-1")
    headers = echo.last.headers
    assert headers["Jobs-Contract"] == "1"
    assert headers["Blaxel-Version"] == "2026-09-22"
    assert headers["User-Agent"] == f"blaxel-jobs/{version}"
    assert headers["X-Blaxel-Authorization"] == "Bearer k"
    assert headers["X-Blaxel-Workspace"] == "team"
    echo.job().get_execution_status("exec-1")
    assert "X-Blaxel-Authorization" not in echo.last.headers
    assert "X-Blaxel-Workspace" not in echo.last.headers


ITEMS: list[dict[str, Any]] = [
    {},
    {"duration": 60},
    {"deep": {"list": [1, 2.5, None, {"a": [[]]}], "empty": {}}},
    {"text": 'žluťoučký 🐎 \u2028 " \\ \n', "ключ": True},
    {"none": None, "zero": 0, "minus": -0.0, "large": 2**70, "small": 1e-300},
]


def test_s1_09_plain_dicts_arrive_as_they_are():
    echo = Echo(created_view())
    echo.job().create_execution(CreateJobExecutionRequest(tasks=ITEMS))
    assert echo.body == {"tasks": ITEMS}
    assert echo.last.content == json.dumps({"tasks": ITEMS}, ensure_ascii=False, separators=(",", ":")).encode()
    assert echo.last.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [{"a": None}], False, *ITEMS])
def test_a_payload_may_be_any_json(value: Any):
    echo = Echo(created_view())
    echo.job().trigger(value)
    assert echo.body == {"input": value}


def test_only_what_was_set_is_sent():
    echo = Echo(created_view())
    job = echo.job()
    job.create_execution({"tasks": [{}]}, name=None, priority=None)
    assert echo.body == {"tasks": [{}]}
    options: Any = {
        "execution_id": "mine", "name": "n", "description": "d", "tags": ["a"], "metadata": {"k": {"v": 1}},
        "priority": JobPriority.HIGH, "env": {"A": "b"}, "memory": 512, "allow_queue": False, "idempotency_key": "once",
    }  # fmt: skip
    job.trigger({"x": 1}, **options)
    assert echo.body == {
        "input": {"x": 1}, "executionId": "mine", "name": "n", "description": "d", "tags": ["a"], "metadata": {"k": {"v": 1}},
        "priority": "high", "env": {"A": "b"}, "memory": 512, "allowQueue": False, "idempotencyKey": "once",
    }  # fmt: skip
    assert "Idempotency-Key" not in echo.last.headers


def test_run_takes_what_the_platforms_run_takes():
    echo = Echo(created_view())
    assert echo.job().run([{"a": 1}], {"E": "1"}, 256, "mine", True) == "exec-1"
    assert echo.body == {"tasks": [{"a": 1}], "env": {"E": "1"}, "memory": 256, "executionId": "mine", "allowQueue": True}


def test_options_leave_the_request_as_it_was():
    echo = Echo(created_view())
    request = CreateJobExecutionRequest(tasks=[{}], name="kept")
    echo.job().create_execution(request, name="other")
    assert echo.body["name"] == "other"
    assert request.name == "kept"


def test_an_unknown_field_or_option_is_refused_before_anything_is_sent():
    echo = Echo(created_view())
    with pytest.raises(InvalidRequest, match="knows no field taskz: did you mean 'tasks'\\?") as caught:
        echo.job().create_execution({"taskz": [{}]})
    assert caught.value.path == "taskz"
    with pytest.raises(InvalidRequest, match="knows no field max_retries: did you mean 'maxRetries'\\?"):
        echo.job().create_execution({"tasks": [{}], "max_retries": 1})
    with pytest.raises(TypeError, match="there is no option 'tasks': there are execution_id, .*allow_queue"):
        echo.job().trigger(1, tasks=[{}])  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="there is no option 'maxRetries': did you mean 'max_retries'\\?"):
        echo.job().trigger(1, maxRetries=1)  # type: ignore[call-arg]
    with pytest.raises(InvalidRequest, match="not list"):
        echo.job().create_execution([{}])  # type: ignore[arg-type]
    assert not echo.requests


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (float("nan"), r"tasks\[1\]\.duration is nan"),
        (float("inf"), r"tasks\[1\]\.duration is inf"),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), r"tasks\[1\]\.duration is a datetime"),
        ({1, 2}, r"tasks\[1\]\.duration is a set"),
        (b"x", r"tasks\[1\]\.duration is a bytes"),
        ({"deep": [0, object()]}, r"tasks\[1\]\.duration\.deep\[1\] is a object"),
        ("\ud800", r"tasks\[1\]\.duration has a lone surrogate"),
        (LOOP, "contains itself"),
    ],
)
def test_what_json_cannot_carry_is_refused_before_anything_is_sent(value: Any, where: str):
    echo = Echo(created_view())
    with pytest.raises(InvalidRequest, match=where):
        echo.job().create_execution(CreateJobExecutionRequest(tasks=[{}, {"duration": value}]))
    assert not echo.requests


def test_s1_20_the_limit_goes_to_the_server_which_judges_it():
    echo = Echo(page([]))
    job = echo.job()
    job.list_executions(limit=50, offset=5)
    assert dict(echo.last.url.params) == {"limit": "50", "offset": "5"}
    job.list_executions(cursor="a+b/c=&d")
    assert dict(echo.last.url.params) == {"cursor": "a+b/c=&d"}
    job.list_executions()
    assert echo.last.url.query == b""
    refusal = problem(422, "invalid_request", "limit takes 1 to 1000", path="limit")
    for limit in (0, -1, 1001, "x"):
        echo = Echo(httpx.Response(422, json=refusal))
        with pytest.raises(InvalidRequest, match="limit takes 1 to 1000") as caught:
            echo.job().list_executions(limit=limit)  # type: ignore[arg-type]
        assert caught.value.path == "limit"
        assert echo.last.url.params["limit"] == str(limit)


@pytest.mark.parametrize("execution_id", ["", ".", "..", None, 5])
def test_what_cannot_be_an_id_never_becomes_a_path(execution_id: Any):
    echo = Echo(execution_view())
    with pytest.raises(InvalidRequest) as caught:
        echo.job().get_execution(execution_id)
    assert caught.value.path == "executionId"
    assert not echo.requests


def test_an_id_stays_one_segment_of_the_path():
    echo = Echo(execution_view())
    echo.job().get_execution("a/../b?c#d")
    assert echo.last.url.raw_path == b"/v0/jobs/my-job/executions/a%2F..%2Fb%3Fc%23d"
    with pytest.raises(InvalidRequest, match="make no URL"):
        echo.job().get_execution("x" * 100_000)


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "malformed_request", InvalidRequest),
        (401, "unauthorized", Unauthorized),
        (404, "not_found", NotFound),
        (409, "illegal_transition", IllegalTransition),
        (409, "lease_lost", LeaseLost),
        (409, "a_newer_word", Conflict),
        (418, "teapot", RequestError),
        (422, "invalid_request", InvalidRequest),
        (429, "too_many_requests", TooManyRequests),
        (500, "internal_error", ServerError),
        (503, "unavailable", Unavailable),
        (599, "unknown", ServerError),
    ],
)
def test_a_refusal_is_an_error_of_its_own_class(status: int, word: str, kind: type[RequestError]):
    body = problem(status, word, "say why", path="tasks[0].duration", requestId="req-1")
    echo = Echo(httpx.Response(status, json=body, headers={"Retry-After": "7"}))
    with pytest.raises(RequestError) as caught:
        echo.job().get_execution("exec-1")
    error = caught.value
    assert type(error) is kind or issubclass(type(error), kind)
    assert str(error) == "say why"
    assert (error.status_code, error.path, error.request_id, error.retry_after) == (status, "tasks[0].duration", "req-1", 7.0)
    assert error.body == body


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"upstream timed out", "text/plain", "HTTP 502 Bad Gateway: upstream timed out"),
        (b"", "text/plain", "HTTP 502 Bad Gateway"),
        (
            b"<html><head><title>x</title><style>p{}</style></head><body><h1>Bad</h1>\n<p>gateway</p></body></html>",
            "text/html",
            "HTTP 502 Bad Gateway: Bad gateway",
        ),
        (b'{"error":', "application/json", 'HTTP 502 Bad Gateway: {"error":'),
        (b"[1]", "application/json", "HTTP 502 Bad Gateway: [1]"),
        (b'{"detail": "why"}', "application/json", "why"),
        (b'{"message": 5, "error": "bad"}', "application/json", "bad"),
        (b"\xff\xfe", "text/plain; charset=utf-8", "HTTP 502 Bad Gateway: \ufffd\ufffd"),
    ],
)
def test_a_body_of_some_proxy_is_still_readable(content: bytes, kind: str, message: str):
    headers = {"Content-Type": kind, "X-Request-Id": "proxy-1"}
    echo = Echo(httpx.Response(502, content=content, headers=headers))
    with pytest.raises(ServerError) as caught:
        echo.job().get_execution("exec-1")
    assert str(caught.value) == message
    assert caught.value.status_code == 502
    assert caught.value.request_id == "proxy-1"


def test_a_long_page_is_cut():
    with pytest.raises(ServerError) as caught:
        Echo(httpx.Response(500, text="x" * 10_000)).job().get_execution("exec-1")
    assert len(str(caught.value)) < 300
    assert caught.value.body == "x" * 10_000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 12 "}, 12.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT", "Date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_of_the_servers_clock(headers: dict[str, str], seconds: float | None):
    with pytest.raises(Unavailable) as caught:
        Echo(httpx.Response(503, headers=headers)).job().get_execution("exec-1")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="not json"),
        httpx.Response(200, text=""),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=None),
        httpx.Response(200, json={"status": "pending"}),
        httpx.Response(200, json={**execution_view(), "metadata": None}),
        httpx.Response(200, json={**execution_view(), "tasks": 5}),
        httpx.Response(200, json=execution_view(metadata={"createdAt": "yesterday"})),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(204),
        httpx.Response(302, headers={"Location": "http://elsewhere.test/"}),
        httpx.Response(201, json=problem(201, "x", "x")),
    ],
)
def test_an_answer_that_is_not_the_contract_is_said_to_be_none(answer: httpx.Response):
    echo = Echo(answer)
    with pytest.raises(
        ContractError, match=r"the answer of GET /v0/jobs/my-job/executions/exec-1 \(HTTP \d+\) is not a JobExecution"
    ):
        echo.job(connect_retries=2).get_execution("exec-1")
    assert len(echo.requests) == 1


def test_an_unknown_status_and_unknown_fields_are_kept():
    echo = Echo(execution_view(status="hibernating", novelty={"a": 1}))
    execution = echo.job().get_execution("exec-1")
    assert execution.status == "hibernating"
    assert execution.to_dict()["novelty"] == {"a": 1}


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (httpx.ReadTimeout("slow"), RequestTimeout, "did not answer in time"),
        (httpx.PoolTimeout("full"), RequestTimeout, "did not answer in time"),
        (httpx.ConnectError("refused"), ConnectionFailed, "could not be reached: refused"),
        (httpx.RemoteProtocolError("cut"), ConnectionFailed, "broke the connection: cut"),
        (httpx.ReadError(""), ConnectionFailed, "broke the connection: ReadError"),
    ],
)
def test_a_broken_line_is_told_in_our_words(raised: httpx.HTTPError, kind: type[Exception], says: str):
    with pytest.raises(kind, match=says) as caught:
        Echo(raised).job().get_execution("exec-1")
    assert isinstance(caught.value, ConnectionError)
    assert caught.value.__cause__ is raised


def test_a_refused_connection_to_this_machine_says_how_to_start_a_server():
    echo = Echo(httpx.ConnectError("refused"))
    for url in ("http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1", "http://me:secret@127.0.0.9:1"):
        with pytest.raises(ConnectionFailed, match="blaxel-jobs serve --simulate") as caught:
            echo.job(base_url=url).get_execution("exec-1")
        assert "BL_API_URL" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_timeouts_are_always_finite_and_a_long_poll_has_its_wait_on_top():
    echo = Echo({**execution_view(status="completed")})
    job = echo.job(request_timeout=5)
    job.get_execution("exec-1")
    assert echo.last.extensions["timeout"] == {"connect": 5, "read": 5, "write": 5, "pool": 5}
    job.wait_for_execution("exec-1", max_wait=100)
    assert echo.last.headers["Prefer"] == "wait=30"
    assert echo.last.extensions["timeout"]["read"] == 35
    assert echo.last.extensions["timeout"]["connect"] == 5
    job.wait_for_execution("exec-1", max_wait=2)
    assert 2 < echo.last.extensions["timeout"]["read"] <= 2.2


def test_errors_of_settings_come_at_the_first_call():
    job = bl_job("my-job")
    configure(base_url=BASE)
    with respx.mock:
        respx.get(f"{BASE}/jobs/my-job/executions/exec-1").respond(json=execution_view())
        assert job.get_execution("exec-1").id == "exec-1"
