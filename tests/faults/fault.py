"""The port of all faults that are injected into a running stack; one class a fault, one file a family, `injectors/`."""

import random
from collections.abc import Mapping
from typing import Any, Protocol

from tests.kit.whole_stack import WholeStack


class Fault(Protocol):
    """One kind of fault. Between two injections it leaves nothing behind that it does not heal."""

    row: str
    """Its row of the matrix: F1 … F28."""
    name: str
    """What it does, in words: `decider killed after its produce`."""
    weight: int
    """How often a random mix takes it, in relation to others; a fault that takes long weighs little."""

    def missing(self) -> str:
        """Why this machine cannot do it; empty when it can."""
        ...

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Do it once and return when what it broke is whole again, or its supervisor is at it; says whom it hit.

        Returns what goes into the ledger, with no path and no port. Raises Missed when it could not be done this time.
        """
        ...

    async def heal(self, stack: WholeStack) -> None:
        """Undo what may still last: called after a run, and when an injection was broken off."""
        ...


class Missed(Exception):
    """The victim was not there, or the moment had passed; not counted as a trial. The message says which."""
