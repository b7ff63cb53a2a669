"""Its tests, which need no server, no key and no minute of anybody's time: `pytest examples/ci_suite`.

The fixtures come with blaxel-jobs[mock]. `jobs_mock` is a mock server in this process: whatever the program does with bl_job()
reaches it. `jobs_mock_server` listens on a port, for programs that the test starts.
"""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import report  # type: ignore[import-not-found]  # it stands beside this file


@pytest.mark.jobs_mock(jobs=[report.render_page])
def test_pages_are_rendered_by_the_handler(jobs_mock):
    assert report.render("Sales", 2) == ["Sales, page 1", "Sales, page 2"]


@pytest.mark.jobs_mock(jobs=[report.render_page])
def test_a_page_that_fails_is_told(jobs_mock):
    with pytest.raises(RuntimeError, match="page 501 has no source"):
        report.render("Sales", 501)


def test_what_takes_too_long_is_cancelled(jobs_mock):
    # No handler is registered here: each task takes its duration, and none of it is spent in earnest.
    with pytest.raises(RuntimeError, match="not rendered within 10 s"):
        report.render("Sales", 3, max_wait=10)
    [execution] = jobs_mock.executions
    assert execution.status == "cancelled"
    assert jobs_mock.monotonic() == 10


@pytest.mark.jobs_mock(mode="step", jobs=[report.render_page])
def test_progress_is_seen_step_by_step(jobs_mock):
    job = report.bl_job("render-page")
    execution_id = job.create_execution({"tasks": [{"title": "Sales", "number": 1}]})
    assert [job.get_execution_status(execution_id) for _ in range(3)] == ["pending", "running", "completed"]


@pytest.mark.jobs_mock(jobs=[report.render_page])
def test_the_program_as_it_is_started(jobs_mock_server):
    program = [sys.executable, str(Path(report.__file__)), "2"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout == "Report, page 1\nReport, page 2\n"
    assert [execution.status for execution in jobs_mock_server.executions] == ["completed"]
