"""What a handler is told about the task that it runs, and what it can do there: the first parameter of a handler that takes one.

A `def` handler gets a TaskContext, an `async def` handler an AsyncTaskContext: the same names, the durable verbs awaited.
"""

import math
import threading
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, overload

import attrs

from ..artifacts import Artifacts, AsyncArtifacts
from ..core.ports import Clock, Rng
from ..core.records import Leased, Progress
from ..core.reports import LogLine
from ..errors import ContextUnavailable
from .coroutines import Coroutines
from .effects import run_here
from .notes import Log, brief
from .steps import PLAIN_OPTIONS, Line, Options, Steps

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", Artifacts, AsyncArtifacts)


_MAKING: Final = threading.Lock()


class Wire(Line, Protocol):
    """All that a context needs of its worker."""

    @property
    def gone(self) -> bool: ...
    def progress(self, progress: Progress) -> None: ...
    def log(self, line: LogLine) -> None: ...


class Context(Generic[A]):
    """What both kinds of context have."""

    def __init__(
        self, leased: Leased, wire: Wire, clock: Clock, rng: Rng | None, artifacts: Callable[[Leased], A] | None = None
    ) -> None:
        """Of a task that was just leased; its payload is still to come. artifacts: how to get at them, where there are any."""
        self.execution_id = leased.execution_id
        self.task_id = leased.task_id
        self.job = leased.job
        self.attempt = leased.attempt
        """1 at the first try."""
        self.payload: Any = None
        """The task's input."""
        self.index = leased.index
        """The task's place in its execution, from 0."""
        self.metadata = leased.metadata
        """The user's own fields of the execution."""
        self.env = leased.env
        self.results: dict[str, Any] = {}
        """By task, what those returned that this one depends on."""
        self._leased = leased
        self._wire = wire
        self._clock = clock
        self._rng = rng
        self._made: Steps | None = None
        self._make_artifacts: Callable[[Leased], A] | None = artifacts

    def __repr__(self) -> str:
        return f"<{type(self).__name__} job={self.job!r} execution_id={self.execution_id!r} task_id={self.task_id!r}>"

    @cached_property
    def log(self) -> Log:
        """`log.info(message, **fields)`, and debug, warning and error. Kept as events of the execution, and written to the logger
        `blaxel_jobs.handler` without the fields."""
        return Log(self._wire.log)

    @cached_property
    def artifacts(self) -> A:
        """Bytes that are too large for a result: `artifacts.put(data)` returns a ref, `artifacts.get(ref)` the bytes.

        Raises ContextUnavailable where there is no place for them."""
        if self._make_artifacts is None:
            raise ContextUnavailable("there are no artifacts where this handler runs")
        return self._watched(self._make_artifacts(self._leased))

    def _watched(self, artifacts: A) -> A:
        return artifacts

    @property
    def cancelled(self) -> bool:
        """True once the task was cancelled, its lease lost or its time up. Nothing that the handler still returns is kept."""
        return self._wire.gone

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Tell how far the handler is. Never waits: of many in a short time the last one counts.

        Raises ValueError for what is no finite number, and what the other verbs raise when the handler is to unwind."""
        if message is not None and not isinstance(message, str):
            raise ValueError(f"the message of progress is text, not {message!r}")
        text = None if message is None else brief(message)
        progress = Progress(_number(current), None if total is None else _number(total), text)
        self._wire.check()
        self._wire.progress(progress)

    @property
    def _steps(self) -> Steps:
        """Made when the handler has the first: most have none."""
        with _MAKING:
            if self._made is None:
                self._made = Steps(self._leased, self._wire, self._clock.monotonic, self._rng)
            return self._made


class TaskContext(Context[Artifacts]):
    """The task, as a `def` handler sees it. It may be used by threads that the handler starts.

    When the execution is paused, or waits for long, the verbs raise Suspended, a BaseException: let it pass, and the handler is
    called again later, with its steps stored. When the lease is lost they raise LeaseLost.
    """

    def run(self, name: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `fn`, once: what it returns is stored under this name, and from then on returned without a call.

        The value is plain data, or of the type that fn's return annotation names. A step that raises raises here. Raises
        DuplicateStep for a second use of the name, and NotSerializable, also above 1 MB: `artifacts` takes more.
        """
        value: T = run_here(self._steps.run(name, fn, args, kwargs, PLAIN_OPTIONS))
        return value

    def options(self, *, max_retries: int = 0, retry_delay: float | None = None, timeout: float | None = None) -> "StepOptions":
        """How the step in `options(...).run(name, fn, ...)` is tried: again after an error, `max_retries` times, after
        `retry_delay` seconds or else after growing waits; each try for `timeout` seconds, after which StepTimeout is raised.

        A function in a thread cannot be interrupted: when it returns too late, what it returns is refused. Raises ValueError."""
        return StepOptions(self._steps, Options(max_retries, retry_delay, timeout))

    def sleep(self, name: str, seconds: float) -> None:
        """Sleep durably: a crash does not begin it anew, and a long one takes up no slot of the worker."""
        run_here(self._steps.sleep(name, seconds))

    def wait_for_event(self, name: str, timeout: float | None = None) -> Any:
        """Wait for an event that is sent to the execution, and return its payload. Also one that was sent before.

        Raises StepTimeout, a TimeoutError, when it does not come in so many seconds."""
        return run_here(self._steps.wait_for_event(name, timeout))


class AsyncTaskContext(Context[AsyncArtifacts]):
    """The task, as an `async def` handler sees it. Several steps may run at once, as with asyncio.gather.

    When the execution is paused, or waits for long, the verbs raise Suspended, a BaseException: let it pass, and the handler is
    called again later, with its steps stored. When the lease is lost they raise LeaseLost.
    """

    _verbs: Coroutines | None = None
    """Made when the handler has the first: most have none."""

    @overload
    async def run(self, name: str, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, name: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def run(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Call `fn`, sync or async, once: what it returns is stored under this name, and from then on returned without a call.

        The value is plain data, or of the type that fn's return annotation names. A step that raises raises here. Raises
        DuplicateStep for a second use of the name, and NotSerializable, also above 1 MB: `artifacts` takes more.
        """
        return self._coroutines.make("run", name, self._steps.run(name, fn, args, kwargs, PLAIN_OPTIONS))

    def options(
        self, *, max_retries: int = 0, retry_delay: float | None = None, timeout: float | None = None
    ) -> "AsyncStepOptions":
        """How the step in `options(...).run(name, fn, ...)` is tried: again after an error, `max_retries` times, after
        `retry_delay` seconds or else after growing waits; each try for `timeout` seconds, after which it is cancelled and
        StepTimeout raised.

        Raises ValueError."""
        return AsyncStepOptions(self._steps, self._coroutines, Options(max_retries, retry_delay, timeout))

    def sleep(self, name: str, seconds: float) -> Coroutine[Any, Any, None]:
        """Sleep durably: a crash does not begin it anew, and a long one takes up no slot of the worker."""
        return self._coroutines.make("sleep", name, self._steps.sleep(name, seconds))

    def wait_for_event(self, name: str, timeout: float | None = None) -> Coroutine[Any, Any, Any]:
        """Wait for an event that is sent to the execution, and return its payload. Also one that was sent before.

        Raises StepTimeout, a TimeoutError, when it does not come in so many seconds."""
        return self._coroutines.make("wait_for_event", name, self._steps.wait_for_event(name, timeout))

    def _watched(self, artifacts: AsyncArtifacts) -> AsyncArtifacts:
        return artifacts.watched(self._coroutines.watch)

    @property
    def _coroutines(self) -> Coroutines:
        if self._verbs is None:
            self._verbs = Coroutines()
        return self._verbs


@attrs.frozen
class StepOptions:
    """How one step is tried."""

    _steps: Steps
    _options: Options

    def run(self, name: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As TaskContext.run. Raises StepTimeout."""
        value: T = run_here(self._steps.run(name, fn, args, kwargs, self._options))
        return value


@attrs.frozen
class AsyncStepOptions:
    """How one step is tried."""

    _steps: Steps
    _coroutines: Coroutines
    _options: Options

    @overload
    async def run(self, name: str, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def run(self, name: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def run(self, name: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """As AsyncTaskContext.run. Raises StepTimeout."""
        return self._coroutines.make("run", name, self._steps.run(name, fn, args, kwargs, self._options))


def check_awaited(context: Context[Any]) -> None:
    """At the end of the handler. Raises PermanentError, naming the verbs that it has called and never awaited."""
    if isinstance(context, AsyncTaskContext) and context._verbs is not None:
        context._verbs.check()


def _number(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"progress takes finite numbers, not {value!r}")
    return value if type(value) in (int, float) else float(value)


AnyContext = TaskContext | AsyncTaskContext
