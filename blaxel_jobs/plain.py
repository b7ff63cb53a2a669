"""Plain data: what JSON carries and gives back equal."""

from collections.abc import Mapping
from math import isfinite
from types import NoneType
from typing import Any, Final

from .errors import InvalidRequest, NotSerializable

_ALWAYS: Final = frozenset({int, bool, NoneType})
"""Types whose every value is plain."""


def check_plain(value: Any, path: str = "") -> None:
    """Raise NotSerializable, naming the place, unless the value is made of dict (text keys), list, str, int, finite float, bool,
    None.

    Exactly these types: a tuple, an enum or a subclass of dict would come back as something else.
    """
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _check_text(value, path)
    elif kind is dict:
        _check_object(value, path)
    elif kind is list:
        for index, child in enumerate(value):
            if type(child) not in _ALWAYS:
                check_plain(child, f"{path}[{index}]")
    elif kind is float:
        if not isfinite(value):
            raise _not_plain(path, f"is {value}: JSON has finite numbers only")
    elif kind not in _ALWAYS:
        raise _not_plain(path, f"is a {kind.__qualname__}: JSON carries dict, list, str, int, float, bool and None")


def _check_object(value: dict[Any, Any], path: str) -> None:
    for key, child in value.items():
        if type(key) is not str:
            raise _not_plain(path, f"has the key {key!r}: keys of JSON objects are text")
        if not key.isascii():
            _check_text(key, path)
        if type(child) not in _ALWAYS:
            check_plain(child, f"{path}.{key}" if path else key)


def check_body(body: Any) -> None:
    """Raise InvalidRequest, naming the place, for the body of a request that is not plain data."""
    try:
        check_plain(body)
    except NotSerializable as error:
        raise InvalidRequest(error.message, path=error.path) from None
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply, or contains itself") from None


def check_text(text: str, path: str) -> None:
    """Raise InvalidRequest, naming the place, for what cannot be sent or stored as text."""
    try:
        _check_text(text, path)
    except NotSerializable as error:
        raise InvalidRequest(error.message, path=path) from None


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """`check_text` of those of an operation that are text, with their names on the wire."""
    for name, value in arguments.items():
        if type(value) is str and not value.isascii():
            first, *rest = name.split("_")
            check_text(value, first + "".join(word.capitalize() for word in rest))


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _not_plain(path, "has a lone surrogate: it is not Unicode text") from None


def _not_plain(path: str, why: str) -> NotSerializable:
    return NotSerializable(f"{path or 'the value'} {why}", path=path or None)
