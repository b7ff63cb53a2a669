"""The verbs of an async handler, from their call until they are awaited: one that never is does nothing, and Python only warns."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from ..errors import PermanentError
from .effects import Flow, run_there

T = TypeVar("T")

MOST_NAMED: Final = 3


class Coroutines:
    """Those of one call of a handler."""

    def __init__(self) -> None:
        self._waiting: dict[Callable[[], Awaitable[Any]], tuple[str, object, Coroutine[Any, Any, Any]]] = {}

    def make(self, verb: str, name: object, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """What the handler is to await. verb: that of the context; name: what the handler has called it."""
        return self.watch(verb, name, partial(run_there, flow))

    def watch(self, verb: str, name: object, work: Callable[[], Awaitable[T]]) -> Coroutine[Any, Any, T]:
        """The same for what is no flow, and is called once when it is awaited."""
        coroutine = self._begin(work)
        self._waiting[work] = (verb, name, coroutine)
        return coroutine

    def check(self) -> None:
        """At the end of the handler. Raises PermanentError, naming what it has never awaited."""
        waiting, self._waiting = self._waiting, {}
        forgotten = []
        for verb, name, coroutine in waiting.values():
            if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()
                forgotten.append(f"{verb}({name!r:.100})")
        if forgotten:
            more = f" and {len(forgotten) - MOST_NAMED} more" if len(forgotten) > MOST_NAMED else ""
            raise PermanentError(
                f"the handler never awaited {', '.join(forgotten[:MOST_NAMED])}{more}: without await nothing of it is done"
            )

    async def _begin(self, work: Callable[[], Awaitable[T]]) -> T:
        del self._waiting[work]
        return await work()
