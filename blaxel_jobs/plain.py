"""Plain data: what JSON carries and gives back equal."""

from math import isfinite
from typing import Any

from .errors import NotSerializable


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
        for key, child in value.items():
            if type(key) is not str:
                raise NotSerializable(f"{_where(path)} has the key {key!r}: keys of JSON objects are text")
            check_plain(child, f"{path}.{key}" if path else key)
    elif kind is list:
        for index, child in enumerate(value):
            check_plain(child, f"{path}[{index}]")
    elif kind is float:
        if not isfinite(value):
            raise NotSerializable(f"{_where(path)} is {value}: JSON has finite numbers only")
    elif not (kind is int or kind is bool or value is None):
        raise NotSerializable(f"{_where(path)} is a {kind.__qualname__}: JSON carries dict, list, str, int, float, bool and None")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotSerializable(f"{_where(path)} has a lone surrogate: it is not Unicode text") from None


def _where(path: str) -> str:
    return path or "the value"
