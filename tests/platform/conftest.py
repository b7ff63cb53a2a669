"""The servers that the platform's SDKs meet: a live mock without keys, in virtual time, and a durable server with some."""

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from mock_server import MockServer
from tests.serving import serving

KEY = "a-key-for-the-tests-of-the-platform"
OTHER_KEY = "another-key-of-another-workspace"


class Served(NamedTuple):
    name: str
    url: str
    """With /v0."""
    key: str

    def contract(self) -> httpx.Client:
        """For our own API on the same server."""
        headers = {"Authorization": f"Bearer {self.key}", "Jobs-Contract": "1"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False)


@pytest.fixture(scope="module", params=["mock", "durable"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if request.param == "mock":
        with MockServer(live=True) as mock:
            yield Served("mock", f"{mock.url}/v0", "any")
        return
    folder = tmp_path_factory.mktemp("durable")
    keys = folder / "keys"
    keys.write_text(f"{KEY}\n{OTHER_KEY} workspace=other scopes=read\n")
    with serving(folder, "sqlite:///jobs.db", "--simulate", "--grace", "0", "--api-key-file", str(keys)) as server:
        yield Served("durable", f"{server.url}/v0", KEY)
