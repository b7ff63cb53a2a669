"""The real clock, ids and randomness. Composition roots hand them on; nothing below reaches for them itself."""

import contextlib
import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .core.ports import Flag


FOREVER: Final = 1e9
"""Seconds, 31 years: as long as an event loop can be made to sleep."""


class SystemClock:
    """The clock of this machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(min(seconds, FOREVER))

    async def wait(self, flag: "Flag", seconds: float) -> None:
        import asyncio

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, FOREVER)):
                await flag.wait()


def new_key() -> str:
    """A new idempotency key. Keys begin with their time, so that an index over them grows at its end."""
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(10)}"


rng = random.Random()
"""For jitter."""

sleep = time.sleep


def id_factory() -> Callable[[], str]:
    """Makes ids that sort by the time they were made at (UUIDv7, RFC 9562)."""
    from uuid_utils import uuid7

    return lambda: str(uuid7())
