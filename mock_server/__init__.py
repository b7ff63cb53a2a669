"""The mock server: the Jobs API in memory, where tasks of a minute take a millisecond.

    from mock_server import MockServer

    with MockServer() as mock:
        ...  # whatever uses bl_job() or JobsClient() in here speaks to the mock

It is the product itself (engine, worker, app) on a memory store and a virtual clock. `python -m mock_server` serves it to
programs in any language, and pytest has the fixtures `jobs_mock` and `jobs_mock_server`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import MockServer

__all__ = ["MockServer"]


def __getattr__(name: str) -> Any:
    # `python -m mock_server` passes here too, and is no client: it does without the SDK, which is half of what there is to load.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import server

    value = globals()[name] = getattr(server, name)
    return value
