"""Values of every kind there and back, and what cannot be: named by its place, never changed silently."""

import asyncio
import enum
import gc
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, partial, wraps
from typing import Annotated, Any, Generic, LiteralString, NamedTuple, NewType, TypedDict, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest

from blaxel_jobs.errors import InvalidOutput, InvalidRequest, JobsError, NotSerializable
from blaxel_jobs.values import (
    MAX_VALUE_BYTES,
    Shape,
    check_input,
    declared,
    decode_input,
    decode_output,
    encode_output,
    keep,
    payload_of,
    replay,
    returned_by,
)

T = TypeVar("T")
BERLIN = ZoneInfo("Europe/Berlin")


@attrs.frozen
class Item:
    price: int
    labels: dict[str, list[int]] = attrs.field(factory=dict)


@attrs.define
class AttrsOrder:
    id: str
    items: list[Item] = attrs.field(factory=list)
    when: datetime | None = None


@dataclass
class DataOrder:
    id: str
    items: list[Item] = field(default_factory=list)
    when: datetime | None = None


class DictOrder(TypedDict, total=False):
    id: str
    items: list[Item]
    when: datetime | None


class StructOrder(msgspec.Struct):
    id: str
    items: list[Item] = []
    when: datetime | None = None


class ModelItem(pydantic.BaseModel):
    price: int
    labels: dict[str, list[int]] = {}


class ModelOrder(pydantic.BaseModel):
    id: str
    items: list[ModelItem] = []
    when: datetime | None = None


@pydantic.dataclasses.dataclass
class CheckedOrder:
    id: str
    items: list[ModelItem] = pydantic.Field(default_factory=list)
    when: datetime | None = None


class Named(NamedTuple):
    x: int


class Colour(enum.Enum):
    RED = "red"


class Word(enum.StrEnum):
    YES = "yes"


class Bits(enum.IntFlag):
    A = 1
    B = 2


@attrs.frozen
class Page(Generic[T]):
    items: list[T]


@dataclass
class Cached:
    id: int
    seen: int = field(default=0, compare=False)


@dataclass(eq=False)
class Incomparable:
    id: int


class Holder(msgspec.Struct):
    model: ModelItem


WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ORDERS = [AttrsOrder, DataOrder, DictOrder, StructOrder, ModelOrder, CheckedOrder]
WIRE = {"id": "a", "items": [{"price": 1, "labels": {"x": [1]}}], "when": "2026-01-02T03:04:05.678901Z"}


def returning(annotation: Any) -> Callable[..., Any]:
    def function() -> Any: ...

    function.__annotations__["return"] = annotation
    return function


def order_of(kind: Any) -> Any:
    item: Any = ModelItem if kind in (ModelOrder, CheckedOrder) else Item
    return kind(id="a", items=[item(price=1, labels={"x": [1]})], when=WHEN)


@pytest.mark.parametrize("kind", ORDERS)
def test_s2_05_an_instance_or_plain_data_are_sent_as_plain_data(kind: Any):
    shape = declared(kind)
    assert check_input(shape, order_of(kind)) == WIRE
    plain = dict(WIRE)
    assert check_input(shape, plain) is plain
    assert check_input(shape, {"id": "b", "when": WHEN}) == {"id": "b", "when": "2026-01-02T03:04:05.678901Z"}


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"id": "a", "items": [{"price": 1}, {"price": "x"}]}, "input.items[1].price"),
        (
            {"id": "a", "items": [{"price": 1, "labels": {"a": [1], "b": [1], "c": [1, "x"], "d": []}}]},
            "input.items[0].labels.c[1]",
        ),
        ({"id": "a", "items": [{}]}, "input.items[0].price"),
        ({"id": 3}, "input.id"),
        ({"id": "a", "when": "soon"}, "input.when"),
        ({"id": "a", "when": {1, 2}}, "input.when"),
        ({"id": "a\ud800"}, "input.id"),
        (None, "input"),
        ([], "input"),
        (object(), "input"),
    ],
)
def test_s2_05_a_bad_payload_is_refused_by_its_path(kind: Any, payload: Any, path: str):
    with pytest.raises(InvalidRequest) as refused:
        check_input(declared(kind), payload)
    assert refused.value.path == path
    assert path in str(refused.value)


@pytest.mark.parametrize("kind", ORDERS)
def test_s2_06_a_payload_arrives_as_its_type(kind: Any):
    text = msgspec.json.encode(WIRE).decode()
    arrived = decode_input(declared(kind), text)
    assert arrived == order_of(kind)
    assert type(arrived) is (dict if kind is DictOrder else kind)
    with pytest.raises(InvalidRequest) as refused:
        decode_input(declared(kind), '{"id": "a", "items": 3}')
    assert refused.value.path == "input.items"


@pytest.mark.parametrize(
    ("kind", "payload", "arrives"),
    [
        (list[int], [1, 2], [1, 2]),
        (dict[str, Item], {"a": {"price": 1}}, {"a": Item(1)}),
        (dict[str, ModelItem], {"a": {"price": 1}}, {"a": ModelItem(price=1)}),
        (AttrsOrder | None, None, None),
        (Item | AttrsOrder, {"id": "x"}, AttrsOrder("x")),
        (Annotated[int, msgspec.Meta(gt=0)], 3, 3),
        (Annotated[int, pydantic.Field(gt=0)], 3, 3),
        (Page[Item], {"items": [{"price": 1}]}, Page([Item(1)])),
        (NewType("Id", int), 3, 3),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
)
def test_s2_06_generics_and_forms_of_typing(kind: Any, payload: Any, arrives: Any):
    shape = declared(kind)
    assert check_input(shape, payload) == payload
    assert decode_input(shape, msgspec.json.encode(payload).decode()) == arrives


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (list[int], ["1"]),
        (Annotated[int, msgspec.Meta(gt=0)], 0),
        (Annotated[int, pydantic.Field(gt=0)], 0),
        (Item | AttrsOrder, {"x": 1}),
        (int, True),
        (int, 1.5),
        (str, 1),
    ],
)
def test_s2_05_generics_and_forms_of_typing_refuse(kind: Any, payload: Any):
    with pytest.raises(InvalidRequest, match="input"):
        check_input(declared(kind), payload)


def test_s2_05_a_callable_checks_and_says_what_is_used():
    def halved(payload: Any) -> Any:
        if payload["n"] % 2:
            raise ValueError("n is odd")
        return payload["n"] // 2

    shape = declared(halved)
    assert check_input(shape, {"n": 4}) == {"n": 4}
    assert decode_input(shape, '{"n":4}') == 2
    for payload, why in [({"n": 3}, "n is odd"), ({}, "KeyError"), ({"n": "x"}, "not all arguments"), (3, "not subscriptable")]:
        with pytest.raises(InvalidRequest, match=why):
            check_input(shape, payload)
    with pytest.raises(InvalidRequest, match="n is odd"):
        decode_input(shape, '{"n":3}')


@pytest.mark.parametrize("kind", ORDERS)
def test_s2_07_an_output_is_checked(kind: Any):
    shape = declared(kind)
    text = encode_output(shape, order_of(kind))
    assert msgspec.json.decode(text) == WIRE
    assert decode_output(shape, msgspec.json.decode(text)) == order_of(kind)
    assert encode_output(shape, {"id": "a"}) == '{"id":"a"}'
    for wrong in ({"id": 1}, None, "a", [], {1, 2}, object(), Named(1), WHEN):
        with pytest.raises(InvalidOutput):
            encode_output(shape, wrong)
    with pytest.raises(InvalidOutput) as refused:
        encode_output(shape, {"id": "a", "items": [{"price": None}]})
    assert refused.value.path == "result.items[0].price"
    with pytest.raises(InvalidOutput):
        decode_output(shape, {"id": 3})


def test_s2_07_a_subclass_is_another_type():
    @attrs.define
    class Special(AttrsOrder):
        more: int = 1

    class Unknown(AttrsOrder): ...

    with pytest.raises(InvalidOutput, match="Unknown is an unknown type"):
        encode_output(declared(AttrsOrder), Unknown("a"))
    with pytest.raises(InvalidOutput, match="is a .*Special and would come back as a AttrsOrder"):
        encode_output(declared(AttrsOrder), Special("a"))


def test_s2_07_a_callable_output():
    def rounded(value: float) -> float:
        if value < 0:
            raise ValueError("below zero")
        return round(value, 1)

    assert encode_output(declared(rounded), 1.26) == "1.3"
    with pytest.raises(InvalidOutput, match="below zero"):
        encode_output(declared(rounded), -1)
    with pytest.raises(NotSerializable, match="the result is a set"):
        encode_output(declared(lambda value: {value}), 1)


def test_without_output_plain_data_stay_and_types_go_by_the_annotation():
    shape = returned_by(returning(AttrsOrder))
    assert encode_output(shape, {"anything": 1}) == '{"anything":1}'
    assert decode_output(shape, {"anything": 1}) == {"anything": 1}
    assert decode_output(shape, {"id": "a"}) == AttrsOrder("a")
    with pytest.raises(NotSerializable, match="is a DataOrder and would come back as a AttrsOrder, by the return annotation of"):
        encode_output(shape, DataOrder("a"))


SAME: list[tuple[Any, Any]] = [
    *((kind, order_of(kind)) for kind in ORDERS),
    (datetime, WHEN),
    (datetime, WHEN.replace(tzinfo=None)),
    (datetime, datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)),
    (date, date(2026, 1, 1)),
    (time, time(1, 2, 3, 4)),
    (timedelta, timedelta(days=-3, microseconds=7)),
    (timedelta, timedelta.min),
    (UUID, uuid4()),
    (Decimal, Decimal("1.500E+80")),
    (bytes, b"\xff\0"),
    (bytearray, bytearray(b"a")),
    (tuple[int, str], (1, "a")),
    (tuple[float, ...], (1, 2.5)),
    (set[int], {1, 2}),
    (frozenset[str], frozenset({"a"})),
    (set[tuple[int, ...]], {(1, 2)}),
    (Colour, Colour.RED),
    (Word, Word.YES),
    (Bits, Bits.A | Bits.B),
    (Named, Named(1)),
    (dict[int, str], {1: "a"}),
    (dict[UUID, Item], {UUID(int=1): Item(1)}),
    (dict[Colour, int], {Colour.RED: 1}),
    (datetime | None, None),
    (int | datetime, WHEN),
    (datetime | str, "soon"),
    (datetime | str, WHEN),
    (str | datetime, "soon"),
    (AttrsOrder | Item, Item(1)),
    (Item | AttrsOrder, AttrsOrder("a")),
    (list[ModelItem | None], [ModelItem(price=1), None]),
    (ModelItem | ModelOrder, ModelOrder(id="a")),
    (Holder, Holder(ModelItem(price=1))),
    (Page[datetime], Page([WHEN])),
    (Cached, Cached(1, seen=5)),
    (Awaitable[Item], Item(1)),
    (Any, {"a": [1, 2.5, None, True, "x"]}),
    (Any, 2**70),
    (tuple[int, ...], (2**70, -(2**63) - 1)),
    (Any, "a\0b"),
    (tuple[str], ("a\0\u2028\U0001f600",)),
    (LiteralString, "a"),
    (Iterator[int], [1]),
    ("NowhereToBeFound", {"a": 1}),
    (int, "annotated wrongly, and plain"),
    (float, 3),
]


@pytest.mark.parametrize(("annotation", "value"), SAME, ids=[f"{place}-{row[0]}"[:50] for place, row in enumerate(SAME)])
def test_s2_12_a_value_comes_back_equal_and_of_its_type(annotation: Any, value: Any):
    function = returning(annotation)
    text, live = keep(function, value)
    replayed = replay(function, text)
    assert live == value or live.utcoffset() == value.utcoffset()
    assert replayed == live
    assert type(replayed) is type(live) is type(value)


def test_s2_12_what_equality_leaves_out_is_the_same_live_and_replayed():
    function = returning(Cached)
    text, live = keep(function, Cached(1, seen=5))
    assert live.seen == replay(function, text).seen
    function = returning(Incomparable)
    text, live = keep(function, Incomparable(1))
    assert live.id == replay(function, text).id == 1


class SubInt(int): ...


class SubDict(dict[str, Any]): ...


SELF: list[Any] = []
SELF.append(SELF)
REFUSED: list[tuple[Any, Any, str | None, str]] = [
    (Any, {1}, None, "a set is stored, and comes back as one, where the return annotation of .* names it"),
    (Any, {"a": [1, WHEN]}, "value.a[1]", "a datetime is stored"),
    (Any, (1, 2), None, "a tuple is stored"),
    (Any, Item(1), None, "a Item is stored"),
    (Any, ModelItem(price=1), None, "a ModelItem is stored"),
    (Any, {"a": Word.YES}, "value.a", "a Word is stored"),
    (Any, object(), None, "is a object: JSON carries"),
    (Any, SubInt(1), None, "SubInt"),
    (Any, SubDict(), None, "SubDict"),
    (Any, {1: 2}, None, "keys of JSON objects are text"),
    (Any, {"a": float("nan")}, "value.a", "finite"),
    (Any, "\ud800", None, "lone surrogate"),
    (Any, SELF, None, "contains itself"),
    ("NowhereToBeFound", {1}, None, "its annotation cannot be resolved: name 'NowhereToBeFound' is not defined"),
    (Iterator[int], iter([1]), None, "list_iterator"),
    (dict[str, Any], {"a": {1}}, "value.a", "a set is stored"),
    (tuple[Any, ...], (1, {"a": (1, 2)}), "value[1].a", "is a tuple and would come back as a list"),
    (tuple[Any, ...], (Word.YES,), "value[0]", "is a Word and would come back as a str"),
    (tuple[Any, ...], (SubDict(),), "value[0]", "is a SubDict"),
    (tuple[Any, ...], (float("inf"),), "value[0]", "is inf: JSON has finite numbers only"),
    (tuple[float | None], (float("nan"),), "value[0]", "is nan"),
    (tuple[Any, ...], ({"a": "\udfff"},), "value[0].a", "lone surrogate"),
    (tuple[Any, ...], ({"\udfff": 1},), "value[0]", "lone surrogate"),
    (tuple[Any, ...], ({(1, 2): 1},), "value[0]", "has the key"),
    (tuple[Any, ...], (object(),), "value[0]", "is a object, which cannot be stored"),
    (tuple[Any, ...], ({1: 2},), "value[0].1", "would come back without it"),
    (tuple[Any], (SELF,), None, "contains itself"),
    (tuple[int, str], (1, 2), "value[1]", "Expected str, got int, by the return annotation of .*function"),
    (tuple[int, ...], Named(1), None, "is a Named and would come back as a tuple"),
    (tuple[float, ...], (2**53 + 1,), "value[0]", "is a int and would come back as a float"),
    (AttrsOrder, {"id": "a"}, None, "is a dict and would come back as a AttrsOrder"),
    (AttrsOrder, None, None, "Expected object, got null"),
    (AttrsOrder, AttrsOrder("a", [Item(float("nan"))]), "value.items[0].price", "is nan"),
    (AttrsOrder, AttrsOrder("a", [Item(True)]), "value.items[0].price", "Expected int, got bool"),
    (DictOrder, {"id": "a", "when": WHEN, "more": 1}, "value.more", "would come back without it"),
    (ModelOrder, ModelOrder.model_construct(id=3), "value.id", "string"),
    (time, time(1, tzinfo=BERLIN), None, "would not come back equal"),
    (datetime, datetime(1890, 1, 1, tzinfo=BERLIN), None, "would not come back equal"),
    (Decimal, Decimal("sNaN"), None, "would not come back equal"),
    (str | datetime, WHEN, None, "is a datetime and would come back as a str"),
    (datetime | str, "2026-01-01T00:00:00", None, "is a str and would come back as a datetime"),
    (set[Any], {Word.YES}, "value[...]", "is a Word"),
]


@pytest.mark.parametrize(("annotation", "value", "path", "why"), REFUSED, ids=[f"{row[0]}-{row[3]}"[:60] for row in REFUSED])
@pytest.mark.row("S0-31", "S2-12")
def test_what_would_not_come_back_equal_is_refused_by_its_place(annotation: Any, value: Any, path: str | None, why: str):
    with pytest.raises(NotSerializable, match=why) as refused:
        keep(returning(annotation), value)
    assert refused.value.path == path
    with pytest.raises(NotSerializable, match=f"^step 'fetch': .*{why}"):
        keep(returning(annotation), value, "fetch")
    if annotation is Any:
        with pytest.raises(NotSerializable, match=why) as refused:
            encode_output(Shape(), value)
        assert refused.value.path == (path and path.replace("value", "result"))


def test_s0_31_a_lambda_is_told_to_become_a_def():
    with pytest.raises(NotSerializable, match="a lambda has none: write a def"):
        keep(lambda: WHEN, WHEN)


def test_s0_33_a_value_above_1_mb_is_told_the_way_out():
    fits = "x" * (MAX_VALUE_BYTES - 2)
    assert keep(returning(str), fits).value == fits
    assert encode_output(Shape(), fits)
    for attempt in (lambda: keep(returning(str), fits + "x"), lambda: encode_output(Shape(), "ä" * (MAX_VALUE_BYTES // 2))):
        with pytest.raises(
            NotSerializable, match=r"above the limit of 1 MB: store it with context\.artifacts and return the reference"
        ):
            attempt()


def test_a_stored_value_that_no_longer_fits_is_said():
    with pytest.raises(NotSerializable, match=r"step 'old': what is stored is no longer what the function returns: value\.id"):
        replay(returning(AttrsOrder), '{"identity":"a"}', "old")


class Methods:
    def method(self) -> Item:
        return Item(1)

    @classmethod
    def of_class(cls) -> Item:
        return Item(1)

    @staticmethod
    def static() -> Item:
        return Item(1)

    def __call__(self) -> Item:
        return Item(1)


async def coroutine(a: int = 0) -> Item:
    return Item(1)


def logged(function: Callable[..., Any]) -> Any:
    @wraps(function)
    def inner(*arguments: Any) -> Any:
        return function(*arguments)

    return inner


@logged
def wrapped() -> "Item":
    return Item(1)


@cache
def remembered() -> Item:
    return Item(1)


def strange(parameter: "OnlyForTypeCheckers") -> "Item":  # type: ignore[name-defined]  # noqa: F821
    return Item(1)


def scheduled() -> "asyncio.Future[Item]":
    raise NotImplementedError


FUNCTIONS: list[Any] = [
    Methods().method, Methods.of_class, Methods.static, Methods(), coroutine, partial(coroutine, 1),
    partial(partial(Methods().method)),
    wrapped, remembered, strange, scheduled, Item,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=range(len(FUNCTIONS)))
def test_s2_12_the_annotation_of_every_callable_is_found(function: Any):
    kept = keep(function, Item(1))
    assert (kept.value, replay(function, kept.text)) == (Item(1), Item(1))


@pytest.mark.parametrize("function", [uuid4, len, dict, print, lambda: 1, partial(int), Methods], ids=range(7))
def test_what_has_no_annotation_gives_plain_data(function: Any):
    assert keep(function, {"a": 1}) == ('{"a":1}', {"a": 1})


def test_the_order_of_a_union_is_the_annotation_s_own():
    """`A | B == B | A`, but what is tried first is not the same."""
    assert keep(returning(str | datetime), "2026-01-01T00:00:00").value == "2026-01-01T00:00:00"
    assert keep(returning(datetime | str), WHEN).value == WHEN


def test_a_class_made_in_a_function_is_found_by_who_uses_it():
    @attrs.frozen
    class Local:
        n: int

    def make() -> "Local":
        return Local(1)

    assert replay(make, keep(make, make()).text) == Local(1)


def test_the_cache_keeps_no_function_alive():
    def step() -> Item:
        return Item(1)

    keep(step, step())
    gone = weakref.ref(step)
    del step
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("handler", "typed"),
    [
        (lambda context, payload: None, False),
        (lambda: None, False),
        (Methods().method, False),
        (print, False),
        (int, False),
    ],
)
def test_a_handler_without_an_annotated_payload_is_given_plain_data(handler: Any, typed: bool):
    assert payload_of(handler).checks is typed


def test_plain_annotations_are_not_enforced():
    def handler(context: object, payload: Mapping[str, int]) -> dict[str, int]:
        return {}

    shape = payload_of(handler)
    assert check_input(shape, {"a": "text"}) == {"a": "text"}
    assert decode_input(shape, '{"a":"text"}') == {"a": "text"}
    with pytest.raises(InvalidRequest, match="input is a set") as refused:
        check_input(shape, {1})
    assert refused.value.path == "input"


@pytest.mark.parametrize("kind", [*ORDERS, AttrsOrder | Item, list[ModelItem], Annotated[int, msgspec.Meta(gt=0)]])
def test_a_type_has_a_json_schema(kind: Any):
    schema = declared(kind).json_schema()
    assert schema
    assert msgspec.json.decode(msgspec.json.encode(schema)) == schema


def test_there_is_no_json_schema_of_what_nobody_can_describe():
    assert declared(lambda value: value).json_schema() is None
    assert declared(Holder).json_schema() is None
    assert Shape().json_schema() is None


def test_pydantic_is_imported_only_by_who_has_it():
    code = (
        "import sys; from dataclasses import dataclass\nfrom blaxel_jobs.values import *\n"
        "@dataclass\nclass A:\n    x: int\n"
        "def f() -> A: ...\n"
        "assert 'msgspec' not in sys.modules\n"
        "assert replay(f, keep(f, A(1)).text) == A(1) and check_input(declared(A), {'x': 1})\n"
        "assert 'pydantic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_error_is_of_the_one_tree():
    for error in (InvalidOutput, InvalidRequest, NotSerializable):
        assert issubclass(error, JobsError)
