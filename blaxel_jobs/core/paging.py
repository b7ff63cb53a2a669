"""Cursors: where the next page begins, as opaque text that fits only the query that made it."""

import base64
from typing import Final, TypeVar

import msgspec

from ..errors import InvalidRequest

MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100
P = TypeVar("P", int, str)


def check_limit(limit: int | None) -> int:
    """The page size, 100 by default. Raises InvalidRequest outside 1..1000."""
    if limit is None:
        return DEFAULT_PAGE
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit is 1 to {MAX_PAGE}, not {limit}", path="limit")
    return limit


def write_cursor(query: str, position: int | str) -> str:
    """The cursor of `query` for the rows behind `position`."""
    return base64.urlsafe_b64encode(msgspec.json.encode([query, position])).decode().rstrip("=")


def read_cursor(query: str, cursor: str) -> int:
    """The position that a cursor of this query names. Raises InvalidRequest."""
    return _read(query, cursor, int)


def read_name_cursor(query: str, cursor: str) -> str:
    """The same of a query whose positions are names."""
    return _read(query, cursor, str)


def _read(query: str, cursor: str, kind: type[P]) -> P:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        made_by, position = msgspec.json.decode(text, type=tuple[str, kind])  # type: ignore[valid-type]
    except (ValueError, UnicodeError):
        raise InvalidRequest("the cursor is not one that this server gave out", path="cursor") from None
    if made_by != query:
        raise InvalidRequest("the cursor belongs to another query: start again without it", path="cursor")
    return position
