"""Lists whose items are read when somebody looks at them: most who get an execution never read its tasks."""

from collections.abc import Callable
from typing import Any, TypeVar

from .errors import ContractError

T = TypeVar("T")


class LazyList(list[T]):
    """A list of what `read` makes of each item of `raw`, made when the list is first used. From then on it is like any list.

    Raises TypeError for a `raw` that is no list. Using it raises ContractError for an item that cannot be read.
    """

    __slots__ = ("_pending",)

    def __init__(self, read: Callable[[Any], T], raw: object) -> None:
        if not isinstance(raw, list):
            raise TypeError(f"a {type(raw).__name__} is no list")
        self._pending: tuple[Callable[[Any], T], list[Any]] | None = (read, raw)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is a plain list."""
        return list, ([*self],)

    def _load(self) -> None:
        pending = self._pending
        if pending is None:
            return
        read, raw = pending
        try:
            items = [read(item) for item in raw]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ContractError(f"an item of the answer cannot be read: {type(error).__name__}: {error}") from error
        list.__setitem__(self, slice(None), items)  # of two threads that come here at once, each sets the same
        self._pending = None


def _loading(name: str) -> Callable[..., Any]:
    plain = getattr(list, name)

    def method(self: LazyList[Any], *arguments: Any, **keywords: Any) -> Any:
        self._load()
        return plain(self, *arguments, **keywords)

    method.__name__ = name
    return method


for _name in (
    "__len__", "__iter__", "__reversed__", "__contains__", "__getitem__", "__setitem__", "__delitem__", "__add__", "__iadd__",
    "__mul__", "__rmul__", "__imul__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__repr__", "append", "clear",
    "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort",
):  # fmt: skip
    setattr(LazyList, _name, _loading(_name))
