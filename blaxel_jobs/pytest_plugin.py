"""The fixtures `jobs_mock`, `jobs_mock_server` and `blaxel_platform`: a mock server for each test that asks for one.

    def test_my_program(jobs_mock):
        assert my_program.main() == "completed"  # its bl_job() and JobsClient() speak to the mock

    @pytest.mark.jobs_mock(mode="step", jobs=[word_count])  # whatever MockServer takes
    def test_progress(jobs_mock): ...

    def test_with_the_platforms_sdk(blaxel_platform):
        assert blaxel.core.jobs.bl_job("my-job").run([{}])  # of the installed package `blaxel`

Loaded in every pytest run where this package is installed, so it imports nothing but pytest until a fixture is used.
"""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mock_server import MockServer

NAME = "mock_server"
OURS = Path(__file__).resolve().parent.parent / NAME
"""Where the package stands, whatever else has its name."""
PRIVATE_NAME = "_blaxel_jobs_mock_server"
"""What it is called where its name is taken."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "jobs_mock(**options): how the MockServer of the fixtures jobs_mock, jobs_mock_server and blaxel_platform is made",
    )


def pytest_report_header() -> str | None:
    shadow = _shadow(Path.cwd())
    return f"blaxel-jobs: {_why(shadow)}" if shadow else None


@pytest.fixture
def jobs_mock(request: pytest.FixtureRequest) -> "Iterator[MockServer]":
    """A MockServer in this process: everything of blaxel_jobs in the test speaks to it, in virtual time."""
    with _mock_server(request) as mock:
        yield mock


@pytest.fixture
def jobs_mock_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> "Iterator[MockServer]":
    """A MockServer that listens on a port, for programs that the test starts: BL_API_URL names it, `.url` too."""
    with _mock_server(request, live=True) as mock:
        monkeypatch.setenv("BL_API_URL", str(mock.url))
        yield mock


@pytest.fixture
def blaxel_platform(jobs_mock_server: "MockServer", monkeypatch: pytest.MonkeyPatch) -> "Iterator[MockServer]":
    """A MockServer on a port, and the installed `blaxel` speaks to it, with a key of no worth, until the test ends.

    Programs that the test starts find it by BL_API_URL, which `@blaxel/core` reads.
    """
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it warns of while it is imported is not this test's affair
        try:
            client = importlib.import_module("blaxel.core.client.client").client
        except ModuleNotFoundError as error:
            pytest.fail(f"the fixture blaxel_platform needs {error.name}: pip install blaxel", pytrace=False)
    point_blaxel_at(f"{jobs_mock_server.url}/v0", monkeypatch)
    yield jobs_mock_server
    if client._client is not None:
        client._client.close()


def point_blaxel_at(base_url: str, monkeypatch: pytest.MonkeyPatch, **credentials: str) -> None:
    """Let the imported `blaxel` speak to this URL, until `monkeypatch` is undone.

    `credentials` are those of its CredentialsType (api_key, client_credentials, workspace). It has one client for the whole
    process and no setting for the URL. It keeps no connection open, since none may outlive the loop of an async test.
    """
    import httpx
    from blaxel.core.authentication import ApiKey, ClientCredentials, CredentialsType
    from blaxel.core.client.client import client
    from blaxel.core.common.settings import settings

    given = CredentialsType(**({"workspace": "default"} | (credentials or {"api_key": "mock"})))
    kind = ApiKey if given.api_key else ClientCredentials
    auth = kind(given, given.workspace, base_url)
    monkeypatch.setattr(settings, "auth", auth)
    fields = {"_base_url": base_url, "_auth": auth, "_client": None, "_async_client": None, "_async_client_loop": None}
    if base_url.startswith("http:"):
        fields["_verify_ssl"] = False  # else each client reads the certificates of all authorities first
    options = {"limits": httpx.Limits(max_keepalive_connections=0), "trust_env": False}
    for name, value in {**fields, "_httpx_args": {**client._httpx_args, **options}}.items():
        monkeypatch.setattr(client, name, value)
    monkeypatch.delenv("BL_CLIENT_CREDENTIALS", raising=False)
    monkeypatch.setenv("BL_API_KEY", given.api_key or "mock")
    monkeypatch.setenv("BL_WORKSPACE", given.workspace or "default")


def _mock_server(request: pytest.FixtureRequest, **options: Any) -> "MockServer":
    kind: type[MockServer] = _package().MockServer
    marker = request.node.get_closest_marker("jobs_mock")
    given = marker.kwargs if marker else {}
    _check_options(given, kind)
    return kind(**given, **options)


def _check_options(given: dict[str, Any], kind: "type[MockServer]") -> None:
    import inspect

    from .nearest import meant

    known = inspect.signature(kind).parameters
    for name in given.keys() - known.keys():
        pytest.fail(f"the marker jobs_mock has no option {name!r}: {meant(name, known)}", pytrace=False)


def _package() -> ModuleType:
    try:
        return _import()
    except ModuleNotFoundError as error:
        pytest.fail(f"the mock server needs {error.name}: pip install 'blaxel-jobs[mock]'", pytrace=False)


def _import() -> ModuleType:
    """Our mock_server, also where something else of that name comes first."""
    for name in (NAME, PRIVATE_NAME):
        loaded = sys.modules.get(name)
        if loaded is not None and _is_ours(loaded.__file__):
            return loaded
    if NAME not in sys.modules:
        found = importlib.util.find_spec(NAME)
        if found is not None and _is_ours(found.origin):
            return importlib.import_module(NAME)
    init = OURS / "__init__.py"
    if not init.is_file():
        pytest.fail(
            f"this installation of blaxel-jobs has no {OURS}; install it again: pip install 'blaxel-jobs[mock]'", pytrace=False
        )
    spec = importlib.util.spec_from_file_location(PRIVATE_NAME, init, submodule_search_locations=[str(OURS)])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[PRIVATE_NAME] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PRIVATE_NAME]
        raise
    return module


def _is_ours(file: str | None) -> bool:
    return file is not None and Path(file).resolve().parent == OURS


def _shadow(folder: Path) -> Path | None:
    """What would be imported in place of ours from this folder."""
    for path in (folder / NAME, folder / f"{NAME}.py"):
        if path.resolve() != OURS and (path.is_file() or (path / "__init__.py").is_file()):
            return path
    return None


def _why(shadow: Path) -> str:
    return (
        f"{shadow} has the name of the mock server's package, so `import {NAME}` may find it instead. The fixtures jobs_mock and "
        "jobs_mock_server use the right one all the same; give yours another name to import MockServer."
    )
