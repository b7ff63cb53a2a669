"""The engine: verbs, committer, recovery. Knows stores and the core; knows nothing of HTTP."""

from importlib.util import find_spec

for _needed in ("sqlalchemy", "alembic", "uuid_utils"):
    if find_spec(_needed) is None:
        raise ModuleNotFoundError(f"the engine needs {_needed}; install it with: pip install 'blaxel-jobs[engine]'", name=_needed)

from .engine import Engine  # noqa: E402  only after what it needs was found
from .leases import LocalLeases  # noqa: E402

__all__ = ["Engine", "LocalLeases"]
