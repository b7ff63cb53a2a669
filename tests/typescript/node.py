"""Node, and the TypeScript package built for it."""

import fcntl
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.serving import ROOT

PACKAGE = ROOT / "typescript"
TSC = PACKAGE / "node_modules" / ".bin" / "tsc"


@cache
def node() -> str:
    """The path of node, with the package built from its sources as they are. Several processes may ask at once."""
    found = shutil.which("node")
    assert found, "the TypeScript package needs Node >= 20 on the PATH"
    assert TSC.exists(), "the TypeScript package needs its tools: make setup"
    with (PACKAGE / "node_modules" / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_stale():
            done = subprocess.run([TSC, "--project", "tsconfig.build.json"], cwd=PACKAGE, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
            (PACKAGE / "dist" / ".tsbuildinfo").touch()
    return found


def _is_stale() -> bool:
    built = PACKAGE / "dist" / ".tsbuildinfo"
    sources = [*(PACKAGE / "src").rglob("*.ts"), PACKAGE / "tsconfig.build.json", PACKAGE / "tsconfig.json"]
    return not built.exists() or max(map(_changed, sources)) > _changed(built)


def _changed(path: Path) -> float:
    return path.stat().st_mtime
