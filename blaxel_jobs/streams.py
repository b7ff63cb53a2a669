"""Flows that also listen and give values as they go, and the two drivers that iterate over them.

Such a flow yields, besides `Op` and `Sleep`: `Listen` (open streams, instead of those before), `Next` (the next batch from them, or
None when all have ended) and `Emit` (a value for whoever iterates).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from .errors import RequestTimeout
from .flow import Op, Seam, Sleep

if TYPE_CHECKING:
    from .bridge import Bridge

T = TypeVar("T")

Batch = list[Any] | None


@attrs.frozen
class Emit(Generic[T]):
    """A value for whoever iterates."""

    value: T


@attrs.frozen
class Listen:
    """Open a stream for each of these operations, and close those of the last time."""

    ops: Sequence[Op]


@attrs.frozen
class Next:
    """What came on any of the streams. Raises RequestTimeout when nothing comes for so many seconds; the streams are dead then."""

    seconds: float


StreamFlow = Generator[Op | Sleep | Listen | Next | Emit[T], Any, None]


class Stream(Generic[T]):
    """What a flow gives, for `for` and for `async for`. Each iteration begins anew, and does nothing before."""

    def __init__(self, seam: Seam, begin: Callable[[], StreamFlow[T]]) -> None:
        self._seam = seam
        self._begin = begin

    def __iter__(self) -> Iterator[T]:
        flow, ears = self._begin(), _Ears(self._seam)
        answer: Any = None
        error: Exception | None = None
        try:
            while True:
                try:
                    wanted = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration:
                    return
                answer, error = None, None
                if isinstance(wanted, Emit):
                    yield wanted.value
                    continue
                try:
                    if isinstance(wanted, Op):
                        answer = self._seam.perform(wanted)
                    elif isinstance(wanted, Sleep):
                        self._seam.sleep(wanted.seconds)
                    elif isinstance(wanted, Listen):
                        ears.listen(wanted.ops)
                    else:
                        answer = ears.take(wanted.seconds)
                except Exception as raised:  # noqa: BLE001 - whatever it is, the flow decides
                    error = raised
        finally:
            error = None  # its traceback holds this frame
            ears.close()

    async def __aiter__(self) -> AsyncIterator[T]:
        flow, ears = self._begin(), _AsyncEars(self._seam)
        answer: Any = None
        error: Exception | None = None
        try:
            while True:
                try:
                    wanted = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration:
                    return
                answer, error = None, None
                if isinstance(wanted, Emit):
                    yield wanted.value
                    continue
                try:
                    if isinstance(wanted, Op):
                        answer = await self._seam.aperform(wanted)
                    elif isinstance(wanted, Sleep):
                        await self._seam.asleep(wanted.seconds)
                    elif isinstance(wanted, Listen):
                        await ears.listen(wanted.ops)
                    else:
                        answer = await ears.take(wanted.seconds)
                except Exception as raised:  # noqa: BLE001 - whatever it is, the flow decides
                    error = raised
        finally:
            error = None  # its traceback holds this frame
            await ears.aclose()


class _Ears:
    """The streams that a thread listens to."""

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        self._bridge: Bridge | None = None

    def listen(self, ops: Sequence[Op]) -> None:
        from .bridge import Bridge

        self.close()
        self._bridge = Bridge([self._seam.astream(op) for op in ops])

    def take(self, seconds: float) -> Batch:
        assert self._bridge is not None, "a flow listens before it asks for what came"
        return self._bridge.take(seconds)

    def close(self) -> None:
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.stop()
            bridge.join()


class _AsyncEars:
    """The streams that a task listens to: one in its own loop, several by a bridge."""

    def __init__(self, seam: Seam) -> None:
        self._seam = seam
        self._stream: AsyncGenerator[list[Any], None] | None = None
        self._bridge: Bridge | None = None

    async def listen(self, ops: Sequence[Op]) -> None:
        from .bridge import Bridge

        await self.aclose()
        streams = [self._seam.astream(op) for op in ops]
        if len(streams) == 1:
            self._stream = streams[0]
        else:
            self._bridge = Bridge(streams)

    async def take(self, seconds: float) -> Batch:
        import anyio

        if self._bridge is not None:
            return await anyio.to_thread.run_sync(self._bridge.take, seconds, abandon_on_cancel=True)
        assert self._stream is not None, "a flow listens before it asks for what came"
        with anyio.move_on_after(seconds):
            return await anext(self._stream, None)
        raise RequestTimeout(f"the stream brought nothing for {seconds:.1f} s")

    async def aclose(self) -> None:
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.stop()
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()
