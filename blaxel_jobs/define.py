"""`define_job`: a name, a handler and its defaults. No I/O: a definition is usable without a server or a store."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Generic, TypeVar, overload

import attrs

JOB_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

Handler = Callable[..., Any]
F = TypeVar("F", bound=Handler)


def check_job_name(name: object) -> str:
    """The name itself, or ValueError saying what a job name may be."""
    if not isinstance(name, str) or not JOB_NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a job name: it takes letters, digits, '.', '_' and '-', starts with a letter or digit, "
            "and has at most 128 characters"
        )
    return name


@attrs.frozen
class JobDef(Generic[F]):
    """A job as its author defined it. `run` is called with nothing, with (context) or with (context, payload)."""

    name: str = attrs.field(validator=lambda _, __, value: check_job_name(value))
    run: F
    queue: str = "default"
    takes: int = attrs.field(init=False)
    """How many of (context, payload) the handler takes."""
    is_async: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "takes", _count_parameters(self.run))
        object.__setattr__(self, "is_async", _is_async(self.run))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler as the plain function that it is."""
        return self.run(*args, **kwargs)


@overload
def define_job(name: str, *, queue: str = ...) -> Callable[[F], JobDef[F]]: ...
@overload
def define_job(name: str, *, run: F, queue: str = ...) -> JobDef[F]: ...
def define_job(name: str, *, run: F | None = None, queue: str = "default") -> JobDef[F] | Callable[[F], JobDef[F]]:
    """Define a job: `define_job("n", run=f)`, or `@define_job("n")` above the handler.

    The handler is `def` or `async def`, with the parameters (), (context) or (context, payload). What it returns is the task's
    result and must be JSON. Raises ValueError for a bad name, TypeError for a handler that cannot be called so.
    """
    if callable(name):
        raise TypeError("write @define_job('name'): a job has a name")
    check_job_name(name)
    if run is not None:
        return JobDef(name, run, queue)
    return lambda handler: JobDef(name, handler, queue)


_NOT_A_CONTEXT: Final = frozenset({"payload", "input", "data"})


def _is_async(handler: Handler) -> bool:
    """Also of an object that is called."""
    plain = inspect.isroutine(handler) or isinstance(handler, partial)
    return inspect.iscoroutinefunction(handler if plain else type(handler).__call__)


def _count_parameters(handler: Handler) -> int:
    if not callable(handler):
        raise TypeError(f"a handler is a function, not {type(handler).__name__}")
    positional = 0
    names: list[str] = []
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return 2
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional += 1
            names.append(parameter.name)
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"handler {handler!r} needs the keyword {parameter.name!r}, which no worker gives it")
    required = sum(
        p.default is p.empty
        for p in inspect.signature(handler).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    )
    if len(names) == 1 and names[0] in _NOT_A_CONTEXT:
        raise TypeError(f"a handler of one parameter is given the context, not the {names[0]}: write (context, {names[0]})")
    if required > 2:
        raise TypeError(f"handler {handler!r} needs {required} arguments; it is given (), (context) or (context, payload)")
    return min(positional, 2)
