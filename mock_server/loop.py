"""An event loop that tells when nothing in it can run, and the thread that such a loop lives in."""

import asyncio
import concurrent.futures
import contextlib
import selectors
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

CLOSE_SECONDS: Final = 6.0
"""Seconds of real time that its end may take: the last answers to other processes get five of them."""
END_SECONDS: Final = 1.0
"""Seconds of real time that tasks get after they were cancelled."""


class _Selector(selectors.DefaultSelector):
    """A loop blocks in its selector only when nothing in it can run: the one place where that is known without guessing."""

    def __init__(self, idle: Callable[[], bool]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        arrived = super().select(0)
        if arrived or self._idle():
            return arrived
        return super().select(timeout)


def new_loop(idle: Callable[[], bool]) -> asyncio.AbstractEventLoop:
    """A loop that calls `idle` whenever nothing can run, before it waits. `idle` answers whether something can run now."""
    return asyncio.SelectorEventLoop(_Selector(idle))


class LoopThread:
    """A daemon thread with a loop, in which others have coroutines run."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._submitted: deque[_Submitted[Any]] = deque()
        self._woken = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="mock-server", daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Are we in it."""
        return threading.current_thread() is self._thread

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin to run it. Raises RuntimeError once the loop is closed.

        What is submitted together wakes the loop once: each time that costs a system call, in which the caller's loop may lose its
        turn for 5 ms.
        """
        submitted = _Submitted(coroutine)
        self._submitted.append(submitted)
        if self._ended:
            self._drop_all()
            raise RuntimeError("the loop has ended")
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin)
        return submitted.future

    def stop(self, closing: Coroutine[Any, Any, None] | None = None) -> None:
        """Run `closing`, then end what runs in the loop, and the loop. A loop that a handler blocks is left behind."""
        try:
            if closing is not None:
                done = concurrent.futures.wait((self.submit(closing),), CLOSE_SECONDS).done
                for future in done:
                    future.result()
        finally:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS)

    def _begin(self) -> None:
        self._woken = False
        while self._submitted:
            self._submitted.popleft().begin(self._loop)

    def _drop_all(self) -> None:
        with contextlib.suppress(IndexError):
            while True:
                self._submitted.popleft().drop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_end_all())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._ended = True
            self._loop.close()
            self._drop_all()


class _Submitted(Generic[T]):
    """A coroutine from another thread, in the context of its caller; `future` has what becomes of it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._coroutine = coroutine
        self._context = copy_context()

    def drop(self) -> None:
        """It will not be run."""
        self._coroutine.close()
        self.future.cancel()
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.future.set_running_or_notify_cancel()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.future.cancelled():
            self._coroutine.close()
            return
        task = loop.create_task(self._coroutine, context=self._context)
        task.add_done_callback(self._end)

        def cancel(future: concurrent.futures.Future[T]) -> None:
            if future.cancelled():
                with contextlib.suppress(RuntimeError):  # it has ended with its loop
                    loop.call_soon_threadsafe(task.cancel)

        self.future.add_done_callback(cancel)

    def _end(self, task: asyncio.Task[T]) -> None:
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # nobody waits for it any more
            if task.cancelled():
                self.future.cancel()
                self.future.set_running_or_notify_cancel()
            elif (error := task.exception()) is not None:
                self.future.set_exception(error)
            else:
                self.future.set_result(task.result())


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=END_SECONDS)


async def done(future: concurrent.futures.Future[Any], seconds: float) -> bool:
    """Is it done within so many seconds: for a task of any loop of asyncio or trio."""
    import anyio

    event = anyio.Event()
    wake = _waker(event)
    future.add_done_callback(lambda _: wake())
    with anyio.move_on_after(seconds):
        await event.wait()
    return future.done()


def _waker(event: Any) -> Callable[[], None]:
    """Sets an anyio event from another thread."""
    trio = sys.modules.get("trio")
    call: Callable[..., object]
    gone: type[Exception]
    if trio is not None and trio.lowlevel.in_trio_task():
        call, gone = trio.lowlevel.current_trio_token().run_sync_soon, trio.RunFinishedError
    else:
        call, gone = asyncio.get_running_loop().call_soon_threadsafe, RuntimeError

    def wake() -> None:
        with contextlib.suppress(gone):  # whoever waited has ended with his loop
            call(event.set)

    return wake
