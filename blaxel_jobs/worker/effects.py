"""What a verb of the context does on its way, and the two ways to do it: in a thread, and in an event loop.

Each verb is written once, as a generator of effects (steps.py). A thread runs it by `run_here`, an event loop by `run_there`.
"""

import asyncio
import concurrent.futures
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

from msgspec import Struct

from ..core.records import LeaseRef
from ..core.reports import Answer, Report
from ..errors import StepTimeout
from .leases import Leases

T = TypeVar("T")

steps_around: Final[ContextVar[int]] = ContextVar("steps_around", default=0)
"""How many steps are running around the code that asks: each waits for it."""


TURNS: Final = 8
"""Of the event loop: more than it takes until who waits for the first of several to end has heard of it."""


class Effect(Protocol):
    """Something that takes time, or is the user's."""

    def here(self) -> Any:
        """In this thread, until it is done."""
        ...

    async def there(self) -> Any:
        """In this event loop."""
        ...


Flow = Generator[Effect, Any, T]


def run_here(flow: Flow[T]) -> T:
    """Do all that a verb asks for in this thread."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = effect.here()
            except BaseException as raised:  # noqa: BLE001  the verb decides
                effect = flow.throw(raised)
            else:
                effect = flow.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value


async def run_there(flow: Flow[T]) -> T:
    """Do all that a verb asks for in this event loop."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = await effect.there()
            except BaseException as raised:  # noqa: BLE001  the verb decides
                effect = flow.throw(raised)
            else:
                effect = flow.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value


class Send(Struct, frozen=True):
    """Make a report, once."""

    leases: Leases
    lease: LeaseRef
    report: Report
    outside: Callable[[], AbstractContextManager[object]]

    def here(self) -> Answer:
        with self.outside():
            return self.leases.report_here(self.lease, self.report)

    async def there(self) -> Answer:
        return await self.leases.report(self.lease, self.report)


class Until(Struct, frozen=True):
    """Wait until a future is done: a pause over, an answer there."""

    future: concurrent.futures.Future[Any]
    outside: Callable[[], AbstractContextManager[object]]

    def here(self) -> Any:
        with self.outside():
            return self.future.result()

    async def there(self) -> Any:
        return await asyncio.wrap_future(self.future)


class Turn:
    """Let those begin that were started beside it, and the handler go on with what has just ended."""

    def here(self) -> None:
        """Threads need no leave."""

    async def there(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)


class Call(Struct, frozen=True):
    """Call a step's function. One that takes longer than `timeout` seconds raises StepTimeout: in an event loop it is cancelled, in
    a thread nothing can stop it, and what it returns is refused."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timeout: float | None
    monotonic: Callable[[], float]

    def here(self) -> Any:
        began = self.monotonic()
        token = steps_around.set(steps_around.get() + 1)
        try:
            value = self.function(*self.args, **self.kwargs)
        finally:
            steps_around.reset(token)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(f"step {self.name!r} is async and its handler is not: make the handler an async def and await the step")
        if self.timeout is not None and self.monotonic() - began > self.timeout:
            raise self._too_late()
        return value

    async def there(self) -> Any:
        if self.timeout is None:
            return await self._value()
        began = self.monotonic()
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                value = await self._value()
        except TimeoutError:
            if limit.expired():
                raise self._too_late() from None
            raise
        if self.monotonic() - began > self.timeout:  # it blocked the event loop
            raise self._too_late()
        return value

    async def _value(self) -> Any:
        token = steps_around.set(steps_around.get() + 1)
        try:
            value = self.function(*self.args, **self.kwargs)
            return await value if inspect.isawaitable(value) else value
        finally:
            steps_around.reset(token)

    def _too_late(self) -> StepTimeout:
        return StepTimeout(f"step {self.name!r} took longer than {self.timeout:g} s")
