"""A process that forks while its JobManager runs a task: `python -m tests.manager.forking STORE`. Says as JSON how both went."""

import json
import os
import sys
import threading
from typing import Any

from blaxel_jobs import JobManager, define_job
from blaxel_jobs.stores import open_store
from tests.pace import PATIENCE

started, go_on = threading.Event(), threading.Event()


@define_job("slow")
def slow() -> str:
    started.set()
    assert go_on.wait(PATIENCE)
    return "ended"


def refusal(call: Any) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def main(url: str) -> None:
    manager = JobManager(open_store(url), grace=0.1)
    manager.register(slow)
    execution = manager.trigger("slow")
    assert started.wait(PATIENCE)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = [refusal(execution.refresh), refusal(lambda: manager.trigger("slow")), refusal(manager.close)]
        os.write(writing, json.dumps(said).encode())
        sys.exit(0)  # as a program ends: atexit is run
    os.waitpid(pid, 0)
    go_on.set()
    execution.wait_done(PATIENCE)
    events = [event.type for event in execution.list_events()]
    print(json.dumps({"child": json.loads(os.read(reading, 10_000)), "status": execution.status, "events": events}))
    manager.close()


if __name__ == "__main__":
    main(sys.argv[1])
