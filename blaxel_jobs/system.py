"""The real clock, ids and randomness. Composition roots hand them on; nothing below reaches for them itself."""

import contextlib
import random
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.ports import Flag


class SystemClock:
    """The clock of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)

    async def wait(self, flag: "Flag", seconds: float) -> None:
        import asyncio

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await flag.wait()


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
