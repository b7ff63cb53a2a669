"""The blocks of the README, run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT, plain_environment, serving

README = (ROOT / "README.md").read_text()
BLOCKS = [block["code"] for block in re.finditer(r"^```python\n(?P<code>.*?)^```$", README, re.MULTILINE | re.DOTALL)]
FILE = re.compile(r"# (?P<name>\w+\.py)\n")


def run(code: str, folder: Path, url: str) -> str:
    """What the code prints as a script in a folder, with a server at hand."""
    environment = plain_environment(BL_API_URL=url, PYTHONPATH=f"{ROOT}:{folder}")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_python_blocks_run(tmp_path: Path):
    printed = []
    with serving(tmp_path, "memory:", "--simulate") as server:
        for code in BLOCKS:
            if file := FILE.match(code):
                (tmp_path / file["name"]).write_text(code)
            printed.append(run(code, tmp_path, server.url))
        tested = run("import pytest; raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider', '.']))", tmp_path, server.url)
    assert printed[0] == "completed\n"
    assert printed[1].count("completed {") == 3
    assert printed[3] == "{'words': 6}\n"
    assert printed[5] == "{'parcel': 'parcel for c1-5'}\n"
    assert len(printed) == 7
    assert "2 passed" in tested


def test_the_commands_are_targets_and_the_options_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\S+)", README, re.MULTILINE)) <= targets
    cli = str(Path(sys.executable).with_name("blaxel-jobs"))
    environment = plain_environment(COLUMNS="200", NO_COLOR="1")
    shown = "".join(
        subprocess.run([cli, command, "--help"], env=environment, capture_output=True, text=True, check=True).stdout
        for command in ("serve", "run", "list")
    )
    worker = [sys.executable, "-m", "blaxel_jobs.worker", "--help"]
    shown += subprocess.run(worker, env=environment, capture_output=True, text=True, check=True).stdout
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)):
        assert option in shown, option
