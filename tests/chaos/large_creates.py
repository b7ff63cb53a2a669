"""Creates executions of 5,000 tasks, one after the other, until it is killed: `python -m tests.chaos.large_creates STORE FIRST`.

Before each it writes `begin KEY`, and once it is committed `done KEY ID`.
"""

import sys
from itertools import count

from blaxel_jobs import JobManager

TASKS = 5000


def main(path: str, first: int) -> None:
    with JobManager(f"sqlite:///{path}", worker=False, simulate=True) as manager:
        job = manager.job("large")
        for number in count(first):
            print("begin", number, flush=True)
            tasks = [{"n": n, "of": number} for n in range(TASKS)]
            print("done", number, job.create_execution({"tasks": tasks}, idempotency_key=str(number)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
