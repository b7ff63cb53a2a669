"""What is done to executions by their ids: one body for those of a job, and for those of all jobs."""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Unpack

from . import events, verbs, waiting, watch
from .batch import FAILED
from .define import O
from .events import LogLine
from .execution import Execution, succeeded
from .flow import LOOK, Flow, Seam, arun, run
from .options import CreateOptions
from .paging import Page
from .streams import Stream
from .waiting import check_wait
from .watch import Update, check_ids

if TYPE_CHECKING:
    from .client.models import CreateJobExecutionOutput, ExecutionStep, JobExecution, JobExecutionEvent


class ExecutionVerbs(Generic[O]):
    """The verbs that take ids: of a Job for its own executions, of Jobs for all."""

    _seam: Seam

    def get_execution(self, execution_id: str) -> Execution[O]:
        """The execution with its first 100 tasks, and its results where they fit. Raises NotFound."""
        return run(self._seam, self._get(execution_id))

    async def aget_execution(self, execution_id: str) -> Execution[O]:
        """As `get_execution`."""
        return await arun(self._seam, self._get(execution_id))

    def get_execution_status(self, execution_id: str) -> str:
        """Just the status: pending, running, paused, completed, failed or cancelled. Raises NotFound."""
        return run(self._seam, self._status(execution_id))

    async def aget_execution_status(self, execution_id: str) -> str:
        """As `get_execution_status`."""
        return await arun(self._seam, self._status(execution_id))

    def get_execution_result(self, execution_id: str, max_wait: float = 0) -> O:
        """What its task returned, or of several tasks the list; waits for it at most `max_wait` seconds.

        Raises ExecutionFailed when it failed or was cancelled, NotFinished for `max_wait=0`, else WaitTimeoutError.
        """
        return run(self._seam, self._result(execution_id, max_wait))

    async def aget_execution_result(self, execution_id: str, max_wait: float = 0) -> O:
        """As `get_execution_result`."""
        return await arun(self._seam, self._result(execution_id, max_wait))

    def wait_for_execution(
        self, execution_id: str, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False
    ) -> Execution[O]:
        """Wait until the execution is done, and return it, also when it failed.

        After `max_wait` seconds WaitTimeoutError is raised; the execution goes on. Where the server cannot hold the answer until
        the end, it is asked again and again: fast at first, then every `interval` seconds. A server that is busy or cannot be
        reached is waited for too. `raise_on_failure` raises ExecutionFailed for one that failed or was cancelled.
        """
        return run(self._seam, self._wait(execution_id, max_wait, interval, raise_on_failure))

    async def await_for_execution(
        self, execution_id: str, max_wait: float = 360, interval: float = 3, *, raise_on_failure: bool = False
    ) -> Execution[O]:
        """As `wait_for_execution`. Cancelling the wait leaves the execution alone."""
        return await arun(self._seam, self._wait(execution_id, max_wait, interval, raise_on_failure))

    def start_execution(self, execution_id: str) -> Execution[O]:
        """Let it begin, when it was created with `auto_start=False`. Raises NotFound, IllegalTransition when it has ended."""
        return run(self._seam, self._act("start", execution_id))

    async def astart_execution(self, execution_id: str) -> Execution[O]:
        """As `start_execution`."""
        return await arun(self._seam, self._act("start", execution_id))

    def pause_execution(self, execution_id: str) -> Execution[O]:
        """Hold it back; see `Execution.pause`. Raises NotFound, IllegalTransition when it has ended."""
        return run(self._seam, self._act("pause", execution_id))

    async def apause_execution(self, execution_id: str) -> Execution[O]:
        """As `pause_execution`."""
        return await arun(self._seam, self._act("pause", execution_id))

    def resume_execution(self, execution_id: str) -> Execution[O]:
        """Let a paused one go on. Raises NotFound, IllegalTransition when it has ended."""
        return run(self._seam, self._act("resume", execution_id))

    async def aresume_execution(self, execution_id: str) -> Execution[O]:
        """As `resume_execution`."""
        return await arun(self._seam, self._act("resume", execution_id))

    def retry_execution(self, execution_id: str) -> Execution[O]:
        """Try its failed tasks again, in place. Raises NotFound, IllegalTransition unless it has failed."""
        return run(self._seam, self._act("retry", execution_id))

    async def aretry_execution(self, execution_id: str) -> Execution[O]:
        """As `retry_execution`."""
        return await arun(self._seam, self._act("retry", execution_id))

    def rerun_execution(self, execution_id: str, /, **options: Unpack[CreateOptions]) -> Execution[O]:
        """A new execution of the same work; see `Execution.rerun`. Raises NotFound."""
        return run(self._seam, self._rerun(execution_id, options))

    async def arerun_execution(self, execution_id: str, /, **options: Unpack[CreateOptions]) -> Execution[O]:
        """As `rerun_execution`."""
        return await arun(self._seam, self._rerun(execution_id, options))

    def delete_execution(self, execution_id: str, force: bool = False) -> None:
        """Forget it; see `Execution.delete`. Raises NotFound, IllegalTransition when it has not ended, unless forced."""
        run(self._seam, verbs.delete_execution(self._seam, self._only(), execution_id, force))

    async def adelete_execution(self, execution_id: str, force: bool = False) -> None:
        """As `delete_execution`."""
        await arun(self._seam, verbs.delete_execution(self._seam, self._only(), execution_id, force))

    def send_event(self, execution_id: str, name: str, payload: Any = None, *, event_id: str | None = None) -> str:
        """Send the execution an event; see `Execution.send_event`. Raises NotFound, IllegalTransition when it has ended."""
        return run(self._seam, verbs.send_event(self._seam, self._only(), execution_id, name, payload, event_id))

    async def asend_event(self, execution_id: str, name: str, payload: Any = None, *, event_id: str | None = None) -> str:
        """As `send_event`."""
        return await arun(self._seam, verbs.send_event(self._seam, self._only(), execution_id, name, payload, event_id))

    def get_logs(self, execution_id: str) -> list[LogLine]:
        """What the execution's handlers have logged until now, the oldest first. Raises NotFound."""
        return run(self._seam, events.get_logs(self._seam, self._only(), execution_id))

    async def aget_logs(self, execution_id: str) -> list[LogLine]:
        """As `get_logs`."""
        return await arun(self._seam, events.get_logs(self._seam, self._only(), execution_id))

    def stream_events(self, execution_id: str, after: int = 0) -> "Stream[JobExecutionEvent]":
        """Each event of the execution, past and to come; see `Execution.stream_events`. Raises NotFound."""
        return Stream(self._seam, lambda: events.follow_events(self._seam, self._only(), execution_id, after))

    def list_steps(self, execution_id: str, limit: int | None = None, cursor: str | None = None) -> "Page[ExecutionStep]":
        """The steps that the execution has stored, without their values, in pages. Raises NotFound."""
        return run(self._seam, self._steps(execution_id, limit, cursor))

    async def alist_steps(self, execution_id: str, limit: int | None = None, cursor: str | None = None) -> "Page[ExecutionStep]":
        """As `list_steps`."""
        return await arun(self._seam, self._steps(execution_id, limit, cursor))

    def get_data_url(self, execution_id: str) -> str:
        """A URL that answers the execution's inputs without a key, for BL_EXECUTION_DATA_URL of a runner in a container. Keep it
        secret. Raises NotFound."""
        return run(self._seam, verbs.get_data_url(self._seam, self._only(), execution_id))

    async def aget_data_url(self, execution_id: str) -> str:
        """As `get_data_url`."""
        return await arun(self._seam, verbs.get_data_url(self._seam, self._only(), execution_id))

    def get_execution_statuses(self, ids: Iterable[str]) -> list[Update]:
        """How each of them stands, in their order, 10,000 in a request. An id that there is not has the status `unknown`."""
        return run(self._seam, watch.get_statuses(self._seam, self._only(), check_ids(ids)))

    async def aget_execution_statuses(self, ids: Iterable[str]) -> list[Update]:
        """As `get_execution_statuses`."""
        return await arun(self._seam, watch.get_statuses(self._seam, self._only(), check_ids(ids)))

    def wait_for_executions(
        self, ids: Iterable[str], max_wait: float = 360, *, raise_on_failure: bool = False
    ) -> list[Execution[O]]:
        """Wait until all of them are done, and return them in the order of `ids`, also those that failed; on one connection.

        They have id, job, status, done and stats; for more call `refresh()` or `get_result()`. After `max_wait` seconds
        WaitTimeoutError is raised; the executions go on. `raise_on_failure` raises ExecutionFailed as soon as one failed or was
        cancelled. Raises NotFound for an id that there is not.
        """
        ids, ended = check_ids(ids), {}
        for execution in self.as_completed(ids, max_wait):
            ended[execution.id] = execution
            if raise_on_failure and execution.status in FAILED:
                succeeded(execution.refresh())
        return [ended[id] for id in ids]

    async def await_for_executions(
        self, ids: Iterable[str], max_wait: float = 360, *, raise_on_failure: bool = False
    ) -> list[Execution[O]]:
        """As `wait_for_executions`. Cancelling the wait leaves the executions alone."""
        ids, ended = check_ids(ids), {}
        async for execution in self.as_completed(ids, max_wait):
            ended[execution.id] = execution
            if raise_on_failure and execution.status in FAILED:
                succeeded(await execution.arefresh())
        return [ended[id] for id in ids]

    def as_completed(self, ids: Iterable[str], max_wait: float = 360) -> Stream[Execution[O]]:
        """Each of them once it is done, in the order in which they end, for `for` and `async for`; on one connection.

        They have id, job, status, done and stats; for more call `refresh()` or `get_result()`. Raises WaitTimeoutError when not all
        have ended `max_wait` seconds after the first step, and NotFound for an id that there is not.
        """
        ids = check_ids(ids)
        check_wait(max_wait, 0)
        return Stream(self._seam, lambda: watch.follow(self._seam, self._only(), ids, max_wait, self._ended))

    def watch(self, execution_id: str) -> Stream[Update]:
        """Each change of the execution, the first sight of it included, for `for` and `async for`; ends when it is done.

        Raises NotFound.
        """
        ids = check_ids([execution_id])
        return Stream(self._seam, lambda: watch.follow(self._seam, self._only(), ids, math.inf, _as_it_is, watch.PATIENCE))

    def _only(self) -> str | None:
        """The job whose executions are meant; None for those of any."""
        return None

    def _reader(self) -> Callable[[Any], O] | None:
        """What makes a result what the job's definition says that it is."""
        return None

    def _made(self, model: "JobExecution | CreateJobExecutionOutput | Update", whole: bool = False) -> Execution[O]:
        return Execution(self._seam, model, whole=whole, read_output=self._reader())

    def _whole(self, model: "JobExecution") -> Execution[O]:
        return self._made(model, whole=True)

    def _ended(self, update: Update) -> Execution[O] | None:
        return self._made(update) if update.done else None

    def _get(self, execution_id: str, prefer: str | None = None) -> Flow[Execution[O]]:
        return self._whole((yield from verbs.get_execution(self._seam, self._only(), execution_id, prefer)))

    def _status(self, execution_id: str) -> Flow[str]:
        job = self._only()
        if job is not None:
            return (yield from verbs.get_execution_status(self._seam, job, execution_id))
        return (yield from watch.get_status(self._seam, execution_id))

    def _wait(self, execution_id: str, max_wait: float, interval: float, raise_on_failure: bool) -> Flow[Execution[O]]:
        ended = yield from waiting.wait_for_execution(self._seam, self._only(), execution_id, max_wait, interval, self._whole)
        return succeeded(ended) if raise_on_failure else ended

    def _result(self, execution_id: str, max_wait: float) -> Flow[O]:
        check_wait(max_wait, 0)
        look = self._get(execution_id, LOOK) if max_wait == 0 else self._wait(execution_id, max_wait, 3, False)
        return (yield from (yield from look)._outcome())

    def _act(self, verb: str, execution_id: str) -> Flow[Execution[O]]:
        return self._whole((yield from verbs.act(self._seam, self._only(), execution_id, verb)))

    def _rerun(self, execution_id: str, options: CreateOptions) -> Flow[Execution[O]]:
        return self._made((yield from verbs.rerun_execution(self._seam, self._only(), execution_id, options)))

    def _steps(self, execution_id: str, limit: int | None, cursor: str | None) -> "Flow[Page[ExecutionStep]]":
        answer = yield from verbs.list_steps(self._seam, self._only(), execution_id, limit, cursor)
        return Page(self._seam, answer.data, answer.meta, lambda following: self._steps(execution_id, limit, following))


def _as_it_is(update: Update) -> Update:
    return update
