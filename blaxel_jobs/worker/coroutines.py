"""The verbs of an async handler, from their call until they are awaited: one that never is does nothing, and Python only warns."""

import inspect
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from ..errors import PermanentError
from .effects import Flow, run_there

T = TypeVar("T")

MOST_NAMED: Final = 3


class Coroutines:
    """Those of one call of a handler."""

    def __init__(self) -> None:
        self._waiting: dict[Flow[Any], tuple[str, object, Coroutine[Any, Any, Any]]] = {}

    def make(self, verb: str, name: object, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """What the handler is to await. verb: that of the context; name: what the handler has called it."""
        coroutine = self._begin(flow)
        self._waiting[flow] = (verb, name, coroutine)
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

    async def _begin(self, flow: Flow[T]) -> T:
        del self._waiting[flow]
        return await run_there(flow)
