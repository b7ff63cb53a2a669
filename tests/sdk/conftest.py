import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from blaxel_jobs import config


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home and working directory, no variable of ours, nothing configured. Gives the working directory."""
    for name in list(os.environ):
        if name.startswith(("BL_", "BLAXEL_")):
            monkeypatch.delenv(name)
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    yield here
    for name in config.Options.__annotations__:
        config.configure(**{name: None})  # type: ignore[misc]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)
