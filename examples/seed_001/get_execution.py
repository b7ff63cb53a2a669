import asyncio

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.jobs import bl_job


async def main():
    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))

    # Sync
    execution = job.get_execution(execution_id)

    # Async
    execution = await job.aget_execution(execution_id)

    print(execution.status, execution.metadata)


asyncio.run(main())
