"""Whether a value came back the same, and which part of it did not."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import isfinite
from typing import Any, Final


class Misfit(Exception):
    """A part of a value that is not what it should be. `place` follows the name of the value, such as `.items[0].price`."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.place = place

    def path(self, root: str) -> str | None:
        """None for the value itself."""
        return f"{root}{self.place}" if self.place else None

    def say(self, root: str) -> str:
        """A sentence about it."""
        return f"{self.path(root) or f'the {root}'} {self.why}"


def find_difference(live: Any, back: Any, place: str = "", *, loose: bool = False) -> Misfit | None:
    """The first part of `live` that is of another type in `back`, or not equal to it.

    An int may come back as a float of the same value: so it is given to what is annotated as float. A date and time may come back
    with its offset instead of its zone. `loose`: a dict may stand for an object with these fields.
    """
    if type(live) is not type(back):
        if type(live) is int and type(back) is float and live == back:
            return None
        others = _parts(back, compared=True)
        if not (loose and type(live) is dict and others and live.keys() <= others.keys()):
            return Misfit(f"is a {_name(live)} and would come back as a {_name(back)}", place)
        parts: dict[Any, Any] | None = live
        others = {name: others[name] for name in live}
    elif isinstance(live, set | frozenset):
        return _set_difference(live, back, place)
    else:
        parts = _parts(live, compared=True)
        others = _parts(back, compared=True)
    if parts is None or others is None:
        return None if _equal(live, back) else Misfit(f"would not come back equal, but as {back!r:.100}", place)
    kinds = {name: type(name) for name in others}
    for name, part in parts.items():
        if kinds.pop(name, None) is not type(name):
            return Misfit("would come back without it", place + _step(live, name))
        different = find_difference(part, others[name], place + _step(live, name), loose=loose)
        if different is not None:
            return different
    return Misfit("would be there only when it comes back", place + _step(live, next(iter(kinds)))) if kinds else None


def find_fault(value: Any, encode: Callable[[Any], bytes], place: str = "") -> Misfit | None:
    """The first part that cannot be written at all: a number that is not finite, text that is not Unicode, an unknown type."""
    if isinstance(value, float) and not isfinite(value):
        return Misfit(f"is {value}: JSON has finite numbers only", place)
    parts = dict(enumerate(value)) if isinstance(value, set | frozenset) else _parts(value, compared=False)
    for name, part in (parts or {}).items():
        fault = find_fault(part, encode, place + _step(value, name))
        if fault is not None:
            return fault
        if isinstance(value, dict):
            fault = _fault_of_leaf({name: None}, encode, place)
            if fault is not None:
                return Misfit(f"has the key {name!r:.100}, which {fault.why}", place)
    return _fault_of_leaf(value, encode, place) if not parts else None


def _fault_of_leaf(value: Any, encode: Callable[[Any], bytes], place: str) -> Misfit | None:
    try:
        encode(value)
    except UnicodeEncodeError:
        return Misfit("has a lone surrogate: it is not Unicode text", place)
    except (TypeError, ValueError, OverflowError):
        return Misfit(f"is a {_name(value)}, which cannot be stored", place)
    return None


def _set_difference(live: Iterable[Any], back: Any, place: str) -> Misfit | None:
    partners = {part: part for part in live}
    if partners.keys() != back:
        return Misfit("would come back with other members", place)
    found = (find_difference(partners[part], part, f"{place}[...]") for part in back)
    return next((different for different in found if different is not None), None)


def _equal(live: Any, back: Any) -> bool:
    if hasattr(live, "utcoffset") and hasattr(live, "tzinfo"):
        # In the hour that a clock is put back, times of two zones are never equal to `==`. An unknown offset is lost.
        if live.utcoffset() != back.utcoffset() or (live.tzinfo is None) != (back.tzinfo is None):
            return False
        return bool(live.replace(tzinfo=None, fold=0) == back.replace(tzinfo=None, fold=0))
    try:
        return bool(live == back)
    except Exception:  # noqa: BLE001  of two values that cannot be compared nobody knows
        return False


_UNSET: Final = object()


def _parts(value: Any, *, compared: bool) -> dict[Any, Any] | None:
    """What a value is made of, by name: keys, indexes, fields. `compared`: without the fields that its own `==` leaves out."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if hasattr(type(value), "__pydantic_fields__") and hasattr(value, "__pydantic_private__"):
        private = value.__pydantic_private__ if compared else None
        return {**value.__dict__, **(value.__pydantic_extra__ or {}), **(private or {})}
    kind: Any = type(value)
    fields = _fields(kind, compared)
    return None if fields is None else {name: getattr(value, name, _UNSET) for name in fields}


@lru_cache(maxsize=512)
def _fields(kind: Any, compared: bool) -> tuple[str, ...] | None:
    compared = compared and getattr(kind, "__eq__", None) is not object.__eq__
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(field.name for field in kind.__attrs_attrs__ if field.eq or not compared)
    if hasattr(kind, "__dataclass_fields__"):
        from dataclasses import fields

        return tuple(field.name for field in fields(kind) if field.compare or not compared)
    if hasattr(kind, "__struct_fields__"):
        return tuple(kind.__struct_fields__)
    return None


def _step(container: Any, name: Any) -> str:
    return f"[{name}]" if isinstance(container, list | tuple | set | frozenset) else f".{name}"


def _name(value: Any) -> str:
    return type(value).__qualname__
