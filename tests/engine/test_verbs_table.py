"""What each verb does in each status of an execution: every cell of the table in docs/states.md is tried, and is as it must be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from blaxel_jobs.stores import JobStore, MemoryJobStore, open_store
from scripts.states_diagram import OPERATIONS, SITUATIONS, verbs, walk
from tests.serving import ROOT

SAME, NO, NEW = "as it is", "409", "a new one"
STOP, LOST = "its worker is told to stop", "its worker loses the lease"
TABLE = {
    "start":          ["pending, ready", SAME, SAME, SAME, NO, NO, NO],
    "pause":          ["paused", "paused", f"paused; {STOP}", SAME, NO, NO, NO],
    "resume":         [SAME, SAME, SAME, "pending", NO, NO, NO],
    "cancel":         ["cancelled", "cancelled", f"cancelled; {LOST}", "cancelled", NO, NO, SAME],
    "retry":          [NO, NO, NO, NO, NO, "pending", NO],
    "rerun":          [NEW, NEW, NEW, NEW, NEW, NEW, NEW],
    "delete":         [NO, NO, NO, NO, "gone", "gone", "gone"],
    "delete, forced": ["gone", "gone", f"gone; {LOST}", "gone", "gone", "gone", "gone"],
    "send event":     ["kept", "kept", "kept", "kept", NO, NO, NO],
}  # fmt: skip
"""By verb, for each of SITUATIONS: as the contract says it."""


@pytest.fixture(params=["memory", "sqlite"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], JobStore]:
    """Opens an empty store."""
    made: list[int] = []

    def open_sqlite() -> JobStore:
        made.append(1)
        return open_store(f"sqlite:///{tmp_path}/{len(made)}.db")

    return MemoryJobStore if request.param == "memory" else open_sqlite


def test_every_verb_does_in_every_status_what_the_table_says(open_one: Callable[[], JobStore]) -> None:
    assert {verb: list(row.values()) for verb, row in walk(open_one).items()} == TABLE


def test_the_table_has_a_place_for_everything() -> None:
    assert list(TABLE) == list(OPERATIONS)
    assert {len(row) for row in TABLE.values()} == {len(SITUATIONS)}


def test_the_table_stands_in_the_docs() -> None:
    table = {verb: dict(zip(SITUATIONS, row, strict=True)) for verb, row in TABLE.items()}
    assert "\n".join(verbs(table)) in (ROOT / "docs" / "states.md").read_text()
