"""Answers: the generated model, or the typed error that says why not."""

import re
from collections.abc import Callable
from typing import Any

import httpx

from ..errors import ContractError, RequestError, error_class
from ..flow import Op


def read_answer(op: Op, parse: Callable[..., Any], response: httpx.Response) -> Any:
    """What the generated `parse` makes of the answer. Raises the RequestError of its status, or ContractError."""
    if response.status_code >= 400:
        raise _refusal(response)
    try:
        answer = parse(client=None, response=response)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ContractError(f"{_named(response)} is not a {op.model}: {type(error).__name__}: {error}") from error
    if type(answer).__name__ != op.model:
        raise ContractError(f"{_named(response)} is not a {op.model}")
    return answer


def _named(response: httpx.Response) -> str:
    return f"the answer of {response.request.method} {response.request.url.path} (HTTP {response.status_code})"


def _refusal(response: httpx.Response) -> RequestError:
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
