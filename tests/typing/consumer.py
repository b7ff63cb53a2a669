"""What a type checker sees from outside: read by mypy --strict and pyright --strict in `make check`, never run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

import blaxel_jobs
from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.client.models.job_execution_task import JobExecutionTask
from blaxel_jobs.jobs import ExecutionList, Page, bl_job


def the_sync_sdk(request: CreateJobExecutionRequest) -> None:
    job = bl_job("my-job")
    assert_type(job, blaxel_jobs.Job)
    assert_type(job.create_execution(request), str)
    assert_type(job.create_execution({"tasks": [{"duration": 60}]}, priority="high"), str)
    assert_type(job.run([{"duration": 60}], env={"A": "b"}, memory=512), str)
    assert_type(job.get_execution_status("id"), str)
    assert_type(job.list_executions(limit=50), ExecutionList)
    assert_type([execution.id for execution in job.list_executions().auto_paging_iter()], list[str])
    assert_type(job.cancel_execution("id"), None)
    execution = job.wait_for_execution("id", max_wait=300, interval=2)
    assert_type(execution, blaxel_jobs.Execution)
    assert_type(execution.status, str)
    assert_type(execution.done, bool)
    assert_type(execution.created_at, datetime)
    assert_type(execution.ended_at, datetime | None)
    assert_type(execution.stats, dict[str, int])
    assert_type(execution.list_tasks(), Page[JobExecutionTask])
    assert_type(execution.result, Any)
    assert_type(job.wait_for_executions(["id"], raise_on_failure=True), list[blaxel_jobs.Execution])
    assert_type(job.get_execution_statuses(["id"]), list[blaxel_jobs.Update])
    for ended in job.as_completed(["id"], max_wait=10):
        assert_type(ended, blaxel_jobs.Execution)
    for update in execution.watch():
        assert_type(update.stats, Mapping[str, int])
        assert_type(update.waiting_for, str | None)


def wherever_they_run(jobs: blaxel_jobs.Jobs) -> None:
    assert_type(jobs.trigger("my-job", {"a": 1}, priority="high"), blaxel_jobs.Execution)
    assert_type([ended.id for ended in jobs.as_completed(["id"])], list[str])


async def the_async_sdk(request: CreateJobExecutionRequest) -> None:
    job = bl_job("my-job")
    assert_type(await job.acreate_execution(request), str)
    assert_type(await job.aget_execution_status("id"), str)
    assert_type(await job.alist_executions(), ExecutionList)
    assert_type(await job.await_for_execution("id"), blaxel_jobs.Execution)
    async for execution in (await job.alist_executions()).auto_paging_iter():
        assert_type(await execution.arefresh(), blaxel_jobs.Execution)
    async with blaxel_jobs.JobsClient(base_url="http://127.0.0.1:8080") as client:
        assert_type(client.job("my-job"), blaxel_jobs.Job)
        wherever_they_run(client)
    assert_type(await job.await_for_executions(["id"]), list[blaxel_jobs.Execution])
    async for ended in job.as_completed(["id"]):
        assert_type(ended, blaxel_jobs.Execution)
    async for update in job.watch("id"):
        assert_type(update, blaxel_jobs.Update)


def errors_carry_what_they_say(error: blaxel_jobs.RequestError, late: blaxel_jobs.WaitTimeoutError) -> None:
    assert_type(error.status_code, int)
    assert_type(error.path, str | None)
    assert_type(late.execution, blaxel_jobs.Execution | None)


@blaxel_jobs.define_job("word-count")
def word_count(context: object, payload: Mapping[str, str]) -> dict[str, int]:
    return {"words": len(payload["text"].split())}


@blaxel_jobs.define_job("tick", queue="clock")
async def tick() -> None: ...


def in_process() -> None:
    with blaxel_jobs.JobManager("sqlite:///jobs.db") as manager:
        wherever_they_run(manager)
        assert_type(manager.register(word_count), blaxel_jobs.Job[Mapping[str, str], dict[str, int]])
        assert_type(manager.register(word_count, tick), tuple[blaxel_jobs.Job, ...])
        assert_type(manager.trigger("word-count", {"text": "a b"}).wait_done(), blaxel_jobs.Execution)
    assert_type(word_count, blaxel_jobs.JobDef[Mapping[str, str], dict[str, int]])
    assert_type(tick, blaxel_jobs.JobDef[Any, None])
