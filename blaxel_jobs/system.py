"""The real clock, ids and randomness. Composition roots hand them on; nothing below reaches for them itself."""

import random
import time
import uuid
from collections.abc import Callable


class SystemClock:
    """The clock of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


def new_key() -> str:
    """A new idempotency key."""
    return uuid.uuid4().hex


rng = random.Random()
"""For jitter."""

sleep = time.sleep


def id_factory() -> Callable[[], str]:
    """Makes ids that sort by the time they were made at (UUIDv7, RFC 9562)."""
    from uuid_utils import uuid7

    return lambda: str(uuid7())
