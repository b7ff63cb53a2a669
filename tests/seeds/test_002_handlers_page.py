"""docs/handlers.md: its blocks run, one after the other, and its numbers are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import attrs

from blaxel_jobs import RetryPolicy, Settings, define_job
from blaxel_jobs.core.bodies import MAX_TASKS
from blaxel_jobs.core.reading import MAX_BODY
from blaxel_jobs.define import JobDef
from blaxel_jobs.values import MAX_VALUE_BYTES
from blaxel_jobs.worker.context import AsyncTaskContext, TaskContext
from blaxel_jobs.worker.worker import DEFAULT_SLOTS
from tests.serving import ROOT, plain_environment

TEXT = (ROOT / "docs" / "handlers.md").read_text()

PRINTED = """\
payment of 5 for abc123
['charge', 'pick', 'label']
wrong completed 2
right completed 1
kept
Ada
failed permanent 1
completed 42 2
"""


def test_s0_30_the_blocks_run_the_wrong_way_too(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("taken", "kept") == PRINTED


def test_every_argument_verb_and_field_is_named() -> None:
    for field in attrs.fields(JobDef):
        if field.init and field.name not in ("name", "retention"):
            assert f"`{field.name}`" in TEXT, field.name
    for context in (TaskContext, AsyncTaskContext):
        names = {name for name in vars(context) if not name.startswith("_")} | {"progress", "artifacts", "cancelled"}
        assert [name for name in names if not re.search(rf"`{name}\b", TEXT)] == []


def test_its_numbers_are_those_of_the_code() -> None:
    policy = RetryPolicy()
    said = re.search(r"RetryPolicy\(initial=(\S+), factor=(\S+),\s+max=(\S+), jitter=\"(\w+)\"\)` unless set", TEXT)
    assert said is not None
    assert (*map(float, said.groups()[:3]), said[4]) == (policy.initial, policy.factor, policy.max, policy.jitter)
    assert define_job("job", run=lambda: None).max_retries in (None, 0)
    for sentence in (
        f"`max_recoveries` ({Settings().max_recoveries})",
        f"`slots` tasks at once ({DEFAULT_SLOTS})",
        f"a step's value, has at most {MAX_VALUE_BYTES // 2**20} MB",
        f"a request to a server {MAX_BODY // 2**20} MB, an execution {MAX_TASKS:,} tasks",
    ):
        assert sentence in TEXT, sentence
