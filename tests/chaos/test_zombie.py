"""A worker that is stopped for longer than its lease: another runs its task, what it says later changes nothing (invariant 5)."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from blaxel_jobs import JobManager, Settings
from blaxel_jobs.stores import open_store
from tests.chaos.audit import History, check_file, check_history, histories, runs
from tests.chaos.processes import Program
from tests.chaos.work import gated
from tests.pace import PATIENCE, until

LEASE = 2.0
"""Seconds. Long enough for the first worker to be stopped before its lease runs out, also on a busy machine."""
TAKEN_OVER_WITHIN = LEASE + 30.0
"""Seconds. A lease, a look of the recovery loop (1 s at the most), one claim, and what a busy machine adds."""


@pytest.mark.parametrize(
    ("kind", "heartbeat"),
    [
        pytest.param("manager", "0.5", id="that beats again"),
        pytest.param("worker", "3600", id="that reports without a heartbeat"),
    ],
)
def test_a_worker_that_comes_back_after_its_lease_changes_nothing(
    kind: str, heartbeat: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # handlers look for their gate here
    path = tmp_path / "jobs.db"
    command = (sys.executable, "-m", "tests.chaos.zombie", str(path), str(LEASE), heartbeat, kind)
    with Program(tmp_path, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as zombie:
        id = zombie.stdout.readline().decode().strip()
        assert id, zombie.text()
        until(lambda: (id, "task-0", 1) in set(runs(tmp_path / "runs.log")), "the first worker runs the task")
        _freeze_between_transactions(zombie, path)
        frozen_at = time.time()
        with JobManager(f"sqlite:///{path}", settings=Settings(lease=LEASE)) as rescuer:
            job = rescuer.register(gated)
            (tmp_path / "gate").touch()
            job.trigger().wait_done(PATIENCE)  # a manager's worker starts with its first execution
            execution = job.wait_for_execution(id, PATIENCE)
            assert execution.result == {"attempt": 2}
            [lost] = execution.recoveries
            assert (lost.task, lost.attempt, lost.reason) == ("task-0", 1, "lease_expired")
            assert lost.at.timestamp() - frozen_at < TAKEN_OVER_WITHIN
        before = _everything(path)
        zombie.thaw()
        if kind == "worker":
            until(lambda: "lease lost, result refused" in zombie.text(), "the late result is refused")
        zombie.stdin.close()
        zombie.exited()
    assert _everything(path) == before
    check_file(path)
    for history in before.values():
        check_history(history)
    assert [run for run in runs(tmp_path / "runs.log") if run[0] == id] == [(id, "task-0", 1), (id, "task-0", 2)]


def _everything(path: Path) -> dict[str, History]:
    store = open_store(f"sqlite:///{path}")
    try:
        return histories(store)
    finally:
        store.close()


def _freeze_between_transactions(program: Program, path: Path) -> None:
    """A process that is stopped while it writes keeps SQLite's lock, and nobody else can: that is not what is tested here."""

    def frozen() -> bool:
        program.freeze()
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
            try:
                file.execute("begin immediate")
            except sqlite3.OperationalError:
                program.thaw()
                return False
            file.execute("rollback")
            return True

    until(frozen, "the program is stopped outside a transaction")
