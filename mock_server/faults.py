"""What is to go wrong, and when: rules by route, job or execution, by count or by chance.

    mock.faults.add("status", status=503, operation="createJobExecution", first=2)
    mock.faults.add("latency", lognormal=(0.2, 0.5))
    mock.faults.add("ack_lost", method="POST", every=3)
    mock.faults.add("crash", job="report", step=2, first=1)

What a rule is, is here; how a request comes to feel it is in `injection`, and how a worker does in `leases`.
"""

import math
import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, Literal, Self

from msgspec import Struct

from blaxel_jobs.core.records import Leased

from .asked import Asked, path_pattern

Kind = Literal[
    "status", "latency", "drop", "ack_lost", "reset", "truncated", "malformed", "slow", "hang", "crash", "lost_lease"
]  # fmt: skip

OF_WORKERS: Final = frozenset({"crash", "lost_lease"})
"""Kinds that tasks meet; requests meet the others."""
RETRYABLE: Final = 503
MOST_SECONDS: Final = 86_400.0 * 366


class Rule(Struct, frozen=True, kw_only=True):
    """What goes wrong, where and when. Everything that is given has to fit.

    kind: `status`: answered with this status, before the work; `latency`: the answer comes later; `drop`: the connection is closed
    before the work, without an answer; `ack_lost`: the same after the work; `reset`: the connection is reset before the work;
    `truncated`: the answer ends in its middle; `malformed`: the body is no JSON; `slow`: the body takes its time; `hang`: no answer
    ever comes; `crash`: the worker of a task dies; `lost_lease`: a task is given to another worker while its own goes on.
    """

    kind: Kind
    method: str | None = None
    path: str | None = None
    """Of the request: `*` is any one segment, `**` any number of them; `/v0` may be left out."""
    operation: str | None = None
    """Its operationId in the contract, such as createJobExecution."""
    job: str | None = None
    execution: str | None = None
    skip: int = 0
    """How many that fit are left alone at first."""
    first: int | None = None
    """Only so many, and the others not."""
    every: int | None = None
    """Only every nth."""
    probability: float | None = None
    """By chance, from the mock's seed."""
    status: int = RETRYABLE
    retry_after: float | None = None
    """Seconds, in the answer's Retry-After."""
    seconds: float | None = None
    """How long a latency or a slow body takes, on the mock's clock."""
    uniform: tuple[float, float] | None = None
    """The same by chance, between two bounds."""
    lognormal: tuple[float, float] | None = None
    """The same by chance: median, and sigma of its logarithm."""
    step: int = 0
    """For workers: after how many steps of one task; 0 is at its start."""
    stored: bool = True
    """For a crash: that step has been stored. If not, it is taken again."""

    def fits_request(self, asked: Asked) -> bool:
        """Is this a request that the rule is for."""
        return (
            self.kind not in OF_WORKERS
            and (self.method is None or self.method == asked.method)
            and (self.path is None or path_pattern(self.path).fullmatch(asked.path) is not None)
            and (self.operation is None or self.operation == asked.operation)
            and (self.job is None or self.job == asked.job)
            and (self.execution is None or self.execution == asked.execution)
        )

    def fits_task(self, kind: Kind, leased: Leased, step: int) -> bool:
        """Is this a task that the rule is for, at this step."""
        return (
            self.kind == kind
            and self.step == step
            and (self.job is None or self.job == leased.job)
            and (self.execution is None or self.execution == leased.execution_id)
        )

    def as_json(self) -> dict[str, Any]:
        """As scenario files and the admin API have it."""
        plain = Rule(kind=self.kind)
        said = (name for name in self.__struct_fields__ if name == "kind" or getattr(self, name) != getattr(plain, name))
        return {wire_name(name): getattr(self, name) for name in said}


class Fault:
    """A rule at work. As a context manager it is removed at the end of the block."""

    def __init__(self, id: int, rule: Rule, rng: Random, remove: Callable[[int], None]) -> None:
        self.id = id
        self.rule = rule
        self.matched = 0
        """How many it was for."""
        self.injected = 0
        """How many of them it struck."""
        self._rng = rng
        self._remove = remove

    def __repr__(self) -> str:
        return f"Fault({self.as_json()})"

    @property
    def kind(self) -> Kind:
        return self.rule.kind

    def strikes(self) -> bool:
        """One more has come that it is for: is it struck."""
        self.matched += 1
        number, rule = self.matched - self.rule.skip, self.rule
        if number <= 0:
            return False
        hit = True
        if rule.first is not None:
            hit = number <= rule.first
        elif rule.every is not None:
            hit = number % rule.every == 0
        if hit and rule.probability is not None:
            hit = self._rng.random() < rule.probability
        self.injected += hit
        return hit

    def delay(self) -> float:
        """Seconds that this one takes."""
        rule = self.rule
        if rule.uniform is not None:
            return self._rng.uniform(*rule.uniform)
        if rule.lognormal is not None:
            median, sigma = rule.lognormal
            return min(median * math.exp(self._rng.gauss(0.0, sigma)), MOST_SECONDS)
        return rule.seconds or 0.0

    def remove(self) -> None:
        """It strikes no more. Twice does no harm."""
        self._remove(self.id)

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, **self.rule.as_json(), "matched": self.matched, "injected": self.injected}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Faults:
    """The faults of a mock, in the order in which they were added.

    A request is struck by the latencies that are for it, and by the first of the others that strikes.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._faults: tuple[Fault, ...] = ()
        self._count = 0

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(
        self,
        kind: Kind,
        *,
        method: str | None = None,
        path: str | None = None,
        operation: str | None = None,
        job: str | None = None,
        execution: str | None = None,
        skip: int = 0,
        first: int | None = None,
        every: int | None = None,
        probability: float | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        seconds: float | None = None,
        uniform: tuple[float, float] | None = None,
        lognormal: tuple[float, float] | None = None,
        step: int | None = None,
        stored: bool | None = None,
    ) -> Fault:
        """From now on this goes wrong. The arguments are those of `Rule`. Raises InvalidRequest, naming the one that is wrong."""
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        from .rules import read_rule

        return self.add_rule(read_rule({wire_name(name): value for name, value in given.items()}))

    def add_rule(self, rule: Rule) -> Fault:
        """From now on this goes wrong."""
        with self._lock:
            self._count += 1
            rng = Random(f"fault {self._seed} {self._count}")
            fault = Fault(self._count, rule, rng, self.remove)
            self._faults = (*self._faults, fault)
        return fault

    def remove(self, id: int) -> None:
        """This one strikes no more."""
        with self._lock:
            self._faults = tuple(fault for fault in self._faults if fault.id != id)

    def clear(self) -> None:
        """All goes well from now on."""
        with self._lock:
            self._faults = ()

    def of_request(self, asked: Asked) -> list[Fault]:
        """What strikes this request: any number of latencies, and at most one other, which is the last."""
        struck = []
        for fault in self._faults:
            if fault.rule.fits_request(asked) and fault.strikes():
                struck.append(fault)
                if fault.kind != "latency":
                    break
        return struck

    def of_task(self, kind: Kind, leased: Leased, step: int, *, stored: bool = True) -> Fault | None:
        """What strikes this task at this step."""
        for fault in self._faults:
            rule = fault.rule
            if rule.fits_task(kind, leased, step) and (step == 0 or rule.stored is stored) and fault.strikes():
                return fault
        return None


def wire_name(name: str) -> str:
    """A field's name in scenario files and the admin API."""
    first, *more = name.split("_")
    return first + "".join(part.capitalize() for part in more)
