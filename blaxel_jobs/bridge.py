"""A thread that reads streams for those who cannot read them in an event loop of their own."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from queue import Empty, SimpleQueue
from typing import Any

from .errors import RequestTimeout


class Bridge:
    """Reads streams in a thread with an event loop of its own, for those who cannot read them in theirs."""

    def __init__(self, streams: Sequence[AsyncGenerator[list[Any], None]]) -> None:
        self._streams = streams
        self._came: SimpleQueue[list[Any] | Exception | None] = SimpleQueue()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._read(),), name="blaxel-jobs-stream", daemon=True)
        self._thread.start()
        self._begun.wait()

    def take(self, seconds: float) -> list[Any] | None:
        """Raises what reading raised, and RequestTimeout."""
        try:
            came = self._came.get(timeout=seconds)
        except Empty:
            raise RequestTimeout(f"the streams brought nothing for {seconds:.1f} s") from None
        if isinstance(came, Exception):
            raise came
        return came

    def stop(self) -> None:
        """Close the streams, soon."""
        with suppress(RuntimeError):  # they have ended, and their loop with them
            self._loop.call_soon_threadsafe(self._stop.set)

    def join(self) -> None:
        """Returns when they are closed."""
        self._thread.join()

    async def _read(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        reading = asyncio.gather(*[self._read_one(stream) for stream in self._streams])
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        reading.cancel()
        self._came.put(None)
        with suppress(asyncio.CancelledError):
            await reading

    async def _read_one(self, stream: AsyncGenerator[list[Any], None]) -> None:
        try:
            async with aclosing(stream):
                async for batch in stream:
                    self._came.put(batch)
        except Exception as error:  # noqa: BLE001 - raised where it is taken
            self._came.put(error)
