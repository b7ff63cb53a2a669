"""Uploads and downloads of artifacts: in pieces, at the pace of the disk and of the caller."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from ..artifacts import OCTETS, PIECE, Artifact, Content, check_content_type, too_large
from ..errors import InvalidRequest, RequestTooSlow, UnsupportedMedia
from ..stores.artifacts import ArtifactStore, Upload
from .asgi import Receive, Send
from .body import gone
from .dialect import HeaderList, Headers
from .exchange import ClientGone

T = TypeVar("T")

CONTENT_TYPE: Final = b"artifact-content-type"
"""The header of a download that names the artifact's type. Its own `Content-Type` is always the same: no browser is to show what
somebody put as a page of this server."""


class Download:
    """An artifact to answer with; whoever has it closes it."""

    def __init__(self, id: str, content: Content, local: bool) -> None:
        self._id = id
        self._content = content
        self._local = local
        self._reading = threading.Lock()

    def headers(self, common: HeaderList) -> HeaderList:
        """Those of the answer."""
        return [
            (b"content-type", OCTETS.encode()),
            (b"content-length", b"%d" % self._content.size),
            (b"content-disposition", b'attachment; filename="%s"' % self._id.encode()),
            (b"x-content-type-options", b"nosniff"),
            (CONTENT_TYPE, self._content.content_type.encode()),
            *common,
        ]

    async def send(self, method: str, seconds: float, receive: Receive, send: Send) -> None:
        """Send the content; none for HEAD. Returns early when the caller hangs up.

        Raises TimeoutError when the caller takes nothing for so many seconds, and what reading raises; the answer has no end then.
        """
        hung_up = asyncio.ensure_future(gone(receive))
        more = True
        try:
            while more and not hung_up.done():
                piece = b"" if method == "HEAD" else await _run(self._local, self._next)
                more = bool(piece)
                async with asyncio.timeout(seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        finally:
            hung_up.cancel()

    def close(self) -> None:
        """Let go of the artifact: in a thread, since one may still read of it for a task that was cancelled."""
        if self._local:
            self._content.close()
        else:
            asyncio.get_running_loop().run_in_executor(None, self._close)

    def _next(self) -> bytes:
        with self._reading:
            return next(self._content.pieces, b"")

    def _close(self) -> None:
        with self._reading:
            self._content.close()


async def put_artifact(
    store: ArtifactStore, workspace: str, arguments: Mapping[str, Any], headers: Headers, receive: Receive, seconds: float
) -> dict[str, Any]:
    """Keep a request's body; the answer's view. Each piece of it must come within so many seconds.

    Raises UnsupportedMedia, InvalidRequest, TooLarge (before it holds more), RequestTooSlow, NotFound, Unavailable.
    """
    content_type = _content_type(headers)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > store.limit:
        raise too_large(store.limit)
    upload = await _run(store.local, lambda: store.begin(workspace, arguments["execution_id"]))
    try:
        await _receive(upload, store.local, receive, seconds)
        return artifact_view(await _run(store.local, lambda: upload.commit(content_type)))
    finally:
        # Not awaited: this may be the end of a task that was cancelled while a thread still writes, which is waited for there.
        asyncio.get_running_loop().run_in_executor(None, upload.discard)


async def get_artifact(store: ArtifactStore, workspace: str, arguments: Mapping[str, Any]) -> Download:
    """What to answer. Raises NotFound, Unavailable, ServerError for an artifact that is damaged: before anything is sent."""

    id = arguments["artifact_id"]

    def open() -> Content:
        return store.open(workspace, arguments["execution_id"], id)

    def check() -> None:
        content = open()
        try:
            for _ in content.pieces:
                pass
        finally:
            content.close()

    if not store.local:
        await asyncio.to_thread(check)
    return Download(id, await _run(store.local, open), store.local)


def artifact_view(artifact: Artifact) -> dict[str, Any]:
    """An artifact as openapi.yaml's Artifact."""
    return {"ref": artifact.ref, "size": artifact.size, "sha256": artifact.id, "contentType": artifact.content_type}


async def _receive(upload: Upload, local: bool, receive: Receive, seconds: float) -> None:
    more = True
    while more:
        try:
            async with asyncio.timeout(seconds):
                piece, more = await _next_piece(receive)
        except TimeoutError:
            raise RequestTooSlow(f"{PIECE} bytes of the body did not arrive within {seconds:g} s") from None
        await _run(local, lambda: upload.write(piece))  # noqa: B023 - it is over before the next one


async def _next_piece(receive: Receive) -> tuple[bytes, bool]:
    """Up to about PIECE bytes, and whether there is more."""
    piece, more = bytearray(), True
    while more and len(piece) < PIECE:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(piece), more


def _content_type(headers: Headers) -> str | None:
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("send the artifact without a Content-Encoding", path="Content-Encoding")
    given = headers.get(b"content-type", b"").decode("latin-1").strip()
    if given in ("", OCTETS):
        return None
    try:
        return check_content_type(given)
    except InvalidRequest as error:
        raise UnsupportedMedia(error.message, path="Content-Type") from None


async def _run(local: bool, call: Callable[[], T]) -> T:
    return call() if local else await asyncio.to_thread(call)
