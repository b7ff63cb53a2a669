"""Cursors: where the next page begins, as opaque text that fits only the query that made it."""

import base64
from typing import Final

import msgspec

from ..errors import InvalidRequest

MAX_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100


def check_limit(limit: int | None) -> int:
    """The page size, 100 by default. Raises InvalidRequest outside 1..1000."""
    if limit is None:
        return DEFAULT_PAGE
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"limit is 1 to {MAX_PAGE}, not {limit}", path="limit")
    return limit


def write_cursor(query: str, position: int) -> str:
    """The cursor of `query` for the rows behind `position`."""
    return base64.urlsafe_b64encode(msgspec.json.encode([query, position])).decode().rstrip("=")


def read_cursor(query: str, cursor: str) -> int:
    """The position that a cursor of this query names. Raises InvalidRequest."""
    try:
        made_by, position = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=tuple[str, int])
    except (ValueError, UnicodeError):
        raise InvalidRequest("the cursor is not one that this server gave out", path="cursor") from None
    if made_by != query:
        raise InvalidRequest("the cursor belongs to another query: start again without it", path="cursor")
    return position
