"""`--strict-skips`: a skipped test that tests/allowed_skips.txt does not name fails the run."""

import os
from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MOCK_SERVER_STRICT", "1")  # every mock in the tests, also in processes that they start

# The same examples in every run, and no verdict on how long they take: a busy machine is no fault of theirs.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-skips", action="store_true", help="fail on a skip that tests/allowed_skips.txt does not name")


def pytest_configure(config: pytest.Config) -> None:
    # Under xdist the controller sees every report; its workers need not judge as well.
    if config.getoption("--strict-skips") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(StrictSkips(read_allowed(ALLOWED.read_text())), "strict-skips")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first: at the end it would keep one worker busy while the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def read_allowed(text: str) -> list[str]:
    """The node ids, or patterns of them, in the text of allowed_skips.txt."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def is_allowed(nodeid: str, allowed: Collection[str]) -> bool:
    """Whether a line names the node id, in full or, with a `*` at its end, by its beginning."""
    return any(nodeid.startswith(line[:-1]) if line.endswith("*") else nodeid == line for line in allowed)


class StrictSkips:
    def __init__(self, allowed: Collection[str]) -> None:
        self.allowed = allowed
        self.refused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._judge(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._judge(report)

    def _judge(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not is_allowed(report.nodeid, self.allowed):
            self.refused.append(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.refused and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.refused:
            terminalreporter.section("skipped, but not in tests/allowed_skips.txt", red=True)
            for nodeid in self.refused:
                terminalreporter.line(nodeid)
