"""The python blocks of docs/sdk.md, run one after the other against a server that simulates tasks."""

import re
import subprocess
import sys
from pathlib import Path

from blaxel_jobs import config
from tests.serving import ROOT, plain_environment, serving

TEXT = (ROOT / "docs" / "sdk.md").read_text()
CODE = "\n".join(re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))


def test_the_blocks_of_the_sdk_page_run(tmp_path: Path):
    with serving(tmp_path, "memory:", "--simulate") as server:
        environment = plain_environment(BL_API_URL=server.url)
        done = subprocess.run(
            [sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "completed"
    assert lines[1].endswith("had not ended after 0.5 s: its status was 'running'. It goes on; wait again or cancel it.")
    assert lines[2] == "True completed"
    assert lines[8] == str(["completed"] * 3)
    assert "completed True 0" in lines
    assert "start completed" in lines
    assert "3 ['created', 'task.started', 'task.completed']" in lines
    assert "2 True True" in lines
    assert lines[-3:] == ["input.items[1]", "['configure()']", "True"]


def test_every_variable_that_the_page_names_is_read():
    for variable in set(re.findall(r"\bBL(?:AXEL_JOBS)?_[A-Z_]+[A-Z]\b", TEXT)):
        assert variable in config._VARIABLES, variable
