"""Write docs/states.md from the state table of the core and what the engine does: `python scripts/states_diagram.py [--check]`."""

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final

from blaxel_jobs.core.records import Execution, Failure, Leased, Spec
from blaxel_jobs.core.reports import Completed, Failed, Report
from blaxel_jobs.core.states import TABLE, execution_status
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import Claim, Tell
from blaxel_jobs.errors import Conflict
from blaxel_jobs.stores import JobStore, MemoryJobStore
from blaxel_jobs.system import SystemClock
from blaxel_jobs.words import TERMINAL, FailureKind, JobStatus
from scripts.generated_file import ROOT, settle

HEAD = """\
# States

Written by `scripts/states_diagram.py` from the table in `blaxel_jobs/core/task_table.py` and from what the engine does; `make docs`
writes it again.

## Tasks

A task moves by this table. An event that a status does not list is refused (`illegal_transition`, 409), and nothing changes. What
goes back to pending is paused instead while its execution is.
"""

EXECUTIONS = """
## Executions

An execution has no table of its own: its status follows from the counts of its tasks. With two tasks, one of the row's and one of
the column's status, it is:
"""

VERBS = """
While it is paused it is that, until its last task has ended. Cancelling it ends every task that has not ended, and makes it
cancelled, whatever has failed before; with `failFast` the first failure ends the others, and leaves it failed.

## Verbs

What a verb makes of an execution of one task, by the status that it is in. `409` refuses it and changes nothing; `as it is` answers
the execution and changes nothing.
"""

WORKSPACE: Final = "default"
JOB: Final = "job"
ENDS: Final = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
Act = Callable[["Stage", str], None]


def main(arguments: list[str]) -> int:
    logging.disable()
    table = walk(MemoryJobStore)
    text = "\n".join([HEAD, *diagram(), "", *events(), EXECUTIONS, *executions(), VERBS, *verbs(table), ""])
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


def executions() -> Iterator[str]:
    counted = (JobStatus.PENDING, JobStatus.RUNNING, *ENDS)
    yield f"| | {' | '.join(counted)} |"
    yield f"| --- {'| --- ' * len(counted)}|"
    for one in counted:
        both = (execution_status(_with(one, other)) for other in counted)
        yield f"| **{one}** | {' | '.join(both)} |"


def _with(*tasks: JobStatus) -> Execution:
    """An execution of tasks in these statuses."""
    running, completed, failed, cancelled = (tasks.count(each) for each in (JobStatus.RUNNING, *ENDS))
    return Execution(
        workspace=WORKSPACE, id="", job=JOB, priority=0, total=len(tasks), created_at=0.0, updated_at=0.0, spec=Spec(),
        running=running, completed=completed, failed=failed, cancelled=cancelled,
    )  # fmt: skip


class Stage:
    """An engine on which one execution is brought into a status, and a verb tried on it."""

    def __init__(self, store: JobStore) -> None:
        numbers = count(1)
        self.engine = Engine(store, clock=SystemClock(), new_id=lambda: f"e{next(numbers)}", rng=Random(0), owns_store=False)
        self.told: list[str] = []
        self.engine.listeners.stopped.append(lambda _: self.told.append("its worker is told to stop"))
        self.engine.listeners.revoked.append(lambda _: self.told.append("its worker loses the lease"))

    def call(self, operation: str, **arguments: Any) -> Any:
        return self.engine.call(operation, WORKSPACE, arguments)

    def create(self, **options: Any) -> str:
        return str(self.call("create_job_execution", job=JOB, body={"input": None, **options})["executionId"])

    def claim(self) -> Leased:
        leased: list[Leased] = self.engine.submit(Claim(WORKSPACE, None, 1, "worker", 60.0))
        return leased[0]

    def run(self, report: Report) -> None:
        self.engine.submit(Tell(self.claim().lease, report))

    def version(self, id: str) -> tuple[int, str] | None:
        found = self.engine.store.get(WORKSPACE, [id])
        return (found[0].version, str(found[0].status)) if found else None

    def attempt(self, verb: str, id: str) -> str:
        """What the verb does, in a few words."""
        before = self.version(id)
        operation, arguments = OPERATIONS[verb]
        try:
            answer = self.call(operation, execution_id=id, **arguments)
        except Conflict as refused:
            assert self.version(id) == before, f"{verb} was refused and has changed something"
            return str(refused.status_code)
        after = self.version(id)
        if verb == "rerun":
            assert after == before, "rerun leaves the execution as it is"
            return "a new one" if answer["executionId"] != id else "the same"
        if verb == "send event":
            return str(answer["disposition"])
        if after is None:
            return "; ".join(["gone", *self.told])
        assert answer["status"] == after[1], f"{verb} answers {answer['status']}, and it is {after[1]}"
        if after == before:
            return "as it is"
        return "; ".join([after[1] if before is None or after[1] != before[1] else f"{after[1]}, ready", *self.told])


OPERATIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **{verb: (f"{verb}_execution", {}) for verb in ("start", "pause", "resume", "cancel", "retry")},
    "rerun": ("rerun_execution", {"body": {}}),
    "delete": ("delete_execution", {}),
    "delete, forced": ("delete_execution", {"body": {"force": True}}),
    "send event": ("send_execution_event", {"body": {"name": "event"}}),
}


def _nothing(_stage: Stage, _id: str) -> None:
    pass


def _claim(stage: Stage, _id: str) -> None:
    stage.claim()


def _complete(stage: Stage, _id: str) -> None:
    stage.run(Completed("1"))


def _fail(stage: Stage, _id: str) -> None:
    stage.run(Failed(Failure(FailureKind.ERROR, "ValueError", "no")))


def _pause(stage: Stage, id: str) -> None:
    stage.call("pause_execution", execution_id=id)


def _cancel(stage: Stage, id: str) -> None:
    stage.call("cancel_execution", execution_id=id)


SITUATIONS: Final[dict[str, tuple[dict[str, Any], Act]]] = {
    "pending, not to start by itself": ({"autoStart": False}, _nothing),
    "pending": ({}, _nothing),
    "running": ({}, _claim),
    "paused": ({}, _pause),
    "completed": ({}, _complete),
    "failed": ({}, _fail),
    "cancelled": ({}, _cancel),
}
"""How an execution comes into a status: the options of its create, and what happens then."""


def walk(open_store: Callable[[], JobStore]) -> dict[str, dict[str, str]]:
    """What each verb does in each situation: every one is tried."""
    table: dict[str, dict[str, str]] = {verb: {} for verb in OPERATIONS}
    for situation, (options, act) in SITUATIONS.items():
        for verb, row in table.items():
            store = open_store()
            stage = Stage(store)
            id = stage.create(**options)
            act(stage, id)
            assert stage.call("get_execution", execution_id=id)["status"] == situation.partition(",")[0]
            stage.told.clear()
            row[situation] = stage.attempt(verb, id)
            stage.engine.close()
            store.close()
    return table


def verbs(table: dict[str, dict[str, str]]) -> Iterator[str]:
    yield f"| | {' | '.join(SITUATIONS)} |"
    yield f"| --- {'| --- ' * len(SITUATIONS)}|"
    for verb, row in table.items():
        yield f"| **{verb}** | {' | '.join(row.values())} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
