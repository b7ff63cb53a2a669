"""Calls into the mock's thread: from other threads, from tasks of any loop, and from handlers, which do not run meanwhile."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from blaxel_jobs.errors import ConnectionFailed, MockStuck
from blaxel_jobs.worker.current import current

from .loop import LoopThread, done
from .namespaces import Namespace

if TYPE_CHECKING:
    from blaxel_jobs.worker.context import AnyContext

T = TypeVar("T")

PING_SECONDS: Final = 1.0
"""A loop that has not answered by then is blocked."""


class Calls:
    """Runs coroutines in the mock's thread. Raises MockStuck when it is blocked, ConnectionFailed when it has ended."""

    def __init__(self, thread: LoopThread, place: Namespace, stuck_after: float) -> None:
        self._thread = thread
        self._place = place
        self._stuck_after = stuck_after

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function, for this thread."""
        if self._thread.is_current:
            raise MockStuck(
                "an async handler called a sync method of the client, and would wait for its own loop: await its twin, whose name "
                "begins with an `a`"
            )
        future = self._begin(function)
        try:
            with self._place.world.turns.outside():
                while not concurrent.futures.wait((future,), self._stuck_after).done:
                    if not concurrent.futures.wait((self._ping(),), PING_SECONDS).done:
                        self._blocked()
        finally:
            future.cancel()
        return _result(future)

    async def acall(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function, for this task of asyncio or trio."""
        future = self._begin(function)
        try:
            while not await done(future, self._stuck_after):
                if not await done(self._ping(), PING_SECONDS):
                    self._blocked()
        finally:
            future.cancel()
        return _result(future)

    def _begin(self, function: Callable[[], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        return self._submit(self._from_outside(current.get(None), function))

    async def _from_outside(self, context: "AnyContext | None", function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._place.clock.outside(context):
            return await function()

    def _ping(self) -> concurrent.futures.Future[None]:
        return self._submit(asyncio.sleep(0))

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            return self._thread.submit(coroutine)
        except RuntimeError:
            raise _ended() from None

    def _blocked(self) -> NoReturn:
        raise MockStuck(
            f"an async handler has blocked its loop for {self._stuck_after:g} s of real time while a client waits: see stuck_after"
        )


def _result(future: concurrent.futures.Future[T]) -> T:
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise _ended() from None


def _ended() -> ConnectionFailed:
    return ConnectionFailed("the mock server has ended: it answers within its `with` block only")
