"""`Batch`: executions that were created together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic

from . import verbs, watch
from .define import O
from .execution import Execution, succeeded
from .flow import Flow, Seam, arun, run
from .streams import Stream
from .waiting import check_wait
from .watch import Update
from .words import JobStatus

if TYPE_CHECKING:
    from .client.models import Batch as Model

FAILED: Final = (JobStatus.FAILED, JobStatus.CANCELLED)


class Batch(Generic[O]):
    """Executions that were created in one call, in the order of its items: `batch_id, executions = batch`.

    They have id, job, status, done and stats; for more call `refresh()` of one of them.
    """

    def __init__(self, seam: Seam, model: "Model", executions: Sequence[Execution[O]]) -> None:
        self._seam = seam
        self._model = model
        self._executions = list(executions)

    @property
    def id(self) -> str:
        return self._model.metadata.id

    @property
    def executions(self) -> list[Execution[O]]:
        """In the order of the items."""
        return [*self._executions]

    @property
    def counts(self) -> dict[str, int]:
        """How many executions are in which status, and the `total`, as last read."""
        return self._model.stats.to_dict()

    @property
    def done(self) -> bool:
        """All of them have ended."""
        return self._model.done

    def refresh(self) -> "Batch[O]":
        """Read it and its executions again. Raises NotFound."""
        return run(self._seam, self._refresh())

    async def arefresh(self) -> "Batch[O]":
        """As `refresh`."""
        return await arun(self._seam, self._refresh())

    def wait_done(self, max_wait: float = 360, *, raise_on_failure: bool = False) -> "Batch[O]":
        """Wait until all of them are done, on one connection; see `Job.wait_for_executions`."""
        for execution in self._ended(max_wait):
            if raise_on_failure and execution.status in FAILED:
                succeeded(execution.refresh())
        return self.refresh()

    async def await_done(self, max_wait: float = 360, *, raise_on_failure: bool = False) -> "Batch[O]":
        """As `wait_done`."""
        async for execution in self._ended(max_wait):
            if raise_on_failure and execution.status in FAILED:
                succeeded(await execution.arefresh())
        return await self.arefresh()

    def __iter__(self) -> Iterator[Any]:
        """The id, and the executions."""
        return iter((self.id, self.executions))

    def __len__(self) -> int:
        return len(self._executions)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={count}" for name, count in self.counts.items() if count)
        return f"<Batch {self.id}: {counts}>"

    def _ended(self, max_wait: float) -> Stream[Execution[O]]:
        check_wait(max_wait, 0)
        by_id = {execution.id: execution for execution in self._executions}

        def see(update: Update) -> Execution[O] | None:
            execution = by_id[update.id]
            execution._see(update)
            return execution if update.done else None

        return Stream(self._seam, lambda: watch.follow(self._seam, None, by_id, max_wait, see))

    def _refresh(self) -> "Flow[Batch[O]]":
        model = yield from verbs.get_batch(self._seam, self.id)
        for execution, update in zip(
            self._executions, (yield from watch.get_statuses(self._seam, None, model.execution_ids)), strict=True
        ):
            execution._see(update)
        self._model = model
        return self


def made(seam: Seam, model: "Model", jobs: Sequence[str], read_output: Any = None) -> "Flow[Batch[Any]]":
    """The batch that a create of executions of these jobs answered."""
    stats = model.stats
    if stats.pending == stats.total:
        # Nobody has begun any of them: how they stand is known.
        updates = [_pending(id, job) for id, job in zip(model.execution_ids, jobs, strict=True)]
    else:
        updates = yield from watch.get_statuses(seam, None, model.execution_ids)
    return _of(seam, model, updates, read_output)


def found(seam: Seam, batch_id: str) -> "Flow[Batch[Any]]":
    """The batch with this id. Raises NotFound."""
    model = yield from verbs.get_batch(seam, batch_id)
    return _of(seam, model, (yield from watch.get_statuses(seam, None, model.execution_ids)), None)


def _of(seam: Seam, model: "Model", updates: Sequence[Update], read_output: Any) -> Batch[Any]:
    return Batch(seam, model, [Execution(seam, update, whole=False, read_output=read_output) for update in updates])


def _pending(id: str, job: str) -> Update:
    no_stats: Mapping[str, int] = {}
    return Update(id, job, JobStatus.PENDING, False, None, no_stats)
