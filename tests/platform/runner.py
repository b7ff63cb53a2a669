"""What runs in a container: `python runner.py MODULE ENVIRONMENTS` starts `bl_start_job` of that module once for each environment
of a JSON list, each in a process of its own, and prints what came of each. The module is imported once, by their parent."""

import importlib
import json
import os
import sys
from typing import Any


def work(**fields: Any) -> None:
    print(json.dumps({"fields": fields}))


def run(start_job: Any, environment: dict[str, str]) -> int:
    """The exit code."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.environ.update(environment)
    start_job.start(work)
    sys.exit()


if __name__ == "__main__":
    module, environments = sys.argv[1], json.loads(sys.argv[2])
    del sys.argv[1:]
    start_job = importlib.import_module(module).bl_start_job
    for environment in environments:
        print(json.dumps({"exit": run(start_job, environment)}))
