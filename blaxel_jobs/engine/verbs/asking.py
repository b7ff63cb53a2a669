"""What a verb asks of who drives it, and what verbs have in common."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ...core.reading import check_job
from ...core.records import Execution, Task
from ...core.requests import parse_prefer
from ...core.views import View, execution_view
from ..arrivals import Awaiting
from ..commands import Command
from ..scope import no_such_execution

if TYPE_CHECKING:
    from ..engine import Engine

SHOWN_TASKS = 100
"""Tasks that a get carries."""
RESULT_TASKS = 1000
"""Executions of at most so many tasks carry their results."""


class Commit(Struct, frozen=True):
    """Write this, durably; answers what the command answers."""

    command: Command


class CommitAll(Struct, frozen=True):
    """Write these, durably, together if they meet; answers what each of them answers, or the error that it fails with."""

    commands: list[Command]


class Read(Struct, frozen=True):
    """Call this; it reads the store."""

    read: Callable[[], Any]


class Until(Struct, frozen=True):
    """Wait until the execution has ended, for at most so many seconds; answers it as it is then."""

    workspace: str
    id: str
    seconds: float


Asked = Commit | CommitAll | Read | Until | Awaiting
Verb = Generator[Asked, Any, View | None]


def find(
    engine: "Engine", workspace: str, job: str | None, execution_id: str, prefer: str | None = None
) -> Generator[Asked, Any, Execution]:
    """The execution, of this job or of any; after the wait that `prefer` asks for, when it has not ended. Raises NotFound."""
    if job is not None:
        check_job(job)
    found: list[Execution] = yield Read(lambda: engine.store.get(workspace, [execution_id]))
    if not found or job not in (None, found[0].job):
        raise no_such_execution(job, execution_id)
    seconds = parse_prefer(prefer)
    if found[0].done or not seconds:
        return found[0]
    found = yield Until(workspace, execution_id, seconds)
    if not found:
        raise no_such_execution(job, execution_id)
    return found[0]


def shown(engine: "Engine", execution: Execution) -> Generator[Asked, Any, View]:
    """An execution as a get shows it."""
    with_results = not execution.spec.single and execution.done and execution.total <= RESULT_TASKS
    wanted = RESULT_TASKS if with_results else SHOWN_TASKS
    tasks: list[Task] = yield Read(lambda: engine.store.tasks(execution.workspace, execution.seq, -1, wanted))
    return execution_view(execution, tasks, engine.waiting_for(execution), SHOWN_TASKS)
