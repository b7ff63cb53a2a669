"""Group commit: every caller gets its own outcome, whatever happens to the others."""

import asyncio
import contextlib
import ctypes
import gc
import signal
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from blaxel_jobs.engine.commands import Command
from blaxel_jobs.engine.committer import MAX_CREATE_ROWS, Grouped, Inline, _Caller
from blaxel_jobs.errors import NotFound, Unavailable
from tests.pace import PATIENCE


class Urgent(Command, frozen=True):
    name: Any


class Slow(Command, frozen=True):
    urgent: ClassVar[bool] = False
    name: Any
    rows: int = 1

    @property
    def size(self) -> int:
        return self.rows


class Disk:
    """Where batches land; commits wait while the gate is shut."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def apply(self, commands: Sequence[Any]) -> list[Any]:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        names = [command.name for command in commands]
        if "poison" in names:
            raise RuntimeError("the transaction failed")
        if "full" in names:
            self.batches.append(names)
            raise Unavailable("the disk is full")
        self.batches.append(names)
        return [NotFound("refused") if name == "bad" else name for name in names]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def grouped(disk: Disk) -> Iterator[Grouped]:
    committer = Grouped(disk.apply)
    yield committer
    disk.gate.set()
    committer.close()


def occupy(disk: Disk, committer: Grouped, pool: ThreadPoolExecutor) -> Any:
    """Have one commit stand at the gate."""
    disk.gate.clear()
    disk.entered.clear()
    first = pool.submit(committer.submit, Urgent("first"))
    assert disk.entered.wait(PATIENCE)
    return first


def until_queued(committer: Grouped, count: int) -> None:
    while len(committer._urgent) + len(committer._creates) < count:
        threading.Event().wait(0.001)


def test_a_lonely_caller_commits_in_its_own_thread(disk: Disk, grouped: Grouped) -> None:
    seen: list[threading.Thread] = []
    grouped._apply = lambda commands: [seen.append(threading.current_thread())]
    grouped.submit(Urgent("a"))
    assert seen == [threading.current_thread()]


def test_callers_that_meet_share_a_commit_urgent_first(disk: Disk, grouped: Grouped) -> None:
    with ThreadPoolExecutor(10) as pool:
        first = occupy(disk, grouped, pool)
        others = []
        for n, command in enumerate([Slow("s1"), Urgent("u1"), Slow("s2"), Urgent("u2")]):
            others.append(pool.submit(grouped.submit, command))
            until_queued(grouped, n + 1)
        disk.gate.set()
        assert [first.result(PATIENCE), *[other.result(PATIENCE) for other in others]] == ["first", "s1", "u1", "s2", "u2"]
    assert disk.batches == [["first"], ["u1", "u2", "s1", "s2"]]


def test_threads_of_a_batch_wake_each_other_in_turn(disk: Disk, grouped: Grouped, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[_Caller] = []
    woken: list[str] = []
    init = _Caller.__init__

    def noted(caller: _Caller) -> None:
        init(caller)
        made.append(caller)
        wake, place = caller.wake, len(made)

        def by() -> None:
            woken.append(f"{place} by {threading.current_thread().name}")
            wake()

        caller.wake = by

    monkeypatch.setattr(_Caller, "__init__", noted)
    with ThreadPoolExecutor(10, "caller") as pool:
        first = occupy(disk, grouped, pool)
        others = []
        for n, name in enumerate(["a", "bad", "c"]):
            others.append(pool.submit(grouped.submit, Urgent(name)))
            until_queued(grouped, n + 1)
        disk.gate.set()
        a, bad, c = others
        assert (first.result(PATIENCE), a.result(PATIENCE), c.result(PATIENCE)) == ("first", "a", "c")
        assert isinstance(bad.exception(PATIENCE), NotFound)
    assert woken == ["1 by blaxel-jobs-committer", "2 by caller_1", "3 by caller_2"]


def test_a_caller_that_a_signal_interrupts_holds_up_nobody(disk: Disk, grouped: Grouped) -> None:
    assert threading.current_thread() is threading.main_thread()
    with ThreadPoolExecutor(10) as pool:
        first = occupy(disk, grouped, pool)
        before = pool.submit(grouped.submit, Urgent("before"))
        until_queued(grouped, 1)

        def interrupt() -> str:
            until_queued(grouped, 2)
            behind = pool.submit(grouped.submit, Urgent("behind"))
            until_queued(grouped, 3)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return str(behind.result(PATIENCE))

        interrupting = pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            grouped.submit(Urgent("interrupted"))
        disk.gate.set()
        assert [each.result(PATIENCE) for each in (first, before, interrupting)] == ["first", "before", "behind"]
    assert disk.batches == [["first"], ["before", "interrupted", "behind"]]


def test_a_thread_that_is_ended_from_outside_keeps_nobody_waiting(disk: Disk, grouped: Grouped) -> None:
    """At any moment: sometimes while it waits, sometimes while it wakes the next, sometimes after that."""

    def end(ident: int) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))

    def submit() -> None:
        with contextlib.suppress(SystemExit):
            grouped.submit(Urgent("ended"))
            while True:
                threading.Event().wait(0.001)

    with ThreadPoolExecutor(10) as pool:
        for moment in range(100):
            first = occupy(disk, grouped, pool)
            thread = threading.Thread(target=submit)
            thread.start()
            until_queued(grouped, 1)
            behind = [pool.submit(grouped.submit, Urgent(name)) for name in ("b", "c")]
            until_queued(grouped, 3)
            disk.gate.set()
            for _ in range(moment):
                pass
            end(thread.ident or 0)
            assert [each.result(PATIENCE) for each in (first, *behind)] == ["first", "b", "c"]
            thread.join(PATIENCE)


def test_an_error_does_not_keep_the_outcomes_of_others(disk: Disk, grouped: Grouped) -> None:
    class Outcome:
        """One that can be watched."""

    outcome = Outcome()
    kept = weakref.ref(outcome)
    with ThreadPoolExecutor(10) as pool:
        first = occupy(disk, grouped, pool)
        bad = pool.submit(grouped.submit, Urgent("bad"))
        until_queued(grouped, 1)
        another = pool.submit(grouped.submit, Urgent(outcome))
        until_queued(grouped, 2)
        del outcome
        disk.gate.set()
        assert (first.result(PATIENCE), another.result(PATIENCE)) == ("first", kept())
        error = bad.exception(PATIENCE)

    async def next_one() -> None:
        await grouped.asubmit(Urgent("next"))

    asyncio.run(next_one())  # until then the committer has its last batch
    disk.batches.clear()
    del another
    gc.collect()
    assert isinstance(error, NotFound)
    assert kept() is None


def test_a_large_create_goes_alone_and_after_what_is_urgent(disk: Disk, grouped: Grouped) -> None:
    with ThreadPoolExecutor(10) as pool:
        occupy(disk, grouped, pool)
        for n, command in enumerate([Slow("large", MAX_CREATE_ROWS * 10), Urgent("u"), Slow("small")]):
            pool.submit(grouped.submit, command)
            until_queued(grouped, n + 1)
        disk.gate.set()
    assert disk.batches == [["first"], ["u"], ["large"], ["small"]]


def test_a_refused_command_fails_alone(disk: Disk, grouped: Grouped) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*[grouped.asubmit(Urgent(name)) for name in ("a", "bad", "b")], return_exceptions=True)

    a, bad, b = asyncio.run(main())
    assert (a, b) == ("a", "b")
    assert isinstance(bad, NotFound)
    assert disk.batches == [["a", "bad", "b"]]


def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(disk: Disk, grouped: Grouped) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*[grouped.asubmit(Urgent(name)) for name in ("a", "poison", "b")], return_exceptions=True)

    a, poison, b = asyncio.run(main())
    assert (a, b) == ("a", "b")
    assert isinstance(poison, RuntimeError)
    assert disk.batches == [["a"], ["b"]]


def test_a_store_that_is_at_fault_is_asked_once(disk: Disk, grouped: Grouped) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*[grouped.asubmit(Urgent(name)) for name in ("a", "full", "b")], return_exceptions=True)

    assert [type(outcome) for outcome in asyncio.run(main())] == [Unavailable] * 3
    assert disk.batches == [["a", "full", "b"]]


def test_a_loop_that_is_gone_harms_nobody(disk: Disk, grouped: Grouped) -> None:
    async def leave() -> None:
        task = asyncio.ensure_future(grouped.asubmit(Urgent("gone")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()

    with ThreadPoolExecutor(2) as pool:
        occupy(disk, grouped, pool)
        asyncio.run(leave())
        disk.gate.set()
    assert grouped.submit(Urgent("after")) == "after"
    assert any("gone" in batch for batch in disk.batches)


def test_async_callers_never_commit_on_their_loop(disk: Disk, grouped: Grouped) -> None:
    async def main() -> threading.Thread:
        threads: list[threading.Thread] = []
        grouped._apply = lambda commands: [threads.append(threading.current_thread()) for _ in commands]
        await grouped.asubmit(Urgent("a"))
        return threads[0]

    assert asyncio.run(main()) is not threading.current_thread()


def test_closing_commits_what_is_queued_and_refuses_the_rest(disk: Disk) -> None:
    grouped = Grouped(disk.apply)
    with ThreadPoolExecutor(3) as pool:
        occupy(disk, grouped, pool)
        queued = pool.submit(grouped.submit, Urgent("queued"))
        until_queued(grouped, 1)
        closing = pool.submit(grouped.close)
        disk.gate.set()
        closing.result(PATIENCE)
        assert queued.result(PATIENCE) == "queued"
    with pytest.raises(Unavailable):
        grouped.submit(Urgent("late"))
    with pytest.raises(Unavailable):
        asyncio.run(grouped.asubmit(Urgent("late")))


def test_callers_that_race_with_the_close_are_all_answered(disk: Disk) -> None:
    def call(committer: Grouped) -> Any:
        try:
            return committer.submit(Urgent("late"))
        except Unavailable:
            return "refused"

    for _ in range(50):
        grouped = Grouped(disk.apply)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(call, grouped) for _ in range(7)]
            pool.submit(grouped.close).result(PATIENCE)
            assert {call.result(PATIENCE) for call in calls} <= {"late", "refused"}


async def test_inline_commits_in_the_caller(disk: Disk) -> None:
    inline = Inline(disk.apply)
    assert inline.submit(Urgent("a")) == "a"
    assert await inline.asubmit(Urgent("b")) == "b"
    with pytest.raises(NotFound):
        inline.submit(Urgent("bad"))
    assert disk.batches == [["a"], ["b"], ["bad"]]


async def test_inline_refuses_what_comes_after_its_close(disk: Disk) -> None:
    inline = Inline(disk.apply)
    inline.close()
    with pytest.raises(Unavailable):
        inline.submit(Urgent("late"))
    with pytest.raises(Unavailable):
        await inline.asubmit(Urgent("late"))
    assert disk.batches == []
