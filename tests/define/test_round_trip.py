"""Any value of any annotation comes back equal, of the same types, or is refused: never changed silently."""

import enum
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Any, Literal
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blaxel_jobs.errors import InvalidRequest, NotSerializable
from blaxel_jobs.values import Shape, check_input, declared, decode_input, encode_output, keep, replay


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


@attrs.frozen
class Pair:
    left: Any
    right: tuple[Any, ...] = ()


class Model(pydantic.BaseModel):
    name: str
    sizes: dict[str, Size] = {}


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# Without `fold`: it is not compared by `==`, and JSON has no word for it.
SCALARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (str, st.text()),
    (bytes, st.binary()),
    (UUID, st.uuids()),
    (st.datetimes, st.datetimes(timezones=st.none() | OFFSETS).map(lambda each: each.replace(fold=0))),
    (st.dates, st.dates()),
    (st.times, st.times().map(lambda each: each.replace(fold=0))),
    (timedelta, st.timedeltas()),
    (st.decimals, st.decimals(allow_nan=False)),
    (Size, st.sampled_from(Size)),
    (Literal["a", 1], st.sampled_from(["a", 1])),
    (bool | None, st.none() | st.booleans()),
]
NAMES = {st.datetimes: "datetime.datetime", st.dates: "datetime.date", st.times: "datetime.time", st.decimals: "decimal.Decimal"}


def _scalar(entry: tuple[Any, st.SearchStrategy[Any]]) -> tuple[Any, st.SearchStrategy[Any]]:
    kind, values = entry
    module, _, name = NAMES.get(kind, "").rpartition(".")
    return (getattr(__import__(module), name) if module else kind), values


def _of(generic: Any, *arguments: Any) -> Any:
    return generic[arguments]


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Containers of what `inner` draws: pairs of an annotation and a strategy for its values."""
    keys = st.integers(-(2**63), 2**63 - 1)
    return st.one_of(
        inner.map(lambda pair: (_of(list, pair[0]), st.lists(pair[1], max_size=3))),
        inner.map(lambda pair: (_of(tuple, pair[0], ...), st.lists(pair[1], max_size=3).map(tuple))),
        inner.map(lambda pair: (_of(dict, str, pair[0]), st.dictionaries(st.text(), pair[1], max_size=3))),
        inner.map(lambda pair: (_of(dict, int, pair[0]), st.dictionaries(keys, pair[1], max_size=3))),
    )


KINDS = st.recursive(st.sampled_from(SCALARS).map(_scalar), _nested, max_leaves=4)
HASHABLE = [_scalar(entry) for entry in SCALARS[:6]]
SETS = st.sampled_from(HASHABLE).map(lambda pair: (_of(frozenset, pair[0]), st.frozensets(pair[1], max_size=4)))
MODELS = st.just((Model, st.builds(Model, name=st.text(), sizes=st.dictionaries(st.text(), st.sampled_from(Size), max_size=2))))
PAIRS = st.just((Pair, st.builds(Pair, JSON, st.lists(JSON, max_size=2).map(tuple))))


def returning(annotation: Any) -> Callable[..., Any]:
    def function() -> Any: ...

    function.__annotations__["return"] = annotation
    return function


def same(live: Any, back: Any) -> bool:
    """Equal and of equal types, all the way down; written on its own, beside the one that is tested."""
    if type(live) is not type(back):
        return False
    if isinstance(live, dict):
        return list(live) == list(back) and all(same(live[key], back[key]) for key in live)
    if isinstance(live, list | tuple):
        return len(live) == len(back) and all(map(same, live, back))
    if isinstance(live, Pair):
        return same((live.left, live.right), (back.left, back.right))
    return bool(live == back) and repr(live) == repr(back) if not isinstance(live, frozenset) else bool(live == back)


@given(st.data(), KINDS | SETS | MODELS | PAIRS)
def test_s2_12_an_annotated_value_comes_back_equal(data: st.DataObject, kind: tuple[Any, st.SearchStrategy[Any]]):
    annotation, values = kind
    value = data.draw(values)
    function = returning(annotation)
    text, live = keep(function, value)
    assert same(value, live)
    assert same(live, replay(function, text))


@given(JSON)
def test_s2_12_plain_data_come_back_equal_without_an_annotation(value: Any):
    text, live = keep(lambda: None, value)
    assert live is value
    assert same(value, replay(lambda: None, text))
    assert encode_output(Shape(), value) == text
    assert check_input(Shape(), value) is value
    assert same(value, decode_input(Shape(), text))


ODD = st.sampled_from([{1}, (1,), b"a", Size.SMALL, Pair(1), object(), 1j, range(3), float("nan"), float("inf"), "\ud800", {1: 1}])


@given(
    st.recursive(ODD, lambda inner: st.builds(lambda a, b, c: [a, {"k": b, "o": c}], JSON, inner, JSON), max_leaves=3),
    st.sampled_from([Any, None, list[Any], dict[str, Any], tuple[Any, ...], Pair, Model, list[Pair], Pair | None, int | Pair]),
)
def test_s0_31_what_json_does_not_know_is_refused_or_comes_back_equal(value: Any, annotation: Any):
    function = returning(annotation)
    try:
        text, live = keep(function, value)
    except NotSerializable:
        return
    assert same(value, live)
    assert same(live, replay(function, text))


@given(JSON, st.sampled_from([Pair, Model, list[int], dict[str, Size], Size, tuple[int, str], Pair | None, int | list[Pair]]))
def test_s2_05_what_the_check_lets_through_the_handler_is_given(payload: Any, kind: Any):
    """A payload that the check takes never fails at the worker."""
    shape = declared(kind)
    text = msgspec.json.encode(payload).decode()
    try:
        sent = check_input(shape, payload)
    except InvalidRequest as error:
        place = error.path or ""
        with pytest.raises(InvalidRequest) as refused:
            decode_input(shape, text)
        assert refused.value.path == place
        assert place.startswith("input")
    else:
        assert sent is payload
        decode_input(shape, text)
