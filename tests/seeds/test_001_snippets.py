"""Every Python snippet of the Jobs API document, run as a script of its own against a server that simulates, side by side."""

import re
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pace import PATIENCE
from tests.serving import ROOT, plain_environment, serving

SNIPPETS = ROOT / "examples" / "seed_001"
BLOCK = re.compile(r"^## (?P<file>\S+\.py)\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {block["file"]: block["code"] for block in BLOCK.finditer((SNIPPETS / "SNIPPETS.md").read_text())}
MINUTE = 60.0
"""Seconds: the longest that a snippet's tasks take."""

PRINTED = {
    "complete_example.py": r"Status: (pending|running)\n✓ Completed: completed\n",
    "complete_example_async.py": r"Status: (pending|running)\n✓ Completed: completed\n",
    "create_execution.py": r"Created: \S+\n",
    "get_execution.py": r"(pending|running|completed) .+\n",
    "get_status.py": r"Status: (pending|running|completed)\n",
    "getting_started.py": r"",
    "list_executions.py": r"Found [1-9]\d* executions\n",
    "wait_for_completion.py": r"✓ Completed: completed\n",
}


@pytest.mark.row("S1-06", "S1-07")
def test_s1_06_snippets_differ_in_the_package_name_only():
    assert BLOCKS.keys() == {path.name for path in SNIPPETS.glob("*.py")} == PRINTED.keys()
    for file, code in BLOCKS.items():
        ours = code.replace("blaxel.core", "blaxel_jobs")
        text = (SNIPPETS / file).read_text()
        assert text == ours or textwrap.indent(ours, "    ") in text, file


@pytest.mark.slow
@pytest.mark.row("S1-06", "S1-07", "S1-14", "S1-30", "K-11")
def test_s1_06_07_every_snippet_runs_on_memory_and_on_sqlite(tmp_path: Path):
    """Their tasks take a minute, and all wait for them side by side."""
    with ExitStack() as stack:
        urls = {}
        for name, store in {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path / 'jobs.db'}"}.items():
            folder = tmp_path / name
            folder.mkdir()
            urls[name] = stack.enter_context(serving(folder, store, "--simulate")).url
        running = {(name, file): start(SNIPPETS / file, url, stack) for file in sorted(BLOCKS) for name, url in urls.items()}
        for (name, file), process in running.items():
            out, err = process.communicate(timeout=MINUTE + PATIENCE)
            assert process.returncode == 0, f"{file} on {name}: {err}"
            assert re.fullmatch(PRINTED[file], out), f"{file} on {name} printed {out!r}"


def start(script: Path, url: str, stack: ExitStack) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=plain_environment(BL_API_URL=url, PYTHONUTF8="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process
