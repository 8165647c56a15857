"""The journal's messages -> one customer's websocket, as well or as badly as told: the misbehaviour of a real line.

Only the delivery lies. Journal, drop copy and statement stay true, so that whoever reconciles can find every lie.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from simulators.venue.journal import Journal
from simulators.venue.requests import Message

MESSAGES_AT_ONCE = 500
"""Messages read from the journal at once when a customer catches up."""
HOLD_MS = 100
"""How long a message waits for a neighbour to swap with before it goes alone."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Probabilities per message, and the longest delay; all nothing by default."""

    duplicate: float = 0.0
    reorder: float = 0.0
    drop_connection: float = 0.0
    delay_ms_max: int = 0


class Delivery:
    """One connection's way through the journal: catching up and live are the same walk."""

    def __init__(self, journal: Journal, after: int, misbehaviour: Misbehaviour, random: Random) -> None:
        self._journal = journal
        self._cursor = after
        self._bad = misbehaviour
        self._random = random
        self._held: Message | None = None
        self.wake = asyncio.Event()

    async def run(self, send: Callable[[Message], Awaitable[None]]) -> None:
        """Deliver until the connection is to be dropped, which is when this returns."""
        while True:
            self.wake.clear()
            messages = self._journal.messages(self._cursor, MESSAGES_AT_ONCE)
            if not messages:
                await self._idle(send)
                continue
            self._cursor = int(str(messages[-1]["seq"]))
            if self._bad.delay_ms_max:
                await asyncio.sleep(self._random.uniform(0, self._bad.delay_ms_max) / 1000)
            for message in messages:
                for copy in self._in_bad_order(message):
                    await send(copy)
                if self._happens(self._bad.drop_connection):
                    return

    async def _idle(self, send: Callable[[Message], Awaitable[None]]) -> None:
        try:
            await asyncio.wait_for(self.wake.wait(), HOLD_MS / 1000 if self._held else None)
        except TimeoutError:
            if self._held is not None:
                held, self._held = self._held, None
                await send(held)

    def _in_bad_order(self, message: Message) -> list[Message]:
        """What to send now that this message is at hand: nothing, itself, itself twice, or it and the one before it."""
        if self._held is None and self._happens(self._bad.reorder):
            self._held = message
            return []
        sent = [message, message] if self._happens(self._bad.duplicate) else [message]
        if self._held is not None:
            sent.append(self._held)
            self._held = None
        return sent

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability
