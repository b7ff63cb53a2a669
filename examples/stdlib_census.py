"""A census of the installed standard library: one task for every .py file, parsed with `ast`, reduced to a table by package.

The handler is what a worker serves (`blaxel-jobs serve --worker examples.stdlib_census`). `examples/census_demo.py`, which
`make demo` runs, starts such a server and draws the table.
"""

import ast
import platform
import sysconfig
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from blaxel_jobs import define_job

JOB = "stdlib-census"
STDLIB = Path(sysconfig.get_path("stdlib"))

PARSING = threading.Lock()
"""Some releases of Python 3.11 and 3.12 fail with a SystemError when two threads parse at once; they take turns anyway."""

# The library's own tests hold odd code on purpose. Set once, because the threads of a worker share the filters.
warnings.filterwarnings("ignore", category=SyntaxWarning)


class Counts(TypedDict):
    """The result of one task. `problem` says why a file cannot be parsed; then only its lines are counted."""

    package: str
    path: str
    lines: int
    functions: int
    classes: int
    longest: str
    longest_lines: int
    problem: str | None


@define_job(JOB)
def census(_context: object, payload: dict[str, str]) -> Counts:
    """Count one file of the standard library: `{"path": "json/decoder.py"}`, relative to its folder."""
    return count(payload["path"], (STDLIB / payload["path"]).read_bytes())


def count(path: str, source: bytes) -> Counts:
    """Parse the source of a file. What cannot be parsed is part of the census, not a failure of it."""
    package, lines = package_of(path), len(source.splitlines())
    try:
        with PARSING:
            tree = ast.parse(source, path)
    except (SyntaxError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
        return Counts(
            package=package, path=path, lines=lines, functions=0, classes=0, longest="-", longest_lines=0, problem=problem
        )
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    longest = max(functions, key=length, default=None)
    return Counts(
        package=package,
        path=path,
        lines=lines,
        functions=len(functions),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        longest=longest.name if longest else "-",
        longest_lines=length(longest) if longest else 0,
        problem=None,
    )


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def package_of(path: str) -> str:
    """The top-level package or module: `json/decoder.py` and `json/__init__.py` are json, `ast.py` is ast."""
    return path.partition("/")[0].removesuffix(".py")


def library_files() -> list[str]:
    """Every .py file of the standard library, relative to its folder, sorted; without what was installed beside it."""
    paths = (path.relative_to(STDLIB) for path in STDLIB.rglob("*.py"))
    return sorted(path.as_posix() for path in paths if path.parts[0] not in ("site-packages", "dist-packages"))


def execution_id(files: list[str]) -> str:
    """The same for the same library, so that a census that was interrupted is found again."""
    return f"census-{platform.python_version()}-{len(files)}"


class Package(NamedTuple):
    name: str
    files: int
    lines: int
    functions: int
    classes: int
    longest: str
    longest_lines: int


def by_package(results: Iterable[Counts]) -> list[Package]:
    """The results reduced: one row for each package, the one with the most lines first."""
    grouped: dict[str, list[Counts]] = {}
    for result in results:
        grouped.setdefault(result["package"], []).append(result)
    rows = (total(name, members) for name, members in grouped.items())
    return sorted(rows, key=lambda row: (-row.lines, row.name))


def total(name: str, results: list[Counts]) -> Package:
    """All these results in one row."""
    longest = max(results, key=lambda result: result["longest_lines"])
    return Package(
        name,
        len(results),
        sum(result["lines"] for result in results),
        sum(result["functions"] for result in results),
        sum(result["classes"] for result in results),
        longest["longest"],
        longest["longest_lines"],
    )


def table(results: list[Counts], top: int = 25) -> Iterator[str]:
    """The lines of the table that is printed: the `top` largest packages, and all of them together."""
    rows = by_package(results)
    shown = [list(map(_cell, row)) for row in [*rows[:top], total(f"all {len(rows)} packages", results)]]
    heads = ["package", "files", "lines", "functions", "classes", "longest function", "lines"]
    widths = [max(len(row[column]) for row in [heads, *shown]) for column in range(len(heads))]
    rule = "  ".join("-" * width for width in widths)
    yield _line(heads, widths)
    yield rule
    yield from (_line(row, widths) for row in shown[:-1])
    yield rule
    yield _line(shown[-1], widths)
    problems = [result for result in results if result["problem"]]
    if problems:
        yield f"{len(problems)} files are not valid Python, such as {problems[0]['path']} ({problems[0]['problem']})"


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _line(cells: list[str], widths: list[int]) -> str:
    places = enumerate(zip(cells, widths, strict=True))
    return "  ".join(cell.ljust(width) if column in (0, 5) else cell.rjust(width) for column, (cell, width) in places).rstrip()
