"""One of several engines on one SQLite file: it does anything to anything there, its own and the others'."""

import sys
from pathlib import Path
from random import Random
from typing import Any, Final

from blaxel_jobs.core.ports import Clock
from blaxel_jobs.core.records import Definition, Failure, Leased, LeaseRef, Policy, Progress
from blaxel_jobs.core.reports import Awaited, Completed, Crashed, Failed, LogLine, Noted, Released, Report, Slept, Stepped
from blaxel_jobs.core.requests import read_create
from blaxel_jobs.engine import Engine
from blaxel_jobs.engine.commands import (
    Claim,
    Command,
    CreateExecution,
    Define,
    Delete,
    Extend,
    SendEvent,
    Steer,
    Tell,
    Tick,
    Verb,
)
from blaxel_jobs.errors import IllegalTransition, LeaseLost, NotFound
from blaxel_jobs.system import SystemClock, id_factory
from blaxel_jobs.words import FailureKind

from .checked import CheckedStore
from .samples import WORKSPACE

NAMES: Final = [f"e{number}" for number in range(12)]
"""Few enough that they meet."""
KINDS: Final = [
    *["create"] * 3,
    *["claim"] * 4,
    *["report"] * 8,
    *["extend"] * 3,
    *["steer"] * 2,
    "send",
    "tick",
    "define",
    "delete",
]


class Hammer:
    """An engine that makes batches of commands up, and remembers every lease that it had."""

    def __init__(self, path: Path, clock: Clock, rng: Random, who: str) -> None:
        self.store = CheckedStore(path)
        self.engine = Engine(self.store, clock=clock, new_id=id_factory(), rng=rng, max_recoveries=3)
        self._rng = rng
        self._who = who
        self._leases: list[LeaseRef] = []

    def hit(self, others: list[LeaseRef]) -> None:
        """Commit up to six commands together. `others` are leases that other engines had."""
        commands = [self._some(self._rng.choice(KINDS), others) for _ in range(self._rng.randrange(1, 7))]
        for outcome in self.engine._apply(commands):
            assert not isinstance(outcome, Exception) or isinstance(outcome, LeaseLost | NotFound | IllegalTransition), outcome
            if isinstance(outcome, list):
                self._leases += [leased.lease for leased in outcome if isinstance(leased, Leased)]

    @property
    def leases(self) -> list[LeaseRef]:
        """The last that it had, held or not."""
        return self._leases[-6:]

    def _some(self, kind: str, others: list[LeaseRef]) -> Command:
        rng, id, job = self._rng, self._rng.choice(NAMES), self._rng.choice(["a", "b"])
        leases = [*self.leases * 3, *others] or [LeaseRef(1, 1)]
        if kind == "create":
            work: dict[str, Any] = (
                {"input": "x" * rng.choice([1, 20_000])} if rng.random() < 0.5 else {"tasks": [{}] * rng.randrange(1, 5)}
            )
            options = {
                "executionId": id, "maxRetries": rng.randrange(3), "retryDelayMs": rng.choice([0, 500]),
                "failFast": rng.random() < 0.3, **({"timeoutMs": 3000} if rng.random() < 0.3 else {}),
                **({"concurrencyKey": "red"} if rng.random() < 0.3 else {}),
            }  # fmt: skip
            return CreateExecution(read_create(WORKSPACE, job, {**work, **options}))
        if kind == "claim":
            return Claim(WORKSPACE, None, rng.randrange(1, 6), self._who, rng.choice([0.0, 1.0, 10.0, 10.0]))
        if kind == "report":
            return Tell(rng.choice(leases), self._report(), rng.choice([None, WORKSPACE, "another"]))
        if kind == "extend":
            return Extend(tuple(rng.choices(leases, k=3)), rng.choice([1.0, 10.0]), rng.choice([None, WORKSPACE]))
        if kind == "steer":
            return Steer(WORKSPACE, None, id, rng.choice(list(Verb)))
        if kind == "send":
            return SendEvent(WORKSPACE, None, id, "go", "1", str(rng.random()))
        if kind == "define":
            limits = {"concurrency": rng.choice([None, 1, 3]), "concurrency_per_key": rng.choice([1, 2])}
            return Define(Definition(workspace=WORKSPACE, job=job, policy=Policy(bound=True, max_retries=1), **limits))
        return Tick(rng.choice([None, None, None, "w"])) if kind == "tick" else Delete(WORKSPACE, None, id, force=True)

    def _report(self) -> Report:
        rng = self._rng
        failure = Failure(FailureKind.ERROR, "ValueError", "no", rng.choice([None, "line 1"]))
        reports: list[Report] = [
            Completed(rng.choice(["1", '"1"', "null"])),
            Failed(failure, rng.choice([None, 0.0, 1.0])),
            Released(),
            Crashed("exit code -9"),
            Stepped(rng.choice("xyz"), "1"),
            Slept(rng.choice("st"), rng.choice([0.0, 1.0]), rng.choice([0.0, 5.0])),
            Awaited("go", rng.choice([None, 1.0]), rng.random() < 0.5),
            Noted(Progress(float(rng.randrange(3)), 3.0), (LogLine("info", "hello"),)),
        ]
        return rng.choice(reports)


def main(path: str, seed: str, turns: str) -> None:
    """Hammer a file on which others do the same; print how often what was known was compared."""
    hammer = Hammer(Path(path), SystemClock(), Random(int(seed)), f"w{seed}")
    for _ in range(int(turns)):
        hammer.hit([LeaseRef(hammer._rng.randrange(1, 200), hammer._rng.randrange(1, 4)) for _ in range(3)])
    hammer.engine.close()
    print(hammer.store.compared)


if __name__ == "__main__":
    main(*sys.argv[1:])
