"""Rows with their bars, what was measured for them, and the table that says which bar each row reaches."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import attrs

from .scratch import Scratch


@attrs.frozen
class Bar:
    """One row: what must hold and what is aimed at. A row without bars is shown and judges nothing."""

    name: str
    unit: str
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False

    def verdict(self, value: float) -> str:
        """aim, must or MISSED; `-` for a row without bars."""
        if self.must is None or self.aim is None:
            return "-"
        if self._reaches(value, self.aim):
            return "aim"
        return "must" if self._reaches(value, self.must) else "MISSED"

    def _reaches(self, value: float, bar: float) -> bool:
        return value >= bar if self.more_is_better else value <= bar


class Measured(NamedTuple):
    """One run of a topic: a value for each of its bars, and the absolute numbers behind them, named with their unit."""

    values: Mapping[Bar, float]
    seen: Mapping[str, float]


@attrs.frozen
class Topic:
    """Rows that are measured together. `measure` makes one run: the anchor, then ours."""

    name: str
    bars: tuple[Bar, ...]
    measure: Callable[[Scratch], Measured]
    once: bool = False
    """It takes so long, or varies so little, that one run is enough."""


@attrs.frozen
class Result:
    """All runs of a topic."""

    topic: Topic
    runs: list[Measured]

    def values(self, bar: Bar) -> list[float]:
        return sorted(run.values[bar] for run in self.runs)

    def median(self, bar: Bar) -> float:
        return statistics.median(self.values(bar))

    def seen(self) -> dict[str, list[float]]:
        return {name: sorted(run.seen[name] for run in self.runs) for name in self.runs[0].seen}

    @property
    def missed(self) -> bool:
        return any(bar.verdict(self.median(bar)) == "MISSED" for bar in self.topic.bars)


def rate(count: int, seconds: float) -> float:
    """So many a second."""
    return count / max(seconds, 1e-9)


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that this share of all is not above."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


ROWS = ("row", "measured", "lowest - highest", "must", "aim", "verdict")
SEEN = ("absolute", "median", "lowest - highest")


def row_table(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """A line for each row."""
    lines: list[tuple[str, ...]] = [ROWS]
    for result in results:
        for bar in result.topic.bars:
            values, median = result.values(bar), result.median(bar)
            lines.append(
                (
                    bar.name,
                    f"{_number(median)} {bar.unit}".strip(),
                    _spread(values),
                    "-" if bar.must is None else _number(bar.must),
                    "-" if bar.aim is None else _number(bar.aim),
                    bar.verdict(median),
                )
            )
    return lines


def seen_table(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """A line for each absolute number: anchors, and ours beside them."""
    lines: list[tuple[str, ...]] = [SEEN]
    for result in results:
        for name, values in result.seen().items():
            lines.append((f"{result.topic.name}: {name}", _number(statistics.median(values)), _spread(values)))
    return lines


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """Columns side by side, for a terminal."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table."""
    head, *rest = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rest))


def _spread(values: Sequence[float]) -> str:
    return "" if len(values) == 1 else f"{_number(values[0])} - {_number(values[-1])}"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"
