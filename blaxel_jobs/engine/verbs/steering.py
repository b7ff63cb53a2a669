"""What is done to executions: the verbs, events that are sent, their removal."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from ...core.reading import check_job
from ...core.records import Execution
from ...core.requests import read_delete, read_event
from ...core.views import View
from .. import commands
from ..commands import Delete, SendEvent, Steer
from .asking import Asked, Commit, Verb, shown

if TYPE_CHECKING:
    from ..engine import Engine


def _steer(
    engine: "Engine", workspace: str, job: str | None, execution_id: str, verb: commands.Verb
) -> Generator[Asked, Any, View]:
    if job is not None:
        check_job(job)
    execution: Execution = yield Commit(Steer(workspace, job, execution_id, verb))
    return (yield from shown(engine, execution))


def cancel_job_execution(engine: "Engine", workspace: str, *, job: str, execution_id: str) -> Verb:
    return (yield from _steer(engine, workspace, job, execution_id, commands.Verb.CANCEL))


def _operation(verb: commands.Verb) -> Callable[..., Verb]:
    def operation(engine: "Engine", workspace: str, *, execution_id: str, job: str | None = None) -> Verb:
        return (yield from _steer(engine, workspace, job, execution_id, verb))

    return operation


VERBS: Final = {f"{verb}_execution": _operation(verb) for verb in commands.Verb}
"""start_execution, pause_execution and so on."""


def delete_execution(_engine: "Engine", workspace: str, *, execution_id: str, body: Any = None, job: str | None = None) -> Verb:
    force = False if body is None else read_delete(body)
    yield Commit(Delete(workspace, job, execution_id, force))
    return None


def send_execution_event(engine: "Engine", workspace: str, *, execution_id: str, body: Any, job: str | None = None) -> Verb:
    sent = read_event(body)
    event_id = sent.id or engine.new_id()
    disposition = yield Commit(SendEvent(workspace, job, execution_id, sent.name, sent.payload, event_id))
    return {"disposition": disposition, "id": event_id}
