import asyncio

from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest
from blaxel_jobs.jobs import bl_job


async def main():
    job = bl_job("my-job")
    execution_id = job.create_execution(CreateJobExecutionRequest(tasks=[{"duration": 1}]))

    # Sync
    result = job.wait_for_execution(
        execution_id,
        max_wait=300,  # 5 minutes (seconds)
        interval=2     # Poll every 2 seconds (seconds)
    )

    # Async
    result = await job.await_for_execution(execution_id, max_wait=300, interval=2)

    print(f"✓ Completed: {result.status}")


asyncio.run(main())
