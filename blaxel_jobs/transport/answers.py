"""Answers: the generated model, or the typed error that says why not."""

import json
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, cast

import httpx

from ..errors import ContractError, RequestError, error_class
from ..flow import Op, Peer
from . import platform
from .sse import EventReader


def read_answer(op: Op, parse: Callable[..., Any], response: httpx.Response, seen: platform.Request | None = None) -> Any:
    """What the generated `parse` makes of the answer. `seen`: it may be the platform's, as the answer to this.

    Raises the RequestError of its status, or ContractError.
    """
    if response.status_code >= 400:
        raise refusal(response)
    try:
        answer = parse(client=None, response=response if seen is None else _translated(op, seen, response))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ContractError(f"{_named(response)} is not a {op.model}: {type(error).__name__}: {error}") from error
    if type(answer).__name__ != op.model:
        raise ContractError(f"{_named(response)} is not a {op.model}")
    return answer


def _named(response: httpx.Response) -> str:
    return f"the answer of {response.request.method} {response.request.url.path} (HTTP {response.status_code})"


async def read_events(op: Op, parse: Callable[..., Any], response: httpx.Response) -> AsyncGenerator[list[Any], None]:
    """The models of a stream of updates, in the batches in which they come; a comment is an empty one.

    Raises the RequestError of the answer's status, or ContractError.
    """
    from ..client import models

    if response.status_code != 200 or not response.headers.get("Content-Type", "").startswith("text/event-stream"):
        await response.aread()
        read_answer(op, parse, response)
        raise ContractError(f"{_named(response)} is no stream of events")
    reader, model = EventReader(), getattr(models, op.model)
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes())) as pieces:
        async for piece in pieces:
            events = reader.feed(piece)
            try:
                yield [model.from_dict(json.loads(event.data)) for event in events if event.name == "update"]
            except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
                raise ContractError(f"an update of {_named(response)} is not a {op.model}: {error}") from error
            if any(event.name == "end" for event in events):
                return


def learn(peer: Peer, op: Op, response: httpx.Response) -> None:
    """Note which dialect an answer is in, if it tells: an echo is ours for good. What has none may come from a proxy on the way."""
    if "Jobs-Contract" in response.headers:
        peer.contract = True
    elif peer.contract is None and _is_of_platform(op, response):
        peer.contract = False


def _is_of_platform(op: Op, response: httpx.Response) -> bool:
    if response.status_code == 404:
        return "json" in response.headers.get("Content-Type", "")
    try:
        return response.status_code == 200 and op.id in platform.OPERATIONS and not platform.is_ours(response.json())
    except (ValueError, RecursionError):
        return False


def _translated(op: Op, seen: platform.Request, response: httpx.Response) -> httpx.Response:
    """The platform's answer as one of ours; one of ours as it is."""
    if response.status_code != 200 or op.id not in platform.OPERATIONS:
        return response
    return httpx.Response(200, json=platform.translate(op.id, seen, response.json()), request=response.request)


def refusal(response: httpx.Response) -> RequestError:
    """The typed error of an answer: problem details where it has them, else what can be read of its body."""
    try:
        body: Any = response.json()
    except (ValueError, RecursionError):
        body = response.text
    problem = body if isinstance(body, dict) else {}
    words = {name: value for name, value in problem.items() if isinstance(value, str)}
    message = words.get("message") or words.get("detail") or words.get("title") or words.get("error")
    readable = _readable(response.text)
    error = error_class(response.status_code, words.get("error"))(
        message or f"HTTP {response.status_code} {response.reason_phrase}" + (f": {readable}" if readable else ""),
        path=words.get("path"),
        request_id=words.get("requestId") or response.headers.get("X-Request-Id"),
        body=body,
        retry_after=_retry_after(response.headers),
    )
    error.status_code = response.status_code
    return error


def _readable(text: str) -> str:
    """The words of a page that some proxy put in the way, in one line."""
    bare = re.sub(r"(?is)<(script|style|head)\b.*?</\1>|<[^>]*>", " ", text)
    line = " ".join(bare.split())
    return line if len(line) <= 200 else f"{line[:200]}..."


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds (RFC 9110: a number, or a date, which is read against the server's own clock)."""
    from email.utils import parsedate_to_datetime

    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - parsedate_to_datetime(headers["Date"])).total_seconds(), 0.0)
    except (KeyError, TypeError, ValueError):
        return None
