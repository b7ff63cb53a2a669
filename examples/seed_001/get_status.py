import asyncio

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.jobs import bl_job


async def main():
    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))

    # Sync
    status = job.get_execution_status(execution_id)

    # Async
    status = await job.aget_execution_status(execution_id)

    print(f"Status: {status}")


asyncio.run(main())
