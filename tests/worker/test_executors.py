"""Handlers in processes of the worker's own, where the whole context works, and in executors of the user's."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from blaxel_jobs.artifacts import Artifacts, LocalArtifacts
from blaxel_jobs.core.records import Progress
from blaxel_jobs.core.reports import Crashed
from blaxel_jobs.define import define_job
from blaxel_jobs.errors import ConfigError
from blaxel_jobs.stores.artifacts import MemoryArtifacts
from tests.pace import best_of, until

from . import elsewhere
from .conftest import Bench


def gone(pid: int) -> bool:
    """Is this process no more, or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # also when it ends while its state is read
        return True


def text_of(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_a_handler_in_a_process_of_its_own_which_is_kept(bench: Bench) -> None:
    results = [bench.run(elsewhere.in_a_process, {"n": number}).result for number in range(3)]
    assert [result["payload"] for result in results] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert results[0]["pid"] != os.getpid()
    assert len({result["pid"] for result in results}) == 1
    assert (results[0]["attempt"], results[0]["metadata"], results[0]["env"]) == (1, {"owner": "x"}, {"A": "b"})
    bench.workers[0].stop()
    until(lambda: gone(results[0]["pid"]))


def test_slots_are_processes(bench: Bench, tmp_path: Path) -> None:
    bench.hire(elsewhere.hangs, slots=2)
    tasks = [bench.leases.add("hang", str(tmp_path / str(number))) for number in range(3)]
    until(lambda: text_of(tmp_path / "0") and text_of(tmp_path / "1"))
    assert text_of(tmp_path / "0") != text_of(tmp_path / "1")
    assert tasks[2].status == "pending"
    assert bench.workers[0].running == 2


def test_the_whole_context_works_over_the_pipe(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "written"
    task = bench.begin(elsewhere.verbs, str(path))
    bench.leases.wait(task, lambda task: task.awaiting == "go")
    assert task.kinds == ["Stepped", "Slept", "Awaited"]
    bench.leases.send(task, "go", {"by": "ann"})
    bench.leases.wait(task)
    assert task.result == ["1", {"by": "ann"}, ["b"] * 5, task.result[3]]
    assert (task.claims, task.attempt) == (2, 1)
    assert path.read_text() == "1bbbbb"
    assert task.notes[-1].progress == Progress(2, 2)
    assert [line.message for line in task.lines] == ["begun", "begun"]


def test_a_step_s_own_retries_in_a_process(bench: Bench, tmp_path: Path) -> None:
    assert bench.run(elsewhere.retried, str(tmp_path / "tries")).result == 3


def test_types_in_a_process(bench: Bench) -> None:
    assert bench.run(elsewhere.typed, {"id": "a", "amount": 2.5}).result == {"id": "a", "amount": 5.0}
    wrong = bench.run(elsewhere.typed, {"id": "a"}).failed.failure
    assert (wrong.kind, "amount" in wrong.message) == ("invalid_input", True)


@pytest.mark.parametrize(
    ("how", "kind", "type"),
    [
        ("raise", "error", "KeyError"),
        ("permanent", "permanent", "PermanentError"),
        ("later", "error", "RetryAfter"),
        ("exit", "error", "RuntimeError"),
        ("duplicate", "permanent", "DuplicateStep"),
        ("set", "not_serializable", "NotSerializable"),
    ],
)
def test_what_a_handler_in_a_process_raises(bench: Bench, how: str, kind: str, type: str) -> None:
    failed = bench.run(elsewhere.bad, how).failed
    assert (failed.failure.kind, failed.failure.type) == (kind, type)
    assert failed.retry_after == (3 if how == "later" else None)
    if how == "raise":
        assert "elsewhere.py" in str(failed.failure.trace)
        assert "blaxel_jobs/worker" not in str(failed.failure.trace)


def test_a_process_that_dies_is_a_loss_of_the_task_and_no_error(bench: Bench, tmp_path: Path) -> None:
    task = bench.run(elsewhere.crashes_once, str(tmp_path / "written"))
    assert (task.result, task.kinds) == ("122", ["Stepped", "Crashed", "Completed"])
    assert task.reports[1] == Crashed("exit code 9")
    assert bench.run(elsewhere.in_a_process, 1).result["payload"] == 1


def test_a_process_that_is_killed_is_noticed(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    task = bench.begin(elsewhere.hangs, str(path))
    until(lambda: text_of(path))
    first = text_of(path)
    os.kill(int(first), signal.SIGKILL)
    bench.leases.wait(task, lambda task: task.claims == 2)
    assert task.reports == [Crashed("exit code -9")]
    until(lambda: text_of(path) != first)


def test_a_process_that_died_while_it_was_idle_is_replaced(bench: Bench) -> None:
    first = bench.run(elsewhere.in_a_process).result["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: gone(first))
    time.sleep(0.05)
    task = bench.run(elsewhere.in_a_process)
    assert task.result["pid"] != first


def test_s4_68_a_process_is_killed_when_the_time_is_up(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    worker = bench.hire(elsewhere.hangs, slots=1)
    task = bench.leases.add("hang", str(path), timeout=3.0)
    until(lambda: text_of(path))
    until(lambda: gone(int(text_of(path))))
    until(lambda: worker.running == worker.holding == 0)
    assert task.reports == []


@pytest.mark.parametrize("how", ["lost", "stopped", "worker"])
def test_a_handler_in_a_process_is_told_to_unwind(make_bench: Callable[[], Bench], tmp_path: Path, how: str) -> None:
    paths = (tmp_path / str(number) for number in itertools.count())

    def attempt() -> None:
        bench, path = make_bench(), next(paths)
        task = bench.begin(elsewhere.polite, str(path))
        until(lambda: text_of(path) == "begun ")
        if how == "lost":
            bench.leases.take_away(task)
        elif how == "stopped":
            bench.leases.pause(task)
        else:
            bench.workers[0].stop(grace=0.01)
        until(lambda: bench.workers[0].running == 0)
        assert text_of(path) == "begun " + {"lost": "lost True", "stopped": "suspended False", "worker": "suspended True"}[how]
        assert task.kinds == ([] if how == "lost" else ["Released"])

    best_of(5, attempt)  # one that has not unwound after UNWIND_SECONDS is killed


def test_a_pause_wakes_a_sleep_in_a_process(bench: Bench, tmp_path: Path) -> None:
    bench.leases.in_place = 100
    task = bench.begin(elsewhere.sleeper, str(tmp_path / "written"))
    bench.leases.wait(task, lambda task: task.kinds == ["Slept"])
    bench.leases.pause(task)
    bench.leases.wait(task, lambda task: task.status == "pending")
    assert task.kinds == ["Slept", "Released"]
    assert text_of(tmp_path / "written") == "unwound"


def test_processes_die_with_their_worker(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import time
            from blaxel_jobs.system import SystemClock
            from blaxel_jobs.worker import Worker
            from tests.worker.elsewhere import hangs
            from tests.worker.fake_leases import FakeLeases

            if __name__ == "__main__":
                leases = FakeLeases()
                Worker(leases, [hangs], clock=SystemClock()).start()
                leases.add("hang", {str(tmp_path / "pid")!r})
                time.sleep(600)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    try:
        until(lambda: text_of(tmp_path / "pid"))
    finally:
        parent.kill()
        parent.wait()
    until(lambda: gone(int(text_of(tmp_path / "pid"))))


def test_artifacts_in_a_process(bench: Bench) -> None:
    port = LocalArtifacts(MemoryArtifacts(), "default")
    bench.leases.artifacts = lambda workspace: port  # type: ignore[attr-defined]
    ref, *told = bench.run(elsewhere.artifacts, "hello").result
    assert told == [1_000_005, "text/plain", "hello", "NotFound"]
    assert Artifacts(port, "e0").get(ref) == b"x" * 1_000_000 + b"hello"


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def test_any_executor_is_handed_an_import_path(bench: Bench, pool: ProcessPoolExecutor) -> None:
    job = define_job("pool", run=elsewhere.by_name, executor=pool)
    pid, *rest = bench.run(job, {"a": 1}).result
    assert pid != os.getpid()
    assert rest == [{"a": 1}, "pool", 1]
    failed = bench.run(define_job("raises", run=elsewhere.raises, executor=pool)).failed
    assert (failed.failure.type, failed.failure.message, failed.retry_after) == ("RetryAfter", "busy", 5)


def test_threads_of_the_user_s_own(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        job = define_job("pool", run=elsewhere.by_name, executor=pool)
        assert bench.run(job, 1).result == [os.getpid(), 1, "pool", 1]


@pytest.mark.parametrize("verb", ["run", "options", "sleep", "wait_for_event", "progress", "log", "artifacts"])
def test_there_the_context_s_verbs_are_not_available(bench: Bench, verb: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        failure = bench.run(define_job("pool", run=elsewhere.with_verbs, executor=pool), verb).failed.failure
    assert (failure.type, failure.kind) == ("ContextUnavailable", "permanent")


def test_there_the_fields_of_the_context_are(bench: Bench) -> None:
    with ThreadPoolExecutor(1) as pool:
        assert bench.run(define_job("pool", run=elsewhere.with_verbs, executor=pool), "cancelled").result is False


def test_an_executor_whose_process_dies_is_a_loss_of_the_task(bench: Bench) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        task = bench.begin(define_job("exits", run=elsewhere.exits, executor=pool))
        bench.leases.wait(task, lambda task: task.claims > 1)
        bench.workers[0].stop()
    assert {type(report).__name__ for report in task.reports} <= {"Crashed", "Released"}
    assert isinstance(task.reports[0], Crashed)


def test_an_executor_that_is_shut_down_fails_the_task(bench: Bench) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    worker_task = bench.run(define_job("pool", run=elsewhere.by_name, executor=pool))
    assert worker_task.failed.failure.kind == "error"
    assert bench.workers[0].running == 0


def nested() -> Any:
    def inside() -> None: ...

    return inside


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (nested(), "no function at the top level"),
        (lambda: 1, "no function at the top level"),
        (elsewhere.a_lambda, "no function at the top level"),
        (elsewhere.a_method, "no name at the top level"),
        (type("Called", (), {"__call__": lambda self: 1})(), "has no name"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_refused_at_registration(bench: Bench, handler: Any, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        bench.hire(define_job("job", run=handler, executor="process"))
    assert "'job'" in str(caught.value)


typed_here = define_job("typed-here", run=elsewhere.counted, input=elsewhere.Order, executor="process")


def test_types_that_only_a_definition_knows_need_it_where_the_handler_is(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="where its handler is"):
        bench.hire(typed_here)
