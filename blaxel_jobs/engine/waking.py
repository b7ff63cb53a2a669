"""Who waits for a slot and has room is put back in line by a few in each transaction: this is what goes on."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from .commands import Command, WakeParked
from .effects import Gate
from .loops import Loop

PLACE: Final = -1
"""Among the loops of the engine: the last, since it goes on with what the others leave."""


class Waking(Loop):
    """The gates at which there is more to wake. What one process knows is lost with it: the next one, and every other one that
    sees limits change, looks at all who wait (`Definitions.poll`)."""

    def __init__(self, submit: Callable[[Command], object]) -> None:
        self.gates: dict[Gate, float] = {}
        """With how many may be woken there."""
        self._submit = submit

    def keep(self, waking: Mapping[Gate, float]) -> bool:
        """Note what a transaction left. Is there more to do?"""
        for gate, more in waking.items():
            if more > 0:
                self.gates[gate] = more
            else:
                self.gates.pop(gate, None)
        return bool(self.gates)

    def poll(self, now: float) -> float:
        if self.gates:
            self._submit(WakeParked(()))
        return 0.0 if self.gates else math.inf
