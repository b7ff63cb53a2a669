"""A JobManager in a process of its own, for tests that kill it: `python -m tests.chaos.local_manager STORE [LEASE]`.

Each line that it reads is a JSON object with key, job and body; for each it writes the key and the id of the execution, once it
is created. At the end of its input it waits until all executions of the store have ended, and exits.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blaxel_jobs import JobManager, Settings
from tests.chaos.audit import unfinished
from tests.chaos.work import JOBS
from tests.pace import until

THREADS = 3


def main(path: str, lease: float = 60.0) -> None:
    manager = JobManager(f"sqlite:///{path}", settings=Settings(lease=lease))
    manager.register(*JOBS)

    def create(line: str) -> None:
        sent = json.loads(line)
        id = manager.job(sent["job"]).create_execution(sent["body"], idempotency_key=sent["key"])
        sys.stdout.write(f"{sent['key']} {id}\n")
        sys.stdout.flush()

    with manager, ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(create, sys.stdin):
            pass
        until(lambda: unfinished(Path(path)) == 0, "all executions end")


if __name__ == "__main__":
    main(sys.argv[1], *[float(argument) for argument in sys.argv[2:]])
