"""Values of handlers as JSON and back."""

from typing import Any, Final

import msgspec

from ..core.records import Json
from ..errors import NotSerializable
from ..plain import check_plain

MAX_RESULT_BYTES: Final = 1024 * 1024


def decode(text: Json) -> Any:
    """The value that a JSON text stands for."""
    return msgspec.json.decode(text)


def encode_result(value: Any) -> Json:
    """The JSON text of what a handler returned. Raises NotSerializable, naming the place, and for results above 1 MB."""
    check_plain(value, "result" if isinstance(value, dict | list) else "the result")
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_RESULT_BYTES:
        size = len(encoded) / MAX_RESULT_BYTES
        raise NotSerializable(f"the result has {size:.1f} MB, above the limit of 1 MB: store it elsewhere and return a reference")
    return encoded.decode()
