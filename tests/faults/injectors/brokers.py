"""F9: the one broker of a stack is killed; its supervisor starts it again.

The page cache survives the kill, so recovery and clients are tried, never durability: that is tests/faults/power.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from tests.faults.fault import Fault, Missed
from tests.faults.injectors.supervised import spare_restart
from tests.kit.whole_stack import WholeStack

BROKER = "kafka"
AWAY_SECONDS_MAX = 3.0
"""Longest time that the broker is kept down, so that clients meet both a short and a long absence."""


class BrokerKilled:
    """SIGKILL of the one broker, kept down for a moment by chance."""

    row = "F9"
    name = "broker killed"
    weight = 2

    def missing(self) -> str:
        """It can be done wherever a stack runs."""
        return ""

    async def inject(self, stack: WholeStack, chance: random.Random) -> Mapping[str, Any]:
        """Returns when another broker answers and both of its coordinators are up."""
        if not stack.is_ready(BROKER):
            raise Missed("the broker was not up")
        spare_restart(stack, BROKER)
        away_s = chance.choice((0.0, chance.uniform(0.0, AWAY_SECONDS_MAX)))
        stack.held.add(BROKER)
        dead = stack.kill(BROKER)
        await asyncio.sleep(away_s)
        stack.held.discard(BROKER)
        await stack.until_started_again(BROKER, dead)
        return {"process": BROKER, "signal": "KILL", "away_ms": round(away_s * 1_000)}

    async def heal(self, stack: WholeStack) -> None:
        """Let the supervisor have it."""
        stack.held.discard(BROKER)


FAULTS: tuple[Fault, ...] = (BrokerKilled(),)
