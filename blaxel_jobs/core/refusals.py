"""Why a body is not what its struct says, in the words of the contract: msgspec speaks of types and paths of its own."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from ..errors import InvalidRequest
from ..nearest import meant

_AT: Final = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`")
_LENGTH: Final = re.compile(r"Expected `(?P<kind>array|object|str)` of length (?P<bound>[<>]=) (?P<number>\d+)")
_BOUND: Final = re.compile(r"Expected `(?:int|float)` (?P<bound>[<>]=) (?P<number>\S+)")
_WORD: Final = re.compile(r"Invalid (?:enum )?value (?P<word>.*)")
_STEP: Final = re.compile(r"[^.\[\]]+|\[[^]]*\]")

_TIME: Final = "a time with its offset, such as 2026-01-31T08:00:00Z"
_TYPES: Final = {
    "array": "a list", "object": "an object", "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false",
    "datetime": _TIME,
}  # fmt: skip
_PARTS: Final = {"array": "item", "object": "field", "str": "character"}
_BOUNDS: Final = {">=": "at least", "<=": "at most"}


def path_of(error: msgspec.ValidationError) -> str:
    """The field that it is about, such as `tasks[0]`; empty for the body as a whole."""
    found = _AT.search(str(error))
    return found["path"] if found else ""


def refusal(error: msgspec.ValidationError, kind: Any) -> InvalidRequest:
    """The same of a body that was to be of this kind."""
    path = path_of(error)
    said = _AT.sub("", str(error))
    if unknown := _UNKNOWN.match(said):
        name, known = unknown["name"], [field.encode_name for form in _forms(kind, path) for field in _fields(form)]
        path = _join(path, name)
        return InvalidRequest(f"the contract knows no field {path}: {meant(name, known)}", path=path)
    if missing := _MISSING.match(said):
        path = _join(path, missing["name"])
        return InvalidRequest(f"{path} is missing", path=path)
    return InvalidRequest(f"{path or 'the body'} {_why(said, _forms(kind, path))}", path=path)


def _why(said: str, forms: list[inspect.Type]) -> str:
    if found := _TYPE.match(said):
        return f"is {_type(found['wanted'])}, not {_type(found['given'])}"
    if found := _LENGTH.match(said):
        part, number = _PARTS[found["kind"]], int(found["number"])
        limit = f"{_BOUNDS[found['bound']]} {number} {part}{'' if number == 1 else 's'}"
        return f"is empty: it has {limit}" if (found["bound"], number) == (">=", 1) else f"has {limit}"
    if found := _BOUND.match(said):
        return f"is {_BOUNDS[found['bound']]} {found['number']}"
    words = [word for form in forms for word in _words(form)]
    if words and (found := _WORD.match(said)):
        return f"is {', '.join(words[:-1])} or {words[-1]}, not {found['word']}"
    if "RFC3339" in said or "timezone" in said:
        return f"is {_TIME}"
    if "matching regex" in said:
        name = "A-Za-z0-9" in said
        return (
            "takes letters, digits, '.', '_' and '-', at most 128, the first a letter or digit"
            if name
            else "has a control character"
        )
    return f"is not right: {said}"


def _type(said: str) -> str:
    return " or ".join(_TYPES.get(word, word) for word in said.split(" | "))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _forms(kind: Any, path: str) -> list[inspect.Type]:
    """What may stand at this path."""
    forms = list(_flat(inspect.type_info(kind)))
    for step in _STEP.findall(path):
        forms = [inner for form in forms for inner in _within(form, step)]
    return forms


def _within(form: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(form, inspect.ListType):
        yield from _flat(form.item_type)
    else:
        yield from (inner for field in _fields(form) if field.encode_name == step for inner in _flat(field.type))


def _flat(form: inspect.Type) -> Iterator[inspect.Type]:
    yield from form.types if isinstance(form, inspect.UnionType) else [form]


def _fields(form: inspect.Type) -> tuple[inspect.Field, ...]:
    return form.fields if isinstance(form, inspect.StructType) else ()


def _words(form: inspect.Type) -> list[str]:
    if isinstance(form, inspect.EnumType):
        return [str(word.value) for word in form.cls]
    return [str(word) for word in form.values] if isinstance(form, inspect.LiteralType) else []
