"""Which task the code that asks belongs to. By itself, so that who only asks need not load all that a handler may use."""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .context import AnyContext

current: Final["ContextVar[AnyContext]"] = ContextVar("current")
"""The task whose handler runs here: set in the handler's task or thread, and in every task that it starts."""
