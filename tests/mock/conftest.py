import os

import pytest


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of ours in the environment."""
    for name in list(os.environ):
        if name.startswith(("BL_", "BLAXEL_")):
            monkeypatch.delenv(name)
