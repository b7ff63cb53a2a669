"""One task, from its lease to its report: decode, call the handler, encode, tell."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

from .. import plain
from ..core.ports import Clock
from ..core.records import Failure, Json, Leased
from ..define import JobDef
from ..errors import ConnectionFailed, LeaseLost, NotSerializable, Unavailable
from ..words import FailureKind
from . import codec, simulate
from .codec import decode, encode_result
from .context import TaskContext, current
from .leases import Leases
from .simulate import SimulatedInputError
from .threads import Threads

log = logging.getLogger("blaxel_jobs.worker")

_OURS: Final = {__file__, simulate.__file__, plain.__file__, codec.__file__}
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries to report."""
MAX_TRACE: Final = 8 * 1024
MAX_MESSAGE: Final = 4 * 1024

Ended = Callable[[], None]


class Run:
    """One task that a worker runs. `ended` is called when the handler is done with its slot, before the report is acknowledged."""

    def __init__(self, leased: Leased, job: JobDef[Any], ended: Ended) -> None:
        self.leased = leased
        self.context = TaskContext(
            leased.execution_id,
            leased.task_id,
            leased.job,
            leased.attempt,
            decode(leased.input),
            leased.index,
            leased.metadata,
            leased.env,
        )
        self._job = job
        self._ended = ended
        self._abandoned = False
        self._stopped = asyncio.Event()
        self._handling: asyncio.Future[Any] | None = None
        """What a cancellation reaches the handler by, while it runs."""

    async def run(self, leases: Leases, threads: Threads, clock: Clock) -> None:
        """Run the handler and report. Never raises, but for a cancellation of its own task."""
        outcome = await self._outcome(threads)
        self._ended()
        pause = FIRST_PAUSE
        while outcome is not None and not self._abandoned:
            try:
                await self._report(leases, outcome)
                return
            except LeaseLost:
                log.warning("lease lost, result refused: execution %s task %s", self.leased.execution_id, self.leased.task_id)
                return
            except (Unavailable, ConnectionFailed) as error:
                # What was worked for is not thrown away for a store that is full or out of reach: the lease is kept alive meanwhile.
                log.warning(
                    "report is tried again: execution %s task %s: %s", self.leased.execution_id, self.leased.task_id, error
                )
            except Exception:
                log.exception(
                    "report failed, the lease will run out: execution %s task %s", self.leased.execution_id, self.leased.task_id
                )
                return
            await clock.wait(self._stopped, pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def abandon(self) -> None:
        """The lease is gone or given back: stop the handler where it can be stopped, and report nothing. In the worker's loop."""
        self._abandoned = True
        self._stopped.set()
        self.context.cancelled = True
        if self._handling is not None:
            self._handling.cancel()

    async def _report(self, leases: Leases, outcome: Json | Failure) -> None:
        if isinstance(outcome, Failure):
            await leases.fail(self.leased.lease, outcome)
        else:
            await leases.complete(self.leased.lease, outcome)

    async def _outcome(self, threads: Threads) -> Json | Failure | None:
        """What to report; None for a handler that was stopped."""
        try:
            return encode_result(await self._call(threads))
        except asyncio.CancelledError:
            if self._abandoned:
                return None
            return failure_of(asyncio.CancelledError("the handler was cancelled by itself"))
        except Exception as error:  # noqa: BLE001  whatever a handler raises is its outcome
            return failure_of(error)
        finally:
            self._handling = None

    async def _call(self, threads: Threads) -> Any:
        handler = self._job.run
        arguments = (self.context, self.context.payload)[: self._job.takes]
        current.set(self.context)
        if self._job.is_async:
            self._handling = asyncio.current_task()
            return await _in_loop(handler, arguments)
        self._handling = future = asyncio.get_running_loop().create_future()
        threads.submit(_in_thread(copy_context(), handler, arguments, future))
        return await future


def failure_of(error: BaseException) -> Failure:
    """Why a handler failed, as it is stored."""
    if isinstance(error, NotSerializable):
        kind = FailureKind.NOT_SERIALIZABLE
    elif isinstance(error, SimulatedInputError):
        kind = FailureKind.INVALID_INPUT
    else:
        kind = FailureKind.ERROR
    return Failure(kind, type(error).__qualname__, _text(str(error))[:MAX_MESSAGE], _trace(error))


def _trace(error: BaseException) -> str | None:
    """The traceback from the handler on; None when the handler itself is not in it."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename in _OURS:
        frame = frame.tb_next
    if frame is None:
        return None
    return _text("".join(traceback.format_exception(type(error), error, frame)))[-MAX_TRACE:]


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


async def _in_loop(handler: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The call in the loop. What is no Exception, such as SystemExit, would end the loop and with it the whole worker."""
    try:
        return await handler(*arguments)
    except BaseException as raised:
        if isinstance(raised, Exception | asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
            raise
        raise _as_error(raised) from raised


def _as_error(raised: BaseException) -> Exception:
    """What a future can carry: no StopIteration, and nothing that is no Exception."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    return RuntimeError(f"the handler raised {type(raised).__name__}")


def _in_thread(
    context: Context, handler: Callable[..., Any], arguments: tuple[Any, ...], future: asyncio.Future[Any]
) -> Callable[[], None]:
    """The call that a thread makes; its outcome goes back to the loop."""
    loop = future.get_loop()

    def call() -> None:
        value, error = None, None
        if future.cancelled():
            return
        try:
            value = context.run(handler, *arguments)
        except BaseException as raised:  # noqa: BLE001  also SystemExit: a handler does not end a thread of the worker
            error = _as_error(raised)
        try:
            loop.call_soon_threadsafe(_set, future, value, error)
        except RuntimeError:
            log.warning("a handler ended after its worker did")

    return call


def _set(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
