import asyncio

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.jobs import bl_job


async def main():
    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))

    # Sync
    executions = job.list_executions(limit=50)

    # Async
    executions = await job.alist_executions(limit=50)

    print(f"Found {len(executions)} executions")


asyncio.run(main())
