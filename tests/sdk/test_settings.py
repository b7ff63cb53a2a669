"""Where settings come from, and what they may be."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs import ConfigError, Settings, bl_job, configure
from blaxel_jobs.config import LOCAL, PLATFORM


def origin(name: str, settings: Settings | None = None) -> str:
    return next(row.origin for row in (settings or Settings()).explain() if row.name == name)


def write_platform_file(text: str) -> None:
    path = Path("~/.blaxel/config.yaml").expanduser()
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


PLATFORM_FILE = """
context: {workspace: team}
workspaces:
  - {name: other, credentials: {apiKey: other-key}}
  - {name: team, credentials: {apiKey: team-key}}
"""


def test_the_built_in_values():
    settings = Settings()
    assert settings.base_url == LOCAL == "http://127.0.0.1:8080/v0"
    assert (settings.api_key, settings.workspace) == (None, None)
    assert (settings.request_timeout, settings.connect_retries, settings.max_connections) == (60.0, 2, 256)
    assert (settings.store, settings.lease, settings.heartbeat, settings.max_recoveries) == ("memory:", 10.0, 3.0, 5)
    assert settings.table_prefix == ""
    assert {row.origin for row in settings.explain()} == {"built-in", "built-in, 0.3 x lease"}


def test_each_source_gives_way_to_the_one_before(nothing_set: Path, monkeypatch: pytest.MonkeyPatch):
    (nothing_set / "blaxel-jobs.toml").write_text("request_timeout = 1\nlease = 1\nmax_recoveries = 1\nconnect_retries = 1\n")
    monkeypatch.setenv("BLAXEL_JOBS_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("BLAXEL_JOBS_LEASE", "2.5")
    monkeypatch.setenv("BLAXEL_JOBS_MAX_RECOVERIES", "2")
    configure(request_timeout=3, lease=3)
    settings = Settings(request_timeout=4)
    found = [settings.request_timeout, settings.lease, settings.max_recoveries, settings.connect_retries, settings.max_connections]
    assert found == [4, 3, 2, 1, 256]
    origins = [
        origin(name, settings) for name in ("request_timeout", "lease", "max_recoveries", "connect_retries", "max_connections")
    ]
    assert origins == [
        "argument", "configure()", "environment BLAXEL_JOBS_MAX_RECOVERIES", f"file {nothing_set / 'blaxel-jobs.toml'}", "built-in",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("BL_API_URL", "https://jobs.example.org", "base_url", "https://jobs.example.org/v0"),
        ("BL_API_KEY", "secret", "api_key", "secret"),
        ("BL_WORKSPACE", "team", "workspace", "team"),
        ("BLAXEL_JOBS_REQUEST_TIMEOUT", "1.5", "request_timeout", 1.5),
        ("BLAXEL_JOBS_MAX_CONNECTIONS", "7", "max_connections", 7),
        ("BLAXEL_JOBS_CONNECT_RETRIES", "0", "connect_retries", 0),
        ("BLAXEL_JOBS_STORE", "sqlite:///jobs.db", "store", "sqlite:///jobs.db"),
        ("BLAXEL_JOBS_LEASE", "30", "lease", 30.0),
        ("BLAXEL_JOBS_HEARTBEAT", "2", "heartbeat", 2.0),
        ("BLAXEL_JOBS_MAX_RECOVERIES", "0", "max_recoveries", 0),
        ("BLAXEL_JOBS_TABLE_PREFIX", "v1_", "table_prefix", "v1_"),
    ],
)
def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object):
    monkeypatch.setenv(variable, text)
    settings = Settings()
    assert getattr(settings, name) == value
    assert origin(name, settings) == f"environment {variable}"


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BL_API_KEY", "")
    assert Settings().base_url == LOCAL


def test_the_settings_file_may_be_named(tmp_path: Path, nothing_set: Path, monkeypatch: pytest.MonkeyPatch):
    named = tmp_path / "named.toml"
    named.write_text("recovery_timeout = 20")
    monkeypatch.setenv("BLAXEL_JOBS_CONFIG", str(named))
    assert Settings().lease == 20
    assert origin("lease") == f"file {named}"
    (nothing_set / "blaxel-jobs.toml").write_text("lease = 21")
    assert Settings().lease == 20
    monkeypatch.delenv("BLAXEL_JOBS_CONFIG")
    assert Settings().lease == 21


@pytest.mark.parametrize(
    ("text", "says"), [("lease = ", "not TOML"), ("leese = 1", "did you mean 'lease'"), ("lease = 'x'", "lease .*seconds above 0")]
)
def test_a_bad_settings_file_is_named(nothing_set: Path, text: str, says: str):
    (nothing_set / "blaxel-jobs.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        Settings()


def test_a_settings_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BLAXEL_JOBS_CONFIG", "/nowhere/jobs.toml")
    with pytest.raises(ConfigError, match="/nowhere/jobs.toml"):
        Settings()


def test_a_key_alone_means_the_platform(monkeypatch: pytest.MonkeyPatch):
    assert Settings(api_key="k").base_url == PLATFORM
    monkeypatch.setenv("BL_API_KEY", "k")
    assert Settings().base_url == PLATFORM
    assert Settings(base_url="http://127.0.0.1:9").base_url == "http://127.0.0.1:9/v0"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://h:1", "http://h:1/v0"),
        ("http://h:1/", "http://h:1/v0"),
        ("http://h:1/v0", "http://h:1/v0"),
        ("http://h:1/v0/", "http://h:1/v0"),
        ("https://h/api/jobs/", "https://h/api/jobs"),
        ("http://[::1]:8080", "http://[::1]:8080/v0"),
    ],
)
def test_a_url_may_come_with_or_without_its_prefix(given: str, used: str):
    assert Settings(base_url=given).base_url == used


def test_workspace_and_key_come_from_the_platforms_file():
    write_platform_file(PLATFORM_FILE)
    settings = Settings()
    assert (settings.workspace, settings.api_key, settings.base_url) == ("team", "team-key", PLATFORM)
    assert origin("api_key", settings) == origin("workspace", settings) == "file ~/.blaxel/config.yaml"
    assert Settings(workspace="other").api_key == "other-key"
    assert Settings(api_key="mine").api_key == "mine"


def test_the_platforms_key_is_for_the_platform_only():
    write_platform_file(PLATFORM_FILE)
    assert Settings(base_url="http://127.0.0.1:8080").api_key is None
    assert Settings(base_url="https://evil.example/blaxel.ai").api_key is None
    assert Settings(base_url="https://api.blaxel.dev/v0").api_key == "team-key"


@pytest.mark.parametrize("text", ["", "[]", "context: 3", "context: {workspace: team}\nworkspaces: 7", "workspaces: [{name: 1}]"])
def test_a_platform_file_of_another_shape_says_nothing(text: str):
    write_platform_file(text)
    assert Settings().api_key is None


def test_a_platform_file_that_is_not_yaml_is_named():
    write_platform_file("a: [")
    with pytest.raises(ConfigError, match=r"~/.blaxel/config.yaml is not YAML"):
        Settings()


def test_without_pyyaml_the_platforms_file_is_not_read(monkeypatch: pytest.MonkeyPatch):
    write_platform_file(PLATFORM_FILE)
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert Settings().api_key is None


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "base_url": ["ftp://h", "h:80", "http://", "http://h:99999", "http://h/v0?x=1", "http://h/#x", "http://h/ a", 5],
        "api_key": ["a b", "a\nb", "ä", 5],
        "workspace": ["a b", "a\r\nX: y"],
        "request_timeout": [0, -1, math.inf, math.nan, "soon", True],
        "max_connections": [0, 1.5, "x", True],
        "connect_retries": [-1, 2.0, "many"],
        "store": [" ", 5],
        "lease": [0, -3, math.inf],
        "heartbeat": [0, math.nan, 10, 11],
        "max_recoveries": [-1, "no"],
        "table_prefix": ["a-b", "x" * 33, "a;drop"],
    }.items(),
)
def test_bad_values_name_the_setting_and_what_it_takes(name: Any, values: list[Any]):
    for value in values:
        with pytest.raises(ConfigError, match=rf"^{name} \(argument\) takes "):
            Settings(**{name: value})


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BLAXEL_JOBS_LEASE", "soon")
    with pytest.raises(ConfigError, match=r"lease \(BLAXEL_JOBS_LEASE\) takes a finite number of seconds above 0, not soon"):
        Settings()


def test_configure_merges_and_takes_back():
    configure(lease=20)
    configure(max_recoveries=1)
    assert (Settings().lease, Settings().max_recoveries) == (20, 1)
    configure(lease=None)
    assert (Settings().lease, Settings().max_recoveries) == (10, 1)
    configure(recovery_timeout=7)
    assert Settings().lease == 7
    configure(recovery_timeout=None)
    assert Settings().lease == 10


def test_configure_refuses_as_a_whole():
    with pytest.raises(ConfigError, match="'leese' is no setting: did you mean 'lease'"):
        configure(max_recoveries=1, leese=3)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match=r"lease \(configure\(\)\) takes"):
        configure(max_recoveries=1, lease=-1)
    assert Settings().max_recoveries == 5


def test_an_unknown_name_without_a_near_one_lists_them():
    with pytest.raises(ConfigError, match="there are base_url, api_key"):
        Settings(zzzz=1)  # type: ignore[call-arg]


def test_secrets_are_hidden():
    settings = Settings(api_key="topsecret", store="postgresql://me:topsecret@db/jobs?password=topsecret&x=1")
    shown = repr(settings) + str(settings.explain())
    assert "topsecret" not in shown
    assert "postgresql://me:***@db/jobs?password=***&x=1" in shown
    with pytest.raises(ConfigError) as caught:
        Settings(api_key="top secret")
    assert "top secret" not in str(caught.value)


def test_bl_job_follows_configure_and_the_environment(monkeypatch: pytest.MonkeyPatch):
    first = bl_job("my-job")
    assert bl_job("other")._seam is first._seam
    monkeypatch.setenv("BL_API_URL", "http://127.0.0.1:1")
    second = bl_job("my-job")
    assert second._seam is not first._seam
    configure(base_url="http://127.0.0.1:2")
    assert bl_job("my-job")._seam is not second._seam
