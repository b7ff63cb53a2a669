"""Artifacts behind a server."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import httpx

from ..artifacts import OCTETS, Content, Source, checked
from ..client.types import File
from ..errors import ContractError
from ..flow import PASSING, Op, backoff, call, checked_id, run
from . import HttpSeam

CONTENT_TYPE: Final = "Artifact-Content-Type"
"""The header of a download that names the artifact's type."""


class HttpArtifacts:
    """The port of `Artifacts` over HTTP. What fails for a passing reason is tried again: an upload whose source can be read again,
    and a download until its first byte."""

    local = False

    def __init__(self, seam: HttpSeam) -> None:
        self._seam = seam

    def put(self, execution_id: str, source: Source, content_type: str | None) -> str:
        """Raises as `HttpSeam.perform`, what reading the source raises, and ContractError when something else than it arrived."""
        body: Any = source
        op = Op("put_artifact", "Artifact", {"execution_id": checked_id(execution_id), "body": File(body, mime_type=content_type)})
        artifact = run(self._seam, call(self._seam, op)) if source.again else self._seam.perform(op)
        if artifact.sha256 != source.sha256:
            raise ContractError(f"what arrived of the artifact has the SHA-256 {artifact.sha256}, not {source.sha256}")
        ref: str = artifact.ref
        return ref

    def open(self, execution_id: str, id: str) -> Content:
        """Raises as `HttpSeam.perform`; its pieces too, and ContractError when what arrives is something else."""
        op = Op("get_artifact", "File", {"execution_id": checked_id(execution_id), "artifact_id": id})
        with ExitStack() as opening:
            response = self._begin(op, opening)
            size = int(response.headers.get("Content-Length", 0))
            wrong = ContractError(f"what arrived is not the artifact {id}: it has another SHA-256")
            held = opening.pop_all()
        return Content(size, response.headers.get(CONTENT_TYPE, OCTETS), checked(_read(held, response), id, wrong), held.close)

    def _begin(self, op: Op, opening: ExitStack) -> httpx.Response:
        tries = 0
        while True:
            try:
                return opening.enter_context(self._seam.download(op))
            except PASSING as error:
                if tries >= self._seam.retries:
                    raise
                delay = backoff(self._seam, error, tries)
            tries += 1
            self._seam.sleep(delay)


def _read(held: ExitStack, response: httpx.Response) -> Iterator[bytes]:
    with held:  # what goes wrong is said in our words there
        yield from response.iter_bytes()
