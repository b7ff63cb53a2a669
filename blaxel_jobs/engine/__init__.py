"""The engine: verbs, committer, recovery. Knows stores and the core; knows nothing of HTTP."""

from .engine import Engine
from .leases import LocalLeases

__all__ = ["Engine", "LocalLeases"]
