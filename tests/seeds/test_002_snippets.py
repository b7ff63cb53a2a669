"""Seed 002, "Jobs and Steps", ported snippet by snippet, and run as one script in the order of the document.

Beside each heading stands what its snippet is in Python. Where the document shows a fragment, it is within the job that it is of.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import plain_environment

DOCUMENT = """
## Defining a Job

```python
from dataclasses import dataclass

from blaxel_jobs import JobManager, define_job


@dataclass
class Input:
    id: str


@dataclass
class Output:
    result: str


# Create the manager (see docs/server.md for stores)
manager = JobManager("sqlite:///jobs.db")


@define_job("my-job", input=Input, output=Output)
async def my_job_def(step, payload):
    # Job implementation
    return Output(result="done")


# Register to get a job handle
my_job = manager.register(my_job_def)
```

## Creating Steps

```python
@define_job("steps", input=Input)
async def steps(step, payload):
    async def work() -> str:
        # Step logic here
        return f"some value of {payload.id}"

    result = await step.run("step-name", work)
    return result


print(manager.register(steps).trigger(Input("abc123")).get_result())
```

## Step Names

```python
@define_job("good", input=Input)
async def good(step, payload):
    # Good - unique names
    user = await step.run("fetch-user", lambda: {"id": payload.id})
    await step.run("update-profile", lambda: {**user, "seen": True})


@define_job("bad", input=Input)
async def bad(step, payload):
    # Bad - duplicate names raise
    await step.run("step", lambda: 1)
    await step.run("step", lambda: 2)


for job in manager.register(good, bad):
    run = job.trigger(Input("abc123")).wait_done()
    print(job.name, run.status, run.error and run.error.type)
```

## Basic Trigger

```python
run = my_job.trigger(Input(id="abc123"))
print(run.get_result())
```

## With Idempotency Key

```python
once = my_job.trigger(
    Input(id="abc123"),
    idempotency_key="unique-request-id",
)
again = my_job.trigger(
    Input(id="abc123"),
    idempotency_key="unique-request-id",
)
print(once.id == again.id)
```

## With Concurrency Key

```python
run = my_job.trigger(
    Input(id="abc123"),
    concurrency_key="user_123",
)
print(run.wait_done().status)
```

## Job Lifecycle

```python
run = my_job.trigger(Input(id="abc123"))
print(run.status)
print(run.wait_done().status)
print(*[event.type for event in run.list_events()])
```

## Error Handling

```python
some_condition = True


@define_job("fallible")
async def fallible(step):
    async def might_fail() -> str:
        if some_condition:
            raise RuntimeError("Something went wrong")
        return "result"

    return await step.run("might-fail", might_fail)


run = manager.register(fallible).trigger().wait_done()
print(run.status, run.error.message)
some_condition = False
manager.retry_execution(run.id)
print(run.wait_done().status, run.result)
manager.close()
```
"""

PRINTED = """\
some value of abc123
good completed None
bad failed DuplicateStep
Output(result='done')
True
completed
pending
completed
created task.started task.completed
failed Something went wrong
completed result
"""


@pytest.mark.row("S2-01", "S2-02", "S2-03", "S2-05", "S2-07", "S2-08", "S2-09", "S2-13", "S2-14", "S2-15", "S2-16", "S2-23")
def test_s2_18_21_22_the_snippets_of_the_document_run(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert len(blocks) == DOCUMENT.count("## ") == 8
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == PRINTED
