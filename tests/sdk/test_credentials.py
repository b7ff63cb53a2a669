"""Client credentials: where they come from, how tokens are fetched and kept, and that nothing of them is ever shown."""

import asyncio
import base64
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from blaxel_jobs import ConfigError, ConnectionFailed, ContractError, JobsClient, Settings, Unauthorized, configure
from blaxel_jobs.config import LOCAL, PLATFORM
from blaxel_jobs.transport import HttpSeam
from tests.sdk.fakes import BASE
from tests.sdk.platform import Platform, Tokens
from tests.sdk.test_settings import origin, write_platform_file

CREDENTIALS = base64.b64encode(b"id:verysecret").decode()


class Clocked(HttpSeam):
    """Over httpx, on a clock that the test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def fake(seconds: float = 3600, **settings: Any) -> tuple[Clocked, Tokens]:
    platform = Platform("succeeded")
    platform.add("exec-1")
    tokens = Tokens(platform, seconds=seconds)
    options = {"base_url": BASE, "client_credentials": tokens.credentials, "connect_retries": 0, **settings}
    return Clocked(Settings(**options), transport=httpx.MockTransport(platform)), tokens


def look(seam: HttpSeam) -> str:
    return JobsClient(seam=seam).job("my-job").get_execution("exec-1").status


def test_a_token_is_fetched_when_first_needed_and_kept():
    seam, tokens = fake()
    assert tokens.issued == 0
    assert [look(seam) for _ in range(3)] == ["completed"] * 3
    assert tokens.issued == 1


@pytest.mark.parametrize(("seconds", "kept", "gone"), [(3600, 3539, 3541), (100, 89, 91)])
def test_a_token_is_replaced_shortly_before_its_end(seconds: float, kept: float, gone: float):
    seam, tokens = fake(seconds)
    look(seam)
    seam.now += kept
    look(seam)
    assert tokens.issued == 1
    seam.now += gone - kept
    look(seam)
    assert tokens.issued == 2


def test_a_refused_token_is_replaced_once():
    seam, tokens = fake()
    look(seam)
    tokens.revoke()
    assert look(seam) == "completed"
    assert tokens.issued == 3
    sent = len(tokens.platform.requests)
    tokens.platform.refuse = lambda request: (
        httpx.Response(401, json={"message": "never"}) if "oauth" not in request.url.path
        else httpx.Response(200, json={"access_token": "t", "expires_in": 60})
    )  # fmt: skip
    with pytest.raises(Unauthorized, match="never"):
        look(seam)
    paths = [request.url.path.rpartition("/")[2] for request in tokens.platform.requests[sent:]]
    assert paths == ["exec-1", "token", "exec-1"]


async def test_async_calls_use_tokens_alike():
    seam, tokens = fake()
    job = JobsClient(seam=seam).job("my-job")
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(job.aget_execution, "exec-1")
    assert tokens.issued == 1
    tokens.revoke()
    assert (await job.aget_execution("exec-1")).done
    assert tokens.issued == 3


def test_one_fetch_serves_all_threads():
    seam, tokens = fake()
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: look(seam), range(64))) == {"completed"}
    assert tokens.issued == 1


def test_a_wrong_secret_is_unauthorized():
    seam, _ = fake(client_credentials=base64.b64encode(b"id:wrong").decode())
    with pytest.raises(Unauthorized, match="no such client"):
        look(seam)


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": 5},
        {},
        [],
        "x",
        {"access_token": "a\r\nb"},
        {"access_token": ""},
        {"access_token": "t", "expires_in": "soon"},
    ],
)
def test_an_answer_without_a_token_shows_nothing_of_it(answer: Any):
    seam, tokens = fake()
    tokens.platform.refuse = lambda _: httpx.Response(200, json=answer)
    with pytest.raises(ContractError, match="/oauth/token has no access_token") as caught:
        look(seam)
    assert caught.value.__cause__ is None


def test_a_create_whose_token_could_not_be_fetched_was_never_sent():
    seam, tokens = fake(connect_retries=2)
    cuts = iter([httpx.ReadError("cut")])
    check = tokens.platform.refuse
    tokens.platform.refuse = lambda request: next(cuts, None) or check(request)
    assert JobsClient(seam=seam).job("my-job").create_execution({"tasks": [{}]}) == "exec-2"
    assert tokens.platform.asked("POST", "/executions") == 1


async def test_a_stream_bears_a_token_too():
    update = b'event: update\ndata: {"id": "exec-1", "status": "completed", "done": true}\n\nevent: end\ndata: {}\n\n'
    seam, tokens = fake()
    check, bearers = tokens.platform.refuse, []

    def answer(request: httpx.Request) -> Any:
        refused = check(request)
        if refused is None and request.url.path == "/v0/watch":
            bearers.append(request.headers["X-Blaxel-Authorization"])
            headers = {"Content-Type": "text/event-stream", "Jobs-Contract": "1"}
            return httpx.Response(200, content=update, headers=headers)
        return refused

    tokens.platform.refuse = answer
    jobs = JobsClient(seam=seam)
    assert [one.status for one in await jobs.await_for_executions(["exec-1"])] == ["completed"]
    tokens.revoke()
    assert [one.status for one in await asyncio.to_thread(jobs.wait_for_executions, ["exec-1"])] == ["completed"]
    assert bearers == ["Bearer token-1", "Bearer token-3"]


# Where they come from


def test_credentials_come_from_every_source(monkeypatch: pytest.MonkeyPatch, nothing_set: Path):
    assert Settings(client_credentials=CREDENTIALS).base_url == PLATFORM
    (nothing_set / "blaxel-jobs.toml").write_text(f'client_credentials = "{CREDENTIALS}"')
    assert origin("client_credentials").startswith("file ")
    monkeypatch.setenv("BL_CLIENT_CREDENTIALS", CREDENTIALS)
    assert origin("client_credentials") == "environment BL_CLIENT_CREDENTIALS"
    configure(client_credentials=CREDENTIALS)
    assert origin("client_credentials") == "configure()"


def test_of_key_and_credentials_the_stronger_source_is_used_and_in_one_source_the_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BL_CLIENT_CREDENTIALS", CREDENTIALS)
    monkeypatch.setenv("BL_API_KEY", "key")
    both = Settings()
    assert (both.api_key, both.client_credentials) == ("key", None)
    mine = Settings(client_credentials=CREDENTIALS)
    assert (mine.api_key, mine.client_credentials) == (None, CREDENTIALS)
    monkeypatch.delenv("BL_CLIENT_CREDENTIALS")
    write_platform_file(
        f"context: {{workspace: team}}\nworkspaces: [{{name: team, credentials: {{clientCredentials: {CREDENTIALS}}}}}]"
    )
    assert (Settings().api_key, Settings().client_credentials) == ("key", None)


@pytest.mark.parametrize(
    ("given", "key", "credentials"),
    [
        ("apiKey: k, clientCredentials: aWQ6cw==, access_token: t", "k", None),
        ("clientCredentials: aWQ6cw==, access_token: t", None, "aWQ6cw=="),
        ("access_token: t, refresh_token: r, expires_in: 3600, device_code: d", "t", None),
        ("refresh_token: r", None, None),
    ],
)
def test_the_platforms_file_has_keys_credentials_and_tokens(given: str, key: str | None, credentials: str | None):
    write_platform_file(f"context: {{workspace: team}}\nworkspaces: [{{name: team, credentials: {{{given}}}}}]")
    settings = Settings()
    assert (settings.api_key, settings.client_credentials) == (key, credentials)
    assert settings.base_url == (PLATFORM if key or credentials else LOCAL)
    elsewhere = Settings(base_url="http://127.0.0.1:8080")
    assert (elsewhere.api_key, elsewhere.client_credentials) == (None, None)


# Redaction


def test_nothing_of_a_secret_is_shown(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    seam, tokens = fake()
    look(seam)
    settings = seam._link().settings
    shown = [repr(settings), str(settings.explain()), repr(seam), repr(seam._link()), str(vars(seam)), caplog.text]
    tokens.platform.refuse = lambda _: httpx.Response(401, json={"message": "no"})
    with pytest.raises(Unauthorized) as refused:
        look(seam)
    shown += ["".join(traceback.format_exception(refused.value)), repr(refused.value), repr(vars(refused.value))]
    tokens.platform.refuse = lambda _: httpx.ConnectError("refused")
    with pytest.raises(ConnectionFailed) as failed:
        look(seam)
    shown += ["".join(traceback.format_exception(failed.value)), repr(vars(failed.value))]
    with pytest.raises(ConfigError) as bad:
        Settings(client_credentials="very secret")
    shown.append(str(bad.value))
    for text in shown:
        assert not any(secret in text for secret in ("verysecret", "very secret", tokens.credentials, "token-1")), text


def test_the_link_hides_its_headers():
    seam = HttpSeam(Settings(base_url=BASE, api_key="topsecret"))
    assert "topsecret" not in repr(seam._link())
