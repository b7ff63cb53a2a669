"""The same seed gives the same ids, times and events, in any process."""

import subprocess
import sys

import pytest

from tests.serving import ROOT, plain_environment

PROGRAM = """
import json
import random
from blaxel_jobs import JobsError, bl_job, define_job
from mock_server import MockServer

@define_job("sync")
def sync(context, payload):
    return {**payload, "attempt": context.attempt}

@define_job("async")
async def asynchronous(context, payload):
    inner = await bl_job("inner").atrigger({"duration": payload["n"]})
    return (await inner.await_done()).status

def story(mock):
    random_order = random.Random(5)
    for number in range(12):
        for name in ("my-job", "sync", "async", "other"):
            job = bl_job(name)
            count = random_order.randrange(1, 5)
            tasks = [{"n": n, "duration": random_order.randrange(100), "fail": n % 4 == 3} for n in range(count)]
            if number % 5 == 4:
                tasks.append({"exit": 1} if number == 4 else {"hang": True, "n": 1})
            id = job.create_execution({"tasks": tasks, "metadata": {"b": 1, "a": {"y": [1], "x": None}}}, priority="high")
            try:
                yield job.wait_for_execution(id, max_wait=random_order.choice([5, 31.5, 200])).to_dict()
            except JobsError as error:
                yield f"{type(error).__name__} {error}"
            if number % 3 == 2:
                try:
                    job.cancel_execution(id)
                except JobsError as error:
                    yield f"{type(error).__name__} {error}"
            yield job.get_execution_status(id)
    for execution in mock.executions:
        yield execution.to_dict()
        yield execution.get_data_url()
        yield [event.to_dict() for event in execution.list_events(1000)]

with MockServer(seed=SEED, mode=MODE, jobs=[sync, asynchronous]) as mock:
    for told in story(mock):
        print(json.dumps(told))
    print(mock.now, mock.random(), mock.new_key())
"""


def told(seed: int, mode: str, hash_seed: str) -> str:
    program = PROGRAM.replace("SEED", str(seed)).replace("MODE", repr(mode))
    environment = plain_environment(PYTHONHASHSEED=hash_seed)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["settle", "step"])
def test_the_same_seed_tells_the_same_story_in_any_process(mode: str):
    first = told(3, mode, "1")
    assert len(first.splitlines()) > 150
    assert told(3, mode, "2") == first
    assert told(4, mode, "1") != first
