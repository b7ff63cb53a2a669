"""`define_job`: a name, a handler and its defaults. No I/O: a definition is usable without a server or a store."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Protocol, TypeAlias, TypedDict, Unpack, overload

import attrs

from .job_names import JOB_NAME, check_job_name
from .policy import MOST_SECONDS, RetryPolicy, milliseconds, wire_policy
from .words import JobPriority

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from typing_extensions import TypeVar  # for its default: what a handler does not say is Any

    from .values import Shape

    I = TypeVar("I", default=Any)  # noqa: E741  for short, beside O
    O = TypeVar("O", default=Any)  # noqa: E741
else:
    from typing import TypeVar

    I = TypeVar("I")  # noqa: E741
    O = TypeVar("O")  # noqa: E741

__all__ = ["JOB_NAME", "JobDef", "RetryPolicy", "check_job_name", "define_job"]

MOST_RETRIES: Final = 10_000
MOST_FACTOR: Final = 1000
MOST_CONCURRENCY: Final = 1_000_000_000
LONGEST_QUEUE: Final = 255

Handler = Callable[..., Any]


def _check_number(name: str, value: Any, least: float, most: float, *, above: bool = False, whole: bool = False) -> None:
    if type(value) not in ((int,) if whole else (int, float)) or not least <= value <= most or (above and value == least):
        kind = "a whole number" if whole else "a number"
        bounds = f"above {least:g}, {most:.10g} at most" if above else f"from {least:g} to {most:.10g}"
        raise ValueError(f"{name} is {kind} {bounds}, not {value!r}")


def _number(least: float, most: float, *, above: bool = False, whole: bool = False) -> Callable[[Any, Any, Any], None]:
    """The validator of a field that has a number from `least`, or above it, to `most`, or None."""

    def check(_: Any, field: Any, value: Any) -> None:
        if value is not None:
            _check_number(field.name, value, least, most, above=above, whole=whole)

    return check


def _not_yet(_: Any, field: Any, value: Any) -> None:
    if value is not None:
        raise ValueError(f"{field.name} is not there yet: nothing removes what has ended, until execution.delete() does")


def _to_policy(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    unknown = sorted(map(str, value.keys() - {field.name for field in attrs.fields(RetryPolicy)}))
    if unknown:
        raise ValueError(f"retry_policy has initial, factor, max and jitter, but no {', '.join(unknown)}")
    return RetryPolicy(**value)


def _check_policy(_: Any, __: Any, policy: Any) -> None:
    if policy is None:
        return
    if not isinstance(policy, RetryPolicy):
        raise ValueError(f"retry_policy is a RetryPolicy or a mapping of its fields, not {policy!r}")  # noqa: TRY004  as all others
    _check_number("retry_policy.initial", policy.initial, 0, MOST_SECONDS)
    _check_number("retry_policy.factor", policy.factor, 1, MOST_FACTOR)
    _check_number("retry_policy.max", policy.max, 0, MOST_SECONDS)
    if policy.jitter not in ("full", "none"):
        raise ValueError(f"retry_policy.jitter is 'full' or 'none', not {policy.jitter!r}")


def _to_priority(value: Any) -> Any:
    if value is None:
        return None
    try:
        return JobPriority(value)
    except ValueError:
        raise ValueError(f"priority is one of {', '.join(JobPriority)}, not {value!r}") from None


@attrs.frozen(slots=False)
class JobDef(Generic[I, O]):
    """A job as its author defined it: a handler that is given an `I` and returns an `O`. It is called as the plain function that
    the handler is. A default that is None is not set.

    `run` is called with nothing, with (context) or with (context, payload). All times are seconds.
    """

    name: str = attrs.field(validator=lambda _, __, value: check_job_name(value))
    run: Handler
    input: Any = attrs.field(default=None, kw_only=True)
    """The type of the payload, or a callable that is given the plain value and returns the one to use."""
    output: Any = attrs.field(default=None, kw_only=True)
    max_retries: int | None = attrs.field(default=None, kw_only=True, validator=_number(0, MOST_RETRIES, whole=True))
    retry_delay: float | None = attrs.field(default=None, kw_only=True, validator=_number(0, MOST_SECONDS))
    retry_policy: RetryPolicy | None = attrs.field(default=None, kw_only=True, converter=_to_policy, validator=_check_policy)
    timeout: float | None = attrs.field(default=None, kw_only=True, validator=_number(0, MOST_SECONDS, above=True))
    priority: JobPriority | None = attrs.field(default=None, kw_only=True, converter=_to_priority)
    concurrency: int | None = attrs.field(default=None, kw_only=True, validator=_number(1, MOST_CONCURRENCY, whole=True))
    concurrency_per_key: int | None = attrs.field(default=None, kw_only=True, validator=_number(1, MOST_CONCURRENCY, whole=True))
    queue: str | None = attrs.field(default=None, kw_only=True)
    retention: float | None = attrs.field(default=None, kw_only=True, validator=_not_yet)
    executor: "Literal['thread', 'process'] | Executor | None" = attrs.field(default=None, kw_only=True)
    takes: int = attrs.field(init=False)
    """How many of (context, payload) the handler takes."""
    is_async: bool = attrs.field(init=False)

    if not TYPE_CHECKING:

        def __class_getitem__(cls, types: Any) -> Any:
            """As type checkers see it: what is left out is Any."""
            given = types if isinstance(types, tuple) else (types,)
            return super().__class_getitem__((*given, Any, Any)[:2] if len(given) < 2 else given)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "takes", _count_parameters(self.run))
        object.__setattr__(self, "is_async", _is_async(self.run))
        if self.retry_delay is not None and self.retry_policy is not None:
            raise ValueError("retry_delay is a fixed wait and retry_policy one that grows: give one of them")
        if self.queue is not None and not _is_queue(self.queue):
            raise ValueError(f"queue has 1 to {LONGEST_QUEUE} characters, none a control character; not {self.queue!r}")
        self._check_executor()
        with suppress(NameError):  # a class that the type mentions may come later
            _ = self.input is not None and self.accepts, self.output is not None and self.returns

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the handler as the plain function that it is."""
        return self.run(*args, **kwargs)

    @cached_property
    def accepts(self) -> "Shape":
        """What the payload is: `input=`, or else by the annotation of the handler's second parameter.

        Raises NameError while a class that the type of `input=` mentions is not there."""
        from .values import Shape, payload_of

        if self.input is not None:
            return _declared("input", self.input)
        return payload_of(self.run) if self.takes == 2 else Shape()

    @cached_property
    def returns(self) -> "Shape":
        """What the result is: `output=`, or else by the handler's return annotation. Raises NameError as `accepts` does."""
        from .values import returned_by

        return returned_by(self.run) if self.output is None else _declared("output", self.output)

    def definition(self) -> dict[str, Any]:
        """What the server is told of this job: JobDefinition of the contract, with what is set and no more."""
        wire = {
            "queue": self.queue,
            "maxRetries": self.max_retries,
            "retryDelayMs": _milliseconds("retry_delay", self.retry_delay),
            "retryPolicy": None if self.retry_policy is None else wire_policy(self.retry_policy),
            "timeoutMs": _milliseconds("timeout", self.timeout),
            "priority": self.priority and self.priority.value,
            "concurrency": self.concurrency,
            "concurrencyPerKey": self.concurrency_per_key,
            "inputSchema": self.accepts.json_schema(),
            "outputSchema": self.returns.json_schema(),
        }  # fmt: skip
        return {name: value for name, value in wire.items() if value is not None}

    def _check_executor(self) -> None:
        if self.executor is None:
            return
        if self.executor not in ("thread", "process") and not callable(getattr(self.executor, "submit", None)):
            raise ValueError(f"executor is 'thread', 'process' or a concurrent.futures.Executor, not {self.executor!r}")
        if self.is_async:
            raise ValueError("executor is for def handlers: an async def handler runs in the event loop")


Kind: TypeAlias = type[I] | Callable[[Any], I]
"""What `input=` and `output=` take."""
Long: TypeAlias = Callable[[Any, I], O]
"""A handler with (context, payload)."""
Short: TypeAlias = Callable[[Any], O] | Callable[[], O]
AnyLength: TypeAlias = Callable[[Any, I], O] | Callable[[Any], O] | Callable[[], O]


class Defaults(TypedDict, total=False):
    """What `define_job` takes beside the handler and its types."""

    max_retries: int | None
    retry_delay: float | None
    retry_policy: RetryPolicy | Mapping[str, Any] | None
    timeout: float | None
    priority: str | None
    concurrency: int | None
    concurrency_per_key: int | None
    queue: str | None
    retention: float | None
    executor: "Literal['thread', 'process'] | Executor | None"


class Decorator(Protocol):
    """Of a job whose types are the handler's."""

    @overload
    def __call__(self, run: Long[I, Awaitable[O]], /) -> JobDef[I, O]: ...
    @overload
    def __call__(self, run: Short[Awaitable[O]], /) -> JobDef[Any, O]: ...
    @overload
    def __call__(self, run: Long[I, O], /) -> JobDef[I, O]: ...
    @overload
    def __call__(self, run: Short[O], /) -> JobDef[Any, O]: ...


class InputDecorator(Protocol[I]):
    """Of a job with `input=`."""

    @overload
    def __call__(self, run: AnyLength[I, Awaitable[O]], /) -> JobDef[I, O]: ...
    @overload
    def __call__(self, run: AnyLength[I, O], /) -> JobDef[I, O]: ...


class OutputDecorator(Protocol[O]):
    """Of a job with `output=`."""

    @overload
    def __call__(self, run: Long[I, Awaitable[O] | O], /) -> JobDef[I, O]: ...
    @overload
    def __call__(self, run: Short[Awaitable[O] | O], /) -> JobDef[Any, O]: ...


class TypedDecorator(Protocol[I, O]):
    """Of a job with both."""

    def __call__(self, run: AnyLength[I, Awaitable[O] | O], /) -> JobDef[I, O]: ...


# With the handler: what input= and output= say comes first, then what the handler's annotations say, of async def and of def.
@overload
def define_job(
    name: str, *, run: AnyLength[I, Awaitable[O] | O], input: Kind[I], output: Kind[O], **defaults: Unpack[Defaults]
) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Long[I, Awaitable[O]], input: Kind[I], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Short[Awaitable[O]], input: Kind[I], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Long[I, O], input: Kind[I], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Short[O], input: Kind[I], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Long[I, Awaitable[O] | O], output: Kind[O], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Short[Awaitable[O] | O], output: Kind[O], **defaults: Unpack[Defaults]) -> JobDef[Any, O]: ...
@overload
def define_job(name: str, *, run: Long[I, Awaitable[O]], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Short[Awaitable[O]], **defaults: Unpack[Defaults]) -> JobDef[Any, O]: ...
@overload
def define_job(name: str, *, run: Long[I, O], **defaults: Unpack[Defaults]) -> JobDef[I, O]: ...
@overload
def define_job(name: str, *, run: Short[O], **defaults: Unpack[Defaults]) -> JobDef[Any, O]: ...
# As a decorator.
@overload
def define_job(name: str, *, input: Kind[I], output: Kind[O], **defaults: Unpack[Defaults]) -> TypedDecorator[I, O]: ...
@overload
def define_job(name: str, *, input: Kind[I], **defaults: Unpack[Defaults]) -> InputDecorator[I]: ...
@overload
def define_job(name: str, *, output: Kind[O], **defaults: Unpack[Defaults]) -> OutputDecorator[O]: ...
@overload
def define_job(name: str, **defaults: Unpack[Defaults]) -> Decorator: ...
def define_job(
    name: str,
    *,
    run: Handler | None = None,
    input: Any = None,
    output: Any = None,
    max_retries: int | None = None,
    retry_delay: float | None = None,
    retry_policy: RetryPolicy | Mapping[str, Any] | None = None,
    timeout: float | None = None,
    priority: str | None = None,
    concurrency: int | None = None,
    concurrency_per_key: int | None = None,
    queue: str | None = None,
    retention: float | None = None,
    executor: "Literal['thread', 'process'] | Executor | None" = None,
) -> Any:
    """Define a job: `define_job("n", run=f)`, or `@define_job("n")` above the handler.

    The handler is `def` or `async def`, with the parameters (), (context) or (context, payload).

    input, output: the type of the payload and of the result: attrs, dataclass, TypedDict, msgspec, pydantic, a generic such as
        list[int], or a callable that is given the plain value, returns the one to use and raises ValueError or TypeError. The
        payload is checked before it is sent and before the handler runs, the result before it is stored. Without them the
        handler's annotations say the types.
    max_retries: tries of a task after the first that failed. retry_delay: seconds between two tries, always the same; or
        retry_policy: a wait that grows. timeout: seconds from the first start of an execution to its end, without pauses.
    priority: critical, high, medium or low. concurrency: how many executions of the job run at once, concurrency_per_key: with one
        concurrency key. queue: the label by which workers choose what to serve. retention: not there yet: whatever it says is
        refused, as long as nothing removes what has ended.
    executor: of a def handler: "thread", "process" or a concurrent.futures.Executor.

    What is None is not set. Raises ValueError, naming the argument, for a value that it cannot have, and TypeError for a handler
    that cannot be called so and for an input or output that is none of these.
    """
    if callable(name):
        raise TypeError("write @define_job('name'): a job has a name")
    check_job_name(name)
    define: Callable[[Handler], JobDef[Any, Any]] = partial(
        JobDef,
        name,
        input=input,
        output=output,
        max_retries=max_retries,
        retry_delay=retry_delay,
        retry_policy=retry_policy,
        timeout=timeout,
        priority=priority,
        concurrency=concurrency,
        concurrency_per_key=concurrency_per_key,
        queue=queue,
        retention=retention,
        executor=executor,
    )
    return define if run is None else define(run)


def _declared(argument: str, kind: Any) -> "Shape":
    from .values import declared

    try:
        return declared(kind)
    except TypeError as error:
        raise TypeError(f"{argument}: {error}") from None


def _milliseconds(name: str, seconds: float | None) -> int | None:
    return None if seconds is None else milliseconds(name, seconds)


def _is_queue(queue: object) -> bool:
    return isinstance(queue, str) and bool(re.fullmatch(rf"[^\x00-\x1f\x7f]{{1,{LONGEST_QUEUE}}}", queue))


_NOT_A_CONTEXT: Final = frozenset({"payload", "input", "data"})


def _is_async(handler: Handler) -> bool:
    """Also of an object that is called."""
    plain = inspect.isroutine(handler) or isinstance(handler, partial)
    return inspect.iscoroutinefunction(handler if plain else type(handler).__call__)


def _count_parameters(handler: Handler) -> int:
    """How many of (context, payload) it takes. Raises TypeError for what no worker can call."""
    if not callable(handler):
        raise TypeError(f"a handler is a function, not {type(handler).__name__}")
    positional: list[inspect.Parameter] = []
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return 2
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            positional.append(parameter)
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"handler {handler!r} needs the keyword {parameter.name!r}, which no worker gives it")
    if len(positional) == 1 and positional[0].name in _NOT_A_CONTEXT:
        name = positional[0].name
        raise TypeError(f"a handler of one parameter is given the context, not the {name}: write (context, {name})")
    required = sum(parameter.default is parameter.empty for parameter in positional)
    if required > 2:
        raise TypeError(f"handler {handler!r} needs {required} arguments; it is given (), (context) or (context, payload)")
    return min(len(positional), 2)
