"""The reader of server-sent events."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaxel_jobs import ContractError
from blaxel_jobs.transport import sse
from blaxel_jobs.transport.sse import EventReader

STREAM = (
    "\ufeff: a comment\nevent: update\ndata: {\"id\": \"ä🐎\"}\n\n"
    "data: one\r\ndata: two\r\n\r\ndata:three\rid: 5\r\rretry: 10\ndata\ndata: \n\nevent: empty\n\n\n\nevent: end\ndata: {}\n\n"
)  # fmt: skip
EVENTS = [("update", '{"id": "ä🐎"}'), ("message", "one\ntwo"), ("message", "three"), ("message", "\n"), ("end", "{}")]


def read(*pieces: bytes) -> list[tuple[str, str]]:
    reader = EventReader()
    return [(event.name, event.data) for piece in pieces for event in reader.feed(piece)]


def test_a_stream_is_cut_into_events():
    assert read(STREAM.encode()) == EVENTS


def test_byte_by_byte_it_is_the_same():
    assert read(*[bytes([byte]) for byte in STREAM.encode()]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM.encode()))))
def test_however_it_is_cut_it_is_the_same(cuts: list[int]):
    raw, places = STREAM.encode(), sorted({0, len(STREAM.encode()), *cuts})
    assert read(*[raw[begin:end] for begin, end in pairwise(places)]) == EVENTS


def test_an_event_without_its_end_is_none():
    assert read(b"data: half") == []
    assert read(b"data: half\n") == []


def test_comments_are_no_events():
    assert read(b": still here\n\n", b":\n\n") == []


def test_what_is_no_text_is_refused():
    with pytest.raises(ContractError, match="not UTF-8"):
        read(b"data: \xff\n\n")


@pytest.mark.parametrize("piece", [b"x" * 600, b"data: " + b"x" * 600 + b"\n"])
def test_an_event_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, piece: bytes):
    monkeypatch.setattr(sse, "MOST_BYTES", 1000)
    with pytest.raises(ContractError, match="more than 1000 bytes"):
        read(piece, piece)
