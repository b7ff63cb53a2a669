"""The fixture `blaxel_platform`, in a project of its user."""

import subprocess
import sys
from pathlib import Path

from tests.serving import plain_environment

SUITE = """
import os
import subprocess
import sys

import blaxel
import httpx
import pytest
from blaxel.core.client.client import client
from blaxel.core.common.settings import settings
from blaxel.core.jobs import bl_job

def state():
    return {name: getattr(client, name) for name in client.__slots__ if name != "__weakref__"}, settings.auth, dict(os.environ)

BEFORE = state()

def test_sync(blaxel_platform):
    job = bl_job("my-job")
    id = job.run([{"duration": 3600}])
    assert job.wait_for_execution(id).status == "succeeded"
    assert blaxel_platform.monotonic() == 3600
    assert [execution.id for execution in blaxel_platform.executions] == [id]
    assert settings.workspace == "default"

async def test_async(blaxel_platform):
    job = bl_job("my-job")
    assert (await job.await_for_execution(await job.arun([{}]))).status == "succeeded"

@pytest.mark.jobs_mock(mode="step")
def test_marked(blaxel_platform):
    job = bl_job("my-job")
    id = job.run([{"duration": 3600}])
    assert [job.get_execution_status(id) for _ in range(3)] == ["pending", "running", "succeeded"]

def test_programs_that_are_started(blaxel_platform):
    script = "import os; print(os.environ['BL_API_URL'], os.environ['BL_API_KEY'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [blaxel_platform.url, "mock"]

def test_afterwards():
    now = state()
    now[2]["PYTEST_CURRENT_TEST"] = BEFORE[2].get("PYTEST_CURRENT_TEST")
    BEFORE[2]["PYTEST_CURRENT_TEST"] = now[2]["PYTEST_CURRENT_TEST"]
    assert now == BEFORE
    assert BEFORE[0]["_base_url"] == "https://api.blaxel.ai/v0"
    assert settings.auth.credentials.api_key == "a-key-of-worth"
"""


def test_the_installed_sdk_meets_the_mock_and_is_as_it_was_afterwards(tmp_path: Path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-W", "ignore:::blaxel"]
    variables = plain_environment(BL_API_KEY="a-key-of-worth", BL_WORKSPACE="mine", HOME=str(tmp_path))
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=55)
    assert "5 passed" in done.stdout, done.stdout
