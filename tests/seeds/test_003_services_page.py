"""docs/services.md: which of our objects does the work of which service, and that they are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import blaxel_jobs
from blaxel_jobs import define_job, stores
from blaxel_jobs.options import CreateOptions
from tests.serving import ROOT, plain_environment

TEXT = (ROOT / "docs" / "services.md").read_text()
ROWS = re.findall(r"^\| ([^|]*) \| ([^|]*) \| (.*) \|$", TEXT, re.MULTILINE)[2:]

PRINTED = """\
pending time 2
1
completed resize
small b.png
2 resize
"""


@pytest.mark.slow
def test_s3_15_16_18_the_block_runs(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(PRINTED.splitlines())


def test_every_service_has_an_object_and_each_object_is_there() -> None:
    services = [service for service, _, _ in ROWS if service.strip()]
    assert services == ["queue service", "worker service", "scheduler", "monitoring service", "storage", "runtime"]
    for _, _, here in ROWS:
        for owner, name in re.findall(r"`([A-Z]\w+)\.(\w+)`", here):
            assert hasattr(getattr(blaxel_jobs, owner), name), f"{owner} has no {name}"
        for name in re.findall(r"`(\w+Store)`", here):
            assert hasattr(stores, name), name
        for name in re.findall(r"`([A-Z]\w+(?:Error|After))`", here):
            assert hasattr(blaxel_jobs, name), name
        for option in re.findall(r"`(\w+)=`", here):
            assert option in CreateOptions.__annotations__ or hasattr(define_job("job", run=lambda: None), option), option
