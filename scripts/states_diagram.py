"""Write docs/states.md from the state table of the core: `python scripts/states_diagram.py [--check]`."""

import inspect
import sys
from collections.abc import Iterator

from blaxel_jobs.core.states import TABLE, execution_status
from blaxel_jobs.words import TERMINAL, JobStatus
from scripts.generated_file import ROOT, settle

HEAD = """\
# States

Written by `scripts/states_diagram.py` from the table in `blaxel_jobs/core/states.py`; `make docs` writes it again.

## Tasks

A task moves by this table. An event that a status does not list is refused (`illegal_transition`, 409), and nothing changes.
"""

EXECUTIONS = """
## Executions

An execution has no table of its own: its status follows from the counts of its tasks. Cancelling it cancels every task that has not
ended. With two tasks, one of the row's and one of the column's status, it is:
"""


def main(arguments: list[str]) -> int:
    text = "\n".join([HEAD, *diagram(), "", *events(), EXECUTIONS, *executions(), ""])
    return settle(ROOT / "docs" / "states.md", text, arguments)


def diagram() -> Iterator[str]:
    yield from ("```mermaid", "stateDiagram-v2", "    [*] --> pending")
    for (status, event), targets in TABLE.items():
        for target in targets:
            yield f"    {status} --> {target}: {event.__name__.lower()}"
    for status in JobStatus:
        if status in TERMINAL:
            yield f"    {status} --> [*]"
    yield "```"


def events() -> Iterator[str]:
    yield from ("| from | event | to | when |", "| --- | --- | --- | --- |")
    for (status, event), targets in TABLE.items():
        when = " ".join((inspect.getdoc(event) or "").split())
        yield f"| {status} | {event.__name__.lower()} | {' or '.join(targets)} | {when} |"
    reached = {JobStatus.PENDING, *(target for targets in TABLE.values() for target in targets)}
    unused = [status for status in JobStatus if status not in reached]
    if unused:
        yield f"\nIn the contract, and not reached in this release: {', '.join(unused)}."


def executions() -> Iterator[str]:
    counted = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
    yield f"| | {' | '.join(counted)} |"
    yield f"| --- {'| --- ' * len(counted)}|"
    for one in counted:
        both = (execution_status(2, *((one, other).count(status) for status in counted[1:])) for other in counted)
        yield f"| **{one}** | {' | '.join(both)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
