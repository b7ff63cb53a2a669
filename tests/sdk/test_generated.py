"""The generated client: what openapi.yaml makes, and what carries every call."""

import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from blaxel_jobs import CreateJobExecutionRequest
from blaxel_jobs.client import types
from blaxel_jobs.client.models import JobExecution
from tests.sdk.fakes import Echo, created_view, execution_view

ROOT = Path(__file__).parent.parent.parent


def copied(folder: Path) -> Path:
    """The package, the contract and the scripts in `folder`."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("blaxel_jobs", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "openapi.yaml", folder)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_k_04_the_committed_client_is_what_the_contract_makes():
    done = run(ROOT, "scripts/generate_client.py", "--check")
    assert done.returncode == 0, done.stderr


def test_k_04_a_client_that_differs_is_named(tmp_path: Path):
    folder = copied(tmp_path)
    model = folder / "blaxel_jobs/client/models/failure.py"
    model.write_text(model.read_text() + "\n# by hand\n")
    (folder / "blaxel_jobs/client/models/page_meta.py").unlink()
    (folder / "blaxel_jobs/client/stray.py").write_text("")
    done = run(folder, "scripts/generate_client.py", "--check")
    assert done.returncode == 1
    assert done.stderr.split("\n")[1:4] == ["models/failure.py", "models/page_meta.py", "stray.py"]
    assert run(folder, "scripts/generate_client.py").stdout == "3 files changed\n"
    assert run(folder, "scripts/generate_client.py", "--check").returncode == 0


CALL = """
import sys, httpx
from blaxel_jobs import JobsClient, Settings
from blaxel_jobs.transport import HttpSeam
answer = {answer!r}
seam = HttpSeam(Settings(base_url="http://jobs.test"), transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))
print(JobsClient(seam=seam).job("my-job").{call})
"""


@pytest.mark.parametrize(
    ("operation", "call", "answer"),
    [
        ("create_job_execution", 'create_execution({"tasks": [{}]})', created_view()),
        ("get_job_execution", 'get_execution("exec-1").id', execution_view()),
        ("get_job_execution_status", 'get_execution_status("exec-1")', {"status": "pending", "done": False}),
        ("list_job_executions", "list_executions()", {"data": [], "meta": {"hasMore": False}}),
        ("cancel_job_execution", 'cancel_execution("exec-1")', execution_view()),
    ],
)
def test_k_04_a_call_breaks_without_its_generated_operation(tmp_path: Path, operation: str, call: str, answer: object):
    folder = copied(tmp_path)
    script = CALL.format(answer=answer, call=call)
    assert run(folder, "-c", script).returncode == 0
    (folder / f"blaxel_jobs/client/api/executions/{operation}.py").unlink()
    done = run(folder, "-c", script)
    assert done.returncode != 0
    assert f"the generated client has no operation {operation}" in done.stderr


def test_a_copy_of_a_request_says_the_same():
    request = CreateJobExecutionRequest(tasks=[{"a": 1}], name="n")
    for other in (copy.copy(request), copy.deepcopy(request), pickle.loads(pickle.dumps(request))):
        assert other == request
        assert other.to_dict() == {"tasks": [{"a": 1}], "name": "n"}
    assert repr(types.UNSET) == "UNSET"


def test_plain_dicts_pass_as_tasks_metadata_and_env():
    request = CreateJobExecutionRequest(tasks=[{"duration": 60}], metadata={"k": [1]}, env={"A": "b"})
    echo = Echo(created_view())
    echo.job().create_execution(request)
    assert echo.body == {"tasks": [{"duration": 60}], "metadata": {"k": [1]}, "env": {"A": "b"}}


def test_models_keep_what_they_do_not_know():
    view = execution_view(status="failed", novelty=1, metadata={"later": {"a": 2}})
    assert JobExecution.from_dict(view).to_dict() == view
