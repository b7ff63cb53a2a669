"""The documents: links lead somewhere, decisions and requirements are numbered."""

import re
from pathlib import Path

from scripts.seeds_table import NUMBER, collect, read_requirements
from tests.serving import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
LINK = re.compile(r"\[[^]]*\]\((?P<target>[^)\s]+)\)")


def test_links_between_documents_lead_somewhere():
    broken = [
        f"{document.relative_to(ROOT)}: {link['target']}"
        for document in DOCUMENTS
        for link in LINK.finditer(document.read_text())
        if "://" not in link["target"] and not (document.parent / link["target"].partition("#")[0]).exists()
    ]
    assert not broken


def test_decisions_are_numbered_without_gaps_and_name_what_was_rejected():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text()
        assert re.match(rf"# {int(path.name[:4])}\. \S", text), path.name
        assert "**Decision.**" in text, path.name
        assert "**Rejected.**" in text, path.name


def test_requirements_are_numbered_uniquely_and_every_number_in_a_test_is_one_of_them():
    groups = read_requirements((ROOT / "docs" / "requirements.toml").read_text())
    numbers = [row.number for rows in groups.values() for row in rows]
    assert len(numbers) == len(set(numbers)) == 217
    assert all(re.fullmatch(NUMBER, number) for number in numbers)
    assert collect(ROOT / "tests").keys() <= set(numbers)


TESTS = '''
import pytest

def test_s1_18_falls_back(): ...
async def test_k_10_11_both(): ...
def test_s3_07_s4_08_in_a_row(): ...
def test_plain_12_name(): ...
@pytest.mark.slow
@pytest.mark.row("S1-24", "S1-03..05")
def test_marked(): ...
def test_said():
    """S4-01, S4-03..04: what it proves, unlike S4-09."""
def test_s1_180_is_no_number(): ...
def helper_s1_20(): ...
class TestGroup:
    def test_s2_01_inside(self): ...
'''


def test_numbers_are_read_from_names_markers_and_docstrings(tmp_path: Path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text(TESTS)
    found = collect(tmp_path / "tests")
    assert {number: [test.partition("::")[2] for test in tests] for number, tests in found.items()} == {
        "S1-18": ["test_s1_18_falls_back"],
        "K-10": ["test_k_10_11_both"],
        "K-11": ["test_k_10_11_both"],
        "S1-24": ["test_marked"],
        **{f"S1-0{n}": ["test_marked"] for n in (3, 4, 5)},
        **{f"S4-0{n}": ["test_said"] for n in (1, 3, 4)},
        "S2-01": ["test_s2_01_inside"],
        "S3-07": ["test_s3_07_s4_08_in_a_row"],
        "S4-08": ["test_s3_07_s4_08_in_a_row"],
    }
