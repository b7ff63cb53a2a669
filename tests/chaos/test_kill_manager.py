"""kill -9 of a process that has a JobManager: the same promises as for a server, without any HTTP."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.chaos.audit import autopsy, check_runs, check_store
from tests.chaos.load import Request, check_requests
from tests.chaos.processes import Program, seeded
from tests.pace import PATIENCE

AHEAD = 20
"""Creates that the manager is given before it has answered the first."""


class Manager(Program):
    """Creates what it is sent. `sent` are all its requests by key, of this one and of those before it."""

    def __init__(self, folder: Path, sent: dict[str, Request]) -> None:
        command = (sys.executable, "-m", "tests.chaos.local_manager", str(folder / "jobs.db"))
        super().__init__(folder, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answered = 0
        self._sent = sent
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, request: Request) -> None:
        line = json.dumps({"key": request.key, "job": request.job, "body": request.body}).encode() + b"\n"
        try:
            self.stdin.write(line)
            self.stdin.flush()
        except BrokenPipeError:
            self.check_alive()
            raise

    def all_read(self) -> None:
        """Wait until everything that it has said, also before it was killed, is taken down."""
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive()

    def _read(self) -> None:
        for line in self.stdout:
            if not line.endswith(b"\n"):
                return  # cut off by the kill
            key, id = line.decode().split()
            request = self._sent[key]
            assert request.id in (None, id), f"{key} is {request.id} and {id}"
            request.id = id
            self.answered += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "kills", [6, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(600)])], ids=lambda kills: f"{kills}-kills"
)
def test_what_a_killed_manager_acknowledged_ends_exactly_once(kills: int, tmp_path: Path) -> None:
    rng = seeded("kill the manager")
    store = tmp_path / "jobs.db"
    sent: dict[str, Request] = {}
    keys = map(str, count())
    running = set()
    for _ in range(kills):
        _live_and_die(tmp_path, sent, keys, rng)
        running |= autopsy(store).running
    with Manager(tmp_path, sent) as manager:
        for request in _again(sent, rng):
            manager.send(request)
        sent["last"] = Request("last", "in-loop", {"input": {"n": 1}})
        manager.send(sent["last"])
        manager.stdin.close()
        manager.exited()
        manager.all_read()
    found = check_store(store)
    acknowledged = check_requests(sent.values(), found)
    check_runs(tmp_path / "runs.log", found)
    recovered = {(id, lost.task, lost.attempt): lost for id, history in found.items() for lost in history.execution.recoveries}
    print(f"{kills} kills: {len(sent)} sent, {acknowledged} acknowledged, {len(found)} exist, {len(recovered)} tasks taken back")
    assert recovered.keys() == running
    assert {lost.reason for lost in recovered.values()} == {"worker_dead"}
    assert acknowledged > kills


def _live_and_die(folder: Path, sent: dict[str, Request], keys: Iterator[str], rng: Random) -> None:
    """Start a manager, send it more and more, and kill it at some moment after its first answer."""
    with Manager(folder, sent) as manager:
        for request in _again(sent, rng):
            manager.send(request)
        end = None
        moment = rng.uniform(0.0, 0.5)
        given = 0
        while end is None or time.monotonic() < end:
            if given < manager.answered + AHEAD:
                key = next(keys)
                sent[key] = Request.random(key, rng)
                manager.send(sent[key])
                given += 1
            if end is None and manager.answered:
                end = time.monotonic() + moment
            manager.check_alive()
            time.sleep(0.003)
        manager.kill()
        manager.all_read()


def _again(sent: dict[str, Request], rng: Random) -> list[Request]:
    """Half of what was not acknowledged, and some of what was."""
    unknown = [request for request in sent.values() if request.id is None]
    known = [request for request in sent.values() if request.id is not None]
    return [request for request in unknown if rng.random() < 0.5] + rng.sample(known, min(5, len(known)))
