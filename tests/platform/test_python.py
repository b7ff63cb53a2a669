"""The published Python SDK, unmodified: every method of its jobs, sync and async, against the mock and the durable server."""

import asyncio
import base64
import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from blaxel_jobs.pytest_plugin import point_blaxel_at
from tests.pace import until

from .conftest import OTHER_KEY, Served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from blaxel.core.client.api.jobs import (
        create_job,
        delete_job,
        get_job,
        list_job_execution_tasks,
        list_job_executions,
        list_job_revisions,
        list_jobs,
        update_job,
    )
    from blaxel.core.client.client import client
    from blaxel.core.client.errors import ConflictError, RateLimitError, UnexpectedStatus
    from blaxel.core.client.models import Job
    from blaxel.core.client.models.create_job_execution_request import CreateJobExecutionRequest
    from blaxel.core.client.models.list_job_executions_sort import ListJobExecutionsSort
    from blaxel.core.client.models.list_jobs_anchor import ListJobsAnchor
    from blaxel.core.client.models.list_jobs_sort import ListJobsSort
    from blaxel.core.jobs import bl_job


class Sdk:
    """One job's methods, called by the names of the sync ones."""

    def __init__(self, asynchronous: bool) -> None:
        self._async = asynchronous
        self.suffix = "async" if asynchronous else "sync"

    def __call__(self, job: str, method: str, *args: Any, **kwargs: Any) -> Any:
        if self._async:
            return asyncio.run(getattr(bl_job(job), f"a{method}")(*args, **kwargs))
        return getattr(bl_job(job), method)(*args, **kwargs)

    def next_page(self, page: Any) -> Any:
        return asyncio.run(page.next_page()) if self._async else page.next_page()

    def everything(self, page: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [each async for each in page.auto_paging_iter()]

        return asyncio.run(collect()) if self._async else list(page.auto_paging_iter())


@pytest.fixture(params=["sync", "async"])
def sdk(request: pytest.FixtureRequest, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sdk]:
    point_blaxel_at(served.url, monkeypatch, api_key=served.key)
    yield Sdk(request.param == "async")
    if client._client is not None:
        client._client.close()


@pytest.fixture
def job(sdk: Sdk, request: pytest.FixtureRequest) -> str:
    """A job that no other test uses."""
    return f"{request.node.originalname.replace('_', '-')}-{sdk.suffix}"


def ids(page: Any) -> list[str]:
    return [execution.metadata.id for execution in page]


def test_it_is_the_one_that_is_pinned():
    assert importlib.metadata.version("blaxel") == "0.4.24"


def test_run_and_wait(sdk: Sdk, job: str):
    id = sdk(job, "run", [{"duration": 0.02}, {"n": 2}], env={"MODE": "test"}, memory=512)
    execution = sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02)
    assert execution.status == "succeeded"
    assert sdk(job, "get_execution_status", id) == "succeeded"
    metadata, spec, stats = execution.metadata, execution.spec, execution.stats
    assert (metadata.id, metadata.job, metadata.workspace) == (id, job, "default")
    times = [metadata.created_at, metadata.started_at, metadata.completed_at, metadata.updated_at]
    assert [datetime.fromisoformat(each) for each in times] == sorted(datetime.fromisoformat(each) for each in times)
    assert not metadata.expired_at
    assert (spec.task_count, spec.memory_override) == (2, 512)
    assert spec.env_override.to_dict() == {"MODE": "***"}
    assert (stats.total, stats.success, stats.failure, stats.running, stats.cancelled, stats.retried) == (2, 2, 0, 0, 0, 0)
    assert [(task.metadata.name, task.status, task.spec.max_retries) for task in execution.tasks] == [
        ("task-0", "succeeded", 0),
        ("task-1", "succeeded", 0),
    ]


def test_create_with_a_model_and_with_a_mapping(sdk: Sdk, job: str):
    one = sdk(job, "create_execution", CreateJobExecutionRequest(tasks=[{"n": 1}], execution_id=f"{job}-one"))
    two = sdk(job, "create_execution", {"tasks": [{"n": 1}], "madeUp": {"of": "tomorrow"}, "memory": None})
    assert one == f"{job}-one"
    assert ids(sdk(job, "list_executions")) == [two, one]


def test_a_failure_is_read(sdk: Sdk, job: str):
    id = sdk(job, "run", [{"fail": "no such file"}, {}])
    execution = sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02)
    assert execution.status == "failed"
    assert (execution.stats.success, execution.stats.failure) == (1, 1)
    failed, succeeded = execution.tasks
    assert (failed.status, failed.conditions[0].message) == ("failed", "no such file")
    assert (failed.conditions[0].reason, failed.conditions[0].state) == ("error", "CONDITION_FAILED")
    assert (succeeded.status, succeeded.conditions[0].state) == ("succeeded", "CONDITION_SUCCEEDED")


def test_time_that_is_up_is_a_failure_with_its_time(sdk: Sdk, job: str, served: Served):
    with served.contract() as contract:
        assert contract.put(f"/jobs/{job}", json={"timeoutMs": 60, "maxRetries": 3}).status_code == 200
    id = sdk(job, "run", [{"hang": True}])
    execution = sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02)
    assert execution.status == "failed"
    assert execution.metadata.expired_at == execution.metadata.completed_at
    assert execution.spec.timeout == 1
    assert (execution.tasks[0].spec.timeout, execution.tasks[0].spec.max_retries) == ("1s", 3)


def test_what_is_held_back_is_queued(sdk: Sdk, job: str, served: Served):
    with served.contract() as contract:
        held = contract.post(f"/jobs/{job}/executions", json={"tasks": [{}], "autoStart": False}).json()["executionId"]
        running = sdk(job, "run", [{"hang": True}])
        contract.post(f"/executions/{running}/pause")
    assert [sdk(job, "get_execution_status", id) for id in (held, running)] == ["queued", "queued"]
    assert {task.status.value for task in sdk(job, "get_execution", held).tasks} == {"pending"}


def test_pages_show_each_row_once_under_inserts(sdk: Sdk, job: str):
    made = [sdk(job, "run", [{"n": number}]) for number in range(7)][::-1]
    first = sdk(job, "list_executions", limit=3)
    late = sdk(job, "run", [{"late": True}])
    second = sdk.next_page(first)
    third = sdk.next_page(second)
    assert ids(first) + ids(second) + ids(third) == made
    assert [page.has_more for page in (first, second, third)] == [True, True, False]
    assert [page.meta.total for page in (first, second, third)] == [4, 7, 7]
    assert [page.meta.total_is_partial for page in (first, second, third)] == [True, True, False]
    assert third.next_cursor is None
    assert sdk.next_page(third).is_empty
    assert ids(sdk.everything(sdk(job, "list_executions", limit=2))) == [late, *made]
    assert ids(sdk(job, "list_executions", limit=2, cursor=second.next_cursor)) == made[6:]
    assert ids(sdk(job, "list_executions", limit=2, offset=1)) == made[:2]
    assert ids(sdk(job, "list_executions")) == [late, *made]
    assert list(sdk(f"{job}-2", "list_executions")) == []


def test_a_cursor_is_bound_to_its_query(sdk: Sdk, job: str):
    for _ in range(3):
        sdk(job, "run", [{}])
    cursor = sdk(job, "list_executions", limit=1).next_cursor
    for other, its in ((f"{job}-2", cursor), (job, "bm90aGluZw"), (job, "%")):
        with pytest.raises(Exception, match="Failed to list job executions: 400"):
            sdk(other, "list_executions", limit=1, cursor=its)


def test_every_order_and_a_part_of_the_name(sdk: Sdk, job: str):
    names = [f"{job}-{name}" for name in ("b", "a", "d", "c")]
    for name in names:
        sdk(job, "run", [{}], execution_id=name)
    expected = {"createdAt:desc": names[::-1], "createdAt:asc": names, "name:asc": sorted(names), "name:desc": sorted(names)[::-1]}
    for word, order in expected.items():
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = list_job_executions.sync(job, client=client, sort=ListJobExecutionsSort(word), limit=3, **cursor)
            found += ids(page.data)
            if not page.meta.has_more:
                break
            cursor = {"cursor": page.meta.next_cursor}
        assert found == order
    assert ids(list_job_executions.sync(job, client=client, q=f"{job}-c").data) == [f"{job}-c"]


def test_cancel(sdk: Sdk, job: str):
    id = sdk(job, "run", [{"hang": True}, {"hang": True}])
    assert sdk(job, "get_execution_status", id) in ("pending", "running")
    assert sdk(job, "cancel_execution", id) is None
    assert sdk(job, "cancel_execution", id) is None
    execution = sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02)
    assert (execution.status, execution.stats.cancelled) == ("cancelled", 2)


def test_a_wait_that_is_over_leaves_the_execution(sdk: Sdk, job: str):
    id = sdk(job, "run", [{"hang": True}])
    with pytest.raises(Exception, match=r"did not complete within 0\.1s"):
        sdk(job, "wait_for_execution", id, max_wait=0.1, interval=0.02)
    assert sdk(job, "get_execution_status", id) in ("pending", "running")


def test_an_unknown_id(sdk: Sdk, job: str):
    sdk(job, "run", [{}], execution_id=f"{job}-known")
    for of_job, id in ((job, "nobody"), (f"{job}-2", f"{job}-known"), (job, "a/../b")):
        for method in ("get_execution", "get_execution_status", "wait_for_execution"):
            with pytest.raises(Exception, match=f"Execution '{id}' not found for job '{of_job}'"):
                sdk(of_job, method, id)
        with pytest.raises(Exception, match="Failed to cancel job execution: 404"):
            sdk(of_job, "cancel_execution", id)


def test_an_id_that_was_used_before(sdk: Sdk, job: str):
    again: Callable[..., str] = lambda body: sdk(job, "run", [body], execution_id=f"{job}-mine")  # noqa: E731
    assert again({"n": 1}) == again({"n": 1}) == f"{job}-mine"
    with pytest.raises(ConflictError) as caught:
        again({"n": 2})
    assert caught.value.status == 409
    assert caught.value.body["error"] == "idempotency_conflict"
    assert set(caught.value.body) == {"error", "code", "message"}


def test_empty_tasks(sdk: Sdk, job: str):
    both: list[list[dict[str, Any]]] = [[{}], [{}, {"n": 1}]]
    for tasks in both:
        id = sdk(job, "run", tasks)
        assert sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02).stats.success == len(tasks)
    assert sdk(job, "create_execution", {}) not in ("", None)
    with pytest.raises(Exception, match="Failed to create job execution: 400"):
        sdk(job, "run", [])
    with pytest.raises(Exception, match="Failed to create job execution: 400"):
        sdk(job, "create_execution", {"tasks": "none"})


def test_a_full_job_refuses_what_must_not_queue(sdk: Sdk, job: str, served: Served):
    with served.contract() as contract:
        assert contract.put(f"/jobs/{job}", json={"concurrency": 1}).status_code == 200
    first = sdk(job, "run", [{"hang": True}], allow_queue=False)
    until(lambda: sdk(job, "get_execution_status", first) == "running", "the first one runs")
    with pytest.raises(RateLimitError) as caught:
        sdk(job, "run", [{}], allow_queue=False)
    assert caught.value.retry_after_seconds is not None
    assert sdk(job, "get_execution_status", sdk(job, "run", [{}], allow_queue=True)) in ("pending", "queued")
    sdk(job, "cancel_execution", first)


def test_jobs_are_kept_as_they_are_described(sdk: Sdk, job: str):
    described = {
        "metadata": {"name": job, "displayName": "A job", "labels": {"team": "a"}, "externalId": job},
        "spec": {
            "runtime": {"image": "mine:1", "maxRetries": 2, "timeout": 1800, "memory": 2048, "envs": [{"name": "A", "value": "b"}]},
            "triggers": [{"id": "nightly", "type": "cron", "enabled": True, "configuration": {"schedule": "0 3 * * *"}}],
            "region": "us-was-1",
            "ofTomorrow": {"x": [1, None]},
        },
        "ofTomorrow": True,
    }
    created = create_job.sync(client=client, body=Job.from_dict(described))
    assert (created.metadata.name, created.metadata.display_name, created.status) == (job, "A job", "DEPLOYED")
    assert created.metadata.created_at == created.metadata.updated_at
    kept = get_job.sync(job, client=client).to_dict()
    for part in ("runtime", "region", "ofTomorrow", "triggers"):
        assert kept["spec"][part] == Job.from_dict(described).to_dict()["spec"][part]
    assert (kept["ofTomorrow"], kept["spec"]["enabled"]) == (True, True)
    with pytest.raises(ConflictError):
        create_job.sync(client=client, body=Job.from_dict(described))

    execution = sdk(job, "get_execution", sdk(job, "run", [{}]))
    assert (execution.spec.timeout, execution.tasks[0].spec.timeout, execution.tasks[0].spec.max_retries) == (1800, "30m", 2)

    described["spec"] = {"enabled": False}
    updated = update_job.sync(job, client=client, body=Job.from_dict(described))
    assert (updated.spec.enabled, bool(updated.spec.runtime)) == (False, False)
    assert updated.metadata.created_at == created.metadata.created_at
    assert not sdk(job, "get_execution", sdk(job, "run", [{}])).spec.timeout
    assert [revision.active for revision in list_job_revisions.sync(job, client=client)] == [True]


def test_jobs_end_with_what_runs(sdk: Sdk, job: str):
    create_job.sync(client=client, body=Job.from_dict({"metadata": {"name": job}, "spec": {"enabled": True}}))
    running = [sdk(job, "run", [{"hang": True}]) for _ in range(3)]
    assert delete_job.sync(job, client=client).metadata.name == job
    assert [sdk(job, "get_execution_status", id) for id in running] == ["cancelled"] * 3
    for gone in (get_job.sync, delete_job.sync, list_job_revisions.sync):
        with pytest.raises(UnexpectedStatus) as caught:
            gone(job, client=client)
        assert caught.value.body["error"] == "not_found"
    create_job.sync(client=client, body=Job.from_dict({"metadata": {"name": job}, "spec": {"enabled": True}}))
    assert len(sdk(job, "list_executions")) == 3


def test_lists_of_jobs(sdk: Sdk, job: str):
    names = [f"{job}-{letter}" for letter in "bdac"]
    made = []
    for name in names:
        described = {"metadata": {"name": name, "externalId": f"x-{name}"}, "spec": {"enabled": True}}
        created = create_job.sync(client=client, body=Job.from_dict(described))
        made.append((datetime.fromisoformat(created.metadata.created_at), name))
    oldest = [name for _, name in sorted(made)]  # in virtual time all are made at once

    def listed(**query: Any) -> list[str]:
        return [each.metadata.name for each in list_jobs.sync(client=client, q=job, **query).data]

    assert listed() == oldest[::-1]
    assert listed(sort=ListJobsSort("createdAt:asc")) == oldest
    assert listed(sort=ListJobsSort("name:desc")) == sorted(names)[::-1]
    assert listed(anchor=ListJobsAnchor.END, limit=3) == oldest[2::-1]
    assert listed(external_id=f"x-{names[2]}") == [names[2]]
    assert listed(status="FAILED") == []
    for sort in ListJobsSort:
        first = list_jobs.sync(client=client, q=job, limit=3, sort=sort)
        second = list_jobs.sync(client=client, q=job, limit=3, sort=sort, cursor=first.meta.next_cursor)
        assert first.meta.has_more
        assert not second.meta.has_more
        assert {each.metadata.name for each in [*first.data, *second.data]} == set(names)
        assert first.meta.total == second.meta.total >= 4


def test_tasks_of_an_execution(sdk: Sdk, job: str):
    id = sdk(job, "run", [{"n": number} for number in range(12)])
    sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02)
    names = [f"task-{number}" for number in range(12)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = list_job_execution_tasks.sync(job, id, client=client, limit=5, **cursor)
        found += [task.metadata.name for task in page.data]
        assert {task.status.value for task in page.data} == {"succeeded"}
        assert (page.meta.total, page.meta.total_is_partial) == (12, False)
        if not page.meta.has_more:
            break
        cursor = {"cursor": page.meta.next_cursor}
    assert found == names
    kind = list_job_execution_tasks.ListJobExecutionTasksSort
    for word, expected in (
        ("createdAt:desc", names[::-1]), ("name:asc", sorted(names)), ("name:desc", sorted(names)[::-1]),
    ):  # fmt: skip
        first = list_job_execution_tasks.sync(job, id, client=client, limit=7, sort=kind(word))
        second = list_job_execution_tasks.sync(job, id, client=client, limit=7, sort=kind(word), cursor=first.meta.next_cursor)
        assert [task.metadata.name for task in [*first.data, *second.data]] == expected
    chosen = list_job_execution_tasks.sync(job, id, client=client, q="task-1")
    assert [task.metadata.name for task in chosen.data] == ["task-1", "task-10", "task-11"]


@pytest.mark.parametrize("served", ["durable"], indirect=True)
def test_a_wrong_key(sdk: Sdk, job: str, served: Served, monkeypatch: pytest.MonkeyPatch):
    for key, workspace, status, word in (
        ("wrong", "default", 401, "unauthorized"),
        (served.key, "elsewhere", 403, "forbidden"),
        (OTHER_KEY, "other", 403, "forbidden"),
    ):
        point_blaxel_at(served.url, monkeypatch, api_key=key, workspace=workspace)
        with pytest.raises(UnexpectedStatus) as caught:
            sdk(job, "run", [{}])
        assert (caught.value.status, caught.value.body["error"]) == (status, word)


def test_client_credentials(sdk: Sdk, job: str, served: Served, monkeypatch: pytest.MonkeyPatch):
    credentials = base64.b64encode(f"a-client:{served.key}".encode()).decode()
    point_blaxel_at(served.url, monkeypatch, client_credentials=credentials)
    id = sdk(job, "run", [{}])
    assert sdk(job, "wait_for_execution", id, max_wait=60, interval=0.02).status == "succeeded"


def test_callers_from_before_there_were_pages(sdk: Sdk, job: str, served: Served):
    made = [sdk(job, "run", [{}]) for _ in range(3)][::-1]
    headers = {"X-Blaxel-Authorization": f"Bearer {served.key}", "User-Agent": "blaxel/sdk/python/0.1.0"}
    with httpx.Client(base_url=served.url, headers=headers, trust_env=False) as old:
        for version in ({}, {"Blaxel-Version": "2026-04-27"}):
            rows = old.get(f"/jobs/{job}/executions", headers=version).json()
            assert [row["metadata"]["id"] for row in rows] == made
            assert [
                row["metadata"]["id"] for row in old.get(f"/jobs/{job}/executions?offset=1&limit=1", headers=version).json()
            ] == [made[1]]
            assert isinstance(old.get("/jobs", headers=version).json(), list)
