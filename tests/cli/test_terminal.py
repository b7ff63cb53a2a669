"""What a terminal shows, and what it does not: tables that fit, colours where they are wanted, a bar."""

import errno
import json
import os
import re
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.pace import PATIENCE

pty = pytest.importorskip("pty")
fcntl = pytest.importorskip("fcntl")
termios = pytest.importorskip("termios")


class Terminal:
    """A pseudo-terminal so many columns wide; `text` is what was written to it, whole once every writer has closed it."""

    def __init__(self, columns: int) -> None:
        self._master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self._read = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._collect)
        self._reader.start()

    @property
    def text(self) -> str:
        return self._read.decode()

    def await_text(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, PATIENCE), self.text

    def close(self) -> str:
        os.close(self.slave)
        self._reader.join(PATIENCE)
        os.close(self._master)
        return self.text

    def _collect(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError as error:  # Linux tells that the last writer has closed it like this
                if error.errno != errno.EIO:
                    raise
                return
            if not piece:
                return
            with self._changed:
                self._read += piece
                self._changed.notify_all()


def shown(cli: Cli, columns: int, *arguments: str, **environment: str) -> list[str]:
    """The lines of stdout on a terminal."""
    terminal = Terminal(columns)
    environment = cli.environment | {"TERM": "xterm-256color"} | environment
    environment.pop("COLUMNS", None)
    subprocess.run([*cli.command, *arguments], env=environment, stdout=terminal.slave, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    return terminal.close().splitlines()


@pytest.fixture(scope="module")
def ids(cli: Cli) -> list[str]:
    name = "a name that is rather long, as names that people give can be, and says everything that there is to say"
    return [cli.create("shown", {"input": "x" * 300, "name": name}) for _ in range(2)][::-1]


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 100, 200])
def test_a_list_fits_the_terminal(cli: Cli, ids: list[str], columns: int) -> None:
    lines = shown(cli, columns, "list", "shown", NO_COLOR="1")
    assert all(len(line) <= columns for line in lines), lines
    text = "".join(lines)
    assert all(id in text for id in ids), "an id that is cut is of no use"
    if columns >= 60:
        assert len(lines) == 3
    assert ("CREATED" in text) == (columns >= 200)


def test_where_there_is_no_terminal_nothing_is_cut(cli: Cli, ids: list[str]) -> None:
    lines = cli("list", "shown").stdout.splitlines()
    assert len(lines) == 3
    assert all("everything that there is to say" in line for line in lines[1:])


def test_details_fit_the_terminal(cli: Cli, ids: list[str]) -> None:
    lines = shown(cli, 50, "get", "shown", ids[0], NO_COLOR="1")
    assert all(len(line) <= 50 for line in lines)
    events = shown(cli, 50, "events", "shown", ids[0], NO_COLOR="1")
    assert len(events) == 2
    assert all(len(line) <= 50 for line in events)


def test_colours_only_where_they_are_wanted(cli: Cli, ids: list[str]) -> None:
    assert "\x1b[33m" in "".join(shown(cli, 100, "list", "shown"))
    assert "\x1b" not in "".join(shown(cli, 100, "list", "shown", NO_COLOR="1"))
    assert "\x1b" not in "".join(shown(cli, 100, "list", "shown", "-o", "json"))
    piped = cli("list", "shown", FORCE_COLOR="1", TERM="xterm-256color")
    assert "\x1b" not in piped.stdout + piped.stderr


def test_a_bar_on_stderr_leaves_stdout_clean(cli: Cli, gate: Path) -> None:
    open_gate = gate.with_name("open-already")
    open_gate.touch()
    id = cli.create("gate", {"tasks": [{"until": str(open_gate)}, {"until": str(gate)}]})
    terminal = Terminal(100)
    waiting = cli.start("wait", "gate", id, "-o", "json", stdout=subprocess.PIPE, stderr=terminal.slave)
    terminal.await_text("1/2")
    gate.touch()
    out, _ = waiting.communicate(timeout=PATIENCE)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.close())
    assert waiting.returncode == 0
    assert json.loads(out)["status"] == "completed"
    assert re.search(r"gate running .*1/2 .*0:00:\d\d", text)
