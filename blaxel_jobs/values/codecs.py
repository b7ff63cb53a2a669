"""How the values of one type are written as JSON text and read: by msgspec, and by pydantic where the type is of it."""

import re
from collections import abc
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    Protocol,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from .places import spell_out
from .sameness import Misfit


class Codec(Protocol):
    """Both ways of one type."""

    def encode(self, value: Any) -> bytes:
        """JSON text; of a value of another type whatever there is for it. Raises TypeError, ValueError, OverflowError."""
        ...

    def decode(self, text: str | bytes) -> Any:
        """The value. Raises Misfit for a text that is not of the type."""
        ...

    def schema(self) -> dict[str, Any] | None:
        """JSON Schema; None where it cannot be had."""
        ...


class Plain:
    """JSON's own types."""

    def encode(self, value: Any) -> bytes:
        """Of plain data; what is none is not noticed."""
        import msgspec

        return msgspec.json.encode(value)

    def decode(self, text: str | bytes) -> Any:
        """Any JSON."""
        import msgspec

        return msgspec.json.decode(text)

    def schema(self) -> None:
        """Any JSON: nothing to say."""


PLAIN: Final = Plain()


class Validator:
    """A callable that is given the plain value and returns the one to use."""

    def __init__(self, validate: Callable[[Any], Any]) -> None:
        self._validate = validate
        self.encode = PLAIN.encode

    def decode(self, text: str | bytes) -> Any:
        """What the callable returns."""
        try:
            return self._validate(PLAIN.decode(text))
        except (ValueError, TypeError, LookupError) as error:
            raise _misfit(error) from error

    def schema(self) -> None:
        """Nobody knows."""


class Typed:
    """A type that msgspec knows, models of pydantic as fields included."""

    def __init__(self, annotation: Any) -> None:
        import msgspec

        self._annotation = annotation
        self._decoder = msgspec.json.Decoder(annotation, dec_hook=_from_json)
        self._encoder = msgspec.json.Encoder(enc_hook=_to_json)

    def encode(self, value: Any) -> bytes:
        """By what the value is, not by what it should be: msgspec does not look."""
        return self._encoder.encode(value)

    def decode(self, text: str | bytes) -> Any:
        """Strictly: no number for a text, no text for a number."""
        from msgspec import ValidationError

        try:
            return self._decoder.decode(text)
        except ValidationError as error:
            misfit = _misfit(error)
            misfit.place = spell_out(misfit.place, PLAIN.decode(text), self._refuses)
            raise misfit from error

    def schema(self) -> dict[str, Any] | None:
        """By msgspec."""
        import msgspec

        try:
            return msgspec.json.schema(self._annotation)
        except (TypeError, NotImplementedError):
            return None

    def _refuses(self, plain: Any) -> bool:
        try:
            self._decoder.decode(PLAIN.encode(plain))
        except ValueError:
            return True
        return False


class OneOf:
    """A union that msgspec takes for ambiguous. What is read is the first member that would be written as the same text again;
    else, since a writer may leave out defaults, the first that can be read at all."""

    def __init__(self, annotation: Any) -> None:
        self._members = get_args(annotation)
        self._codecs = [Typed(member) for member in self._members]
        self.encode = self._codecs[0].encode

    def decode(self, text: str | bytes) -> Any:
        """One member's value."""
        canonical = PLAIN.encode(PLAIN.decode(text))
        readable: list[Any] = []
        why = []
        for codec in self._codecs:
            try:
                value = codec.decode(canonical)
            except Misfit as misfit:
                why.append(misfit.say("value"))
                continue
            if codec.encode(value) == canonical:
                return value
            readable.append(value)
        if not readable:
            raise Misfit(f"is none of {', '.join(map(_show, self._members))} ({'; '.join(why)})")
        return readable[0]

    def schema(self) -> dict[str, Any] | None:
        """One of the members'."""
        import msgspec

        try:
            schemas, parts = msgspec.json.schema_components(self._members, ref_template="#/$defs/{name}")
        except (TypeError, NotImplementedError):
            return None
        return {"anyOf": list(schemas), "$defs": parts} if parts else {"anyOf": list(schemas)}


class Pydantic:
    """A type of which a part is pydantic's."""

    def __init__(self, annotation: Any) -> None:
        from pydantic import TypeAdapter

        self._adapter: Any = TypeAdapter(annotation)

    def encode(self, value: Any) -> bytes:
        """By the type. Raises ValueError too for what is not JSON: pydantic can write Infinity."""
        text: bytes = self._adapter.dump_json(value, by_alias=True, round_trip=True, warnings="none")
        PLAIN.decode(text)
        return text

    def decode(self, text: str | bytes) -> Any:
        """As strictly as the model says."""
        try:
            return self._adapter.validate_json(text)
        except ValueError as error:
            raise _misfit(error) from error

    def schema(self) -> dict[str, Any] | None:
        """By pydantic."""
        from pydantic.errors import PydanticInvalidForJsonSchema

        try:
            schema: dict[str, Any] = self._adapter.json_schema()
        except PydanticInvalidForJsonSchema:
            return None
        return schema


def codec_of(annotation: Any) -> Codec:
    """The codec of a type. Raises TypeError for what JSON cannot carry, NameError while a class that it mentions is missing."""
    try:
        hash(annotation)
    except TypeError:  # of what an Annotated carries
        return _codec_of(annotation)
    return _known_codec(annotation, str(annotation))


@lru_cache(maxsize=512)
def _known_codec(annotation: Any, in_order: str) -> Codec:  # noqa: ARG001  a part of the cache's key
    """`in_order` tells `A | B` and `B | A` apart, which are equal, and are not tried in the same order."""
    return _codec_of(annotation)


def _codec_of(annotation: Any) -> Codec:
    if any(map(_is_of_pydantic, _nodes(annotation))):
        return Pydantic(annotation)
    for node in _nodes(annotation):
        if _is_unknown(node):
            raise TypeError(f"{_show(node)} is neither of attrs, dataclasses, TypedDict, msgspec or pydantic nor a type of JSON")
    try:
        return Typed(annotation)
    except TypeError:
        if get_origin(annotation) not in (Union, UnionType):
            raise
        return OneOf(annotation)


def is_type(kind: Any) -> bool:
    """Whether it is a type or a typing form, and no callable that checks."""
    return isinstance(kind, type | NewType) or get_origin(kind) is not None or kind is Any or hasattr(kind, "__value__")


_SCALARS: Final = frozenset({str, int, float, bool, NoneType, None, Any, object})
_ARRAYS: Final = frozenset(
    {list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable, abc.Container, abc.Reversible, Union, UnionType}
)
_OBJECTS: Final = frozenset({dict, abc.Mapping, abc.MutableMapping})


def is_plain(annotation: Any, _inside: tuple[Any, ...] = ()) -> bool:
    """Whether JSON gives back by itself what this annotation names, so that nothing has to be rebuilt."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, TypeVar):
        bounds = annotation.__constraints__ or (annotation.__bound__ or Any,)
        return all(is_plain(bound, _inside) for bound in bounds)
    if origin is None:
        if is_typeddict(annotation):
            return annotation in _inside or _has_plain_fields(annotation, (*_inside, annotation))
        alias = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
        if alias is not None and not isinstance(annotation, type):
            return annotation in _inside or is_plain(alias, (*_inside, annotation))
        return _is_one_of(annotation, _SCALARS | _ARRAYS | _OBJECTS)
    if origin is Annotated:
        return is_plain(arguments[0], _inside)
    if origin is Literal:
        return all(type(argument) in (str, int, bool, NoneType) for argument in arguments)
    if origin in _OBJECTS:
        return arguments[0] in (str, Any) and is_plain(arguments[1], _inside)
    return origin in _ARRAYS and all(is_plain(argument, _inside) for argument in arguments)


def _has_plain_fields(annotation: Any, inside: tuple[Any, ...]) -> bool:
    try:
        hints = get_type_hints(annotation)
    except NameError:
        return False
    return all(is_plain(hint, inside) for hint in hints.values())


def _is_one_of(annotation: Any, kinds: frozenset[Any]) -> bool:
    try:
        return annotation in kinds
    except TypeError:
        return False


def _nodes(annotation: Any) -> Iterator[Any]:
    """The annotation, and all that it is put together of."""
    yield annotation
    origin = get_origin(annotation)
    if origin is Literal:
        return
    if origin is Annotated:
        yield from annotation.__metadata__
        yield from _nodes(annotation.__origin__)
    else:
        for argument in get_args(annotation):
            yield from _nodes(argument)


def _is_of_pydantic(node: Any) -> bool:
    """A model, a dataclass of pydantic, or something that an Annotated has from it, such as Field(gt=0)."""
    kind = node if isinstance(node, type) else type(node)
    return hasattr(node, "__pydantic_core_schema__") or kind.__module__.partition(".")[0] == "pydantic"


def _is_unknown(node: Any) -> bool:
    kind = get_origin(node) or node
    if not isinstance(kind, type) or kind in (UnionType, object):
        return False
    from msgspec.inspect import CustomType, type_info

    try:
        return isinstance(type_info(node), CustomType)
    except TypeError:
        return False  # known, but not in this form: the decoder says why


def _to_json(value: Any) -> Any:
    if hasattr(value, "__pydantic_validator__"):
        import msgspec

        return msgspec.Raw(codec_of(type(value)).encode(value))
    raise TypeError(f"{type(value).__qualname__} is an unknown type")


def _from_json(kind: Any, plain: Any) -> Any:
    if hasattr(kind, "__pydantic_validator__"):
        try:
            return codec_of(kind).decode(PLAIN.encode(plain))
        except Misfit as misfit:
            raise ValueError(misfit.say("value")) from None
    raise TypeError(f"{_show(kind)} is a type that JSON cannot carry")


_PLACE: Final = re.compile(r" - at (?:`key` in )?`\$([^`]*)`$")
_FIELD: Final = re.compile(r"Object (missing required|contains unknown) field `(.*)`$")


def _misfit(error: Exception) -> Misfit:
    """What a validation error of msgspec, of pydantic or of a callable says, and of which place."""
    if hasattr(error, "errors") and callable(error.errors):
        first = error.errors()[0]
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
        return Misfit(f"is not valid: {first['msg']}", place)
    text = f"{type(error).__name__}: {error}" if isinstance(error, LookupError) else str(error) or type(error).__name__
    found = _PLACE.search(text)
    place = found[1] if found else ""
    text = text[: found.start()] if found else text
    field = _FIELD.match(text)
    if field:
        return Misfit("is missing" if field[1].startswith("missing") else "is unknown", f"{place}.{field[2]}")
    return Misfit(f"is not valid: {text.replace('`', '')}", place)


def _show(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
