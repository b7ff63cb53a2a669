"""Transports of httpx, and of httpx2 where that is installed, that end in a mock; and a router of respx."""

import importlib
from typing import TYPE_CHECKING, Any, Final, Literal

from blaxel_jobs.errors import ConfigError

from .bridge import Answer, Door

if TYPE_CHECKING:
    import respx

Library = Literal["httpx", "httpx2"]

_HOST: Final = "127.0.0.1"


def transport(door: Door, library: Library) -> Any:
    """For `httpx.Client(transport=...)`. Raises ConfigError where the library is not installed."""
    httpx = _import(library)

    class MockTransport(httpx.BaseTransport):  # type: ignore[misc,name-defined]
        """Every request ends in the mock, whatever its host."""

        def handle_request(self, request: Any) -> Any:
            return _response(httpx, request, door.call(_addressed(request), request.read()))

    return MockTransport()


def async_transport(door: Door, library: Library) -> Any:
    """For `httpx.AsyncClient(transport=...)`, under asyncio and trio. Raises ConfigError where the library is not installed."""
    httpx = _import(library)

    class AsyncMockTransport(httpx.AsyncBaseTransport):  # type: ignore[misc,name-defined]
        """Every request ends in the mock, whatever its host."""

        async def handle_async_request(self, request: Any) -> Any:
            return _response(httpx, request, await door.acall(_addressed(request), await request.aread()))

    return AsyncMockTransport()


def respx_router(door: Door, base_url: str | None) -> "respx.MockRouter":
    """A router of respx whose only route is the mock; others may be put in front of it. Raises ConfigError without respx."""
    try:
        import respx
    except ImportError:
        raise ConfigError("respx is not installed: pip install respx") from None
    httpx = _import("httpx")
    router = respx.MockRouter(base_url=base_url, assert_all_called=False)

    def answer(request: Any) -> Any:
        return _response(httpx, request, door.call(_addressed(request), request.read()))

    router.route(name="mock").mock(side_effect=answer)
    return router


def _import(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError:
        raise ConfigError(f"{library} is not installed: pip install {library}") from None


def _addressed(request: Any) -> Any:
    """It is for the mock, whatever host it names; a mock answers for this machine's names only."""
    request.headers["Host"] = _HOST
    return request


def _response(httpx: Any, request: Any, answer: Answer) -> Any:
    """Raises what a client of that library raises when a server does so."""
    if answer.broken == "timeout":
        raise httpx.ReadTimeout("the mock did not answer in time", request=request)
    if answer.broken == "reset":
        raise httpx.ReadError("the mock reset the connection", request=request)
    if answer.broken or answer.status is None:
        how = "in the middle of its answer" if answer.status else "without sending a response"
        raise httpx.RemoteProtocolError(f"the mock closed the connection {how}", request=request)
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body, request=request)
