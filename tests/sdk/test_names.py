"""The public names: pairs, laziness, cost."""

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import blaxel_jobs
from blaxel_jobs import Batch, Execution, ExecutionList, Job, Jobs, JobsClient
from blaxel_jobs.paging import Page

WITHOUT_IO = {"job", "to_dict"}
ITERATORS = {"auto_paging_iter", "as_completed", "stream_events", "watch"}
"""They serve both `for` and `async for`."""
PUBLIC = [Job, Execution, Batch, ExecutionList, Page, Jobs, JobsClient]


def verbs(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods of ours: not those of list, of context managers, nor properties."""
    for name, member in inspect.getmembers(cls, inspect.isfunction):
        if not name.startswith("_") and name not in WITHOUT_IO | ITERATORS:
            yield name, member


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_k_07_every_sync_verb_has_an_async_twin_of_the_same_signature(cls: type):
    found = dict(verbs(cls))
    sync = {name for name, verb in found.items() if not inspect.iscoroutinefunction(verb)}
    assert sync
    for name in sync:
        twin = found.pop(f"a{name}", None)
        assert twin is not None, f"{cls.__name__}.{name} has no a{name}"
        assert inspect.iscoroutinefunction(twin)
        assert inspect.signature(twin) == inspect.signature(found.pop(name)), name
    assert not found, "async verbs without a sync one"


VERBS = ("start", "pause", "resume", "cancel", "retry", "rerun", "delete")


def test_the_verbs_are_named_alike_everywhere():
    for verb in VERBS:
        assert hasattr(Execution, verb)
        assert all(hasattr(cls, f"{verb}_execution") for cls in (Job, Jobs))
    for name in ("send_event", "stream_events", "list_steps"):
        assert all(hasattr(cls, name) for cls in (Job, Jobs, Execution))


def test_every_field_of_a_create_is_an_option_in_pythons_units():
    from blaxel_jobs import CreateJobExecutionRequest
    from blaxel_jobs.options import CreateOptions

    fields = {name.removesuffix("_ms") for name in inspect.signature(CreateJobExecutionRequest).parameters}
    assert fields - {"input", "tasks", "id", "job_id", "workspace_id"} == CreateOptions.__annotations__.keys()


def test_s1_34_s1_35_the_python_names_say_seconds_and_a():
    parameters = inspect.signature(Job.wait_for_execution).parameters
    assert (parameters["max_wait"].default, parameters["interval"].default) == (360, 3)
    names = {name for cls in PUBLIC for name, _ in verbs(cls)}
    assert {"run", "create_execution", "get_execution", "get_execution_status", "list_executions", "wait_for_execution"} <= names
    assert {
        "arun",
        "acreate_execution",
        "aget_execution",
        "aget_execution_status",
        "alist_executions",
        "await_for_execution",
    } <= names
    for cls in PUBLIC:
        for name, verb in verbs(cls):
            assert not any(word.endswith(("_ms", "Ms")) for word in inspect.signature(verb).parameters), name


def test_s1_36_the_default_wait_is_six_minutes_and_says_that_the_execution_goes_on():
    assert inspect.signature(Job.wait_for_execution).parameters["max_wait"].default == 360
    assert "the execution goes on" in (Job.wait_for_execution.__doc__ or "")


def test_every_public_name_is_there():
    for name in blaxel_jobs.__all__:
        assert getattr(blaxel_jobs, name) is not None
    assert set(blaxel_jobs.__all__) <= set(dir(blaxel_jobs))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = blaxel_jobs.nothing  # type: ignore[attr-defined]


def python(code: str, *flags: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def loaded_by(code: str) -> set[str]:
    return set(json.loads(python(f"{code}\n{LOADED}")))


def test_importing_two_names_loads_little():
    modules = loaded_by("from blaxel_jobs import bl_job, CreateJobExecutionRequest")
    ours = {name for name in modules if name.startswith("blaxel_jobs")}
    assert ours == {
        "blaxel_jobs", "blaxel_jobs.errors", "blaxel_jobs.words", "blaxel_jobs.job_names", "blaxel_jobs.policy",
        "blaxel_jobs.config", "blaxel_jobs.define", "blaxel_jobs.options", "blaxel_jobs.flow", "blaxel_jobs.verbs",
        "blaxel_jobs.waiting", "blaxel_jobs.streams", "blaxel_jobs.watch", "blaxel_jobs.events", "blaxel_jobs.paging",
        "blaxel_jobs.nearest", "blaxel_jobs.snapshot", "blaxel_jobs.execution", "blaxel_jobs.batch", "blaxel_jobs.figures",
        "blaxel_jobs.by_id", "blaxel_jobs.jobs", "blaxel_jobs.client", "blaxel_jobs.client.types",
        "blaxel_jobs.client.models", "blaxel_jobs.client.models.create_job_execution_request",
    }  # fmt: skip
    assert not modules & {"httpx", "anyio", "asyncio", "msgspec", "sqlalchemy", "starlette", "uvicorn", "yaml", "tomllib"}


def test_a_call_loads_nothing_of_the_engine():
    modules = loaded_by(
        "from blaxel_jobs import JobsClient, JobsError\n"
        "try: JobsClient('http://127.0.0.1:1', connect_retries=0).job('x').get_execution('y')\n"
        "except JobsError: pass"
    )
    assert "httpx" in modules
    assert not modules & {"msgspec", "sqlalchemy", "starlette", "uvicorn"}
    halves = {"core", "engine", "stores", "server", "worker", "manager", "cli"}
    assert not halves & {name.split(".")[1] for name in modules if name.startswith("blaxel_jobs.")}


def test_the_client_package_loads_nothing_for_nothing():
    modules = loaded_by("import blaxel_jobs.client.models as m; assert 'JobExecution' in dir(m)")
    assert not [name for name in modules if name.startswith("blaxel_jobs.client.models.")]
    assert "httpx" not in modules
    assert python("from blaxel_jobs.client import AuthenticatedClient, Client; print(Client.__name__)") == "Client\n"


@pytest.mark.parametrize(
    "code",
    [
        "from blaxel_jobs.jobs import bl_job",
        "from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest",
        "from blaxel_jobs.client.models import CreateJobExecutionRequest, JobExecution",
        "from blaxel_jobs import bl_job, CreateJobExecutionRequest",
        "from blaxel_jobs.client.models import *; JobExecutionTask",
    ],
)
def test_s1_06_the_import_paths_of_the_seed_work(code: str):
    python(code, "-W", "error")


@pytest.mark.parametrize("module", ["blaxel_jobs.client", "blaxel_jobs.client.models"])
def test_a_name_that_is_not_there_is_an_attribute_error(module: str):
    assert python(f"import {module} as m; print(hasattr(m, 'Nothing'))") == "False\n"
