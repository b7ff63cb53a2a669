"""One task, from its lease to its report: decode, call the handler, encode, tell."""

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
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


class Run:
    """One task that a worker runs: its handler is called, ends or is stopped, and the outcome is reported.

    `free` is called once, when the handler has left its slot: before the report is acknowledged, and for a sync handler that was
    stopped only when its thread returns. `ending` says whether the loop is being taken down around it.
    """

    def __init__(self, leased: Leased, job: JobDef[Any], free: Callable[[], None], ending: Callable[[], bool]) -> None:
        self.leased = leased
        self.context = TaskContext(
            leased.execution_id, leased.task_id, leased.job, leased.attempt, None, leased.index, leased.metadata, leased.env
        )
        self.reported = False
        """Nothing is left to tell: the outcome was taken, or the lease is another's."""
        self._job = job
        self._free = free
        self._ending = ending
        self._abandoned = False
        self._stopped = asyncio.Event()
        self._handling: asyncio.Future[Any] | None = None
        """What a cancellation reaches the handler by, while it runs."""

    async def run(self, leases: Leases, threads: Threads, clock: Clock) -> None:
        """Run the handler and report."""
        if self._abandoned:  # before it began
            self._free()
            return
        outcome = await self._outcome(threads)
        pause = FIRST_PAUSE
        while outcome is not None and not self._abandoned:
            try:
                await self._report(leases, outcome)
                self.reported = True
                return
            except LeaseLost:
                self.reported = True
                log.warning("lease lost, result refused: execution %s task %s", self.leased.execution_id, self.leased.task_id)
                return
            except (Unavailable, ConnectionFailed) as error:
                # What was worked for is not thrown away for a store that is out of reach: the lease is kept alive meanwhile.
                log.warning("report is tried again: execution %s task %s: %s", self.leased.execution_id, self.leased.task_id, error)
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
        """What to report; None for a handler that was stopped from outside."""
        try:
            self.context.payload = decode(self.leased.input)
            outcome: Json | Failure = encode_result(await (self._in_loop() if self._job.is_async else self._in_thread(threads)))
        except asyncio.CancelledError:
            if self._abandoned or self._ending():
                return None
            outcome = failure_of(asyncio.CancelledError("the handler was cancelled by itself"))
        except Exception as error:  # noqa: BLE001  whatever a handler raises is its outcome
            outcome = failure_of(error)
            log.info(
                "handler failed: job %s execution %s task %s: %s",
                self.leased.job,
                self.leased.execution_id,
                self.leased.task_id,
                outcome.type,
            )
        finally:
            self._handling = None
        await self._forget_cancellation()
        return outcome

    async def _in_loop(self) -> Any:
        self._handling = asyncio.current_task()
        current.set(self.context)
        try:
            return await self._job.run(*self._arguments())
        except BaseException as raised:
            if isinstance(raised, Exception | asyncio.CancelledError | GeneratorExit):
                raise
            raise _as_error(raised) from raised  # a SystemExit would end the loop, and with it the whole worker
        finally:
            self._free()

    async def _in_thread(self, threads: Threads) -> Any:
        self._handling = future = asyncio.get_running_loop().create_future()
        current.set(self.context)
        handler = partial(copy_context().run, self._job.run, *self._arguments())
        threads.submit(_call_for(future, handler, self._free))
        return await future

    def _arguments(self) -> tuple[Any, ...]:
        return (self.context, self.context.payload)[: self._job.takes]

    async def _forget_cancellation(self) -> None:
        """A handler that cancels the task that it runs in has cancelled itself, not its report."""
        task = asyncio.current_task()
        if task is not None and task.cancelling() and not (self._abandoned or self._ending()):
            while task.uncancel():
                pass
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)


def failure_of(error: BaseException) -> Failure:
    """Why a handler failed, as it is stored."""
    if isinstance(error, NotSerializable):
        kind = FailureKind.NOT_SERIALIZABLE
    elif isinstance(error, SimulatedInputError):
        kind = FailureKind.INVALID_INPUT
    else:
        kind = FailureKind.ERROR
    return Failure(kind, type(error).__qualname__, _message(error)[:MAX_MESSAGE], _trace(error))


def _message(error: BaseException) -> str:
    try:
        return _text(str(error))
    except Exception:  # noqa: BLE001  the text of an error is code of the handler's too
        return f"a {type(error).__qualname__} whose text cannot be had"


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


def _as_error(raised: BaseException) -> Exception:
    """What a future can carry: no StopIteration, and nothing that is no Exception."""
    if isinstance(raised, Exception) and not isinstance(raised, StopIteration):
        return raised
    return RuntimeError(f"the handler raised {type(raised).__name__}")


def _call_for(future: asyncio.Future[Any], handler: Callable[[], Any], free: Callable[[], None]) -> Callable[[], None]:
    """The call that a thread makes; its outcome, and the slot, go back to the loop."""
    loop = future.get_loop()

    def call() -> None:
        value, error = None, None
        try:
            if not future.cancelled():
                value = handler()
        except BaseException as raised:  # noqa: BLE001  also SystemExit: a handler does not end a thread of the worker
            error = _as_error(raised)
        try:
            loop.call_soon_threadsafe(_ended, future, value, error, free)
        except RuntimeError:
            log.warning("a handler ended after its worker did")

    return call


def _ended(future: asyncio.Future[Any], value: Any, error: Exception | None, free: Callable[[], None]) -> None:
    free()
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
