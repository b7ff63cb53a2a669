"""Where in a value a validation failed. msgspec says `[...]` for the value of a mapping, without its key."""

import re
from collections.abc import Callable
from typing import Any, Final

_STEP: Final = re.compile(r"\.[^.\[]+|\[[^\]]*\]")


def spell_out(place: str, plain: Any, refuses: Callable[[Any], bool]) -> str:
    """The place with the keys of mappings instead of `[...]`: in each mapping the key with which alone the value is still refused.

    `plain` is the value, and is taken to pieces. A key that cannot be found stays `[...]`, and so does what follows.
    """
    if "[...]" not in place:
        return place
    said = ""
    steps = _STEP.findall(place)
    node = plain
    for number, step in enumerate(steps):
        try:
            if step == "[...]" and isinstance(node, dict):
                key = _refused_key(node, plain, refuses)
                said, node = f"{said}.{key}", node[key]
            elif step[0] == "[":
                said, node = said + step, node[int(step[1:-1])]
            else:
                said, node = said + step, node[step[1:]]
        except (LookupError, TypeError, ValueError):
            return said + "".join(steps[number:])
    return said


def _refused_key(node: dict[str, Any], plain: Any, refuses: Callable[[Any], bool]) -> str:
    """Halve the mapping, a part of `plain`, until one key is left. Raises LookupError where no half alone is refused."""
    items = list(node.items())
    while len(items) > 1:
        for half in (items[: len(items) // 2], items[len(items) // 2 :]):
            node.clear()
            node.update(half)
            if refuses(plain):
                items = half
                break
        else:
            raise LookupError
    return items[0][0]
