"""Lists that come in pages."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from .flow import Flow, Seam, arun, run

if TYPE_CHECKING:
    from .client.models import PageMeta

T = TypeVar("T")


class Page(list[T]):
    """One page: a list of its rows that knows where the next page is."""

    def __init__(self, seam: Seam, rows: Iterable[T], meta: "PageMeta", more: Callable[[str], Flow[Any]]) -> None:
        super().__init__(rows)
        self._seam = seam
        self._more = more
        self._meta = meta

    @property
    def has_more(self) -> bool:
        """There were more rows when this page was read."""
        return self._meta.has_more and self.next_cursor is not None

    @property
    def next_cursor(self) -> str | None:
        """What to give as `cursor` for the next page. None on the last one."""
        return self._meta.next_cursor or None

    def next_page(self) -> Self:
        """The page after this one; after the last one an empty page."""
        return run(self._seam, self._next())

    async def anext_page(self) -> Self:
        """As `next_page`."""
        return await arun(self._seam, self._next())

    def auto_paging_iter(self) -> "Rows[T]":
        """Every row from this page on, for `for` and for `async for`. Further pages are read when they are reached."""
        return Rows(self)

    def _next(self) -> Flow[Self]:
        if self.next_cursor is None or not self.has_more:
            return self._after_last()
        return (yield from self._more(self.next_cursor))  # type: ignore[no-any-return]

    def _after_last(self) -> Self:
        from .client.models import PageMeta

        return type(self)(self._seam, (), PageMeta(has_more=False), self._more)


class Rows(Generic[T]):
    """The rows of a page and of all that follow it."""

    def __init__(self, first: Page[T]) -> None:
        self._first = first

    def __iter__(self) -> Iterator[T]:
        page = self._first
        yield from page
        while page.has_more:
            page = page.next_page()
            yield from page

    async def __aiter__(self) -> AsyncIterator[T]:
        page = self._first
        for row in page:
            yield row
        while page.has_more:
            page = await page.anext_page()
            for row in page:
                yield row
