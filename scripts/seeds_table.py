"""Write docs/seeds.md, every requirement beside the tests that carry its number: `python scripts/seeds_table.py [--check]`.

A test carries numbers in its name (`test_s1_18_falls_back`, several as `test_s1_10_11_...` or `test_s1_35_k_07_...`), in a marker
(`@pytest.mark.row("S1-10", "S1-11")`) or at the start of its docstring (`S1-10, S1-11: ...`; `S1-10..14: ...` is a range).
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from scripts.generated_file import ROOT, settle

REQUIREMENTS = ROOT / "docs" / "requirements.toml"
NAME = re.compile(r"test(?:_(?:k|s\d)(?:_\d\d(?!\d))+)+")
NAMED = re.compile(r"_(k|s\d)((?:_\d\d(?!\d))+)")
NUMBER = r"(?:K|S\d)-\d\d(?:\.\.\d\d)?"
DOCSTRING = re.compile(rf"(?P<numbers>{NUMBER}(?:, {NUMBER})*):")

HEAD = """\
# Requirements and their tests

Written by `scripts/seeds_table.py` from `docs/requirements.toml` and the tests; `make docs` writes it again.
A row is proven by the tests that carry its number. `-` means that no test carries it yet.
"""


class Row(NamedTuple):
    number: str
    words: str


def main(arguments: list[str]) -> int:
    groups = read_requirements(REQUIREMENTS.read_text(encoding="utf-8"))
    proofs = collect(ROOT / "tests")
    unknown = sorted(proofs.keys() - {row.number for rows in groups.values() for row in rows})
    if unknown:
        for number in unknown:
            print(f"{', '.join(proofs[number])}: there is no requirement {number}", file=sys.stderr)
        return 1
    return settle(ROOT / "docs" / "seeds.md", "\n".join([HEAD, *tables(groups, proofs), ""]), arguments)


def read_requirements(text: str) -> dict[str, list[Row]]:
    """The rows of docs/requirements.toml by the title of their group."""
    return {
        f"{name}: {group['title']}": [Row(f"{name}-{number}", words) for number, words in group["rows"].items()]
        for name, group in tomllib.loads(text).items()
    }


def collect(folder: Path) -> dict[str, list[str]]:
    """The tests in a folder by the numbers that they carry, as `path::name`."""
    proofs: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for test in _tests(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            for number in sorted(numbers_of(test)):
                proofs.setdefault(number, []).append(f"{path.relative_to(folder.parent).as_posix()}::{test.name}")
    return proofs


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _tests(module: ast.Module) -> Iterator[Function]:
    for node in module.body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        yield from (member for member in members if isinstance(member, Function) and member.name.startswith("test_"))


def numbers_of(test: Function) -> set[str]:
    """The numbers that a test carries in its name, its `row` markers and the start of its docstring."""
    numbers: set[str] = set()
    if beginning := NAME.match(test.name):
        for group, named in NAMED.findall(beginning[0]):
            numbers |= {f"{group.upper()}-{number}" for number in named.split("_")[1:]}
    if said := DOCSTRING.match(ast.get_docstring(test) or ""):
        numbers |= {number for part in said["numbers"].split(", ") for number in _expand(part)}
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.row":
            numbers |= {number for argument in decorator.args for number in _expand(ast.literal_eval(argument))}
    return numbers


def _expand(number: str) -> Iterator[str]:
    """`S1-03..05` is S1-03, S1-04, S1-05."""
    group, _, span = number.partition("-")
    first, _, last = span.partition("..")
    yield from (f"{group}-{n:02d}" for n in range(int(first), int(last or first) + 1))


def tables(groups: dict[str, list[Row]], proofs: dict[str, list[str]]) -> Iterator[str]:
    total = sum(map(len, groups.values()))
    yield f"{len(proofs)} of {total} rows have a test."
    for title, rows in groups.items():
        proven = sum(row.number in proofs for row in rows)
        yield from ("", f"## {title} ({proven} of {len(rows)})", "", "| row | words | tests |", "| --- | --- | --- |")
        for row in rows:
            words = row.words.replace("|", "\\|")
            tests = "<br>".join(f"`{test}`" for test in proofs.get(row.number, ())) or "-"
            yield f"| {row.number} | {words} | {tests} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
