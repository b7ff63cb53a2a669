"""Values of handlers and steps as JSON text, and back as the types that definitions and annotations name.

A `Shape` says what a value is: `declared` makes it of an `input=` or `output=`, `returned_by` and `payload_of` of a function's
annotations. What is written as text is proven first: it is read again, and what comes back is of the same types and equal, or
NotSerializable names the place. Nothing here is imported from msgspec or pydantic before a value needs it.
"""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

import attrs

from ..errors import InvalidOutput, InvalidRequest, NotSerializable
from ..plain import check_plain
from .codecs import PLAIN, Codec, Validator, codec_of, is_plain, is_type
from .sameness import Misfit, find_difference, find_fault

Json = str

MAX_VALUE_BYTES: Final = 1024 * 1024
"""Of one result or step value."""


@attrs.frozen(eq=False)
class Shape:
    """What a value is."""

    codec: Codec = PLAIN
    typed: bool = False
    """Values are rebuilt to the type. Otherwise they are plain data, in both directions."""
    declared: bool = False
    """By `input=` or `output=`, so that another value is an error of its own."""
    owner: str = "the function"
    trouble: str | None = None
    """Why the annotation that there is was not used."""

    @property
    def checks(self) -> bool:
        """Whether there are plain data that this shape refuses."""
        return self.typed or self.declared

    def json_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the values; None for plain data, for a callable and where none can be had."""
        return self.codec.schema() if self.typed else None


class Kept(NamedTuple):
    """A step's value as it is stored, and as the handler goes on with it: the same that a replay gives."""

    text: Json
    value: Any


def declared(kind: Any) -> Shape:
    """The shape of an `input=` or `output=`: a type, or a callable that is given the plain value, returns the one to use and raises
    ValueError or TypeError.

    Raises TypeError for what is neither, and NameError while a class that the type mentions is not there yet.
    """
    if is_type(kind):
        return Shape(codec_of(kind), typed=True, declared=True)
    if callable(kind):
        return Shape(Validator(kind), declared=True)
    raise TypeError(f"{kind!r} is neither a type nor a callable that checks a value")


def payload_of(handler: Callable[..., Any]) -> Shape:
    """The shape of a handler's payload by the annotation of its second parameter. Never raises."""
    try:
        parameters = list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        return Shape()
    return _annotated(handler, parameters[1]) if len(parameters) > 1 else Shape()


_RETURNS: Final[WeakKeyDictionary[Any, Shape]] = WeakKeyDictionary()


def returned_by(function: Callable[..., Any]) -> Shape:
    """The shape of what a function returns by its annotation: of a coroutine function what is awaited, of a class itself. An
    annotation that cannot be resolved, or names what JSON cannot carry, is as none. Never raises."""
    key = _underlying(function)
    try:
        return _RETURNS[key]
    except (KeyError, TypeError):
        shape = _annotated(function, "return")
    # A class is its own annotation: kept by it, an entry would never go.
    if not isinstance(key, type):
        with suppress(TypeError):  # not every callable can be referred to weakly
            _RETURNS[key] = shape
    return shape


def keep(function: Callable[..., Any], value: Any, step: str | None = None) -> Kept:
    """A step's value for the journal. Raises NotSerializable, naming the place, also above 1 MB."""
    shape = returned_by(function)
    try:
        if not shape.typed:
            return Kept(_sized(_encode_plain(value, "value", shape), "value"), value)
        text, back = _freeze(shape, value, "value")
        return Kept(_sized(text, "value"), back)
    except Misfit as misfit:
        raise _named(_not_serializable(misfit, "value", shape), step) from None
    except NotSerializable as error:
        raise _named(error, step) from None


def replay(function: Callable[..., Any], text: Json, step: str | None = None) -> Any:
    """The value that `keep` wrote. Raises NotSerializable when the function's annotation is another now, and does not fit."""
    try:
        return returned_by(function).codec.decode(text)
    except Misfit as misfit:
        error = NotSerializable(f"what is stored is no longer what the function returns: {misfit.say('value')}")
        raise _named(error, step) from None


def check_input(shape: Shape, payload: Any) -> Any:
    """The plain data to send for a payload, which is plain data already, and then stays as it is, or an instance of the type.
    Raises InvalidRequest with the path, such as `input.items[0].price`."""
    try:
        check_plain(payload, "input")
    except NotSerializable as error:
        if not shape.typed:
            raise InvalidRequest(error.message, path=error.path) from None
    except RecursionError:
        raise InvalidRequest("input is nested too deeply, or contains itself", path="input") from None
    else:
        if shape.checks:
            _decode_input(shape, PLAIN.encode(payload))
        return payload
    try:
        return PLAIN.decode(_freeze(shape, payload, "input", loose=True)[0])
    except Misfit as misfit:
        raise _invalid_input(misfit) from None
    except NotSerializable as error:
        raise InvalidRequest(error.message, path=error.path or "input") from None


def decode_input(shape: Shape, text: Json) -> Any:
    """The payload that the handler is given. Raises InvalidRequest with the path where the text is not of the shape."""
    return _decode_input(shape, text)


def encode_output(shape: Shape, value: Any) -> Json:
    """The text of what a handler returned: an instance of the type, or plain data, which stay as they are. Raises InvalidOutput for
    another value than `output=` says, and NotSerializable, naming the place, for what JSON cannot carry and above 1 MB."""
    try:
        text = _encode_plain(value, "result", shape)
    except NotSerializable:
        if not shape.typed:
            raise
        try:
            text, _ = _freeze(shape, value, "result", loose=shape.declared)
        except Misfit as misfit:
            if shape.declared:
                raise _invalid_output(misfit) from None
            raise _not_serializable(misfit, "result", shape) from None
    else:
        if shape.declared:
            text = _checked_output(shape, text)
    return _sized(text, "result")


def decode_output(shape: Shape, value: Any) -> Any:
    """The typed result for the plain data that were read of an execution. Raises InvalidOutput where they are not what `output=`
    says; where only an annotation says it, they stay plain."""
    if not shape.typed:
        return value
    try:
        return shape.codec.decode(PLAIN.encode(value))
    except Misfit as misfit:
        if shape.declared:
            raise _invalid_output(misfit) from None
        return value


def _checked_output(shape: Shape, text: bytes) -> bytes:
    try:
        used = shape.codec.decode(text)
    except Misfit as misfit:
        raise _invalid_output(misfit) from None
    return text if shape.typed else _encode_plain(used, "result", shape)


def _decode_input(shape: Shape, text: Json | bytes) -> Any:
    try:
        return shape.codec.decode(text)
    except Misfit as misfit:
        raise _invalid_input(misfit) from None


def _freeze(shape: Shape, value: Any, root: str, *, loose: bool = False) -> tuple[bytes, Any]:
    """The text, and what it is read as. Raises Misfit for a value of another type, NotSerializable for what nothing can carry."""
    try:
        try:
            text = shape.codec.encode(value)
            back = shape.codec.decode(text)
            different = find_difference(value, back, loose=loose)
        except Misfit:
            _raise_fault(shape, value, root)
            raise
        except (TypeError, ValueError, OverflowError) as error:
            _raise_fault(shape, value, root)
            raise Misfit(f"cannot be stored: {error}") from None
        if different is not None:
            _raise_fault(shape, value, root)
            raise different
    except RecursionError:
        raise NotSerializable(f"the {root} is nested too deeply, or contains itself") from None
    return text, back


def _raise_fault(shape: Shape, value: Any, root: str) -> None:
    fault = find_fault(value, shape.codec.encode)
    if fault is not None and (fault.place or isinstance(value, float | str)):  # else the value itself is of a wrong type
        raise NotSerializable(fault.say(root), path=fault.path(root))


def _encode_plain(value: Any, root: str, shape: Shape) -> bytes:
    try:
        check_plain(value, root if isinstance(value, dict | list) else f"the {root}")
    except RecursionError:
        raise NotSerializable(f"the {root} is nested too deeply, or contains itself") from None
    except NotSerializable as error:
        path = None if error.path in (root, f"the {root}") else error.path
        raise NotSerializable(error.message + _hint(value, shape), path=path) from None
    return PLAIN.encode(value)


_REBUILT_FROM: Final = frozenset({"datetime", "decimal", "uuid"})
_REBUILT: Final = (tuple, set, frozenset, bytes, bytearray)
_MARKS: Final = ("__attrs_attrs__", "__dataclass_fields__", "__struct_fields__", "__pydantic_validator__", "__members__")


def _hint(value: Any, shape: Shape) -> str:
    """How a value that JSON does not know is stored after all."""
    kind = _odd_type(value)
    if kind is None or not (
        kind.__module__ in _REBUILT_FROM or issubclass(kind, _REBUILT) or any(hasattr(kind, mark) for mark in _MARKS)
    ):
        return ""
    why = f" ({shape.trouble})" if shape.trouble else ""
    if shape.owner.endswith("<lambda>"):
        why = ", and a lambda has none: write a def"
    return f"; a {kind.__qualname__} is stored, and comes back as one, where the return annotation of {shape.owner} names it{why}"


def _odd_type(value: Any) -> type | None:
    """Of the first value inside that is neither a container nor a scalar of JSON."""
    if type(value) in (dict, list):
        found = (_odd_type(child) for child in (value.values() if isinstance(value, dict) else value))
        return next((kind for kind in found if kind is not None), None)
    return None if type(value) in (str, int, float, bool, type(None)) else type(value)


def _sized(text: bytes, root: str) -> Json:
    if len(text) > MAX_VALUE_BYTES:
        size = len(text) / MAX_VALUE_BYTES
        raise NotSerializable(
            f"the {root} has {size:.1f} MB, above the limit of 1 MB: store it with context.artifacts and return the reference"
        )
    return text.decode()


def _invalid_input(misfit: Misfit) -> InvalidRequest:
    return InvalidRequest(misfit.say("input"), path=f"input{misfit.place}")


def _invalid_output(misfit: Misfit) -> InvalidOutput:
    return InvalidOutput(misfit.say("result"), path=misfit.path("result"))


def _not_serializable(misfit: Misfit, root: str, shape: Shape) -> NotSerializable:
    return NotSerializable(f"{misfit.say(root)}, by the return annotation of {shape.owner}", path=misfit.path(root))


def _named(error: NotSerializable, step: str | None) -> NotSerializable:
    return error if step is None else NotSerializable(f"step {step!r}: {error.message}", path=error.path)


def _underlying(function: Callable[..., Any]) -> Any:
    """What carries the annotations: of a partial or a bound method the function, of an object that is called its class's."""
    while isinstance(function, partial):
        function = function.func
    function = getattr(function, "__func__", function)
    if isinstance(function, type) or inspect.isroutine(function) or hasattr(function, "__wrapped__"):
        return function
    return type(function).__call__ if callable(function) else function


def _annotated(function: Callable[..., Any], name: str) -> Shape:
    underlying = _underlying(function)
    owner = getattr(underlying, "__qualname__", "the function")
    try:
        annotation = underlying if name == "return" and isinstance(underlying, type) else _annotation(underlying, name)
    except Exception as error:  # noqa: BLE001  an annotation is code of the user's
        return Shape(owner=owner, trouble=_trouble("resolved", error))
    if is_plain(annotation):
        return Shape(owner=owner)
    try:
        return Shape(codec_of(annotation), typed=True, owner=owner)
    except Exception as error:  # noqa: BLE001  so are its types
        return Shape(owner=owner, trouble=_trouble("used", error))


def _trouble(what: str, error: Exception) -> str:
    return f"its annotation cannot be {what}: {(str(error) or type(error).__name__).splitlines()[0]}"


def _annotation(function: Any, name: str) -> Any:
    """Of this one parameter, or of "return", whatever the others are. Any where there is none."""
    if isinstance(function, type):
        function = function.__init__  # type: ignore[misc]
    annotations = getattr(function, "__annotations__", None) or {}
    if name not in annotations:
        return Any
    plain = inspect.unwrap(function)
    # All that get_type_hints needs: a parameter that nobody asks for may have an annotation that cannot be resolved.
    alone = SimpleNamespace(__annotations__={name: annotations[name]})
    found = get_type_hints(alone, getattr(plain, "__globals__", {}), _closed_over(plain), include_extras=True)[name]
    origin = get_origin(found)
    if isinstance(origin, type) and issubclass(origin, Awaitable) and get_args(found):
        return get_args(found)[-1]
    return found


def _closed_over(function: Any) -> dict[str, Any]:
    """The variables around a function that it uses: a class made in the same function is found there."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        with suppress(ValueError):  # not set yet
            found[name] = cell.cell_contents
    return found
