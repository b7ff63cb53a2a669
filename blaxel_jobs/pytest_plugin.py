"""The fixtures `jobs_mock` and `jobs_mock_server`: a mock server for each test that asks for one.

    def test_my_program(jobs_mock):
        assert my_program.main() == "completed"  # its bl_job() and JobsClient() speak to the mock

    @pytest.mark.jobs_mock(mode="step", jobs=[word_count])  # whatever MockServer takes
    def test_progress(jobs_mock): ...

Loaded in every pytest run where this package is installed, so it imports nothing but pytest until a fixture is used.
"""

import importlib
import importlib.util
import sys
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
        "markers", "jobs_mock(**options): how the MockServer of the fixtures jobs_mock and jobs_mock_server is made"
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


def _mock_server(request: pytest.FixtureRequest, **options: Any) -> "MockServer":
    marker = request.node.get_closest_marker("jobs_mock")
    made: MockServer = _package().MockServer(**(marker.kwargs if marker else {}), **options)
    return made


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
