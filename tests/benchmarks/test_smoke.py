"""Every row of the benchmarks is produced. What it says is for `make bench`, on a machine that does nothing else."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import TOPICS, main, measure
from benchmarks.report import Bar

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", TOPICS)
def test_each_row_is_produced(name: str) -> None:
    result = measure(TOPICS[name], runs=1, quick=True)
    assert result.topic.bars
    for bar in result.topic.bars:
        assert math.isfinite(result.median(bar)), bar.name
        assert result.median(bar) >= 0, bar.name


def test_no_row_stands_twice() -> None:
    names = [bar.name for topic in TOPICS.values() for bar in topic.bars]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("bar", "value", "verdict"),
    [
        (Bar("rate", "W", 2, 4, more_is_better=True), 4, "aim"),
        (Bar("rate", "W", 2, 4, more_is_better=True), 2, "must"),
        (Bar("rate", "W", 2, 4, more_is_better=True), 1.99, "MISSED"),
        (Bar("delay", "ms", 10, 3), 3, "aim"),
        (Bar("delay", "ms", 10, 3), 10, "must"),
        (Bar("delay", "ms", 10, 3), 10.1, "MISSED"),
        (Bar("shown", "ms"), 10.1, "-"),
    ],
)
def test_a_verdict_says_which_bar_is_reached(bar: Bar, value: float, verdict: str) -> None:
    assert bar.verdict(value) == verdict


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["nonsense"])
    assert refused.value.code == 2
    assert "there is no topic 'nonsense'" in capsys.readouterr().err


@pytest.mark.slow
def test_it_prints_the_table() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "enqueue-sync"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = printed.splitlines()
    assert lines[0].split() == ["row", "measured", "lowest", "-", "highest", "must", "aim", "verdict"]
    assert lines[1].startswith("SQLite: enqueue one at a time, sync caller")
    assert any("bare commits/s" in line for line in lines)
