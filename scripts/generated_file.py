"""A committed file that a script writes: write it, or check that it is what the script would write."""

import sys
from difflib import unified_diff
from pathlib import Path

ROOT = Path(__file__).parent.parent


def settle(path: Path, text: str, arguments: list[str]) -> int:
    """Write `text` to `path`; with `--check` in the arguments compare only. Returns the exit status: 1 when the file is stale."""
    if arguments not in ([], ["--check"]):
        print(f"usage: {Path(sys.argv[0]).name} [--check]", file=sys.stderr)
        return 2
    if not arguments:
        path.write_text(text, encoding="utf-8")
        return 0
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if before == text:
        return 0
    name = str(path.relative_to(ROOT))
    sys.stdout.writelines(
        unified_diff(before.splitlines(keepends=True), text.splitlines(keepends=True), name, f"{name} (fresh)", n=1)
    )
    print(f"{name} is stale: run `make docs` and commit it", file=sys.stderr)
    return 1
