import asyncio

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.jobs import bl_job


async def main():
    job = bl_job("my-job")

    # Sync
    request = CreateJobExecutionRequest(tasks=[{"duration": 30}, {"duration": 60}])
    execution_id = job.create_execution(request)

    # Async
    execution_id = await job.acreate_execution(request)

    print(f"Created: {execution_id}")


asyncio.run(main())
