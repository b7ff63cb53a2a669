"""The engine in a simulated world: virtual time, a network that loses, doubles and reorders, workers that stall, die and come back.

One seed is one story. The workers are models of the real one: they claim, run handlers that take steps, sleep and wait, send
heartbeats, and ask again when no answer comes. Commands that meet are committed together, as the committer would. The reference
of tests/model knows what each of them must be answered; whoever differs is wrong.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Generator
from itertools import count
from random import Random
from typing import Any, Final

import attrs

from blaxel_jobs.core.records import Leased, LeaseRef
from blaxel_jobs.core.reports import Answer, Awaited, Completed, Holding, Released, Report, Slept, Stepped
from blaxel_jobs.engine.commands import Claim, Command, Delete, Extend, SendEvent, Tell, Tick
from blaxel_jobs.stores import JobStore
from tests.chaos.audit import History, check_history, histories
from tests.model.reference import ENDED, status
from tests.model.seen import Wrong, expect
from tests.model.twin import MAX_RECOVERIES, WORKSPACE, Twin, failed, progress, steer

JOBS: Final = ("a", "b")
LEASE: Final = 10.0
SLOTS: Final = 3
WORKERS: Final = 3
CREATES: Final = 12
STORY: Final = 90.0
"""Seconds in which things go wrong. Then all is well, and what is left has to end."""
PATIENCE: Final = 3.0
"""Seconds after which a worker asks again."""
IN_PLACE: Final = 2.0

Handler = Generator[Report | float, Any, None]
"""Yields what it reports and is sent the answer; or seconds to sleep in place."""


@attrs.define(eq=False)
class Running:
    """A task that a worker has, and the handler that runs it there."""

    leased: Leased
    handler: Handler
    waits_for: int = 0
    """The number of the message whose answer it waits for."""


class Network:
    """Events in virtual time; messages to the engine, which commits together what meets."""

    def __init__(self, twin: Twin, rng: Random) -> None:
        self.twin = twin
        self.rng = rng
        self.faulty = True
        self.happened: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count(1)
        self._arrived: list[tuple[Command, Callable[[Any], None] | None]] = []

    @property
    def now(self) -> float:
        return self.twin.clock.now()

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), do))

    def step(self) -> None:
        """Let the next thing happen."""
        at, _, do = heapq.heappop(self._events)
        self.twin.clock.advance(max(0.0, at - self.now))
        do()

    def send(self, command: Command, answer: Callable[[Any], None] | None = None) -> None:
        """`answer` is called with what comes back: once, never, or more often."""
        for _ in range(2 if self._goes_wrong("doubled", 0.05) else 1):
            if not self._goes_wrong("request lost", 0.05):
                self.after(self._latency(), lambda: self.arrive(command, answer))

    def arrive(self, command: Command, answer: Callable[[Any], None] | None = None) -> None:
        self._arrived.append((command, answer))
        if len(self._arrived) == 1:
            self.after(self.rng.choice((0.0, 0.05, 0.3)), self._commit)

    def _commit(self) -> None:
        arrived, self._arrived = self._arrived, []
        outcomes = self.twin.commit(*[command for command, _ in arrived])
        self.happened["together"] += len(arrived) > 1
        for (_, answer), outcome in zip(arrived, outcomes, strict=True):
            if answer is not None and not self._goes_wrong("reply lost", 0.05):
                self.after(self._latency(), lambda answer=answer, outcome=outcome: answer(outcome))  # type: ignore[misc]

    def _latency(self) -> float:
        rng = self.rng
        slow = self.faulty and rng.random() < 0.05
        return rng.uniform(0.0, 1.5 * LEASE) if slow else rng.uniform(0.0, 0.2)

    def _goes_wrong(self, what: str, how_often: float) -> bool:
        wrong = self.faulty and self.rng.random() < how_often
        self.happened[what] += wrong
        return wrong


class Worker:
    """Claims, runs, reports, beats. While it is asleep nothing reaches it; then it goes on as if nothing had been."""

    def __init__(self, name: str, network: Network, world: "World") -> None:
        self.name = name
        self.dead = False
        self.asleep_until = 0.0
        self._network = network
        self._world = world
        self._running: dict[LeaseRef, Running] = {}
        self._messages = count(1)
        self._soon(0.0, self._claim)
        self._soon(0.3 * LEASE, self._beat)

    def _soon(self, seconds: float, do: Callable[[], None]) -> None:
        """Do this after so long, if it is alive then, and when it is awake."""

        def now() -> None:
            if self.dead:
                return
            sleeps = self.asleep_until - self._network.now
            if sleeps > 0:
                self._network.after(sleeps, now)
            else:
                do()

        self._network.after(seconds, now)

    def _send(self, command: Command, answer: Callable[[Any], None]) -> None:
        self._network.send(command, lambda outcome: self._soon(0.0, lambda: answer(outcome)))

    def _claim(self) -> None:
        room = SLOTS - len(self._running)
        if room > 0:
            self._send(Claim(WORKSPACE, None, room, self.name, LEASE), self._claimed)
        self._soon(1.0, self._claim)

    def _claimed(self, given: list[Leased]) -> None:
        for leased in given:
            running = self._running[leased.lease] = Running(leased, self._world.handler(leased))
            self._go_on(running, None)

    def _beat(self) -> None:
        if self._running:
            self._send(Extend(tuple(self._running), LEASE), self._beaten)
        self._soon(0.3 * LEASE, self._beat)

    def _beaten(self, holding: Holding) -> None:
        for lease in holding.lost:
            self._running.pop(lease, None)

    def _go_on(self, running: Running, answer: Answer | None) -> None:
        if self._running.get(running.leased.lease) is not running:
            return  # it was told that the lease is lost
        try:
            said = running.handler.send(answer)
        except StopIteration:
            del self._running[running.leased.lease]
            return
        if isinstance(said, float):
            self._soon(said, lambda: self._go_on(running, None))
        else:
            running.waits_for = next(self._messages)
            self._report(running, said, running.waits_for)

    def _report(self, running: Running, report: Report, number: int) -> None:
        if self._running.get(running.leased.lease) is not running or running.waits_for != number:
            return

        def answered(outcome: Any) -> None:
            if running.waits_for != number:
                return
            running.waits_for = 0
            if isinstance(outcome, Answer):
                self._go_on(running, outcome)
            else:
                self._network.happened["told that it lost its lease"] += 1
                self._running.pop(running.leased.lease, None)

        self._send(Tell(running.leased.lease, report), answered)
        self._soon(PATIENCE, lambda: self._report(running, report, number))


class World:
    """One story on one store. `run` tells it to its end and checks it."""

    def __init__(self, store: JobStore, seed: int) -> None:
        self._rng = Random(seed)
        self._seed = seed
        self._twin = Twin(store)
        self._network = Network(self._twin, self._rng)
        self._names = count(1)
        self._workers = [self._new_worker() for _ in range(WORKERS)]
        self._known: dict[tuple[str, str, str], int] = {}
        """The first token with which (execution, task, step) came back as a stored value."""
        self._final: dict[str, History] = {}
        self._deleted: set[str] = set()

    @property
    def happened(self) -> Counter[str]:
        """How often things went wrong."""
        return self._network.happened

    def run(self) -> dict[str, History]:
        """Every execution at the end. Raises Wrong or AssertionError."""
        network, rng, begin = self._network, self._rng, self._twin.clock.now()
        for job in JOBS:
            if rng.random() < 0.7:
                self._define(job)
        for at in [rng.uniform(0.0, STORY / 2) for _ in range(CREATES)]:
            network.after(at - at % 5.0, self._create)  # several at once
        for at in [rng.uniform(0.0, STORY) for _ in range(40)]:
            network.after(at, self._disturb)
        for at in (STORY / 2, STORY):
            network.after(at, self._look)
        network.after(1.0, self._tick)
        while network.now < begin + STORY:
            network.step()
        self._calm()
        while not self._all_ended():
            expect(network.now < begin + 10 * STORY, "something never ends")
            network.step()
        return self._check()

    def close(self) -> None:
        self._twin.close()

    def handler(self, leased: Leased) -> Handler:
        """The same task does the same whenever it is run."""
        rng = Random(f"{self._seed} {leased.execution_id} {leased.task_id}")
        stored = {step.name: step for step in leased.steps}
        for step in leased.steps:
            if step.kind == "value":
                self._known.setdefault((leased.execution_id, leased.task_id, step.name), leased.lease.token)
        for place in range(rng.randrange(1, 6)):
            kind = rng.choice(("run", "run", "nap", "go", "note", "fail"))
            seconds, name = rng.choice((0.5, 5.0, 20.0)), f"{kind}-{place}"
            if name in stored and stored[name].kind != "wait" and not stored[name].remaining:
                continue
            answer = yield from self._act(kind, name, seconds, leased, rng)
            if answer is None or answer.suspended:
                return
            if answer.stop:
                yield Released()
                return
            if answer.kind == "sleep":
                yield answer.remaining
        yield Completed(f'"{leased.execution_id} {leased.task_id} {leased.attempt}"')

    def _act(self, kind: str, name: str, seconds: float, leased: Leased, rng: Random) -> Generator[Any, Any, Answer | None]:
        """One act of a handler; None when it was the last."""
        last = leased.attempt <= rng.randrange(3) and kind == "fail"
        if kind == "fail":
            if last:
                yield failed(rng.choice(("error", "error", "permanent")), rng.choice((None, 2.0)))
            return None if last else Answer()
        if kind == "run":
            yield self._rng.choice((0.0, 1.0, 4.0, 8.0))
            told = (leased.execution_id, leased.task_id, name)
            since = self._known.get(told, leased.lease.token + 1)
            expect(leased.lease.token < since, f"{told} was stored, and runs again")
            return (yield Stepped(name, f'"{told}"'))  # type: ignore[no-any-return]
        report = {
            "nap": Slept(name, seconds, IN_PLACE),
            "go": Awaited(name, rng.choice((None, 5.0, 30.0)), rng.random() < 0.8),
        }.get(kind, progress(1.0))
        return (yield report)  # type: ignore[no-any-return]

    # What happens

    def _new_worker(self) -> Worker:
        return Worker(f"w{next(self._names)}", self._network, self)

    def _define(self, job: str) -> None:
        rng = self._rng
        limits = {"concurrency": rng.choice((None, 1, 2, 3)), "per_key": rng.choice((1, 2)), "retries": rng.choice((None, 1))}
        self._network.arrive(self._twin.definition(job, **limits, retry_delay=1.0, timeout=rng.choice((None, 60.0))))

    def _create(self) -> None:
        rng = self._rng
        said: dict[str, Any] = {"maxRetries": rng.randrange(3), "retryDelayMs": 1000, "idempotencyKey": f"key {rng.randrange(20)}"}
        if rng.random() < 0.6:
            said |= {
                "concurrencyKey": rng.choice(("red", "blue")),
                "onConflict": rng.choice(("queue", "queue", "coalesce", "reject")),
            }
        if rng.random() < 0.5:
            said |= {"priority": rng.choice(("critical", "high", "low")), "failFast": rng.random() < 0.5}
        if rng.random() < 0.3:
            said |= {"timeoutMs": rng.choice((5000, 30_000)), "allowQueue": rng.random() < 0.5}
        if rng.random() < 0.3:
            said |= {"delayMs": rng.choice((0, 5000)), **({"autoStart": False} if rng.random() < 0.5 else {})}
        job, tasks = rng.choice(JOBS), rng.randrange(4)
        if rng.random() < 0.2:
            plain = {name: value for name, value in said.items() if name not in ("onConflict", "allowQueue")}
            self._network.send(self._twin.batch(self._twin.engine.new_id(), [(job, tasks, plain), (rng.choice(JOBS), 1, {})]))
        else:
            self._network.send(self._twin.create(job, tasks, said))

    def _disturb(self) -> None:
        rng = self._rng
        worker = rng.choice(self._workers)
        roll = rng.random()
        if roll < 0.25:
            worker.asleep_until = self._network.now + rng.uniform(0.0, 3 * LEASE)
            self.happened["stalled"] += 1
        elif roll < 0.4:
            self._die(worker)
        elif roll < 0.44:
            self._define(rng.choice(JOBS))
        elif self._twin.reference.executions:
            self._meddle(rng.choice(list(self._twin.reference.executions)))

    def _die(self, worker: Worker) -> None:
        """What it held is lost, now or when its lease ends. Who dies is replaced."""
        worker.dead = True
        self.happened["died"] += 1
        self._workers[self._workers.index(worker)] = self._new_worker()
        if self._rng.random() < 0.3:
            self._network.arrive(Tick(f"{worker.name}"))

    def _meddle(self, id: str) -> None:
        rng = self._rng
        verb = rng.choice(("pause", "pause", "pause", "cancel", "retry", "retry", "start", "delete", "send", "send"))
        if verb == "delete":
            self._deleted.add(id)
            self._network.send(Delete(WORKSPACE, None, id, rng.random() < 0.3))
        elif verb == "send":
            self._send_event(id)
        else:
            self._network.send(steer(id, verb))
        if verb == "pause":
            self._network.after(rng.uniform(0.0, LEASE), lambda: self._network.send(steer(id, "resume")))

    def _send_event(self, id: str) -> None:
        """One that a task waits for, or may."""
        tasks = self._twin.reference.executions[id]["tasks"]
        wanted = [task["awaiting"] for task in tasks if task["awaiting"]] or [f"go-{self._rng.randrange(3)}"]
        self._network.send(SendEvent(WORKSPACE, None, id, self._rng.choice(wanted), "0", f"event {self._rng.randrange(1000)}"))

    def _tick(self) -> None:
        self._network.arrive(Tick())
        self._network.after(1.0, self._tick)

    def _look(self) -> None:
        """Compare all that can be seen; and keep what has ended, to compare it at the end."""
        self._twin.check()
        self._final = {id: history for id, history in histories(self._twin.store).items() if history.execution.done}

    def _calm(self) -> None:
        """Nothing goes wrong any more, and nothing waits for a client."""
        self._network.faulty = False
        for worker in self._workers:
            worker.asleep_until = 0.0
        self._help()

    def _help(self) -> None:
        for id, execution in self._twin.reference.executions.items():
            if execution["paused"]:
                self._network.arrive(steer(id, "resume"))
            elif any(task["why"] == "start" for task in execution["tasks"]):
                self._network.arrive(steer(id, "start"))
            elif any(task["awaiting"] for task in execution["tasks"]):
                self._send_event(id)
        self._network.after(5.0, self._help)

    def _all_ended(self) -> bool:
        return all(status(execution) in ENDED for execution in self._twin.reference.executions.values())

    def _check(self) -> dict[str, History]:
        self._twin.check()
        found = histories(self._twin.store)
        for history in found.values():
            check_history(history, MAX_RECOVERIES)
        for id, history in self._final.items():
            now = found.get(id)
            if now is None:
                expect(id in self._deleted, f"{id} had ended and is gone")
            elif now != history:
                later = now.events[len(history.events) :]
                expect(now.events[: len(history.events)] == history.events, f"{id} had ended, and its past is another")
                expect(bool(later) and later[0].type == "retried", f"{id} had ended and changed")
        return found


__all__ = ["World", "Wrong"]
