"""Server-sent events (HTML Living Standard 9.2.6), read from bytes without I/O."""

from typing import NamedTuple

from ..errors import ContractError

MOST_BYTES = 16 * 1024 * 1024
"""What one event may have. More is no event of ours."""


class Event(NamedTuple):
    """One event: its name (`message` unless given) and its data."""

    name: str
    data: str


class EventReader:
    """Cuts a stream into events, however it is cut into pieces."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []
        self._begun = False

    def feed(self, piece: bytes) -> list[Event]:
        """The events that this piece completes. Raises ContractError for an event without an end, and for what is not UTF-8."""
        text = self._rest + piece
        if not self._begun and len(text) >= 3:
            self._begun, text = True, text.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in text:
            # The \n of a \r\n may come with the next piece: until then its line has not ended.
            held = b"\r" if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *lines, self._rest = text.split(b"\n")
        events = [event for line in lines if (event := self._line(line))]
        if len(self._rest) + sum(map(len, self._data)) > MOST_BYTES:
            raise ContractError(f"an event of the stream has more than {MOST_BYTES} bytes")
        return events

    def _line(self, raw: bytes) -> Event | None:
        if not raw:
            return self._end()
        try:
            field, _, value = raw.decode().partition(":")
        except UnicodeDecodeError as error:
            raise ContractError("the stream is not UTF-8") from error
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        return None

    def _end(self) -> Event | None:
        event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
        self._name, self._data = "", []
        return event
