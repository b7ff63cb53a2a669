"""The types of a handle are those of its definition: read by mypy --strict and pyright --strict in `make check`, never run."""

from dataclasses import dataclass
from typing import Any, assert_type

import blaxel_jobs
from blaxel_jobs.client.models.execution_step import ExecutionStep
from blaxel_jobs.client.models.job_execution_event import JobExecutionEvent
from blaxel_jobs.jobs import ExecutionList, Page, bl_job


@dataclass
class Order:
    id: str


@dataclass
class Receipt:
    total: float


@blaxel_jobs.define_job("sell", input=Order, output=Receipt)
async def sell(context: object, order: Order) -> Receipt:
    return Receipt(1.0)


def a_name_says_nothing() -> None:
    job = bl_job("sell")
    assert_type(job, blaxel_jobs.Job[Any, Any])
    assert_type(job.trigger({"id": "a"}, delay=5, retry_policy=blaxel_jobs.RetryPolicy(initial=1)), blaxel_jobs.Execution[Any])
    assert_type(job.trigger_many([{"id": "a"}]), blaxel_jobs.Batch[Any])
    assert_type(job.stats(), blaxel_jobs.Figures)
    assert_type(job.get_execution("id").logs(), list[blaxel_jobs.LogLine])


def a_definition_says_all(jobs: blaxel_jobs.Jobs, manager: blaxel_jobs.JobManager) -> None:
    job = jobs.job(sell)
    assert_type(job, blaxel_jobs.Job[Order, Receipt])
    assert_type(manager.register(sell), blaxel_jobs.Job[Order, Receipt])
    execution = job.trigger(Order("a"))
    assert_type(execution, blaxel_jobs.Execution[Receipt])
    assert_type(jobs.trigger(sell, Order("a")), blaxel_jobs.Execution[Receipt])
    assert_type(execution.get_result(max_wait=5), Receipt)
    assert_type(execution.pause().resume().retry().wait_done(), blaxel_jobs.Execution[Receipt])
    assert_type(execution.rerun(name="again"), blaxel_jobs.Execution[Receipt])
    assert_type(execution.list_steps(), Page[ExecutionStep])
    assert_type(job.list_executions(), ExecutionList[Receipt])
    assert_type(job.get_execution_result("id"), Receipt)
    assert_type(job.start_execution("id"), blaxel_jobs.Execution[Receipt])
    assert_type(job.trigger_many([Order("a")]).executions[0].get_result(), Receipt)
    for event in execution.stream_events():
        assert_type(event, JobExecutionEvent)
    for ended in job.as_completed(["id"]):
        assert_type(ended, blaxel_jobs.Execution[Receipt])


def wherever_they_run(jobs: blaxel_jobs.Jobs) -> None:
    assert_type(jobs.get_execution("id"), blaxel_jobs.Execution[Any])
    assert_type(jobs.cancel_execution("id"), blaxel_jobs.Execution[Any])
    assert_type(jobs.stats(), dict[str, blaxel_jobs.Figures])
    assert_type(jobs.stats("sell"), blaxel_jobs.Figures)
    assert_type(jobs.create_batch([{"job": "sell", "payload": {"id": "a"}, "priority": "high"}]), blaxel_jobs.Batch[Any])
    assert_type(jobs.send_event("id", "paid", {"by": "card"}), str)


async def the_async_twins(job: blaxel_jobs.Job[Order, Receipt], jobs: blaxel_jobs.Jobs) -> None:
    execution = await job.atrigger(Order("a"), timeout=60)
    assert_type(await execution.aget_result(), Receipt)
    assert_type(await (await job.atrigger_many([Order("a")])).await_done(), blaxel_jobs.Batch[Receipt])
    assert_type(await jobs.atrigger(sell, Order("a")), blaxel_jobs.Execution[Receipt])
    assert_type(await jobs.astats(), dict[str, blaxel_jobs.Figures])
    async for event in execution.stream_events(after=5):
        assert_type(event.id, int)
