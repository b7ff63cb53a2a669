"""Executors of the user's own, which are handed what any process can import and any wire can carry."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor

from ..core.reports import Report
from .child import run_encoded
from .failures import CrashedError
from .hold import Hold
from .pipe import encode, read_done, unpack


async def run_in_pool(executor: Executor, place: str, hold: Hold, free: Callable[[], None]) -> Report:
    """Run the handler at a place. `free` is called when the executor is done with it. Raises CrashedError."""
    loop = asyncio.get_running_loop()
    try:
        future = executor.submit(run_encoded, place, encode(hold.leased))
    except BaseException as error:
        free()
        if isinstance(error, BrokenExecutor):
            raise CrashedError(str(error)) from None
        raise

    def done(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the worker has ended
            loop.call_soon_threadsafe(free)

    future.add_done_callback(done)
    try:
        text: bytes = await asyncio.wrap_future(future)
    except BrokenExecutor as error:
        raise CrashedError(str(error)) from None
    answer = read_done(text)
    return unpack(answer.kind, answer.report)
