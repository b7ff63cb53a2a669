from blaxel_jobs.jobs import bl_job
from blaxel_jobs.client.models.create_job_execution_request import CreateJobExecutionRequest

job = bl_job("data-processing")

# Create execution
request = CreateJobExecutionRequest(tasks=[{"duration": 60}, {"duration": 60}])
execution_id = job.create_execution(request)

# Monitor
status = job.get_execution_status(execution_id)
print(f"Status: {status}")

# Wait
try:
    result = job.wait_for_execution(execution_id, max_wait=180, interval=5)
    print(f"✓ Completed: {result.status}")
except Exception as error:
    print(f"⚠ Timeout: {error}")
