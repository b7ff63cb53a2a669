import asyncio
from blaxel_jobs.jobs import bl_job
from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest

async def main():
    job = bl_job("data-processing")

    request = CreateJobExecutionRequest(tasks=[{"duration": 60}, {"duration": 60}])
    execution_id = await job.acreate_execution(request)

    status = await job.aget_execution_status(execution_id)
    print(f"Status: {status}")

    result = await job.await_for_execution(execution_id, max_wait=180, interval=5)
    print(f"✓ Completed: {result.status}")

asyncio.run(main())
