"""A script that runs one execution and waits for it: `python examples/script.py [seconds of each task ...]`.

It needs a server: `blaxel-jobs serve --store memory: --simulate` is one in which every task takes its `duration`.
"""

import sys

from blaxel_jobs import CreateJobExecutionRequest, WaitTimeoutError, bl_job


def main(durations: list[float]) -> int:
    job = bl_job("data-processing")
    request = CreateJobExecutionRequest(tasks=[{"duration": duration} for duration in durations])
    execution_id = job.create_execution(request)
    print(f"{execution_id} is {job.get_execution_status(execution_id)}")
    try:
        result = job.wait_for_execution(execution_id, max_wait=sum(durations) + 120)
    except WaitTimeoutError as error:
        print(error)  # the execution goes on: wait again, or cancel it
        return 1
    print(f"{execution_id} is {result.status}")
    return 0 if result.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main([float(argument) for argument in sys.argv[1:]] or [30, 60]))
